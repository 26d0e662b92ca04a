"""Datasets that exist only as metadata: tables of any length, and shards without content beside full sidecars."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd

from video_assets.domain.near_duplicates import SIGNATURE_BYTES
from video_assets.domain.splits import Split
from video_assets.pipeline.classes import LABELS_NOTE
from video_assets.pipeline.noted_settings import settings_note
from video_assets.pipeline.plan.plan_table import ReadPlan, planned_clips, read_plan
from video_assets.records.dataset_info import dataset_info_json
from video_assets.settings import ManifestSettings
from video_assets.storage.files import write_text
from video_assets.storage.paths import FILEPATH_TEMPLATE, DatasetPaths, parse_partition_key
from video_assets.storage.sidecars import Sidecar, StoredClip
from video_assets.storage.tables import MANIFEST, write_table
from video_assets_tests.invented import invented_facts

NUM_CLASSES = 400
_RECORD_BYTES = 180_000
_SIGNATURES = 1000


def write_manifest(paths: DatasetPaths, num_clips: int) -> None:
    """The manifest of a first build; where there is one, of so many clips and one new for each thousand."""
    if paths.manifest.exists():
        num_clips += num_clips // 1000
    numbers = range(num_clips)
    labels = [f"class_{number:03d}" for number in range(NUM_CLASSES)]
    names = [f"{labels[n % NUM_CLASSES]}/v_g{n // 2000:05d}_c{n // NUM_CLASSES % 5:02d}.mp4" for n in numbers]
    columns = {
        "clip_id": names,
        "path": names,
        "label": [labels[n % NUM_CLASSES] for n in numbers],
        "group": [f"{labels[n % NUM_CLASSES]}_{n // 2000:05d}" for n in numbers],
        "size_bytes": np.arange(num_clips) + 600_000,
        "mtime_ns": np.arange(num_clips) + 1_700_000_000_000_000_000,
        "content_hash": [f"{n:064x}" for n in numbers],
        **asdict(invented_facts()),
    }
    frame = pd.DataFrame(columns)
    del columns, names
    frame = frame.reindex(columns=MANIFEST.names)
    notes = {"source": "videos", **settings_note(ManifestSettings()), LABELS_NOTE: json.dumps(labels)}
    write_table(paths.manifest, frame, MANIFEST, notes)
    write_text(paths.labels, "".join(f"{label}\n" for label in labels))


def signatures(*numbers: int) -> list[dict[str, bytes]]:
    """Sides of so many clips, none of which looks like another."""
    random = np.random.default_rng(0)
    sides: list[dict[str, bytes]] = []
    for side, number in enumerate(numbers):
        pictures = random.integers(0, 256, (number, SIGNATURE_BYTES), np.uint8)
        pictures[:, SIGNATURE_BYTES // 2 :] = 255  # all bits are known
        sides.append({f"{side}/{n}": pictures[n].tobytes() for n in range(number)})
    return sides


def write_shards(paths: DatasetPaths, _num_clips: int) -> None:
    """The planned shards as files without content, full sidecars, and a commit of all of it, as a growth run finds."""
    plan = read_plan(paths)
    version = paths.version(plan.pinned.version)
    (version.directory / "shards").mkdir(parents=True, exist_ok=True)
    pictures = [side.hex() for side in signatures(_SIGNATURES)[0].values()]
    for key, fingerprint in plan.fingerprints().items():
        place = parse_partition_key(key)
        sidecar = _sidecar(plan, key, fingerprint, pictures)
        with version.shard(*place).open("wb") as file:
            file.truncate(sidecar.bytes)
        # Not the atomic writer: its flush to disk, 20,000 times, is not what is measured.
        version.sidecar(*place).write_text(sidecar.to_json(), "utf-8")
    lengths: dict[Split, list[int]] = {
        split: plan.rows[plan.rows["split"] == split].groupby("shard_index").size().tolist()
        for split in plan.pinned.splits
    }
    num_bytes: dict[Split, int] = dict.fromkeys(lengths, 0)
    info = dataset_info_json(
        name=paths.name,
        version=plan.pinned.version,
        description="",
        encoding=plan.pinned.encoding.as_dict(),
        plan_digest="",
        filepath_template=FILEPATH_TEMPLATE,
        shard_lengths=lengths,
        num_bytes=num_bytes,
        notes={},
        licence="",
        has_captions=False,
    )
    write_text(version.dataset_info, info)


def _sidecar(plan: ReadPlan, key: str, fingerprint: str, pictures: list[str]) -> Sidecar:
    rows = plan.shard(*parse_partition_key(key))[1]
    clips = [
        StoredClip(
            clip_id=clip.clip_id,
            source=clip.path,
            label=clip.label,
            label_index=clip.label_index,
            content_hash=clip.content_hash,
            offset=number * _RECORD_BYTES,
            length=_RECORD_BYTES,
            num_frames=10,
            signature=pictures[number % len(pictures)],
        )
        for number, clip in enumerate(planned_clips(rows))
    ]
    return Sidecar(
        shard=key,
        fingerprint=fingerprint,
        sha256="0" * 64,
        bytes=len(clips) * _RECORD_BYTES,
        records=len(clips),
        encoding=plan.pinned.encoding.as_dict(),
        clips=clips,
    )
