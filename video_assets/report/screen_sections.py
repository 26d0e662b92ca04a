"""Sections that several screens share: splits, classes, how a source was read, lost and unused files, checks."""

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from video_assets.domain.checks import makes_invalid
from video_assets.domain.labels import are_names_of_splits
from video_assets.domain.splits import SPLITS
from video_assets.domain.text import counted
from video_assets.report.terminal import Screen, headline, section, table, wrapped

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
    most = len(labels) if result.get("verbose") else _CLASSES
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    number = counted(len(labels), "class", "classes")
    found: list[RenderableType] = [wrapped(f"{number}: {', '.join(labels[:most])}{more}")]
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


_LOST: Mapping[str, tuple[str, str]] = {
    "missing_file": ("was listed, but its file is gone", "were listed, but their files are gone"),
    "not_found": ("is listed, but has no file", "are listed, but have no file"),
    "ambiguous_file": ("is listed by a name that two files have", "are listed by names that two files have"),
    "outside_source": ("lies outside of the source", "lie outside of the source"),
    "empty_file": ("is an empty file", "are empty files"),
    "read_failed": ("could not be read by the system", "could not be read by the system"),
    "unreadable": ("is not a readable video", "are not readable videos"),
    "no_video": ("holds no video", "hold no video"),
    "unsupported_codec": ("has a codec that cannot be decoded", "have a codec that cannot be decoded"),
    "encrypted": ("is encrypted", "are encrypted"),
    "no_frames": ("has no frames", "have no frames"),
    "corrupt_frames": ("has damaged frames", "have damaged frames"),
    "damaged": ("has damaged frames", "have damaged frames"),
    "truncated": ("is cut off", "are cut off"),
    "too_many_pixels": ("has more pixels than manifest.max_pixels", "have more pixels than manifest.max_pixels"),
    "too_many_frames": ("has more frames than manifest.max_frames", "have more frames than manifest.max_frames"),
    "too_long": ("is longer than manifest.max_duration_seconds", "are longer than manifest.max_duration_seconds"),
    "too_large": ("is larger than manifest.max_file_megabytes", "are larger than manifest.max_file_megabytes"),
    "too_short": ("has fewer frames than plan.encoding.num_frames", "have fewer frames than plan.encoding.num_frames"),
    "bad_span": ("begins or ends outside of its video", "begin or end outside of their videos"),
    "bad_row": ("has a row that cannot be understood", "have rows that cannot be understood"),
    "bad_name": ("has a name that is not valid UTF-8", "have names that are not valid UTF-8"),
    "no_label": ("has no label", "have no label"),
    "label_conflict": ("has a copy under another label", "have copies under other labels"),
    "split_conflict": ("would be in two splits", "would be in two splits"),
    "timeout": ("took longer than manifest.clip_seconds", "took longer than manifest.clip_seconds"),
    "crashed": ("crashed the decoder", "crashed the decoder"),
    "out_of_memory": (
        "needed more memory than manifest.clip_memory_megabytes",
        "needed more memory than manifest.clip_memory_megabytes",
    ),
    "changed": ("changed while it was read", "changed while they were read"),
}
"""What happened to one clip, and to several."""


def losses(result: Result, place: str = ", or quarantine.parquet beside the version") -> list[RenderableType]:
    """Return how many clips were lost and why, with examples; `place` says where else all are listed."""
    lost = result["quarantined"]
    if not lost:
        return []
    by_reason: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for item in lost:
        by_reason[item["reason"]].append(item)
    ordered = sorted(by_reason, key=lambda reason: (-len(by_reason[reason]), reason))
    most_reasons = len(ordered) if result.get("verbose") else _REASONS
    parts: list[RenderableType] = [_lost_for(reason, by_reason[reason], result) for reason in ordered[:most_reasons]]
    if len(ordered) > most_reasons:
        parts.append(Text(f"There are {counted(len(ordered) - most_reasons, 'other reason')}."))
    if not result.get("verbose"):
        parts.append(wrapped(f"To see all of them: --verbose, --json{place}."))
    return [section(f"{counted(len(lost), 'clip')} cannot be used", *parts, style="bold yellow")]


def _lost_for(reason: str, items: Sequence[Mapping[str, str]], result: Result) -> Group:
    one, several = _LOST.get(reason, ("was lost", "were lost"))
    sentence = f"{counted(len(items), 'clip')} {one if len(items) == 1 else several} ({reason}):"
    lines = [wrapped(sentence.replace("\n", " "), "yellow")]
    most = len(items) if result.get("verbose") else _EXAMPLES
    for item in items[:most]:
        line = wrapped(f"  {item['source']}".replace("\n", " "))
        line.append(wrapped(f"  {item['detail']}".replace("\n", " ")).plain, style="dim")
        if not result.get("verbose"):
            line.no_wrap, line.overflow = True, "ellipsis"
        lines.append(line)
    if len(items) > most:
        lines.append(Text(f"  and {len(items) - most} more"))
    return Group(*lines)


def left_out(result: Result) -> list[RenderableType]:
    """Return the number of files that are not used as videos, with examples."""
    entries = result["left_out"]
    if not entries:
        return []
    most = len(entries) if result.get("verbose") else _EXAMPLES
    named = "; ".join(f"{item['source']} ({item['reason']})" for item in entries[:most])
    more = f"; and {len(entries) - most} more: left_out.parquet" if len(entries) > most else ""
    are = "is not a video" if len(entries) == 1 else "are not videos"
    return [wrapped(f"{counted(len(entries), 'file')} {are}, or not taken for one: {named}{more}")]


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


def grouping(result: Result) -> list[RenderableType]:
    """Return the committed clips that leave for their groups, and how many look-alikes are in one split."""
    parts: list[RenderableType] = []
    if number := result.get("split_conflicts", 0):
        clips = result["split_conflict_clips"][:_EXAMPLES]
        more = f"; and {number - len(clips)} more" if number > len(clips) else ""
        leave = "clip of the dataset leaves it: its group now joins" if number == 1 else ""
        leave = leave or "clips of the dataset leave it: their groups now join"
        parts.append(wrapped(f"{number} {leave} clips of several splits: {'; '.join(clips)}{more}", "yellow"))
    if number := result.get("near_duplicates_grouped", 0):
        pair = result["near_duplicate_pairs"][0]
        named = f"such as {pair['clip']} and {pair['other']}"
        parts.append(wrapped(f"{counted(number, 'pair')} of clips that look alike: each goes to one split, {named}."))
    return parts


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


_MAX_CLASSES = 30


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
