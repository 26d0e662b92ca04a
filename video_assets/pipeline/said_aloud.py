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
from video_assets.storage.schemas import DAMAGE, INDEX
from video_assets.storage.tables import read_table

MAX_OF_A_CODE: Final = 1000
"""How many clips `--json` names for one code; all others are counted in one more entry."""


def stored_warnings(index: pd.DataFrame) -> list[SourceWarning]:
    """Return the warnings about clips that are stored, from the rows of a dataset's index."""
    if DAMAGE.name not in index:
        return []
    damaged = index[index[DAMAGE.name].fillna("") != ""]
    pairs = zip(damaged["clip_id"], damaged[DAMAGE.name], strict=True)
    return [SourceWarning("damaged", clip_id, f"{clip_id} is stored: {sentence}") for clip_id, sentence in pairs]


def dataset_warnings(paths: DatasetPaths, version: str = "") -> list[SourceWarning]:
    """Return all warnings of a dataset: about its source, and about the clips that `version` holds."""
    with suppress(FileDamaged):  # found and named by the checks of files
        told = committed_warnings(paths, version) if version else []
        return [*noted_reading(paths).warnings, *_of_the_index(paths, version), *told]
    return []


def _of_the_index(paths: DatasetPaths, version: str) -> list[SourceWarning]:
    if not version:
        return []
    columns = ["clip_id", DAMAGE.name]
    return stored_warnings(read_table(paths.version(version).index, INDEX.append(DAMAGE), columns))


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
