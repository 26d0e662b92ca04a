"""`video-assets show`: all that is known of one clip, and a picture of its stored frames."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from video_assets.domain.errors import SettingsError
from video_assets.domain.text import sequence_of
from video_assets.pipeline.commit.committed_records import read_stored, sampled_clip
from video_assets.pipeline.noted_settings import split_settings
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.records.clip_record import ClipRecord
from video_assets.storage.files import read_lines, write_bytes
from video_assets.storage.paths import DatasetPaths, VersionPaths, parse_partition_key
from video_assets.storage.quarantine import read_quarantine
from video_assets.storage.sidecars import StoredClip, read_sidecar
from video_assets.storage.tables import MANIFEST, read_table

_FRAMES_PER_ROW = 5
_MAX_FRAMES = 50
"""Frames of a picture; of longer clips, evenly spaced ones."""
_GAP_PX = 4


def show_clip(paths: DatasetPaths, wanted: str, picture: Path | None) -> dict[str, Any]:
    """Return the JSON object of `show --json`; write the picture of a clip that is stored.

    Args:
        paths: the dataset.
        wanted: the id of a clip, or the end of one.
        picture: where the picture is written; None: beside the caller, named as the clip.

    Raises:
        SettingsError: if there is no such dataset, no such clip, or several.
    """
    paths.refuse_missing()
    manifest = read_table(paths.manifest, MANIFEST)
    lost = read_quarantine(paths.quarantine)
    clip_id = _one_of(wanted, [*manifest["clip_id"], *lost["clip_id"].fillna(lost["source"])], paths)
    values: dict[str, Any] = {"clip_id": clip_id, "root": str(paths.root), "name": paths.name, "is_stored": False}
    losses = lost[(lost["clip_id"] == clip_id) | (lost["source"] == clip_id)].drop_duplicates(["reason", "detail"])
    values["losses"] = losses[["reason", "detail"]].to_dict("records")
    rows = manifest[manifest["clip_id"] == clip_id]
    if len(rows):
        values |= _of_source(rows.iloc[0], manifest, paths)
    return values | _of_record(paths, clip_id, picture) if paths.plan.exists() else values


def _one_of(wanted: str, known: list[str], paths: DatasetPaths) -> str:
    if wanted in known:
        return wanted
    found = sorted({clip_id for clip_id in known if clip_id.endswith(wanted)})
    if not found:
        raise SettingsError(f"there is no clip {wanted} in {paths.directory}; a clip's id is its path in the source")
    if len(found) > 1:
        raise SettingsError(f"{len(found)} clips end in {wanted}: {sequence_of(found)}; give more of the id")
    return found[0]


def _of_source(row: pd.Series, manifest: pd.DataFrame, paths: DatasetPaths) -> dict[str, Any]:
    """Return what the manifest says of the clip, and why it is in its split."""
    facts = {name: row[name] for name in ("path", "label", "group", "caption", "codec", "container", "pixel_format")}
    numbers = {name: row[name] for name in ("width_px", "height_px", "frame_rate", "num_frames", "size_bytes")}
    span = {name: row[name] for name in ("start_seconds", "end_seconds")}
    found = {name: None if pd.isna(value) else value for name, value in {**facts, **numbers, **span}.items()}
    found = {name: value.item() if isinstance(value, np.generic) else value for name, value in found.items()}
    found["duration_seconds"] = None if pd.isna(row["duration_us"]) else int(row["duration_us"]) / 1e6
    return {**found, "split_because": _why(row, manifest, paths)}


def _why(row: pd.Series, manifest: pd.DataFrame, paths: DatasetPaths) -> str:
    if pd.notna(row["official_split"]):
        return f"the annotations say {row['official_split']}"
    together = manifest[(manifest["content_hash"] == row["content_hash"]) | (manifest["group"] == row["group"])]
    settings = split_settings(paths)
    shares = f"by the share of its class (splits.test_fraction {settings.test_fraction:g}, seed {settings.seed})"
    if len(together) > 1:
        others = "1 other clip" if len(together) == 2 else f"{len(together) - 1} other clips"
        return f"{shares}, together with {others} of its group or content"
    return shares


def _of_record(paths: DatasetPaths, clip_id: str, picture: Path | None) -> dict[str, Any]:
    """Return where the clip's record is and what it holds."""
    plan = read_plan(paths)
    rows = plan.rows[plan.rows["clip_id"] == clip_id]
    if rows.empty:
        return {}
    row, version = rows.iloc[0], paths.version(plan.pinned.version)
    shard = f"{row['split']}-{int(row['shard_index']):05d}"
    values: dict[str, Any] = {"split": str(row["split"]), "shard": shard, "version_dir": str(version.directory)}
    stored = _stored(version, shard, clip_id)
    if stored is None:
        return values
    values |= {"is_stored": True, "label_index": int(row["label_index"]), "note": stored.note}
    values |= {"offset": stored.offset, "length": stored.length}
    layout, labels = plan.pinned.encoding.layout, read_lines(paths.labels)
    for record in read_stored(version, layout, labels, [(shard, stored)]):
        target = picture or Path(f"{clip_id.replace('/', '_')}.png")
        write_bytes(target.absolute(), _picture(record))
        times = [int(time) / 1e6 for time in record.timestamps_us]
        values |= {"num_stored_frames": record.num_frames, "times_seconds": times, "picture": str(target.absolute())}
    return values


def _stored(version: VersionPaths, shard: str, clip_id: str) -> StoredClip | None:
    sidecar = read_sidecar(version.sidecar(*parse_partition_key(shard)))
    clips: Mapping[str, StoredClip] = {} if sidecar is None else {clip.clip_id: clip for clip in sidecar.clips}
    return clips.get(clip_id)


def _picture(record: ClipRecord) -> bytes:
    """Return the frames in rows as a PNG."""
    from video_assets.media.images import encode_image

    frames = sampled_clip(record, _MAX_FRAMES).frames
    height, width = frames.shape[1:3]
    columns = min(_FRAMES_PER_ROW, len(frames))
    num_rows = -(-len(frames) // columns)
    shape = (num_rows * (height + _GAP_PX) - _GAP_PX, columns * (width + _GAP_PX) - _GAP_PX, 3)
    sheet = np.full(shape, 255, np.uint8)
    for number, frame in enumerate(frames):
        top, left = (number // columns) * (height + _GAP_PX), (number % columns) * (width + _GAP_PX)
        sheet[top : top + height, left : left + width] = frame
    return encode_image(sheet, "png", 100)
