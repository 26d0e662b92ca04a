"""Windows of stored clips: CPU time of 16 frames of 57, against whole clips, a decode by hand, and other readers.

    python -m tools.benchmarks.bench_windows [--clips 49] [--rounds 7] [--json PATH]

CPU time is that of this process and its workers, user and system, from the first clip to the end of the third epoch,
divided by the clips: what TensorFlow needs to prepare a pipeline, 0.2 to 0.5 s, is left out for all alike.
torchcodec decodes the same windows from the source videos. It, PyTorch and webdataset are measured if they are
installed: they are no part of this project's environment.
"""

import importlib.util
import io
import resource
import sys
import tarfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tools.benchmarks.bench_build import Figure
from tools.benchmarks.bench_reading import by_hand
from tools.benchmarks.rounds import Promise, Way, run_as_program, take_turns, with_dataset
from video_assets.reader import StoredClips, Window, load_dataset
from video_assets.reader.load import committed_shards
from video_assets.records.framing import read_records
from video_assets.records.tfds import decode_record

NUM_STORED, SIDE_PX = 57, 224
WINDOW = Window(num_frames=16, stride=2)
NUM_WORKERS = 2
NUM_EPOCHS = 3
PROMISES = (
    Promise("window, to by hand", "window", "window by hand", 1.15, at_most=True),
    Promise("whole clips, to window", "whole clips", "window", 2.8),
    Promise("window, to a crop of half its sides", "window", "window, crop of half the sides", 1.3),
)


def random_window(images: Any) -> Any:
    """The encoded images of a window, as one would choose them by hand."""
    import tensorflow as tf

    span = (WINDOW.num_frames - 1) * 2 + 1
    start = tf.random.uniform([], 0, tf.size(images) - span + 1, tf.int32)
    return images[start : start + span : 2]


def by_tfds(version_dir: Path) -> Any:
    """Whole clips, as tensorflow-datasets decodes them."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(version_dir))
    each_time = tfds.ReadConfig(try_autocache=False)  # else it decodes a small dataset once and keeps the frames
    return builder.as_dataset(split="train", read_config=each_time).repeat(NUM_EPOCHS)


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


def ways_of_tensorflow(version_dir: Path, source: Path) -> dict[str, Way]:
    """What is compared on TensorFlow."""
    files = [str(file) for file in committed_shards(version_dir, "train").files]
    by_tensorflow: Callable[..., Any] = partial(load_dataset, version_dir, "train", num_epochs=NUM_EPOCHS)
    return {
        "whole clips": by_tensorflow,
        "whole clips, tensorflow-datasets": lambda: by_tfds(version_dir),
        "window": lambda: by_tensorflow(window=WINDOW),
        "window by hand": lambda: by_hand(files, num_epochs=NUM_EPOCHS, choose=random_window),
        "window, crop of half the sides": lambda: by_tensorflow(window=WINDOW, num_crops=1, crop_px=SIDE_PX // 2),
        "window, crop of half the area": lambda: by_tensorflow(window=WINDOW, num_crops=1, crop_px=158),
    }


def ways_without_tensorflow(version_dir: Path, source: Path) -> dict[str, Way]:
    """What is compared in a process of its own: torchcodec and TensorFlow do not live in one."""
    clips = StoredClips(version_dir, "train", window=WINDOW)
    ways: dict[str, Way] = {"window, StoredClips": lambda: all_epochs(clips)}
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


def _cpu_ms_a_clip(num_clips: int, way: Way) -> float:
    clips = iter(way())
    next(clips)
    begun = _cpu_seconds()
    for _ in clips:
        pass
    return 1000 * (_cpu_seconds() - begun) / (num_clips * NUM_EPOCHS)


def measure(
    ways_of: Callable[[Path, Path], dict[str, Way]], version_dir: Path, source: Path, rounds: int
) -> dict[str, Figure]:
    """CPU milliseconds a clip of each way, and the ratios that are promised."""
    cpu_ms = partial(_cpu_ms_a_clip, len(StoredClips(version_dir, "train")))
    return take_turns(ways_of(version_dir, source), cpu_ms, rounds, unit="CPU ms a clip", promises=PROMISES)


def run(num_clips: int, rounds: int) -> dict[str, Any]:
    """Build a dataset of 57 frames a clip and measure reading it."""

    def in_processes(version_dir: Path, source: Path) -> dict[str, Figure]:
        figures: dict[str, Figure] = {}
        for ways_of in (ways_of_tensorflow, ways_without_tensorflow):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                figures |= process.submit(measure, ways_of, version_dir, source, rounds).result()
        return figures

    return with_dataset(num_clips, [f"plan.encoding.num_frames={NUM_STORED}"], in_processes, PROMISES)


if __name__ == "__main__":
    sys.exit(run_as_program(__doc__, run, num_clips=49, rounds=7))
