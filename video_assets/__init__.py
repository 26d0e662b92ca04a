"""From a place full of labelled videos to a training-ready, validated TFRecord dataset."""
