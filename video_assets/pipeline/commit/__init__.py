"""Stage 5: the commit, which makes planned shards the dataset."""
