"""The stages: one function each, returning a report."""
