"""Run decoding in processes: a video that crashes, hangs or takes too much memory costs that one clip."""
