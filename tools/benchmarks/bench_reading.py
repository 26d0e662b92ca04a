"""Reading a dataset back: `load_dataset` against a tf.data pipeline written by hand for the same files.

    python -m tools.benchmarks.bench_reading [--clips 200] [--rounds 7] [--json PATH]

The one by hand knows the layout, the image format and the files, and gives a reproducible order up: parallel interleave
over the shards, `decode_jpeg` in a parallel map, prefetch; shuffled, with a buffer of encoded records of the same size.
All ways take turns, round by round, over the same files in the cache, three epochs each; a ratio is that of one round,
and the median of the rounds is what counts.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tools.benchmarks.bench_build import Figure, as_json, build
from tools.benchmarks.clips_source import write_clips_source

TARGET = 0.9
NUM_EPOCHS = 3


def by_hand(files: Sequence[str], shuffle_buffer: int = 0) -> Any:
    """Clips of a dataset of the layout tfds with JPEG frames, in any order, as fast as tf.data gives them."""
    import tensorflow as tf

    features = {
        "video": tf.io.RaggedFeature(tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "id": tf.io.FixedLenFeature([], tf.string),
    }

    def parse(record: Any) -> dict[str, Any]:
        example = tf.io.parse_single_example(record, features)
        frames = tf.map_fn(
            lambda image: tf.io.decode_jpeg(image, channels=3), example["video"], fn_output_signature=tf.uint8
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
    records = records.repeat(NUM_EPOCHS)
    return records.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False).prefetch(tf.data.AUTOTUNE)


def _clips_a_second(dataset: Iterable[Any]) -> float:
    begun = time.perf_counter()
    num_clips = sum(1 for _ in dataset)
    return num_clips / (time.perf_counter() - begun)


def measure(version_dir: Path, rounds: int) -> dict[str, Any]:
    """Clips a second of each way, and of each round's ratio to the way by hand."""
    from video_assets.reader import load_dataset
    from video_assets.reader.load import committed_shards

    files = [str(file) for file in committed_shards(version_dir, "train").files]
    ways: dict[str, Callable[[], Iterable[Any]]] = {
        "by hand": lambda: by_hand(files),
        "load_dataset": lambda: load_dataset(version_dir, "train", num_epochs=NUM_EPOCHS),
        "by hand, shuffled": lambda: by_hand(files, shuffle_buffer=1024),
        "load_dataset, shuffled": lambda: load_dataset(version_dir, "train", num_epochs=NUM_EPOCHS, seed=1),
    }
    for way in ways.values():  # once for the cache, and for what TensorFlow does the first time
        _clips_a_second(way())
    runs = [{name: _clips_a_second(way()) for name, way in ways.items()} for _ in range(rounds)]
    figures: dict[str, Any] = {f"{name}, clips a second": Figure.of([run[name] for run in runs]) for name in ways}
    for kind in ("", ", shuffled"):
        ratios = [run[f"load_dataset{kind}"] / run[f"by hand{kind}"] for run in runs]
        figures[f"load_dataset{kind}, ratio to by hand"] = Figure.of(ratios)
    return figures


def show(figures: dict[str, Any]) -> None:
    """A line a figure; ratios with their target."""
    for name, figure in figures.items():
        verdict = "met" if figure.median >= TARGET else "MISSED"
        print(f"  {name:40} {figure!s:26}" + (f" target >= {TARGET}: {verdict}" if "ratio" in name else ""))


def run(num_clips: int, rounds: int) -> dict[str, Any]:
    """Build a dataset with the default settings and measure reading it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as folder:
        write_clips_source(Path(folder) / "source", num_clips)
        built = build(Path(folder) / "source", Path(folder) / "root", settings=["plan.clips_per_shard=32"])
        figures = measure(Path(json.loads(built.stdout.splitlines()[-1])["version_dir"]), rounds)
    show(figures)
    return as_json(figures)


def main() -> int:
    """Measure, print a table, and one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the JSON here")
    options = parser.parse_args()
    report = run(options.clips, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
