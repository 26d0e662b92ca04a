"""The quarantine: every clip that could not be used, with the stage that found it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from video_assets.domain.clips import ListedFile, LostSource
from video_assets.storage.tables import QUARANTINE, read_noted_table, read_table, write_table

Stage = Literal["manifest", "refused", "splits", "shards"]
"""`refused`: losses of a manifest that was refused. They are shown to people, but the dataset does not count them."""


def read_quarantine(path: Path) -> pd.DataFrame:
    """Return all rows, ordered by source."""
    return read_table(path, QUARANTINE)


def accepted_losses(path: Path) -> pd.DataFrame:
    """Return the rows that the dataset counts: not those of a refused manifest."""
    rows = read_quarantine(path)
    return rows[rows["stage"] != "refused"]


def quarantined(path: Path) -> list[dict[str, str]]:
    """Return source, reason and detail of each clip, for commands. Rows that a refused manifest repeats come once."""
    rows = read_quarantine(path).drop_duplicates(["source", "clip_id", "reason", "detail"])
    return rows[["source", "reason", "detail"]].to_dict("records")


def replace_stage(path: Path, stage: Stage, rows: pd.DataFrame, notes: Mapping[str, str] | None = None) -> None:
    """Replace the rows of one stage and leave the others; `notes` are added to the table's own.

    A manifest that is not refused also replaces the rows of a refused one.
    """
    others, known = read_noted_table(path, QUARANTINE)
    replaced = ("manifest", "refused") if stage == "manifest" else (stage,)
    others = others[~others["stage"].isin(replaced)]
    merged = pd.concat([others, rows.assign(stage=stage)]) if len(others) else rows.assign(stage=stage)
    merged = merged.sort_values(["source", "clip_id", "stage", "reason"], kind="stable", ignore_index=True)
    write_table(path, merged, QUARANTINE, {**(known or {}), **(notes or {})})


def quarantine_rows(lost: Iterable[LostSource], files: dict[str, ListedFile] | None = None) -> pd.DataFrame:
    """Return rows for lost sources; size and time are known for files of the source."""
    known = files or {}
    rows = [
        {
            "source": item.source,
            "clip_id": item.source,
            "label": item.label,
            "reason": item.loss.reason,
            "detail": item.loss.detail,
            "size_bytes": known[item.source].size_bytes if item.source in known else -1,
            "mtime_ns": known[item.source].mtime_ns if item.source in known else -1,
        }
        for item in lost
    ]
    return pd.DataFrame(rows, columns=[name for name in QUARANTINE.names if name != "stage"])
