"""Pictures and words about a dataset."""
