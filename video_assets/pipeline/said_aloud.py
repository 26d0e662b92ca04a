"""Collect the warnings of a dataset: what its users should know, and what keeps nothing from being built."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import groupby
from typing import Any, Final

import pandas as pd

from video_assets.domain.clips import SourceWarning
from video_assets.domain.errors import FileDamaged
from video_assets.pipeline.dataset_state import committed_warnings
from video_assets.pipeline.manifest.reading import noted_reading
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.schemas import DAMAGE, INDEX, MANIFEST
from video_assets.storage.tables import read_table

MAX_OF_A_CODE: Final = 1000
"""How many clips `--json` names for one code; all others are counted in one more entry."""

_MANIFEST_COLUMNS: Final = ("path", "readable_fraction", "gap_us")


def stored_warnings(index: pd.DataFrame) -> list[SourceWarning]:
    """Return the warnings about clips that are stored, from the rows of a dataset's index."""
    if DAMAGE.name not in index:
        return []
    damaged = index[index[DAMAGE.name].fillna("") != ""]
    pairs = zip(damaged["clip_id"], damaged[DAMAGE.name], strict=True)
    return [SourceWarning("damaged", clip_id, f"{clip_id} is stored: {sentence}") for clip_id, sentence in pairs]


def manifest_warnings(clips: pd.DataFrame) -> list[SourceWarning]:
    """Return the warnings about videos that can be used, from the rows of a manifest: one per video."""
    videos = clips.drop_duplicates("path")
    short = videos[videos["readable_fraction"] < 1]
    found = [
        SourceWarning("truncated", path, f"{path}: only {fraction:.1%} of what its container says can be read")
        for path, fraction in zip(short["path"], short["readable_fraction"], strict=True)
    ]
    gaps = videos[videos["gap_us"] > 0]
    return found + [
        SourceWarning("gap", path, f"{path}: {gap_us / 1e6:.2f} s in its middle have no frame")
        for path, gap_us in zip(gaps["path"], gaps["gap_us"], strict=True)
    ]


def warnings_of(paths: DatasetPaths, index: pd.DataFrame | None) -> list[SourceWarning]:
    """Return all warnings of a dataset: about its source, its videos, and the clips of this index."""
    manifest = read_table(paths.manifest, MANIFEST, _MANIFEST_COLUMNS)
    stored = [] if index is None else stored_warnings(index)
    return [*noted_reading(paths).warnings, *manifest_warnings(manifest), *stored]


def dataset_warnings(paths: DatasetPaths, version: str = "") -> list[SourceWarning]:
    """Return all warnings of a dataset, as far as its tables can be read; `version` is the one that is committed."""
    with suppress(FileDamaged):  # found and named by the checks of files
        index = paths.version(version).index if version else None
        rows = None if index is None else read_table(index, INDEX.append(DAMAGE), ["clip_id", DAMAGE.name])
        told = committed_warnings(paths, version) if version else []
        return [*warnings_of(paths, rows), *told]
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
