"""Pictures in the event log: bounded in size, for every event is a row in Dagster's database."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from video_assets.domain.checks import CheckPicture
from video_assets.domain.splits import SPLITS, Split
from video_assets.pipeline.shards import ShardReport
from video_assets.pipeline.splits import SplitReport
from video_assets.pipeline.stored import read_stored, sampled_clip
from video_assets.report.charts import (
    as_picture,
    bar_chart,
    class_bars,
    histogram_chart,
    nice_histogram,
    share_chart,
)
from video_assets.report.contact_sheet import Strip, evenly, sheet_svg, strip_of, svg_markdown
from video_assets.report.escape import markdown_text
from video_assets.storage.paths import VersionPaths

_MAX_BYTES = 30_000
"""Of a picture before it becomes an address, which adds about a fifth."""
_NUM_CLIPS, _NUM_FRAMES = 4, 4
_CHECK_PX = 160


def durations_picture(clips: pd.DataFrame) -> Mapping[str, Any]:
    """How long the videos of the manifest's clips are."""
    found = nice_histogram((clips["duration_us"] / 1e6).tolist(), "seconds")
    if found is None:
        return {}
    svg = as_picture(histogram_chart(found, "Durations"))
    return {"durations": dg.MetadataValue.md(svg_markdown(svg, found.sentence()))}


def balance_picture(report: SplitReport) -> Mapping[str, Any]:
    """Each class's share in the splits, against the target."""
    counts = report.balance()
    used = [split for split in SPLITS if split in counts.columns]
    rows = {str(label): {split: int(row[split]) for split in used} for label, row in counts[used].iterrows()}
    held_out = {"test": report.test_fraction, "val": report.val_fraction}
    targets = [held_out.get(split, 1 - report.test_fraction - report.val_fraction) for split in used]
    title = "Share of each class in the splits"
    svg = as_picture(share_chart(class_bars(rows, used), used, targets, title))
    return {"balance_against_target": dg.MetadataValue.md(svg_markdown(svg, title))}


def class_balance_picture(classes: Mapping[str, Mapping[str, int]], splits: Sequence[Split]) -> Mapping[str, Any]:
    """Clips of each class in the splits."""
    title = "Clips of each class in the splits"
    svg = as_picture(bar_chart(class_bars(classes, splits), splits, title))
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


def check_pictures(pictures: Sequence[CheckPicture]) -> Mapping[str, Any]:
    """What a check's answer is about, side by side, each with its words under it."""
    from video_assets.media.images import decode_image

    shown = [picture for picture in pictures if picture.images]
    parts: list[str] = []
    for picture in shown:
        strip = Strip([decode_image(image) for image in picture.images], picture.captions, "")
        svg = sheet_svg([strip], max_bytes=_MAX_BYTES // len(shown), height_px=_CHECK_PX)
        parts.append(f"{svg_markdown(svg, picture.words)}\n\n{markdown_text(picture.words)}\n")
    return {"pictures": dg.MetadataValue.md("\n".join(parts))} if parts else {}
