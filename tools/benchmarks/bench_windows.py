"""Windows of stored clips: CPU time of 16 frames of 57, against whole clips, a decode by hand, and other readers.

    python -m tools.benchmarks.bench_windows [--clips 49] [--rounds 9] [--json PATH]

CPU time is that of this process and its workers from the first clip to the end of the fourth epoch, divided by the
clips: what TensorFlow needs to prepare a pipeline, 0.2 to 0.5 s, is left out for all alike. All ways take turns, round
by round, over the same files in the cache; a ratio is that of one round, and the median of the rounds is what counts.
torchcodec decodes the same windows from the source videos. It, PyTorch and webdataset are measured if they are
installed: they are no part of this project's environment.
"""

import argparse
import importlib.util
import io
import json
import os
import resource
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tools.benchmarks.bench_build import Figure, as_json, build
from tools.benchmarks.clips_source import write_clips_source
from video_assets.reader import StoredClips, Window, load_dataset
from video_assets.reader.load import committed_shards
from video_assets.records.framing import read_records
from video_assets.records.tfds import decode_record

NUM_STORED, SIDE_PX = 57, 224
WINDOW = Window(num_frames=16, stride=2)
NUM_WORKERS = 2
NUM_EPOCHS = 4
RATIOS: dict[str, tuple[str, str, Callable[[float], bool], str]] = {
    "window, to by hand": ("window", "window by hand", lambda ratio: ratio <= 1.15, "<= 1.15"),
    "whole clips, to window": ("whole clips", "window", lambda ratio: ratio >= 2.8, ">= 2.8"),
    "window, to half of it": ("window", "window, crop of half the side", lambda ratio: ratio >= 1.3, ">= 1.3"),
}
"""What is promised: a way, what it is divided by, and the target."""


def by_hand(version_dir: Path) -> Any:
    """Random windows of a dataset of the layout tfds with JPEG frames, as one would write it for just this."""
    import tensorflow as tf

    features = {
        "video": tf.io.RaggedFeature(tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "id": tf.io.FixedLenFeature([], tf.string),
    }
    span = (WINDOW.num_frames - 1) * 2 + 1

    def parse(record: Any) -> dict[str, Any]:
        example = tf.io.parse_single_example(record, features)
        start = tf.random.uniform([], 0, tf.size(example["video"]) - span + 1, tf.int32)
        frames = tf.map_fn(
            lambda image: tf.io.decode_jpeg(image, channels=3),
            example["video"][start : start + span : 2],
            fn_output_signature=tf.uint8,
        )
        return {"video": frames, "label": example["label"], "id": example["id"]}

    files = [str(file) for file in committed_shards(version_dir, "train").files]
    records = tf.data.TFRecordDataset(files, buffer_size=1 << 20).repeat(NUM_EPOCHS)
    return records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def by_tfds(version_dir: Path) -> Any:
    """Whole clips, as tensorflow-datasets decodes them."""
    import tensorflow_datasets as tfds

    return tfds.builder_from_directory(str(version_dir)).as_dataset(split="train").repeat(NUM_EPOCHS)


def all_epochs(clips: Iterable[Any]) -> Iterable[Any]:
    """Several epochs of what is read again each time it is iterated."""
    for _ in range(NUM_EPOCHS):
        yield from clips


def by_torchcodec(source: Path, windows: list[dict[str, Any]]) -> Iterable[Any]:
    """The windows of the stored clips, from the source videos at the stored times, resized as they are stored."""
    from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]

    for wanted in windows:
        decoder: Any = VideoDecoder(str(source / wanted["id"]), num_ffmpeg_threads=1, seek_mode="approximate")
        frames = decoder.get_frames_played_at((wanted["timestamps_us"] / 1e6 + 1e-3).tolist()).data
        yield [cv2.resize(f.permute(1, 2, 0).numpy(), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA) for f in frames]


def in_loader(dataset: Any) -> Iterable[Any]:
    """Batches of 8 from PyTorch's loader with two workers."""
    from torch.utils.data import DataLoader  # pyright: ignore[reportMissingImports]

    return DataLoader(dataset, batch_size=8, num_workers=NUM_WORKERS)


def write_tars(version_dir: Path, folder: Path) -> list[str]:
    """The same images and labels as webdataset's shards, one for each worker."""
    names = [str(folder / f"clips-{number}.tar") for number in range(NUM_WORKERS)]
    tars = [tarfile.open(name, "w") for name in names]  # noqa: SIM115  (closed below)
    clips = [
        decode_record(record.data, ())
        for path in committed_shards(version_dir, "train").files
        for record in read_records(io.BytesIO(path.read_bytes()))
    ]
    for number, clip in enumerate(clips):
        for ending, data in [
            ("cls", b"%d" % clip.label_index),
            *((f"{k:03}.jpg", i) for k, i in enumerate(clip.images)),
        ]:
            member = tarfile.TarInfo(f"{number:06}.{ending}")
            member.size = len(data)
            tars[number % NUM_WORKERS].addfile(member, io.BytesIO(data))
    for tar in tars:
        tar.close()
    return names


def by_webdataset(tars: list[str]) -> Any:
    """Random windows from webdataset's shards, only the wanted frames decoded."""
    import webdataset  # pyright: ignore[reportMissingImports]

    return webdataset.WebDataset(tars, shardshuffle=False).map(_window_of_sample)


def _window_of_sample(sample: dict[str, Any]) -> dict[str, Any]:
    images = [sample[name] for name in sorted(sample) if name.endswith("jpg")]
    start = np.random.default_rng().integers(len(images) - 30)
    frames: list[Any] = [
        cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR_RGB) for image in images[start : start + 31 : 2]
    ]
    return {"video": np.stack(frames), "label": int(sample["cls"])}


Ways = dict[str, Callable[[], Iterable[Any]]]


def ways_of_tensorflow(version_dir: Path, source: Path) -> Ways:
    """What is compared on TensorFlow."""
    by_tensorflow = partial(load_dataset, version_dir, "train", num_epochs=NUM_EPOCHS)
    ways: dict[str, Any] = {
        "whole clips": by_tensorflow,
        "whole clips, tensorflow-datasets": lambda: by_tfds(version_dir),
        "window": lambda: by_tensorflow(window=WINDOW),
        "window by hand": lambda: by_hand(version_dir),
        "window, crop of half the side": lambda: by_tensorflow(window=WINDOW, num_crops=1, crop_px=SIDE_PX // 2),
        "window, crop of half the area": lambda: by_tensorflow(window=WINDOW, num_crops=1, crop_px=158),
    }
    return ways


def ways_without_tensorflow(version_dir: Path, source: Path) -> Ways:
    """What is compared in a process of its own: torchcodec and TensorFlow do not live in one."""
    clips = StoredClips(version_dir, "train", window=WINDOW)
    ways: Ways = {"window, StoredClips": lambda: all_epochs(clips)}
    if importlib.util.find_spec("torchcodec"):
        windows = [{"id": clip["id"], "timestamps_us": clip["timestamps_us"]} for clip in clips]
        ways["window of the videos, torchcodec"] = lambda: by_torchcodec(source, windows * NUM_EPOCHS)
    if importlib.util.find_spec("torch"):
        ways["window, StoredClips in a DataLoader"] = lambda: all_epochs(in_loader(clips))
    if importlib.util.find_spec("webdataset"):
        tars = write_tars(version_dir, source.parent)
        ways["window, webdataset in a DataLoader"] = lambda: all_epochs(in_loader(by_webdataset(tars)))
    return ways


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _cpu_ms_a_clip(way: Callable[[], Iterable[Any]], num_clips: int) -> float:
    clips = iter(way())
    next(clips)
    begun = _cpu_seconds()
    for _ in clips:
        pass
    return 1000 * (_cpu_seconds() - begun) / (num_clips * NUM_EPOCHS)


def measure(ways_of: Callable[[Path, Path], Ways], version_dir: Path, source: Path, rounds: int) -> dict[str, Figure]:
    """CPU milliseconds a clip of each way, and the ratios that are promised."""
    num_clips = len(StoredClips(version_dir, "train"))
    ways = ways_of(version_dir, source)
    for way in ways.values():  # once for the cache, and for what TensorFlow does the first time
        _cpu_ms_a_clip(way, num_clips)
    runs = [{name: _cpu_ms_a_clip(way, num_clips) for name, way in ways.items()} for _ in range(rounds)]
    figures = {f"{name}, CPU ms a clip": Figure.of([run[name] for run in runs]) for name in ways}
    for name, (way, other, _, _) in RATIOS.items():
        if way in ways:
            figures[f"{name}, ratio"] = Figure.of([run[way] / run[other] for run in runs])
    return figures


def show(figures: dict[str, Any]) -> None:
    """A line a figure; ratios with their target."""
    for name, figure in figures.items():
        line = f"  {name:52} {figure!s:26}"
        if name.endswith(", ratio"):
            *_, is_met, target = RATIOS[name.removesuffix(", ratio")]
            line += f" target {target}: {'met' if is_met(figure.median) else 'MISSED'}"
        print(line)


def run(num_clips: int, rounds: int) -> dict[str, Any]:
    """Build a dataset of 57 frames a clip and measure reading it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as name:
        folder = Path(name)
        write_clips_source(folder / "source", num_clips)
        built = build(folder / "source", folder / "root", settings=[f"plan.encoding.num_frames={NUM_STORED}"])
        version_dir = Path(json.loads(built.stdout.splitlines()[-1])["version_dir"])
        figures: dict[str, Any] = {}
        for ways_of in (ways_of_tensorflow, ways_without_tensorflow):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                figures |= process.submit(measure, ways_of, version_dir, folder / "source", rounds).result()
    show(figures)
    return as_json(figures)


def main() -> int:
    """Measure, print a table, and one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=49)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="also write the JSON here")
    options = parser.parse_args()
    report = run(options.clips, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
