"""The dataset card as Markdown: README.md of a version directory, with the front matter that Hugging Face reads."""

import json
from collections.abc import Sequence

from video_assets.domain.text import counted
from video_assets.report.card import (
    LABEL_SETS_NOTE,
    MAX_ROWS,
    MOTION_NOTE,
    NO_LICENCE,
    RECIPES_NOTE,
    TIMES_NOTE,
    Card,
    SplitTotals,
    changes_sentence,
    quarantine_sentence,
    statistics_sentences,
)
from video_assets.report.escape import markdown_code, markdown_text, visible
from video_assets.report.reader_code import record_features, record_sentences


def card_markdown(card: Card) -> str:
    """Return the card as Markdown."""
    parts = [
        _front_matter(card),
        f"# {card.name} {card.version}",
        *_warnings(card),
        *([f"{markdown_text(card.read_as)}."] if card.read_as else []),
        _summary(card),
        _table(("split", "clips", "shards", "MB"), [_split_row(split) for split in card.splits]),
        f"Licence: {markdown_text(card.licence) or NO_LICENCE}",
        *([f"Intended use: {markdown_text(card.intended_use)}"] if card.intended_use else []),
        *_classes(card),
        *_histograms(card),
        *(["## The videos", _table(("fact", "videos"), list(card.video_facts.items()))] if card.video_facts else []),
        "## How it is encoded",
        _table(("setting", "value"), list(card.encoding.used().items())),
        f"{markdown_text(record_sentences(card.encoding))} {TIMES_NOTE}",
        _table(
            ("field", "type", "what it holds"),
            [(f.name, f.kind, f.what) for f in record_features(card.encoding, has_captions=card.has_captions)],
        ),
        *([f"{markdown_text(card.not_stored)}."] if card.not_stored else []),
        *_reading(card),
        *_record(card),
        *(["## How to cite it", markdown_code(card.citation)] if card.citation else []),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


_KNOWN_LICENCES = ("apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0")


_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def _front_matter(card: Card) -> str:
    """Return what Hugging Face reads of a dataset's README."""
    spelled = "-".join(card.licence.lower().replace("cc by", "cc-by").split())
    size = next((words for most, words in _SIZES if card.num_clips < most), "n>1M")
    lines = [
        "---",
        f"pretty_name: {_yaml_text(card.name)}",
        "task_categories: [video-classification]",
        "tags: [video, tfrecord]",
        f'size_categories: ["{size}"]',
    ]
    if spelled in _KNOWN_LICENCES:
        lines.append(f"license: {spelled}")
    elif card.licence:
        lines += ["license: other", f"license_name: {_yaml_text(card.licence)}"]
    return "\n".join([*lines, "---"])


def _yaml_text(text: str) -> str:
    return json.dumps(visible(text), ensure_ascii=True)


def _warnings(card: Card) -> list[str]:
    """Return what has to be known first: failed checks, and warnings of the source and of clips."""
    told = [f"{check.name}: {check.description}" for check in card.checks if not check.passed]
    lines = [f"- {markdown_text(sentence)}" for sentence in (*told, *card.warnings)]
    return ["**Warnings**", "\n".join(lines)] if lines else []


def _summary(card: Card) -> str:
    length = f"{card.hours * 60:.1f} minutes" if card.hours < 1 else f"{card.hours:,.1f} hours"
    return (
        f"{counted(card.num_clips, 'labelled clip')} of {counted(len(card.classes), 'class', 'classes')}, "
        f"{length} of video, "
        f"{card.megabytes:,.1f} MB. [card.html](card.html) shows the same with pictures."
    )


def _split_row(split: SplitTotals) -> tuple[object, ...]:
    return split.name, split.records, split.shards, round(split.num_bytes / 1e6, 1)


def _table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(headers)} |", f"|{' --- |' * len(headers)}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows[:MAX_ROWS]]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return str(value) if isinstance(value, int | float) else markdown_text(str(value))


def _classes(card: Card) -> list[str]:
    names = [split.name for split in card.splits]
    rows: list[tuple[object, ...]] = [
        (row.index, row.label, *(row.clips.get(name, 0) for name in names)) for row in card.classes
    ]
    if card.statistics:
        names = [*names, "weight"]
        rows = [(*row, card.statistics.class_weights.get(str(row[1]), 0.0)) for row in rows]
    more = len(rows) - MAX_ROWS
    left_out = [f"And {more} more classes: `label.labels.txt` names them in order."] if more > 0 else []
    several = [LABEL_SETS_NOTE] if card.encoding.multi_label else []
    return ["## Classes", *several, _table(("index", "class", *names), rows), *left_out]


def _histograms(card: Card) -> list[str]:
    durations = [f"- Durations: {card.durations.sentence()}."] if card.durations else []
    motion = [f"- Motion: {card.motion.sentence()}. {MOTION_NOTE}"] if card.motion else []
    numbers = [f"- {sentence}" for sentence in statistics_sentences(card.statistics)]
    lines = [*durations, *motion, *numbers]
    return ["## What the clips are like", "\n".join(lines)] if lines else []


def _reading(card: Card) -> list[str]:
    parts = ["## How to read it"]
    for reader in card.readers:
        parts += [f"With {markdown_text(reader.reader)}:", markdown_code(reader.lines, reader.language)]
    if card.model_fit:
        parts += ["How the clips fit MoViNet's windows:"]
        parts += ["\n".join(f"- {markdown_text(sentence)}" for sentence in card.model_fit)]
    if card.recipes:
        parts += ["### Fine-tuning MoViNet with TF Model Garden", RECIPES_NOTE]
    for name, recipe in card.recipes.items():
        parts += [f"<details><summary>{name}</summary>", markdown_code(recipe, "yaml"), "</details>"]
    return parts


def _record(card: Card) -> list[str]:
    """Return provenance, checks, quarantine and changes."""
    software = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    provenance = [("source", card.source), ("plan", card.digest), ("written by", software)]
    if card.newest_video:
        provenance.insert(1, ("newest video", card.newest_video))
    parts = ["## Where it comes from", _table(("", ""), provenance)]
    verdicts = {True: "passed", False: "warning"}
    checks = [(check.name, verdicts[check.passed], check.description) for check in card.checks]
    parts += ["## Checks", _table(("check", "", "what was found"), checks)]
    parts += ["## Quarantine", quarantine_sentence(card)]
    if card.quarantine:
        rows = [(row.source, row.reason, row.detail) for row in card.quarantine]
        parts += [_table(("source", "reason", "what is wrong"), rows)]
    parts += ["## Changes since the commit before", changes_sentence(card)]
    changed = [(c.what, c.count, ", ".join(c.names)) for c in card.changes or ()]
    return [*parts, *([_table(("", "clips", "the first of them"), changed)] if changed else [])]
