"""How a source was read, on the screen: the words that plan and build begin with, and the screen of inspect."""

from collections.abc import Sequence

from rich.console import RenderableType

from video_assets.report.screen_sections import Result, counted
from video_assets.report.terminal import Screen, section, table, wrapped

_MAX_CLASSES = 30
_EXAMPLES = 3


def read_as(result: Result) -> list[RenderableType]:
    """Return the sentence that says how the source was read, and what else should be known of it."""
    sentence = result.get("read_as")
    parts: list[RenderableType] = [wrapped(f"{sentence}.")] if sentence else []
    return parts + warnings(result)


def warnings(result: Result) -> list[RenderableType]:
    """Return what should be known of a dataset or its source."""
    return [wrapped(told, "yellow") for told in warning_sentences(result.get("warnings", ()))]


def warning_sentences(warnings: Sequence[Result]) -> list[str]:
    """Return warnings as lines for people, by code: a few of each, and how many more there are.

    >>> warning_sentences([{"code": "damaged", "detail": f"{name} is damaged.", "count": 1} for name in "abcde"])
    ['damaged: a is damaged.', 'damaged: b is damaged.', 'damaged: c is damaged.', 'damaged: and 2 more']
    """
    lines: list[str] = []
    for code in dict.fromkeys(warning["code"] for warning in warnings):
        alike = [warning for warning in warnings if warning["code"] == code]
        lines += [f"{code}: {warning['detail']}" for warning in alike[:_EXAMPLES]]
        if rest := sum(warning["count"] for warning in alike[_EXAMPLES:]):
            lines.append(f"{code}: and {rest} more")
    return lines


def inspect_screen(result: Result) -> Screen:
    """Return how a source would be read."""
    parts: list[RenderableType] = [*read_as(result)]
    parts.append(wrapped(f"Why: {result['because']}. manifest.source_format: {result['source_format']}", "dim"))
    classes = list(result["classes"].items())
    parts.append(wrapped(f"{counted(result['num_clips'], 'clip')}, {len(classes)} classes"))
    if classes:
        parts.append(table(("class", "clips"), classes[:_MAX_CLASSES]))
    if len(classes) > _MAX_CLASSES:
        parts.append(wrapped(f"and {len(classes) - _MAX_CLASSES} more classes; --json has all", "dim"))
    if result["splits"]:
        parts.append(table(("split", "clips"), list(result["splits"].items())))
    columns = list(dict.fromkeys(name for row in result["examples"] for name in row))
    rows = [[str(row.get(name, "")) for name in columns] for row in result["examples"]]
    if rows:
        parts.append(section("Some clips", table(columns, rows)))
    if result["missing"]:
        title = f"{counted(result['num_missing'], 'listed clip')} without a file"
        parts.append(section(title, *map(wrapped, result["missing"])))
    if result["without_row"]:
        title = f"{counted(result['num_without_row'], 'file')} without a row"
        parts.append(section(title, *map(wrapped, result["without_row"])))
    doubts = [wrapped(doubt["sentence"], "red") for doubt in result["doubts"]]
    return [*parts, section("Doubts", *doubts, style="bold red")] if doubts else parts
