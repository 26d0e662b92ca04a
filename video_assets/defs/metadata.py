"""Pictures in the event log: bounded in size, for every event is a row in Dagster's database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from video_assets.domain.checks import CheckOutcome, CheckPicture
from video_assets.domain.progress import format_duration
from video_assets.domain.splits import SPLITS, Split
from video_assets.domain.text import format_size
from video_assets.pipeline.classes import class_counts
from video_assets.pipeline.commit.committed_records import read_stored, sampled_clip
from video_assets.pipeline.commit.stage import CommitReport
from video_assets.pipeline.dataset_warnings import cut_warnings, manifest_warnings, warnings_as_dicts
from video_assets.pipeline.manifest.manifest_table import read_clip_lengths
from video_assets.pipeline.manifest.stage import ManifestReport
from video_assets.pipeline.plan.model_fit import plan_fit
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.pipeline.shards.stage import ShardReport
from video_assets.pipeline.splits.stage import SplitReport
from video_assets.report import charts
from video_assets.report.contact_sheet import Strip, evenly, sheet_svg, strip_of, svg_markdown
from video_assets.report.escape import markdown_code, markdown_text, shown
from video_assets.report.model_garden import NO_MODEL_GARDEN, model_rows
from video_assets.storage.addresses import is_store_address
from video_assets.storage.paths import DatasetPaths, VersionPaths, partition_key
from video_assets.storage.tables import COLUMN_WORDS, INDEX, MANIFEST, PLAN, SPLIT

_MAX_BYTES = 30_000
"""Of a picture before it becomes an address, which adds about a fifth."""
_NUM_CLIPS, _NUM_FRAMES = 4, 4
_CHECK_PX = 160


def durations_picture(clips: pd.DataFrame) -> Mapping[str, Any]:
    """How long the videos of the manifest's clips are."""
    found = charts.nice_histogram((clips["duration_us"] / 1e6).tolist(), "seconds")
    if found is None:
        return {}
    svg = charts.as_picture(charts.histogram_chart(found, "Durations"))
    return {"durations": dg.MetadataValue.md(svg_markdown(svg, found.sentence()))}


def balance_picture(report: SplitReport) -> Mapping[str, Any]:
    """Each class's share in the splits, against the target."""
    counts = report.balance()
    used = [split for split in SPLITS if split in counts.columns]
    rows = {str(label): {split: int(row[split]) for split in used} for label, row in counts[used].iterrows()}
    held_out = {"test": report.test_fraction, "val": report.val_fraction}
    targets = [held_out.get(split, 1 - report.test_fraction - report.val_fraction) for split in used]
    title = "Share of each class in the splits"
    svg = charts.as_picture(charts.share_chart(charts.class_bars(rows, used), used, targets, title))
    return {"balance_against_target": dg.MetadataValue.md(svg_markdown(svg, title))}


def class_balance_picture(classes: Mapping[str, Mapping[str, int]], splits: Sequence[Split]) -> Mapping[str, Any]:
    """Clips of each class in the splits."""
    title = "Clips of each class in the splits"
    svg = charts.as_picture(charts.bar_chart(charts.class_bars(classes, splits), splits, title))
    return {"clips_by_class": dg.MetadataValue.md(svg_markdown(svg, title))}


def shard_sheet(report: ShardReport, paths: VersionPaths, labels: Sequence[str]) -> Mapping[str, Any]:
    """A contact sheet of some records of a shard, read back from it."""
    sidecar = report.sidecar
    if sidecar is None or not sidecar.clips:
        return {}
    layout: Any = sidecar.encoding["layout"]
    places = [(report.key, sidecar.clips[index]) for index in evenly(len(sidecar.clips), _NUM_CLIPS)]
    records = read_stored(paths, layout, labels, places)
    svg = sheet_svg([strip_of(sampled_clip(record, _NUM_FRAMES)) for record in records], max_bytes=_MAX_BYTES)
    return {"contact_sheet": dg.MetadataValue.md(svg_markdown(svg, f"Some records of {report.key}"))}


def of_check(outcome: CheckOutcome, remedy: str) -> Mapping[str, Any]:
    """What a check found, all that it names, and what to do about it."""
    told = {"what_was_found": shown(outcome.description), **({"remedy": remedy} if remedy else {})}
    all_of_them = {"all_of_them": _table(outcome.named)} if outcome.named else {}
    return {**told, **all_of_them, **outcome.facts, **_check_pictures(outcome.pictures)}


def _check_pictures(pictures: Sequence[CheckPicture]) -> Mapping[str, Any]:
    """What a check's answer is about, side by side, each with its words under it."""
    from video_assets.media.images import decode_image

    found = [picture for picture in pictures if picture.images]
    parts: list[str] = []
    for picture in found:
        strip = Strip([decode_image(image) for image in picture.images], picture.captions, "")
        svg = sheet_svg([strip], max_bytes=_MAX_BYTES // len(found), height_px=_CHECK_PX)
        parts.append(f"{svg_markdown(svg, picture.title)}\n\n{markdown_text(picture.title)}\n")
    return {"pictures": dg.MetadataValue.md("\n".join(parts))} if parts else {}


Metadata = Mapping[str, Any]
_MAX_ROWS = 200
"""A table in the event log stays small; files on disk hold all rows."""


def _table(rows: Iterable[Mapping[str, str | int | float | bool | None]], file: Path | None = None) -> Any:
    """A table of the first rows, names in it made visible; the word none where there are no rows.

    Where there are more, the last row says how many, and which file has them all.
    """
    every = list(rows)
    records = [dg.TableRecord(_shown(row)) for row in every[:_MAX_ROWS]]
    if len(every) > _MAX_ROWS:
        more = f"and {len(every) - _MAX_ROWS:,} more" + (f"; all are in {file}" if file else "")
        first, *others = records[0].data
        records.append(dg.TableRecord({first: more, **dict.fromkeys(others)}))
    return dg.MetadataValue.table(records) if records else dg.MetadataValue.text("none")


def _shown(row: Mapping[str, str | int | float | bool | None]) -> dict[str, str | int | float | bool | None]:
    return {name: shown(value) if isinstance(value, str) else value for name, value in row.items()}


def _columns(schema: pa.Schema) -> dg.TableSchema:
    return dg.TableSchema(
        [dg.TableColumn(field.name, str(field.type), COLUMN_WORDS.get(field.name)) for field in schema]
    )


def of_manifest(report: ManifestReport, paths: DatasetPaths) -> Metadata:
    """Clips by class, durations, codecs, sizes; the quarantine and what was left out."""
    clips = report.clips
    classes = [
        {"class": name, "clips": count} for name, count in class_counts(clips, multi_label=report.multi_label).items()
    ]
    codecs = [{"codec": str(name), "clips": int(count)} for name, count in clips["codec"].value_counts().items()]
    lost = report.lost[["source", "label", "reason", "detail"]].to_dict("records")
    return {
        "dagster/row_count": len(clips),
        "dagster/column_schema": _columns(MANIFEST),
        "read_as": shown(report.reading.sentence) or "not noted",
        "source_format": report.reading.source_format or "not noted",
        "warnings": _table(asdict(w) for w in [*report.reading.warnings, *manifest_warnings(clips)]),
        "clips": len(clips),
        "classes": len(report.labels),
        "duration": format_duration(float(clips["duration_us"].sum()) / 1e6),
        "size": format_size(float(clips.drop_duplicates("path")["size_bytes"].sum())),
        "files_probed": report.num_files_probed,
        "files_reused": report.num_files_reused,
        "quarantined": len(report.lost),
        "left_out": len(report.left_out),
        "gone": len(report.gone),
        "clips_by_class": _table(classes, paths.manifest),
        "clips_by_codec": _table(codecs),
        "clips_by_size": _table(_sizes(clips)),
        **durations_picture(clips),
        "quarantine": _table(lost, paths.quarantine),
        **({"gone_clips": _table({"clip": clip_id} for clip_id in report.gone)} if report.gone else {}),
        "left_out_entries": _table(
            ({"source": item.source, "reason": item.reason} for item in report.left_out), paths.left_out
        ),
        "file": dg.MetadataValue.path(str(paths.manifest)),
    }


def _sizes(clips: pd.DataFrame) -> list[dict[str, str | int]]:
    counts = clips.groupby(["display_width_px", "display_height_px"]).size().sort_values(ascending=False, kind="stable")
    return [{"width x height": f"{width:.0f}x{height:.0f}", "clips": int(n)} for (width, height), n in counts.items()]


def of_split(report: SplitReport, split: Split) -> Metadata:
    """Clips of one split by class, and the shares of those that are held out against their targets."""
    balance = report.balance()
    rows = [
        {
            "class": str(name),
            **{str(n): f"{float(v):.1%}" if str(n).endswith("_share") else int(v) for n, v in row.items()},
        }
        for name, row in balance.iterrows()
    ]
    total = sum(len(report.splits[name]) for name in SPLITS)
    return {
        "dagster/row_count": len(report.splits[split]),
        "dagster/column_schema": _columns(SPLIT),
        "clips": len(report.splits[split]),
        "groups": int(report.splits[split]["group"].nunique()),
        "share": f"{len(report.splits[split]) / max(1, total):.1%}",
        "target_test_fraction": report.test_fraction,
        "target_val_fraction": report.val_fraction,
        "newly_assigned": report.num_new,
        "contradictions": len(report.lost),
        "official_splits_ignored": len(report.official_ignored),
        **({"clips_that_stay": _table(report.clips_that_stay)} if report.official_ignored else {}),
        "balance": _table(rows),
        **balance_picture(report),
    }


def of_plan(report: PlanReport, paths: DatasetPaths) -> Metadata:
    """What is to be encoded, its expected size and time (if known), and how MoViNet's windows fit."""
    fit, expected = plan_fit(paths, report), report.expected
    counts = report.rows.groupby(["split", "shard_index"]).size()
    cut = cut_warnings(report.rows["clip_id"].tolist(), read_clip_lengths(paths), report.pinned.encoding)
    clips = {partition_key(split, int(index)): int(n) for (split, index), n in counts.items()}
    num_to_encode = len(report.new_rows())
    return {
        "dagster/row_count": len(report.rows),
        "dagster/column_schema": _columns(PLAN),
        "clips_to_encode": num_to_encode,
        "clips_to_copy": sum(clips.get(key, 0) for key in report.to_write) - num_to_encode,
        "shards_to_write": _table(({"shard": key, "clips": clips.get(key, 0)} for key in report.to_write), paths.plan),
        "version": report.pinned.version,
        "clips": len(report.rows),
        "shards": len(report.shards),
        "shards_added": len(report.added),
        "shards_superseded": len(report.superseded),
        "clips_per_shard": report.pinned.clips_per_shard,
        "estimated_size": format_size(expected.num_bytes),
        "estimated_from": expected.basis,
        **({} if expected.seconds is None else {"estimated_time": format_duration(expected.seconds)}),
        "encoding": dg.MetadataValue.json(report.pinned.encoding.used()),
        **({"not_stored": report.not_stored} if report.not_stored else {}),
        "warnings": _table(warnings_as_dicts(cut)),
        "model_fit": _table(model_rows(fit.fits)),
        "model_garden": dg.MetadataValue.md(markdown_code(fit.yaml, "yaml") if fit.yaml else NO_MODEL_GARDEN),
    }


def of_shard(report: ShardReport) -> Metadata:
    """Records, bytes and losses of one shard."""
    sidecar = report.sidecar
    if sidecar is None:
        return {}
    losses = [{"clip": loss.clip_id, "reason": loss.reason, "detail": loss.detail} for loss in sidecar.losses]
    return {
        "dagster/partition_row_count": sidecar.records,
        "records": sidecar.records,
        "size": format_size(sidecar.bytes),
        "bytes": sidecar.bytes,  # a number: Dagster plots it over time
        "size_per_clip": format_size(sidecar.bytes / max(1, sidecar.records)),
        "quarantined": len(sidecar.losses),
        "was_reused": report.was_reused,
        "clips_encoded": report.num_encoded,
        "clips_copied": report.num_copied,
        "fingerprint": sidecar.fingerprint,
        "sha256": sidecar.sha256,
        "frames_decoded": f"{report.num_frames_decoded / max(1, report.num_frames_total):.0%} of the videos' frames",
        "losses": _table(losses),
    }


def of_dataset(report: CommitReport, card_address: str) -> Metadata:
    """Totals of the committed dataset; `card_address` is where the UI serves the card, or empty."""
    card = str(Path(report.version_dir, "card.html"))
    rows = [
        {
            "split": split,
            "records": report.records[split],
            "shards": report.shards[split],
            "size": format_size(report.num_bytes[split]),
        }
        for split in report.records
    ]
    return {
        "dagster/row_count": sum(report.records.values()),
        "dagster/column_schema": _columns(INDEX),
        "dagster/uri": report.version_dir
        if is_store_address(report.version_dir)
        else Path(report.version_dir).as_uri(),
        "version": Path(report.version_dir).name,
        "commit": report.data_version,
        "encoding": dg.MetadataValue.json(dict(report.encoding)),
        "classes": dg.MetadataValue.json(list(report.classes)),
        "records": sum(report.records.values()),
        "shards": sum(report.shards.values()),
        "size": format_size(sum(report.num_bytes.values())),
        "bytes": sum(report.num_bytes.values()),
        "splits": _table(rows),
        **class_balance_picture(report.classes, list(report.records)),
        "licence": report.licence or "none given",
        **({"card": dg.MetadataValue.url(card_address)} if card_address else {}),
        "card_file": dg.MetadataValue.path(card),
        "retired_files_removed": len(report.removed),
        "was_changed": report.was_changed,
        "warnings": _table(warnings_as_dicts(report.warnings)),
        "version_dir": dg.MetadataValue.path(report.version_dir),
    }
