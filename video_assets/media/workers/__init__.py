"""Decoding processes: a video that crashes, hangs or takes too much memory costs its own clip only."""
