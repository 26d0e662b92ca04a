"""For training: what a model sees."""
