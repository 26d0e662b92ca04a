"""Index a video: which frames it holds and when each is shown, without decoding."""
