"""Sections that several screens share: splits, classes, lost and unused files, checks."""

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from video_assets.domain.checks import makes_invalid
from video_assets.domain.labels import are_names_of_splits
from video_assets.domain.splits import SPLITS
from video_assets.report.terminal import section, table, wrapped

_EXAMPLES = 3
_REASONS = 8
_CLASSES = 8
_DESCRIPTION = 300
"""Characters of a check's description; `--json` has all of it."""

Result = Mapping[str, Any]


def name_option(result: Result) -> str:
    """Return `--name NAME`, or nothing if the dataset has the default name."""
    parts = str(result.get("version_dir", "")).rsplit("/", 2)
    name = parts[-2] if len(parts) == 3 else result.get("name", "clips")
    return "" if name == "clips" else f" --name {shlex.quote(name)}"


def splits_table(splits: Mapping[str, Mapping[str, int]]) -> list[RenderableType]:
    """Return clips and shards of each split."""
    order = [name for name in SPLITS if name in splits]
    rows = [(name, splits[name]["records"], splits[name]["shards"]) for name in order]
    return [table(("split", "clips", "shards"), rows)] if rows else []


def classes(result: Result) -> list[RenderableType]:
    """Return the number of classes and the first of them, with a warning if they look like names of splits."""
    labels = result.get("classes", ())
    if not labels:
        return []
    more = ", …" if len(labels) > _CLASSES else ""
    found: list[RenderableType] = [wrapped(f"{len(labels)} classes: {', '.join(labels[:_CLASSES])}{more}")]
    if are_names_of_splits(labels):
        found.append(
            wrapped(
                "These are names of splits, and the folders below them were not read: a class is a folder at the top "
                "of the source. Put the classes there, or give a table with the columns path, label and split.",
                "yellow",
            )
        )
    return found


def gone(result: Result) -> list[RenderableType]:
    """Return the clips that were removed: no longer in the source, or not asked for by the settings."""
    if not result.get("gone"):
        return []
    named = ", ".join(result["gone_clips"][:3]) + (", …" if result["gone"] > 3 else "")
    removed = "1 clip was removed: it is" if result["gone"] == 1 else f"{result['gone']} clips were removed: they are"
    return [wrapped(f"{removed} no longer in the source, or manifest.include leaves them out ({named})", "yellow")]


def replaced(result: Result) -> list[RenderableType]:
    """Return which committed shards were written again, and why."""
    shards = result.get("shards_replaced")
    if not shards:
        return []
    named = "; ".join(f"{item['shard']}: {item['reason']}" for item in shards[:5])
    more = f"; and {len(shards) - 5} more" if len(shards) > 5 else ""
    return [wrapped(f"{len(shards)} committed shards were written again ({named}{more})", "yellow")]


def losses(result: Result, place: str = ", or quarantine.parquet beside the version") -> list[RenderableType]:
    """Return how many clips were lost for which reason, with examples; `place` says where else all are listed."""
    lost = result["quarantined"]
    if not lost:
        return []
    by_reason: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for item in lost:
        by_reason[item["reason"]].append(item)
    ordered = sorted(by_reason, key=lambda reason: (-len(by_reason[reason]), reason))
    parts: list[RenderableType] = []
    for reason in ordered[:_REASONS]:
        items = by_reason[reason]
        lines = [wrapped(f"{reason}: {len(items)}".replace("\n", " "), "yellow")]
        for item in items[:_EXAMPLES]:
            line = wrapped(f"  {item['source']}".replace("\n", " "))
            line.append(wrapped(f"  {item['detail']}".replace("\n", " ")).plain, style="dim")
            line.no_wrap, line.overflow = True, "ellipsis"
            lines.append(line)
        if len(items) > _EXAMPLES:
            lines.append(Text(f"  and {len(items) - _EXAMPLES} more"))
        parts.append(Group(*lines))
    if len(ordered) > _REASONS:
        parts.append(Text(f"and {len(ordered) - _REASONS} other reasons"))
    parts.append(wrapped(f"All of them, in full: --json{place}."))
    return [section(f"Lost: {counted(len(lost), 'clip')}", *parts, style="bold yellow")]


def left_out(result: Result) -> list[RenderableType]:
    """Return the number of files that are not used as videos, with examples."""
    entries = result["left_out"]
    if not entries:
        return []
    named = "; ".join(f"{item['source']} ({item['reason']})" for item in entries[:_EXAMPLES])
    more = f"; and {len(entries) - _EXAMPLES} more: left_out.parquet" if len(entries) > _EXAMPLES else ""
    return [wrapped(f"Not used as videos, each with its reason: {len(entries)}: {named}{more}")]


def official_ignored(result: Result) -> list[RenderableType]:
    """Return the clips that stay in their split although the table now names another."""
    number = result.get("official_splits_ignored", 0)
    if not number:
        return []
    clips = result["clips_that_stay"][:_EXAMPLES]
    named = "; ".join(f"{item['clip_id']} ({item['split']}; the table says {item['official']})" for item in clips)
    more = f"; and {number - len(clips)} more" if number > len(clips) else ""
    stay = "1 clip stays in its split" if number == 1 else f"{number} clips stay in their splits"
    return [wrapped(f"{stay}, because an assigned clip never moves: {named}{more}", "yellow")]


def invalidating(checks: Sequence[Result]) -> list[Result]:
    """Return the checks, as in `--json`, that make the dataset invalid."""
    return [check for check in checks if makes_invalid(passed=check["passed"], severity=check["severity"])]


def checks_summary(checks: Sequence[Result]) -> list[RenderableType]:
    """Return how many checks passed, and the description of each that did not."""
    if not checks:
        return []
    failed = [check for check in checks if not check["passed"]]
    colour = "red" if invalidating(checks) else "yellow" if failed else "green"
    title = f"Checks: {len(checks) - len(failed)} of {len(checks)} passed"
    alike: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for check in failed:
        alike[check["severity"], str(check.get("description", ""))].append(check)
    return [section(title, *map(_failed_check, alike.values()), style=f"bold {colour}")]


def _failed_check(checks: Sequence[Result]) -> RenderableType:
    """Return one line for checks with the same description, such as those of all shards of a missing source."""
    check, more = checks[0], f" and {len(checks) - 1} more" if len(checks) > 1 else ""
    is_error = check["severity"] == "ERROR"
    sentence = str(check.get("description", ""))
    if len(sentence) > _DESCRIPTION:
        sentence = f"{sentence[:_DESCRIPTION].rsplit(' ', 1)[0]} … (all of it: --json)"
    return Text.assemble(
        ("FAILED" if is_error else "warning", "bold red" if is_error else "yellow"),
        wrapped(f": {check['name']}{more}: {sentence}"),
    )


def counted(number: int, noun: str) -> str:
    """Return a number and its noun.

    >>> counted(1, "clip"), counted(2, "clip")
    ('1 clip', '2 clips')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
