"""Stage 4: shards."""
