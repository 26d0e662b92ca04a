"""The conversion function of the package movinets_helper, under its own names, for scripts that call that package.

A dataset that grows has the same records in the layout `movinets_helper`. Signature, file names and choice of frames
are those of plaguss/movinets_helper 0.1.5, `writer.py`. Unlike there, a clip may have any length, rotation is applied,
frames are resized with antialiasing and stored as whole numbers, and only what the wanted frames need is decoded.
Decoding runs in processes of its own, which may crash, and every video that cannot be used is named. TensorFlow is not
imported.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.clips import Loss
from video_assets.domain.errors import SettingsError
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import Timeline
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.workers.pool import DecodingPool, num_cores
from video_assets.records import messages
from video_assets.records.framing import compress, frame_record
from video_assets.records.video_tensor import video_features
from video_assets.report.terminal_progress import TerminalProgress
from video_assets.storage.files import AtomicFile, remove_temporaries

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Conversion", "LostVideo", "convert_mp4_to_tfrecord", "frame_indices", "serialize_example"]

COLUMNS = ("classes", "files")


@dataclass(frozen=True, slots=True)
class LostVideo:
    """A video that is in no file: its path as in the data frame, its class, and why."""

    file: str
    label: int
    loss: Loss


@dataclass(slots=True)
class Conversion:
    """What was written, and what could not be."""

    files: list[Path] = field(default_factory=list[Path])
    num_videos: int = 0
    lost: list[LostVideo] = field(default_factory=list[LostVideo])


@dataclass(frozen=True, slots=True)
class _Job:
    file: str
    label: int
    num_frames: int
    resolution: int


def convert_mp4_to_tfrecord(
    dataset_df: "pd.DataFrame",
    target_path: str | Path,
    n_videos_in_record: int = 15,
    n_frames_per_video: int = 10,
    resolution: int = 224,
) -> Conversion:
    """Write `video_batch_{i}_{total}.tfrecords` into a directory: videos of one shape, in the order of the rows.

    Each video is float32 (n_frames_per_video, resolution, resolution, 3), RGB 0..255, in GZIP. Progress goes to
    standard error. A file appears when it is complete. Only a few encoded videos are in memory at any time.

    Args:
        dataset_df: Columns `classes` (whole numbers) and `files` (paths); others are ignored.
        target_path: An existing directory.
        n_videos_in_record: Rows per file; a file holds fewer records if some of its videos are lost.
        n_frames_per_video: Frames per video, chosen as `frame_indices` says.
        resolution: Side of a frame, in pixels; frames are stretched to a square.

    Returns:
        The files, the number of videos in them, and every video that is in none, with the reason.

    Raises:
        SettingsError: If the directory does not exist or holds another conversion, a column is missing, a class is
            not a whole number, or a number is below 1.
        StorageFailed: If the system cannot write.
    """
    target = Path(target_path)
    jobs = _jobs(dataset_df, n_frames_per_video, resolution)
    if n_videos_in_record < 1:
        raise SettingsError(f"n_videos_in_record is {n_videos_in_record}; it must be at least 1")
    total = -(-len(jobs) // n_videos_in_record)
    files = [target / f"video_batch_{number}_{total}.tfrecords" for number in range(total)]
    _refuse_target(target, files)
    remove_temporaries(target)
    done = Conversion()
    with TerminalProgress(sys.stderr) as progress, DecodingPool(num_cores(), modules=[__name__]) as pool:
        counter = progress("converting", len(jobs), 0)
        results = ((result.job, result.outcome) for result in pool.map(_convert, jobs))
        for file in files:
            with AtomicFile(file) as opened:
                for job, outcome in islice(results, n_videos_in_record):
                    if isinstance(outcome, Loss):
                        done.lost.append(LostVideo(job.file, job.label, outcome))
                    else:
                        opened.write(outcome)
                        done.num_videos += 1
                    counter(1, 0)
                if not opened.num_bytes:
                    opened.write(compress(b""))  # none of its videos could be used; readers still expect a GZIP file
            done.files.append(file)
    return done


def frame_indices(num_present: int, num_frames: int) -> NDArray[np.int64]:
    """Return which of a video's frames are stored, (num_frames,): equally spaced from the first one on, rounded.

    Where the original's `np.arange(0, n, n / k).round()` gives k frames that exist, these are the same. Where it points
    behind the last frame (at many n for which n / k is not whole, and wherever n is at most k / 2), that frame is the
    last one.

    >>> frame_indices(25, 10).tolist()
    [0, 2, 5, 8, 10, 12, 15, 18, 20, 22]
    >>> frame_indices(2, 5).tolist()
    [0, 0, 1, 1, 1]
    """
    wanted = (np.arange(num_frames) * (num_present / num_frames)).round().astype(np.int64)
    return np.minimum(wanted, num_present - 1)


def serialize_example(label: int, video: Any) -> bytes:
    """Return the serialized `tf.train.Example` of one video, before framing and compression.

    Args:
        label: The class, a whole number; may be a scalar array or tensor.
        video: (T, H, W, C) numbers, an array or a tensor; stored as float32.

    Raises:
        ValueError: If the video has another number of dimensions or no frame.
    """
    return messages.serialize_example(video_features(int(label), np.asarray(video, np.float32)))


def _convert(job: _Job) -> bytes:
    """Convert one video, in a decoding process."""

    def choose(timeline: Timeline) -> Sequence[int]:
        return timeline.starts_us[frame_indices(timeline.num_frames, job.num_frames)].tolist()

    decoded = decode_clip(Path(job.file), choose, FrameSize("stretch", job.resolution))
    return frame_record(serialize_example(job.label, decoded.frames), "GZIP")


def _jobs(frame: "pd.DataFrame", num_frames: int, resolution: int) -> list[_Job]:
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        found = ", ".join(map(str, frame.columns)) or "none"
        raise SettingsError(f"dataset_df has no column {missing[0]!r}; it needs classes and files, it has {found}")
    for name, value in (("n_frames_per_video", num_frames), ("resolution", resolution)):
        if value < 1:
            raise SettingsError(f"{name} is {value}; it must be at least 1")
    classes, files = frame["classes"].tolist(), frame["files"].tolist()
    return [
        _Job(os.fspath(file), _class_number(row, label), num_frames, resolution)
        for row, (label, file) in enumerate(zip(classes, files, strict=True))
    ]


def _class_number(row: int, label: Any) -> int:
    is_whole = isinstance(label, int) or (isinstance(label, float) and label.is_integer())
    if not is_whole or isinstance(label, bool):
        raise SettingsError(
            f"dataset_df: row {row} has the class {label!r}; classes are whole numbers, one for each name"
        )
    return int(label)


def _refuse_target(target: Path, files: Sequence[Path]) -> None:
    if not target.is_dir():
        what = "is not a directory" if target.exists() else "does not exist"
        raise SettingsError(f"target_path {target} {what}; make the directory first")
    other = sorted({*target.glob("video_batch_*_*.tfrecords")}.difference(files))
    if other:
        raise SettingsError(
            f"target_path {target} holds {other[0].name} of a conversion into another number of files; readers of the "
            "directory would get both: remove it, or take an empty directory"
        )
