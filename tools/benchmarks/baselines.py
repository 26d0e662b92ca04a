"""The way of today that builds are measured against, written here from the description of the original helper.

Every frame of a clip is decoded and resized as float32; then the wanted ones are chosen, serialized as one float32
tensor in a `tf.train.Example`, and written GZIP-compressed, 15 clips a file. Its faults are left out where they would
only end the measurement (lengths at which its frame choice points past the end).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

NUM_FRAMES = 10
SIDE_PX = 224
CLIPS_PER_FILE = 15


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """A file and its class number."""

    path: Path
    label: int


def convert_as_original(clips: Sequence[LabelledClip], folder: Path) -> list[Path]:
    """Writes GZIP float32 TFRecord files of 15 clips each."""
    folder.mkdir(parents=True, exist_ok=True)
    batches = [clips[start : start + CLIPS_PER_FILE] for start in range(0, len(clips), CLIPS_PER_FILE)]
    files = [folder / f"video_batch_{number}_{len(batches)}.tfrecords" for number in range(len(batches))]
    for batch, file in zip(batches, files, strict=True):
        with tf.io.TFRecordWriter(str(file), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for clip in batch:
                writer.write(_serialize(clip.label, _load_video(clip.path)))
    return files


def _load_video(path: Path) -> Any:
    """Float32 (10, 224, 224, 3) RGB, 0..255: all frames are decoded and resized, then ten are gathered."""
    capture = cv2.VideoCapture(str(path))
    frames: list[Any] = []
    while True:
        was_read, picture = capture.read()
        if not was_read:
            break
        frames.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    capture.release()
    resized = tf.image.resize(tf.constant(np.stack(frames)), (SIDE_PX, SIDE_PX))
    numbers = np.arange(0, len(frames), len(frames) / NUM_FRAMES).round().astype(int)
    return tf.gather(resized, np.minimum(numbers, len(frames) - 1)[:NUM_FRAMES], axis=0)


def _serialize(label: int, video: Any) -> bytes:
    tensor = tf.io.serialize_tensor(video).numpy()
    values = {
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "n_frames": tf.train.Feature(int64_list=tf.train.Int64List(value=[video.shape[0]])),
        "width": tf.train.Feature(int64_list=tf.train.Int64List(value=[video.shape[1]])),
        "height": tf.train.Feature(int64_list=tf.train.Int64List(value=[video.shape[2]])),
        "n_channels": tf.train.Feature(int64_list=tf.train.Int64List(value=[video.shape[3]])),
        "video": tf.train.Feature(bytes_list=tf.train.BytesList(value=[tensor])),
    }
    return tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString()


def read_as_original(files: Sequence[Path]) -> Iterator[tuple[Any, Any]]:
    """Clips (float32 [T, H, W, 3], label) through a `tf.data` pipeline with the same parallelism as `load_dataset`."""
    names = ("label", "n_frames", "width", "height", "n_channels")
    features: dict[str, Any] = {name: tf.io.FixedLenFeature([], tf.int64) for name in names}
    features["video"] = tf.io.FixedLenFeature([], tf.string)

    def parse(record: Any) -> tuple[Any, Any]:
        example = tf.io.parse_single_example(record, features)
        shape = [example[name] for name in ("n_frames", "width", "height", "n_channels")]
        return tf.reshape(tf.io.parse_tensor(example["video"], tf.float32), shape), example["label"]

    records = tf.data.TFRecordDataset([str(file) for file in files], compression_type="GZIP")
    yield from records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
