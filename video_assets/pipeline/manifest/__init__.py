"""Stage 1: the manifest, one row per clip."""
