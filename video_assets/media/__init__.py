"""Open videos: probe, index, decode, images, and the pool of decoding processes."""
