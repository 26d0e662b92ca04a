"""Collect the warnings of a dataset: what its users should know, and what keeps nothing from being built."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import groupby
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from video_assets.domain.clips import SourceWarning
from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import BuildRefused, FileDamaged
from video_assets.domain.near_duplicates import motions_of_signatures
from video_assets.domain.splits import SPLITS
from video_assets.domain.text import counted
from video_assets.pipeline.dataset_state import committed_warnings
from video_assets.pipeline.manifest.manifest_table import ReadManifest, frames_left_out
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import DAMAGE, INDEX, SPLIT, read_table

MAX_OF_A_CODE: Final = 1000
"""How many clips `--json` names for one code; all others are counted in one more entry."""

_INDEX: Final = pa.schema([INDEX.field("clip_id"), INDEX.field("signature"), DAMAGE])
_HDR: Final = {"smpte2084": "PQ", "arib-std-b67": "HLG"}


def stored_warnings(index: pd.DataFrame) -> list[SourceWarning]:
    """Return the warnings about clips that are stored, from the rows of a dataset's index; of a plan it knows none."""
    flat = _flat_warnings(index) if "signature" in index else []
    if DAMAGE.name not in index:
        return flat
    damaged = index[index[DAMAGE.name].fillna("") != ""]
    pairs = zip(damaged["clip_id"], damaged[DAMAGE.name], strict=True)
    return flat + [SourceWarning("damaged", clip_id, f"{clip_id} is stored: {sentence}") for clip_id, sentence in pairs]


def _flat_warnings(index: pd.DataFrame) -> list[SourceWarning]:
    """Return the warnings about clips without a picture, or without motion, as their signatures tell."""
    if "signature" not in index:  # nothing is stored yet
        return []
    states = np.array(motions_of_signatures(index["signature"]), object)
    clip_ids = index["clip_id"].to_numpy(object)
    words = {"black": "are black, or of one colour", "still": "do not move: they are one picture"}
    found: list[SourceWarning] = []
    for code, what in words.items():
        names: list[str] = clip_ids[states == code].tolist()
        share = f"{len(names)} of {counted(len(states), 'clip')} ({len(names) / max(1, len(states)):.1%})"
        found += [SourceWarning(code, name, f"the frames of {name} {what}; {share}") for name in names]
    return found


def manifest_warnings(clips: pd.DataFrame, encoding: Encoding | None = None) -> list[SourceWarning]:
    """Return the warnings about videos that can be used, from the rows of a manifest: one per video.

    An encoding that tone maps, or takes one field of two, needs no warning about what it does away with.
    """
    videos = clips.drop_duplicates("path")
    short = videos[videos["readable_fraction"] < 1]
    found = [
        SourceWarning("truncated", path, f"{path}: only {fraction:.1%} of what its container says can be read")
        for path, fraction in zip(short["path"], short["readable_fraction"], strict=True)
    ]
    gaps = videos[videos["gap_us"] > 0]
    return [*found, *_warnings_of_facts(videos, encoding or Encoding())] + [
        SourceWarning("gap", path, f"{path}: {gap_us / 1e6:.2f} s in its middle have no frame")
        for path, gap_us in zip(gaps["path"], gaps["gap_us"], strict=True)
    ]


def _warnings_of_facts(videos: pd.DataFrame, encoding: Encoding) -> Iterator[SourceWarning]:
    """Yield what a video's frames are like that a model may not expect."""
    for path, transfer in _pairs(videos, "transfer", videos["transfer"].isin([] if encoding.hdr != "clip" else _HDR)):
        detail = (
            f"{path} is HDR ({_HDR[transfer]}); its frames are stored without tone mapping and look flat "
            "(plan.encoding.hdr=tonemap maps them)"
        )
        yield SourceWarning("hdr", path, detail)
    for path, _ in _pairs(videos, "field_order", (videos["field_order"] == "interlaced") & (not encoding.deinterlace)):
        detail = (
            f"{path} is interlaced; its frames hold two moments, a line each, where something moves "
            "(plan.encoding.deinterlace=true stores one)"
        )
        yield SourceWarning("interlaced", path, detail)
    for path, sentence in _pairs(videos, "contradiction", videos["contradiction"].fillna("") != ""):
        detail = f"{path} contradicts itself: {sentence}; one of the two is damaged"
        yield SourceWarning("contradiction", path, detail)
    for path, count in _pairs(videos, "num_video_tracks", videos["num_video_tracks"] > 1):
        detail = f"{path} has {count:.0f} video tracks; the one that moves is taken: most frames, then most pixels"
        yield SourceWarning("several_tracks", path, detail)


def _pairs(videos: pd.DataFrame, name: str, chosen: pd.Series) -> Iterator[tuple[str, Any]]:
    rows = videos[chosen.to_numpy(dtype=bool, na_value=False)]
    yield from zip(rows["path"], rows[name], strict=True)


def cut_warnings(clip_ids: Sequence[str], lengths: pd.DataFrame, encoding: Encoding) -> list[SourceWarning]:
    """Return the warnings about clips that have more frames than are stored, by their `clip_lengths`."""
    lengths = lengths.reindex(clip_ids).dropna()
    left_out = frames_left_out(lengths, encoding)
    cut = lengths[left_out > 0].assign(left_out=left_out[left_out > 0])
    columns = (cut[name].tolist() for name in ("duration_us", "num_frames", "left_out"))
    return [
        SourceWarning("cut", clip_id, _cut_sentence(clip_id, encoding, *numbers))
        for clip_id, *numbers in zip(cut.index.tolist(), *columns, strict=True)
    ]


def _cut_sentence(clip_id: str, encoding: Encoding, duration_us: int, num_frames: int, num_left_out: int) -> str:
    num_stored, seconds = encoding.max_frames, duration_us / 1e6
    if encoding.over_max_frames == "spread":
        stored = counted(num_stored, "frame is", "frames are")
        left_out = counted(num_left_out, "in between is", "in between are")
        return f"{clip_id}: {stored} stored, spread over its {seconds:.1f} s; {left_out} not (plan.encoding.max_frames)"
    stored_seconds = num_stored / encoding.fps if encoding.sampling == "fps" else seconds * num_stored / num_frames
    left_out = counted(num_left_out, "frame after them is", "frames after them are")
    return (
        f"{clip_id}: its first {counted(num_stored, 'frame is', 'frames are')} stored, {stored_seconds:.1f} of "
        f"{seconds:.1f} s; {left_out} not (plan.encoding.max_frames, over_max_frames)"
    )


def _official_warnings(paths: DatasetPaths, manifest: pd.DataFrame) -> Iterator[SourceWarning]:
    """Yield the clips that stay in their split though an official list, which came or changed later, names another."""
    listed = manifest.dropna(subset=["official_split"]).set_index("clip_id")["official_split"]
    for split in SPLITS if len(listed) else ():
        if not paths.split(split).is_file():
            continue
        here = read_table(paths.split(split), SPLIT, ["clip_id"])["clip_id"]
        others = listed[listed.index.isin(here) & (listed != split)]
        for clip_id, official in others.items():
            detail = f"{clip_id} stays in {split}, as clips never change splits; the annotations put it into {official}"
            yield SourceWarning("official_split_ignored", str(clip_id), detail)


def warnings_of(
    paths: DatasetPaths, manifest: ReadManifest, clips: pd.DataFrame, encoding: Encoding | None
) -> list[SourceWarning]:
    """Return the warnings about a dataset's source, its videos, and these clips: rows of its index, or of its plan."""
    found = [*manifest.reading.warnings, *_official_warnings(paths, manifest.clips)]
    found += manifest_warnings(manifest.clips, encoding)
    if encoding is not None:
        found += cut_warnings(clips["clip_id"].tolist(), manifest.lengths, encoding)
    return [*found, *stored_warnings(clips)]


def dataset_warnings(paths: DatasetPaths, version: str = "") -> list[SourceWarning]:
    """Return all warnings of a dataset, as far as its tables can be read.

    They are about the clips that `version` holds, or about all planned ones if it holds none yet.
    """
    with suppress(FileDamaged, BuildRefused):  # found and named by the checks of files
        plan = read_plan(paths, ["clip_id"]) if paths.plan.is_file() else None
        encoding = plan.pinned.encoding if plan is not None else None
        rows = pd.DataFrame(columns=_INDEX.names) if plan is None else plan.rows
        if version and paths.version(version).index.is_file():
            rows = read_table(paths.version(version).index, _INDEX, _INDEX.names)
        told = committed_warnings(paths, version) if version else []
        return [*warnings_of(paths, ReadManifest.of(paths), rows, encoding), *told]
    return []


def warnings_as_dicts(warnings: Iterable[SourceWarning]) -> list[dict[str, Any]]:
    """Return what every command's `--json` has: an entry per clip, up to `MAX_OF_A_CODE` of each code."""
    return [asdict(warning) for warning in capped(warnings)]


def capped(warnings: Iterable[SourceWarning]) -> list[SourceWarning]:
    """Return the warnings, grouped by code; what goes beyond `MAX_OF_A_CODE` of one is counted in one entry."""
    found: list[SourceWarning] = []
    for code, alike in groupby(sorted(warnings, key=lambda warning: warning.code), key=lambda warning: warning.code):
        several: Sequence[SourceWarning] = list(alike)
        found += several[:MAX_OF_A_CODE]
        if rest := several[MAX_OF_A_CODE:]:
            count = sum(warning.count for warning in rest)
            found.append(SourceWarning(code, "", f"and {count} more", count))
    return found
