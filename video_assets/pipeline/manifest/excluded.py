"""Clips that are not in the manifest although they were, or although their files can be read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from video_assets.domain.clips import DECODER_REASONS, REMEMBERED_REASONS, Loss, LostSource
from video_assets.domain.errors import BuildRefused
from video_assets.sources.found import SourceClips
from video_assets.storage.schemas import QUARANTINE
from video_assets.storage.tables import read_noted_table

_WHOLE = {"start_seconds": -1.0, "end_seconds": -1.0}


def gone_clips(previous: pd.DataFrame, asked: SourceClips, clips: pd.DataFrame) -> list[str]:
    """Ids of the clips of the manifest before that the source neither has, under whichever name, nor asks for."""
    named = {clip.clip_id for clip in asked.clips} | {item.source for item in (*asked.lost, *asked.left_out)}
    unnamed = previous[~previous["clip_id"].isin(named)]
    contents = set(_contents(clips)) if len(unnamed) else set()
    return sorted(i for i, key in zip(unnamed["clip_id"], _contents(unnamed), strict=True) if key not in contents)


def _contents(clips: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    """What a clip is but for its name: content and span."""
    return clips[["content_hash", *_WHOLE]].fillna(_WHOLE).itertuples(index=False, name=None)


def refuse_another_source(source: Path, previous: pd.DataFrame, gone: Sequence[str]) -> None:
    """Nobody deletes all videos and puts others there; a wrong folder is named by mistake.

    Raises:
        BuildRefused: if all clips that are known are gone.
    """
    if len(gone) and len(gone) == len(previous):
        raise BuildRefused(
            f"none of the {len(gone)} clips that the dataset knows is in the source {source}, such as {gone[0]}. Name "
            "the source that it was built from, or another root or name for a dataset of these videos"
        )


def without_truncated(clips: pd.DataFrame, min_fraction: float) -> tuple[pd.DataFrame, list[LostSource]]:
    """Leaves out clips of videos of which less can be read than the least share of what their container says."""
    is_short = (clips["readable_fraction"] < min_fraction).to_numpy(dtype=bool, na_value=False)
    lost = [
        LostSource(
            row["clip_id"],
            Loss(
                "truncated",
                f"only {row['duration_us'] / 1e6:.2f} s of it can be read, {row['readable_fraction']:.0%} of what its "
                f"container says; manifest.min_readable_fraction is {min_fraction:g}",
            ),
            row["label"],
        )
        for _, row in clips[is_short].iterrows()
    ]
    return clips[~is_short], lost


def without_bad_spans(clips: pd.DataFrame) -> tuple[pd.DataFrame, list[LostSource]]:
    """Leaves out clips whose span begins after the end of their video."""
    durations = clips["duration_us"].astype("float64") / 1e6
    is_bad = (clips["start_seconds"] >= durations).to_numpy(dtype=bool, na_value=False)
    lost = [
        LostSource(
            row["clip_id"],
            Loss("bad_span", f"it starts at {row['start_seconds']:g} s, the video ends at {end:g} s"),
            row["label"],
        )
        for (_, row), end in zip(clips[is_bad].iterrows(), durations[is_bad], strict=True)
    ]
    return clips[~is_bad], lost


def without_conflicts(clips: pd.DataFrame, *, multi_label: bool) -> tuple[pd.DataFrame, list[LostSource]]:
    """Leaves out clips whose content stands under several labels: nobody can say which is right."""
    same = clips.groupby(["content_hash", "start_seconds", "end_seconds"], dropna=False, sort=False)
    is_conflict = (same["label"].transform("nunique") > 1).to_numpy(dtype=bool) if len(clips) else np.zeros(0, bool)
    lost: list[LostSource] = []
    what = "sets of labels" if multi_label else "labels"
    for _, rows in clips[is_conflict].groupby(["content_hash", "start_seconds", "end_seconds"], dropna=False):
        places = "; ".join(
            f"{label}: {clip_id}" for label, clip_id in sorted(zip(rows["label"], rows["clip_id"], strict=True))
        )
        detail = f"the same content stands under {rows['label'].nunique()} {what} ({places})"
        loss = Loss("label_conflict", detail)
        lost += [LostSource(c, loss, label) for c, label in zip(rows["clip_id"], rows["label"], strict=True)]
    return clips[~is_conflict], lost


_DECODER_NOTE = "decoder"


def decoder_notes() -> Mapping[str, str]:
    """What the quarantine notes of the decoder that its files were opened with: the version of PyAV, FFmpeg inside."""
    return {_DECODER_NOTE: version("av")}


def remembered_losses(quarantine: Path) -> dict[tuple[str, int, int], Loss]:
    """Losses of files by path, size and time.

    What another decoder said, or one that an earlier version of this package did not note, is asked once more.
    """
    rows, notes = read_noted_table(quarantine, QUARANTINE)
    is_same_decoder = decoder_notes().items() <= (notes or {}).items()
    reasons = REMEMBERED_REASONS if is_same_decoder else REMEMBERED_REASONS - DECODER_REASONS
    stage = "refused" if (rows["stage"] == "refused").any() else "manifest"  # what was looked at last
    rows = rows[(rows["stage"] == stage) & rows["reason"].isin(reasons) & (rows["size_bytes"] >= 0)]
    paths = (re.split("#t=|#frame=", str(source))[0] for source in rows["source"])
    keys = zip(paths, rows["size_bytes"].tolist(), rows["mtime_ns"].tolist(), strict=True)
    return {key: Loss(r, d) for key, r, d in zip(keys, rows["reason"], rows["detail"], strict=True)}
