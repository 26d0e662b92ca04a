"""A source of at least so many real labelled clips: the corpus several times over, or the project's own sample."""

import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream

from video_assets.media.sample_dataset import write_sample
from video_assets_tests.corpus import corpus_files, corpus_path


def write_clips_source(folder: Path, min_clips: int, *, use_corpus: bool = True) -> list[Path]:
    """Writes a folder per class; gives the clips, in order."""
    corpus = corpus_path() if use_corpus else None
    if corpus is None:
        originals = sample_clips(folder.with_name(f"{folder.name}-sample"))
    else:
        originals = [corpus / name for name in corpus_files("labelled/")]
    return copy_clips(originals, folder, min_clips)


def copy_clips(originals: Sequence[Path], folder: Path, min_clips: int) -> list[Path]:
    """Writes a folder per class; gives the clips, in order.

    Copies of one file differ in a few bytes that every demuxer skips, so that no two have the same content, and
    are named so that all copies of a UCF101 group stay one group.
    """
    num_copies = -(-min_clips // len(originals))
    clips = [_copy(path, folder, number) for number in range(num_copies) for path in originals]
    return sorted(clips)


def sample_clips(folder: Path) -> list[Path]:
    """Writes the project's sample, as far as it is not there; gives the clips that decode, in order."""
    broken = {folder / path for path in write_sample(folder).broken}
    videos = sorted(path for path in folder.rglob("*") if path.suffix in (".mp4", ".mkv", ".webm", ".avi", ".mov"))
    return [path for path in videos if path not in broken]


def _copy(path: Path, folder: Path, number: int) -> Path:
    target = folder / f"{path.parent.parent.name}_{path.parent.name}" / f"{path.stem}_copy{number}{path.suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    if number:
        with target.open("ab") as file:
            file.write(_padding(path.suffix, number))
    return target


def _padding(suffix: str, number: int) -> bytes:
    """A chunk or box that says "skip me": a copy must cost no more and no less than what it is a copy of."""
    body = b"copy%04d" % number
    if suffix in (".mp4", ".mov"):
        return struct.pack(">I4s", 8 + len(body), b"free") + body
    if suffix in (".mkv", ".webm"):
        return b"\xec" + bytes([0x80 | len(body)]) + body  # EBML Void
    return b"JUNK" + struct.pack("<I", len(body)) + body


@dataclass(frozen=True, slots=True)
class Case:
    """A video whose opening, seeking or decoding is the larger part of its cost. `size_px` is (width, height)."""

    codec: str
    suffix: str
    size_px: tuple[int, int]
    num_frames: int
    options: Mapping[str, str] = field(default_factory=dict[str, str])


CASES = {
    "17 frames of 112x80": Case("libx264", ".mp4", (112, 80), 17),
    "one keyframe, no B-frames": Case(
        "libx264", ".mp4", (320, 240), 150, {"g": "1000", "bf": "0", "sc_threshold": "0"}
    ),
    "MPEG-4 of 85 s": Case("mpeg4", ".avi", (320, 240), 2125, {"g": "250", "b": "600k"}),
}


def write_cases(folder: Path) -> dict[str, Path]:
    """Write a video for each case, of moving noise; return them by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{number}{case.suffix}" for number, (name, case) in enumerate(CASES.items())}
    for name, file in files.items():
        case = CASES[name]
        width, height = case.size_px
        coarse = np.random.default_rng(3).integers(0, 256, (height // 16 + 1, width // 8 + 2, 3), dtype=np.uint8)
        scene = coarse.repeat(16, axis=0).repeat(16, axis=1)
        with av.open(str(file), "w") as output:
            stream = cast("VideoStream", output.add_stream(case.codec, rate=25, options=dict(case.options)))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for number in range(case.num_frames):
                left = number * 2 % width
                picture = np.ascontiguousarray(scene[:height, left : left + width])
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            output.mux(stream.encode())
    return files
