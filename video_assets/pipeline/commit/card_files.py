"""The dataset card of a commit: its values from the tables, its pictures from a few stored records.

What is read is bounded: the records of 100 clips for motion, and of 96 for pictures, however large the dataset is.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.checks import CheckOutcome
from video_assets.domain.clips import SourceWarning
from video_assets.domain.labels import split_labels
from video_assets.domain.statistics import DatasetStatistics, Spread, channel_levels, class_weights
from video_assets.domain.text import counted
from video_assets.pipeline.checks.shard import SHARD_CHECKS
from video_assets.pipeline.classes import rows_by_class
from video_assets.pipeline.commit.committed_records import (
    Committed,
    Place,
    middle_frame_sums,
    motion_of,
    of_each,
    sampled_clip,
)
from video_assets.pipeline.dataset_state import whole_commit
from video_assets.pipeline.dataset_warnings import warnings_as_dicts
from video_assets.pipeline.plan.model_fit import fit_of_index
from video_assets.pipeline.plan.plan_table import ReadPlan, not_stored_words
from video_assets.pipeline.shards.contents import joined_versions
from video_assets.report.card import (
    MAX_ROWS,
    STRIPS_OF_CLASS,
    Card,
    ClassRow,
    LostRow,
    SplitTotals,
    card_html,
    template_text,
)
from video_assets.report.card_markdown import card_markdown
from video_assets.report.charts import nice_histogram
from video_assets.report.contact_sheet import SampledClip
from video_assets.report.model_garden import model_sentence
from video_assets.report.reader_code import reader_lines
from video_assets.report.screen_sections import warning_sentences
from video_assets.storage.addresses import is_store_address
from video_assets.storage.paths import VersionPaths, parse_partition_key
from video_assets.storage.quarantine import accepted_losses
from video_assets.storage.sidecars import read_checksums
from video_assets.storage.tables import are_among

_CARD_VERSION = 3
"""Raised when the same values would be drawn in another way."""
_MAX_STRIPS, _STRIP_FRAMES = 96, 4
_MAX_MOTION_CLIPS = 100
_FACTS = {"transfer": "transfer function", "field_order": "field order", "num_video_tracks": "video tracks"}
_INPUTS = '<meta name="inputs" content="{}">'


def card_files(
    committed: Committed, statistics: DatasetStatistics | None, warnings: Sequence[SourceWarning]
) -> dict[str, bytes]:
    """`README.md` and `card.html` by name; pictures are drawn only if something changed since they were."""
    paths, card = committed.version_paths, make_card(committed, statistics, warnings)
    inputs = _INPUTS.format(_inputs_digest(card))
    known = _known_files(paths)
    if inputs.encode() in known.get(paths.card_html.name, b"")[:1000] and paths.card_markdown.name in known:
        return known
    values = of_each(committed, islice(committed.places(), _MAX_MOTION_CLIPS), motion_of)
    motion = nice_histogram([value for value in values if value is not None], "grey levels")
    card = replace(card, motion=motion)
    page = card_html(card, _sampled(committed)).replace("<head>\n", f"<head>\n{inputs}\n", 1)
    texts = {paths.card_markdown: card_markdown(card), paths.card_html: page}
    return {path.name: text.encode("utf-8", "replace") for path, text in texts.items()}


def _known_files(paths: VersionPaths) -> dict[str, bytes]:
    """Files of the card that are there as they were committed."""
    checksums = read_checksums(paths.checksums)
    found: dict[str, bytes] = {}
    for path in (paths.card_markdown, paths.card_html):
        if checksums is not None and path.exists():
            data = path.read_bytes()
            if path.name in checksums.files and checksums.allows(path.name, hashlib.sha256(data).hexdigest()):
                found[path.name] = data
    return found


def _inputs_digest(card: Card) -> str:
    """Names all that the card's files depend on; what is read from shards is named by the plan's digest."""
    text = "\n".join([str(_CARD_VERSION), card_markdown(card), repr(card.durations), template_text()])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def make_card(committed: Committed, statistics: DatasetStatistics | None, warnings: Sequence[SourceWarning]) -> Card:
    """All of the card but its motion and pictures, from tables, sidecars and warnings of all kinds."""
    plan, index = committed.plan, committed.index
    seconds = committed.lengths["duration_us"].dropna().to_numpy(float) / 1e6
    lost = accepted_losses(committed.paths.quarantine)
    fit = fit_of_index(committed.paths.name, plan, index, committed.lengths, root=".", folder=committed.folder)
    return Card(
        name=committed.paths.name,
        version=plan.pinned.version,
        encoding=plan.pinned.encoding,
        splits=[
            SplitTotals(split, committed.records[split], committed.shards[split], committed.num_bytes[split])
            for split in committed.records
        ],
        classes=class_rows(index, plan),
        durations=nice_histogram(seconds.tolist(), "seconds"),
        motion=None,
        hours=float(seconds.sum()) / 3600,
        licence=committed.notes.licence,
        citation=str(committed.notes.settings.get("citation", "")),
        intended_use=str(committed.notes.settings.get("intended_use", "")),
        newest_video=_newest_video(plan),
        has_captions=bool(plan.rows["caption"].notna().any()),
        source=Path(plan.pinned.source).name,
        digest=committed.notes.plan,
        versions=joined_versions(sidecar.versions for sidecar in committed.sidecars.values()),
        readers=reader_lines(committed.paths.name, plan.pinned.version, plan.pinned.encoding),
        lost_by_reason={str(r): int(n) for r, n in sorted(lost["reason"].value_counts().items())},
        quarantine=[
            LostRow(str(r.source), str(r.reason), str(r.detail)) for r in lost.head(MAX_ROWS).itertuples(index=False)
        ],
        checks=[*_shard_outcomes(len(committed.sidecars)), *committed.outcomes],
        changes=committed.notes.changes,
        model_fit=[model_sentence(model) for model in fit.fits],
        recipes=fit.recipes,
        statistics=statistics,
        video_facts=video_facts(committed.manifest.clips, index["clip_id"]),
        not_stored=not_stored_words(plan.rows, plan.pinned.encoding),
        read_as=committed.manifest.reading.sentence,
        warnings=warning_sentences(warnings_as_dicts(warnings)),
    )


def video_facts(manifest: pd.DataFrame, clip_ids: pd.Series) -> dict[str, str]:
    """Return what a manifest notes of the videos of some clips: each value, with how many videos have it."""
    videos = manifest[are_among(manifest["clip_id"], clip_ids)].drop_duplicates("path")
    found: dict[str, str] = {}
    for name, words in _FACTS.items():
        values = videos[name].dropna()
        counts = values[values != ""].value_counts(sort=False).sort_index()
        said = [
            f"{value:.0f}: {n}" if isinstance(value, float | int) else f"{value}: {n}" for value, n in counts.items()
        ]
        not_said = len(videos) - int(counts.sum())
        found[words] = ", ".join([*said, *([f"not said: {not_said}"] if not_said else [])])
    readable = videos["readable_fraction"].dropna()
    num_short = int((readable < 1).sum())
    least = f", the least {readable.min():.1%}" if num_short else ""
    found["readable"] = f"in full: {len(readable) - num_short}, in part: {num_short}{least}"
    return found


def _shard_outcomes(num_shards: int) -> list[CheckOutcome]:
    """A commit refuses a shard that fails; so all of them have passed, each before it was first committed."""
    words = f"{counted(num_shards, 'shard')} passed, each before it was committed"
    return [CheckOutcome(name=name, passed=True, description=words) for name in SHARD_CHECKS]


def _newest_video(plan: ReadPlan) -> str:
    """The day (UTC) on which the newest video was last changed; the same data has the same day.

    Empty for videos in a store, whose column holds no times.
    """
    in_store = is_store_address(plan.pinned.source)
    newest_ns = int(plan.rows["mtime_ns"].max()) if len(plan.rows) and not in_store else 0
    return str(np.datetime64(newest_ns, "ns").astype("datetime64[D]")) if newest_ns > 0 else ""


def class_rows(index: pd.DataFrame, plan: ReadPlan) -> list[ClassRow]:
    """Every class in the order of its index, with its records in each split; one counts for each of its labels."""
    rows = rows_by_class(index[["label", "split"]], multi_label=plan.pinned.encoding.multi_label)
    counts = rows.groupby(["label", "split"]).size()
    found: dict[str, dict[str, int]] = {label: {} for label in plan.labels}
    for (label, split), count in counts.items():
        found.setdefault(str(label), {})[str(split)] = int(count)
    return [ClassRow(number, label, clips) for number, (label, clips) in enumerate(found.items())]


def _sampled(committed: Committed) -> list[SampledClip]:
    """Clips of each class, as many of each; of the first classes only where there are very many."""
    labels = committed.plan.labels
    most = max(1, min(STRIPS_OF_CLASS, _MAX_STRIPS // max(1, len(labels))))
    wanted = dict.fromkeys(labels[:_MAX_STRIPS], most)
    chosen: list[Place] = []
    for key, clip in committed.places():
        if not any(wanted.values()):
            break
        names = split_labels(clip.label, multi_label=committed.plan.pinned.encoding.multi_label)
        if any(wanted.get(name, 0) > 0 for name in names):
            wanted.update({name: wanted[name] - 1 for name in names if name in wanted})
            chosen.append((key, clip))
    splits = {clip.clip_id: parse_partition_key(key)[0] for key, clip in chosen}
    found = of_each(committed, chosen, partial(sampled_clip, num_frames=_STRIP_FRAMES))
    return [replace(clip, split=splits.get(clip.clip_id, "")) for clip in found]


_MAX_CLIPS = 200


def commit_statistics(committed: Committed) -> DatasetStatistics | None:
    """The statistics of a commit. The same plan says what it said before, which may be nothing.

    So committing again changes no byte, also of datasets whose version did not gather any.
    """
    known = whole_commit(committed.version_paths)
    if known is not None and known.plan_digest == committed.notes.plan:
        return known.statistics
    index, plan = committed.index, committed.plan
    rows = class_rows(index, plan)
    counts = {split: {row.label: row.clips.get(split, 0) for row in rows} for split in committed.records}
    return DatasetStatistics(
        clips=counts,
        class_weights=class_weights(
            counts["train"], committed.records["train"], multi_label=plan.pinned.encoding.multi_label
        ),
        frames=Spread.of(index["num_frames"]),
        seconds=Spread.of(committed.lengths["duration_us"].dropna() / 1e6),
        levels=channel_levels(_frame_sums(committed)),
    )


def _frame_sums(committed: Committed) -> list[NDArray[np.float64]]:
    """Of the middle frame of up to 200 training clips: reading them costs a fraction of a second, whatever the size."""
    train = (place for place in committed.places() if parse_partition_key(place[0])[0] == "train")
    return of_each(committed, islice(train, _MAX_CLIPS), middle_frame_sums)
