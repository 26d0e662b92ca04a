"""Decode frames and sound of clips."""
