"""Clips that a dataset knows and its source no longer has: they leave the dataset, and that is said."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from video_assets.domain.errors import BuildRefused
from video_assets.sources.found import SourceClips

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
