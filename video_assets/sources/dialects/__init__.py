"""One module a way of labelling videos: how it is recognised, and its rows."""
