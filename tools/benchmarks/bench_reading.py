"""Reading a dataset back: `load_dataset` against a tf.data pipeline written by hand for the same files.

    python -m tools.benchmarks.bench_reading [--clips 200] [--rounds 7] [--json PATH]

The one by hand knows the layout, the image format and the files, and gives a reproducible order up: parallel interleave
over the shards, `decode_jpeg` in a parallel map, prefetch; shuffled, with a buffer of encoded records of the same size.
Three epochs each.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tools.benchmarks.bench_build import Figure
from tools.benchmarks.rounds import Promise, Way, run_as_program, take_turns, with_dataset

NUM_EPOCHS = 3
PROMISES = (
    Promise("load_dataset, to by hand", "load_dataset", "by hand", 0.9),
    Promise("load_dataset, to by hand, shuffled", "load_dataset, shuffled", "by hand, shuffled", 0.9),
)


def by_hand(
    files: Sequence[str],
    *,
    num_epochs: int = NUM_EPOCHS,
    shuffle_buffer: int = 0,
    choose: Callable[[Any], Any] = lambda images: images,
) -> Any:
    """Clips of a dataset of the layout tfds with JPEG frames, in any order, as fast as tf.data gives them.

    `choose` takes the encoded images of a clip, and gives those that are to be decoded.
    """
    import tensorflow as tf

    features = {
        "video": tf.io.RaggedFeature(tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "id": tf.io.FixedLenFeature([], tf.string),
    }

    def parse(record: Any) -> dict[str, Any]:
        example = tf.io.parse_single_example(record, features)
        frames = tf.map_fn(
            lambda image: tf.io.decode_jpeg(image, channels=3), choose(example["video"]), fn_output_signature=tf.uint8
        )
        return {"video": frames, "label": example["label"], "id": example["id"]}

    records = tf.data.Dataset.from_tensor_slices(list(files)).interleave(
        lambda file: tf.data.TFRecordDataset(file, buffer_size=8 << 20),
        cycle_length=min(4, len(files)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=False,
    )
    if shuffle_buffer:
        records = records.shuffle(shuffle_buffer, seed=1)
    records = records.repeat(num_epochs)
    return records.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False).prefetch(tf.data.AUTOTUNE)


def _clips_a_second(way: Way) -> float:
    clips = way()
    begun = time.perf_counter()
    num_clips = sum(1 for _ in clips)
    return num_clips / (time.perf_counter() - begun)


def measure(version_dir: Path, rounds: int) -> dict[str, Figure]:
    """Clips a second of each way, and of each round's ratio to the way by hand."""
    from video_assets.reader import load_dataset
    from video_assets.reader.load import committed_shards

    files = [str(file) for file in committed_shards(version_dir, "train").files]
    ways: dict[str, Way] = {
        "by hand": lambda: by_hand(files),
        "load_dataset": lambda: load_dataset(version_dir, "train", num_epochs=NUM_EPOCHS),
        "by hand, shuffled": lambda: by_hand(files, shuffle_buffer=1024),
        "load_dataset, shuffled": lambda: load_dataset(version_dir, "train", num_epochs=NUM_EPOCHS, seed=1),
    }
    return take_turns(ways, _clips_a_second, rounds, unit="clips a second", promises=PROMISES)


def run(num_clips: int, rounds: int) -> dict[str, Any]:
    """Build a dataset with the default settings and measure reading it."""
    settings = ["plan.clips_per_shard=32"]
    return with_dataset(num_clips, settings, lambda version_dir, _: measure(version_dir, rounds), PROMISES)


if __name__ == "__main__":
    sys.exit(run_as_program(__doc__, run, num_clips=200, rounds=7))
