"""Stage 2: train, test and val."""
