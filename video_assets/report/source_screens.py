"""A source on the screen: how it was read, before plan and build; all of it, by inspect; one clip of it, by show."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from video_assets.report.screen_sections import Result, counted
from video_assets.report.terminal import Screen, headline, section, table, wrapped

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
    parts.append(wrapped(f"{counted(result['num_clips'], 'clip')}, {counted(len(classes), 'class', 'classes')}"))
    if classes:
        shown = classes if result.get("verbose") else classes[:_MAX_CLASSES]
        parts.append(table(("class", "clips"), shown))
    if len(classes) > _MAX_CLASSES and not result.get("verbose"):
        parts.append(wrapped(f"and {len(classes) - _MAX_CLASSES} more classes; --verbose shows all", "dim"))
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


_CLIP_ROWS = (
    ("source", "path"),
    ("label", "label"),
    ("group", "group"),
    ("caption", "caption"),
    ("codec", "codec"),
    ("container", "container"),
)


def clip_screen(result: Result) -> Screen:
    """Return what is known of one clip."""
    verdict = ("Stored:", "green") if result["is_stored"] else ("Not stored:", "red")
    parts: list[RenderableType] = [headline(verdict[0], result["clip_id"], verdict[1])]
    rows = [(title, str(result[name])) for title, name in _CLIP_ROWS if result.get(name)]
    if result.get("num_frames"):
        rows.append(("video", _video_words(result)))
    if result.get("start_seconds") is not None:
        rows.append(("span", f"{result['start_seconds']:g} to {result['end_seconds']:g} s of the video"))
    if result.get("split"):
        rows.append(("split", f"{result['split']}, {result['split_because']}"))
    elif result.get("split_because"):
        rows.append(("split", f"not planned yet; {result['split_because']}"))
    if result.get("shard"):
        rows.append(("shard", result["shard"]))
    if result["is_stored"]:
        rows.append(("record", f"{counted(result['length'], 'byte')} at offset {result['offset']}"))
    if rows:
        parts.append(Group(*(Text.assemble((f"{name}: ", "bold"), wrapped(value)) for name, value in rows)))
    if result.get("note"):
        parts.append(wrapped(result["note"], "yellow"))
    parts += [wrapped(f"{loss['reason']}: {loss['detail']}", "red") for loss in result["losses"]]
    if times := result.get("times_seconds"):
        listed = "  ".join(f"{time:.3f}" for time in times)
        parts.append(section(f"{counted(len(times), 'stored frame')}, shown in the source at (s)", wrapped(listed)))
        parts.append(headline("Picture:", result["picture"], "bold"))
    return parts


def _video_words(result: Result) -> str:
    size = f"{result['width_px']} x {result['height_px']} px" if result.get("width_px") else ""
    rate = f"{result['frame_rate']:.2f} frames/s" if result.get("frame_rate") else ""
    length = f"{result['duration_seconds']:.2f} s" if result.get("duration_seconds") else ""
    return ", ".join(filter(None, (size, counted(result["num_frames"], "frame"), rate, length)))
