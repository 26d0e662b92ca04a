"""Write the sample dataset: H.264 clips in the containers, and with the quirks, of real datasets."""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from video_assets.domain.errors import SettingsError
from video_assets.media.sample_scenes import MOTIONS, Motion, draw_frames, random_path, random_scene
from video_assets.media.workers.pool import num_cores

Container = Literal["mp4", "mkv", "mov"]
_FORMATS: dict[Container, str] = {"mp4": "mp4", "mkv": "matroska", "mov": "mov"}
_CLOCK_HZ = 30_000


@dataclass(frozen=True, slots=True)
class ClipFormat:
    """How a clip is encoded. `size_px` is (width, height) as displayed, both even; `rate` is in frames per second.

    With `turned`, pixels are stored lying on their side, as phones do, and the container says how to turn them. Without
    `has_fixed_rate`, frames come one, two or three beats of `rate` apart.
    """

    container: Container
    size_px: tuple[int, int]
    rate: Fraction
    duration_seconds: float
    keyframe_interval: int
    turned: bool = False
    has_fixed_rate: bool = True


def draw_times(clip: ClipFormat, random: np.random.Generator) -> list[Fraction]:
    """Choose when each frame is shown, in seconds from 0 on; the last frame lasts one beat."""
    num_beats = max(2, round(clip.duration_seconds * clip.rate))
    if clip.has_fixed_rate:
        return [index / clip.rate for index in range(num_beats)]
    beats = np.cumsum([0, *random.choice([1, 1, 1, 2, 3], num_beats)])
    return [int(beat) / clip.rate for beat in beats[beats < num_beats]]


def encode_video(frames: Iterable[NDArray[np.uint8]], times: Iterable[Fraction], clip: ClipFormat) -> bytes:
    """Encode a clip; the same frames and settings give the same bytes.

    Args:
        frames: (H, W, 3) uint8 RGB as displayed.
        times: When each frame is shown, in seconds.
        clip: Its format.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=_FORMATS[clip.container], container_options={"fflags": "+bitexact"}) as container:
        # With mbtree, x264 gave other bytes for the same frames in one run of eight. Without cpu-independent, it
        # chooses other algorithms on other processors.
        options = {"crf": "23", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0:cpu-independent=1"}
        options["g"] = str(clip.keyframe_interval)
        stream = container.add_stream("libx264", rate=clip.rate, options=options)
        width, height = clip.size_px
        stream.width, stream.height = (height, width) if clip.turned else (width, height)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _CLOCK_HZ)
        if clip.turned:
            stream.set_display_rotation(-90)
        for picture, time in zip(frames, times, strict=True):
            stored = np.ascontiguousarray(np.rot90(picture)) if clip.turned else picture
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
            frame.pts, frame.time_base = round(time * _CLOCK_HZ), Fraction(1, _CLOCK_HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def without_index(mp4: bytes) -> bytes:
    """Cut an MP4 as if its recorder had lost power: the frames stay, the index that locates them is gone.

    Raises:
        ValueError: the index does not follow the frames.
    """
    index = mp4.rfind(b"moov") - 4
    if index < mp4.find(b"mdat"):
        raise ValueError("the index of this MP4 does not come last, so nothing can be cut off")
    return mp4[:index]


_VERSION = 1
_MARKER = ".video_assets_sample.json"
_TEMPORARY = ".sample-partial-"

_NUM_GROUPS = 6
_CLIPS_PER_GROUP = 2
_SIZES = (
    *((128, 96), (160, 120), (176, 144), (192, 108), (240, 180), (320, 240), (256, 144)),
    *((162, 122), (226, 170), (120, 160), (108, 192), (180, 240)),
)
_RATES = (Fraction(12), Fraction(15), Fraction(24), Fraction(25), Fraction(30_000, 1001), Fraction(30))
_CONTAINERS: tuple[Container, ...] = ("mp4",) * 9 + ("mkv", "mkv", "mov")
_KEYFRAME_INTERVALS = (12, 30, 250)
_QUIRKS: dict[tuple[Motion, int], Callable[[ClipFormat], ClipFormat]] = {
    ("MoveUp", 4): lambda usual: replace(usual, container="mp4", turned=True),
    ("TurnRight", 9): lambda usual: replace(usual, container="mov", turned=True),
    ("Shrink", 3): lambda usual: replace(usual, container="mp4", has_fixed_rate=False),
    ("MoveLeft", 7): lambda usual: replace(usual, container="mkv", has_fixed_rate=False),
}
"""Clips that are made like odd ones of real datasets, by class and number of the clip in its class."""


@dataclass(frozen=True, slots=True)
class SampleReport:
    """What the sample holds. `num_clips` counts the clips that decode; `broken` has the paths of the others."""

    num_clips: int
    num_classes: int
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _PlannedClip:
    """A file to write. Its random parts depend only on `clip_seed` and `scene_seed`."""

    path: str
    motion: Motion
    format: ClipFormat
    scene_seed: tuple[int, ...]
    clip_seed: tuple[int, ...]
    is_broken: bool = False


def write_sample(directory: Path, *, seed: int = 7) -> SampleReport:
    """Write 96 clips of 8 classes and a broken one, as `Class/v_Class_g01_c01.mp4`; about 3 MB.

    Each class is a motion (see `media.sample_scenes`). The clips of a group share background and colours, which no
    other group has. Sizes, shapes, rates, lengths and containers vary, in the same mixture for every class. The same
    seed gives the same content. In a directory with a sample, only missing or changed files are written.

    Raises:
        SettingsError: `directory` is a file, or holds other things than a sample.
    """
    clips = _planned_clips(seed)
    digests = _open_directory(directory, seed)
    for path in digests.keys() - {clip.path for clip in clips}:
        (directory / path).unlink(missing_ok=True)
    missing = [clip for clip in clips if not _is_as_written(directory / clip.path, digests.get(clip.path, ""))]
    _write_marker(directory, seed, {clip.path: digests.get(clip.path, "") for clip in clips})
    with ThreadPoolExecutor(min(num_cores(), 8)) as threads:  # encoding releases Python's lock
        written = dict(threads.map(lambda clip: (clip.path, _write_clip(directory, clip)), missing))
    _write_marker(directory, seed, {clip.path: written.get(clip.path) or digests[clip.path] for clip in clips})
    broken = tuple(clip.path for clip in clips if clip.is_broken)
    return SampleReport(len(clips) - len(broken), len(MOTIONS), broken)


def _planned_clips(seed: int) -> list[_PlannedClip]:
    """Return every file of the sample, sorted by path."""
    clips = [clip for index, motion in enumerate(MOTIONS) for clip in _class_clips(seed, index, motion)]
    whole = clips[-1]
    broken = _clip_path(whole.motion, _NUM_GROUPS, _CLIPS_PER_GROUP + 1, "mp4")
    cut_short = replace(whole, path=broken, format=replace(whole.format, container="mp4"), is_broken=True)
    return sorted([*clips, cut_short], key=lambda clip: clip.path)


def _class_clips(seed: int, class_index: int, motion: Motion) -> Iterator[_PlannedClip]:
    """Yield the clips of one class. Every class has the same sizes, rates, lengths and containers, dealt at random."""
    random = np.random.default_rng((seed, class_index))
    num_clips = _NUM_GROUPS * _CLIPS_PER_GROUP
    deals = [random.permutation(num_clips) for _ in range(5)]
    for number in range(num_clips):
        size, rate, container, duration, interval = (int(deal[number]) for deal in deals)
        clip_format = ClipFormat(
            container=_CONTAINERS[container],
            size_px=_SIZES[size],
            rate=_RATES[rate % len(_RATES)],
            duration_seconds=1.0 + 2.0 * duration / (num_clips - 1),
            keyframe_interval=_KEYFRAME_INTERVALS[interval % len(_KEYFRAME_INTERVALS)],
        )
        clip_format = _QUIRKS.get((motion, number), lambda usual: usual)(clip_format)
        group, clip = divmod(number, _CLIPS_PER_GROUP)
        path = _clip_path(motion, group + 1, clip + 1, clip_format.container)
        yield _PlannedClip(path, motion, clip_format, (seed, class_index, group), (seed, class_index, group, clip))


def _clip_path(motion: Motion, group: int, clip: int, container: Container) -> str:
    return f"{motion}/v_{motion}_g{group:02d}_c{clip:02d}.{container}"


def _clip_bytes(clip: _PlannedClip) -> bytes:
    """Draw and encode a clip."""
    scene = random_scene(np.random.default_rng((0, *clip.scene_seed)))
    random = np.random.default_rng((1, *clip.clip_seed))
    path = random_path(clip.motion, random)
    times = draw_times(clip.format, random)
    progress = [float(time / clip.format.duration_seconds) for time in times]
    encoded = encode_video(draw_frames(scene, path, progress, clip.format.size_px, random), times, clip.format)
    return without_index(encoded) if clip.is_broken else encoded


def _write_clip(directory: Path, clip: _PlannedClip) -> str:
    """Write one file atomically, and return its digest."""
    content = _clip_bytes(clip)
    (directory / clip.path).parent.mkdir(exist_ok=True)
    _write_whole(directory / clip.path, content)
    return hashlib.sha256(content).hexdigest()


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{_TEMPORARY}{path.name}")
    temporary.write_bytes(content)
    temporary.replace(path)


def _open_directory(directory: Path, seed: int) -> dict[str, str]:
    """Return the files of the sample in `directory` with their digests, "" for those that have to be written again."""
    if directory.exists() and not directory.is_dir():
        raise SettingsError(f"{directory} is a file; a sample needs a directory")
    directory.mkdir(parents=True, exist_ok=True)
    if not any(directory.iterdir()):
        return {}
    try:
        marker = json.loads((directory / _MARKER).read_text("utf-8"))
        files = {str(path): str(digest) for path, digest in marker["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{directory} is not empty and holds no sample; name an empty or a new directory"
        raise SettingsError(message) from error
    for temporary in directory.rglob(f"{_TEMPORARY}*"):  # of a run that was killed
        temporary.unlink()
    is_same = (marker.get("version"), marker.get("seed")) == (_VERSION, seed)
    return files if is_same else dict.fromkeys(files, "")


def _is_as_written(path: Path, digest: str) -> bool:
    return bool(digest) and path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _write_marker(directory: Path, seed: int, files: dict[str, str]) -> None:
    """Mark the directory as a sample. This comes before the first clip, so that a killed run can be completed."""
    marker = {"version": _VERSION, "seed": seed, "files": files}
    _write_whole(directory / _MARKER, json.dumps(marker, indent=1).encode())
