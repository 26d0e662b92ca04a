"""A source of at least so many real labelled clips: the corpus several times over, or the project's own sample."""

import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

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
    """Writes the project's sample, if it is not there; gives its clips, in order."""
    if not folder.exists():
        write_sample(folder)
    return sorted(path for path in folder.rglob("*") if path.suffix in (".mp4", ".mkv", ".webm", ".avi", ".mov"))


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
