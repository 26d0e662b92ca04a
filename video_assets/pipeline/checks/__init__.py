"""Checks of shards and of the dataset."""
