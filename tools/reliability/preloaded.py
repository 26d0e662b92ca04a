"""What the server of child processes has loaded before it forks them; no operation of TensorFlow may run here."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tensorflow as tf

from tools.reliability import builds
from video_assets.defs import build
from video_assets.pipeline.checks import comparison
from video_assets.pipeline.manifest import probing
from video_assets.pipeline.shards import encode

LOADED = (tf, build, builds, comparison, encode, probing)
