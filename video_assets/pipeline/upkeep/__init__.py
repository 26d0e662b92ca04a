"""Look after a dataset that exists: verify, repair, compare, and examine the set-up."""
