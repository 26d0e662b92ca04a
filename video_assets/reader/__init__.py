"""For training: what a model sees."""

from video_assets.reader.load import load_dataset

__all__ = ["load_dataset"]
