"""The last screens of the commands: what was done, what was lost and why, and what to do next."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from video_assets.domain.progress import format_duration
from video_assets.domain.text import counted, format_size, sequence_of
from video_assets.report import screen_sections as sections
from video_assets.report.screen_sections import Result
from video_assets.report.terminal import Screen, copyable, headline, section, table, wrapped
from video_assets.settings import Settings


def build_screen(result: Result) -> Screen:
    """Return the last screen of a build."""
    parts: list[RenderableType] = sections.read_as(result)
    if result.get("interrupted"):
        before = f"The previous build, by {result['interrupted']}, was interrupted"
        parts.append(wrapped(f"{before}; this one continued from what it had finished."))
    failed = sections.invalidating(result["checks"])
    if result["refused"] and not result.get("committed"):
        return [*parts, Text.assemble(("Not built: ", "bold red"), wrapped(f"{result['refused'].rstrip('.')}."))]
    if result["refused"]:
        parts.append(Group(headline("Built", result["version_dir"], "green"), wrapped(result["refused"], "red")))
    elif failed:
        parts.append(headline("Built, but not valid:", result["version_dir"], "red"))
    else:
        parts.append(headline("Built", result["version_dir"], "green"))
    parts += sections.splits_table(result["splits"])
    parts.append(
        wrapped(
            f"Encoded {counted(result['clips_encoded'], 'clip')} and reused {result['clips_reused']}; "
            f"wrote {counted(result['shards_written'], 'shard')} and reused {result['shards_reused']}; "
            f"took {format_duration(result['seconds'])}."
        )
    )
    parts += sections.classes(result) + sections.gone(result) + sections.replaced(result)
    parts += (
        sections.losses(result)
        + sections.left_out(result)
        + sections.official_ignored(result)
        + sections.grouping(result)
        + sections.checks_summary(result["checks"])
    )
    return [*parts, _after_build(result, has_failed=bool(failed))]


def _after_build(result: Result, *, has_failed: bool) -> RenderableType:
    """Return what to do next."""
    root = shlex.quote(result["root"])
    name = sections.name_option(result)
    source = shlex.quote(result.get("source") or "DIR")
    look = f"video-assets ui --source {source} --root {root}{name}"
    if result["refused"] or has_failed:
        advice = "Fix what is named above and run the same command again: what is finished is kept. To look closer:"
        return section("Next", wrapped(advice), copyable([f"video-assets status --root {root}{name}", look]))
    return section(
        "Next",
        wrapped("Train with it:"),
        copyable(
            [
                "from video_assets.reader import load_dataset",
                f"train = load_dataset({result['version_dir']!r}, 'train', seed=1)",
            ]
        ),
        wrapped("Look at it, and let it grow by itself:"),
        copyable([look]),
    )


def plan_screen(result: Result) -> Screen:
    """Return what a build would do."""
    parts: list[RenderableType] = [*sections.read_as(result), headline("Would build", result["version_dir"], "green")]
    parts += sections.splits_table(result["splits"])
    each = f"with at most {counted(result['clips_per_shard'], 'clip')} each"
    replaced = f"; {counted(result['shards_superseded'], 'shard')} replaced" if result["shards_superseded"] else ""
    parts.append(wrapped(f"{counted(result['shards_to_write'], 'shard')} to write, {each}{replaced}."))
    parts.append(section("Estimate", *_estimate(result)))
    if result.get("budget"):
        budget = result["budget"]
        chosen = (
            f"JPEG quality {budget['jpeg_quality']} is the highest with which the dataset takes no more than "
            f"{format_size(budget['bytes'])}: about {format_size(budget['estimated_bytes'])}."
        )
        setting = " ".join(f"--set {assignment}" for assignment in budget["set"])
        command = [copyable([setting])] if setting else [wrapped("That is the quality which is set already.")]
        parts.append(section("Size budget", wrapped(chosen), *command))
    if result.get("not_stored"):
        parts.append(wrapped(f"{result['not_stored']}.", "yellow"))
    parts += (
        sections.classes(result) + sections.gone(result) + sections.official_ignored(result) + sections.grouping(result)
    )
    parts += _model_fit(result.get("model_fit", ())) + sections.losses(result, place="")
    command = (
        f"video-assets build --source {shlex.quote(result['source'])} --root {shlex.quote(result['root'])}"
        f"{sections.name_option(result)}"
    )
    settings = [f" --config {shlex.quote(result['config'])}"] if result.get("config") else []
    assignments = [*result.get("set", ()), *(result.get("budget") or {}).get("set", ())]
    settings += [f" --set {shlex.quote(assignment)}" for assignment in assignments]
    nothing = wrapped(f"Nothing was written to {result['root']}. This builds it:")
    return [*parts, section("Next", nothing, copyable([f"{command}{''.join(settings)}"]))]


def _estimate(result: Result) -> list[RenderableType]:
    size = f"{format_size(result['estimated_bytes'])} ± {100 * result['estimated_bytes_error']:.0f} %"
    rows = [("as set", size, _minutes(result))]
    rows += [(item["name"], format_size(item["estimated_bytes"]), _minutes(item)) for item in result["alternatives"]]
    settings = [" ".join(f"--set {assignment}" for assignment in item["set"]) for item in result["alternatives"]]
    tried = (
        f"From encoding {counted(result['clips_tried'], 'clip')} in {format_duration(result['trial_seconds'])}; "
        f"{counted(result['workers'], 'decoding process', 'decoding processes')}."
    )
    errors = "± is the standard error. Times may be off by a third, and more while the machine is busy."
    names = " and ".join(item["name"] for item in result["alternatives"])
    notes = (wrapped(tried, "dim"), wrapped(errors, "dim"))
    return [table(("", "size", "time"), rows), *notes, wrapped(f"For {names}:"), copyable(settings)]


def _minutes(result: Result) -> str:
    return format_duration(60 * result["estimated_minutes"])


def _model_fit(rows: Sequence[Result]) -> list[RenderableType]:
    """Return how many clips MoViNet's training windows would loop or cut; nothing if none."""
    if not any(row["looped"] or row["cut"] for row in rows):
        return []
    cells = [
        (row["model"], row["window"], row["looped"], row["cut"], row["fits_better"].partition(" or ")[0])
        for row in rows
    ]
    headers = ("trained on", "windows of", "looped", "cut", "fits better with")
    about = "Clips that a window would loop (shorter than it) or cut. --json has the settings for TF Model Garden."
    return [section("Fit to models", wrapped(about), table(headers, cells))]


def status_screen(result: Result) -> Screen:
    """Return the state of a dataset."""
    root, name = shlex.quote(result["root"]), sections.name_option(result)
    unchecked = result.get("shards_unchecked", ())
    if result["is_valid"] and unchecked:  # nothing is known to be wrong, but not all is known
        parts: list[RenderableType] = [headline("Committed, and not checked:", result["version_dir"], "yellow")]
        number = f"{len(unchecked)} of {result['shards_planned']} shards"
        parts.append(wrapped(f"No outcome of a check is recorded for {number}; a build makes up for them."))
    elif result["is_valid"]:
        parts = [headline("Valid:", result["version_dir"], "green")]
    elif result["splits"]:
        parts = [headline("Not up to date, or not valid:", result["version_dir"], "red")]
    elif result["version_dir"]:
        parts = [headline("Nothing is committed yet:", result["version_dir"], "yellow")]
    else:
        parts = [headline("Nothing is planned yet:", f"{result['root']}/{result['name']}", "yellow")]
    parts += sections.splits_table(result["splits"])
    missing = result["shards_missing"]
    if missing:
        planned = f"{len(missing)} of {counted(result['shards_planned'], 'planned shard')}"
        are = "is" if len(missing) == 1 else "are"
        named = ", ".join(missing) if result.get("verbose") else sequence_of(missing)
        parts.append(wrapped(f"{planned} {are} missing or stale: {named}"))
    if result.get("unfinished"):
        parts.append(wrapped(result["unfinished"]))
    if retired := result.get("retired"):
        longest = max(item["minutes_left"] for item in retired)
        what = counted(len(retired), "file or folder", "files and folders")
        parts.append(wrapped(f"{what} of earlier commits stay for {longest:g} minutes, for readers that opened them"))
    parts += (
        sections.warnings(result)
        + sections.losses(result)
        + sections.checks_summary(result["checks"])
        + _own_settings(result)
    )
    if result["is_valid"]:
        return [*parts, section("Next", wrapped("Read everything again:"), copyable([_verify(root, name)]))]
    if result["version_dir"]:
        advice = "Build again with the same settings; what is finished is kept:"
    elif result["quarantined"]:
        advice = "Fix what is named above, or allow more losses (manifest.max_failed_fraction), and build:"
    else:
        advice = "Build it:"
    build = f"video-assets build --source DIR --root {root}{name}"
    return [*parts, section("Next", wrapped(advice), copyable([build]))]


def _own_settings(result: Result) -> list[RenderableType]:
    """Return the settings that are not the defaults."""
    if "settings" not in result:
        return []
    given = dict(_different(result["settings"], Settings().model_dump()))
    command = f"video-assets config --root {shlex.quote(result['root'])}{sections.name_option(result)}"
    rows = [(name, _as_text(value)) for name, value in given.items()]
    about = "These differ from the defaults. All of them:" if rows else "All are the defaults. All of them:"
    found = [table(("setting", "value"), rows)] if rows else []
    return [section("Settings", *found, wrapped(about), copyable([command]))]


def _different(values: Mapping[str, Any], defaults: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and name != "columns":
            yield from _different(value, defaults[name], f"{place}{name}.")
        elif value != defaults.get(name):
            yield f"{place}{name}", value


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _verify(root: str, name: str) -> str:
    return f"video-assets verify --root {root}{name} --all"


def verify_screen(result: Result) -> Screen:
    """Return what the checks found."""
    root, name = shlex.quote(result["root"]), sections.name_option(result)
    checks = [{**check, "name": f"{check['name']} {check['target']}".strip()} for check in result["checks"]]
    verdict = ("Valid:", "green") if result["is_valid"] else ("INVALID:", "red")
    parts: list[RenderableType] = [headline(verdict[0], result["version_dir"], verdict[1]), *sections.warnings(result)]
    if result.get("beside"):
        parts.append(wrapped(f"{result['beside']} is at work on the dataset: what is committed was judged.", "yellow"))
    parts += [*sections.checks_summary(checks), wrapped(f"Read in {format_duration(result['seconds'])}.")]
    if result["is_valid"]:
        return parts
    failed = sections.invalidating(checks)
    if any("missing_video" in check["facts"] for check in failed):
        again = "Put the missing videos back, or build again without them:"
        parts.append(
            section("Next", wrapped(again), copyable([f"video-assets build --source DIR --root {root}{name}"]))
        )
    if any(check["facts"].get("not_read") == "crashed" for check in failed):
        why = "The process that reads shards by TensorFlow gave up. Try TensorFlow by itself, and install it again:"
        commands = ['python -c "import tensorflow"', "pip install --force-reinstall tensorflow"]
        parts.append(section("Next", wrapped(why), copyable(commands)))
    if not all({"missing_video", "not_read"} & check["facts"].keys() for check in failed):
        advice = "Rebuild only what is damaged:"
        parts.append(section("Next", wrapped(advice), copyable([f"video-assets repair --root {root}{name}"])))
    return parts


def repair_screen(result: Result) -> Screen:
    """Return what a repair did, and what it could not do."""
    repaired, failed = result["repaired"], result["not_repaired"]
    if failed:
        parts: list[RenderableType] = [headline("Still damaged:", result["directory"], "red")]
    elif repaired:
        parts = [headline("Repaired", result["directory"], "green")]
    else:
        parts = [
            headline("Nothing to repair:", result["directory"], "green"),
            wrapped("No file is damaged."),
        ]
    if repaired:
        parts.append(section(f"{counted(len(repaired), 'file')} restored", *map(wrapped, repaired), style="bold green"))
    if failed:
        sentences = [wrapped(f"- {entry['reason']}") for entry in failed]
        parts.append(section(f"{counted(len(failed), 'file')} still damaged", *sentences, style="bold red"))
    return [*parts, wrapped(f"{format_duration(result['seconds'])}.")]


def diff_screen(result: Result) -> Screen:
    """Return what changed between two versions."""
    kinds = ("added", "removed", "renamed", "relabelled", "moved", "changed")
    counts = [(kind, len(result[kind])) for kind in kinds]
    counts += [("re-encoded", result["re_encoded"]), ("unchanged", result["unchanged"])]
    parts: list[RenderableType] = [table(("what", "clips"), counts)]
    if result["encoding"]:
        rows = [(name, str(before), str(after)) for name, (before, after) in result["encoding"].items()]
        parts.append(table(("setting", "before", "after"), rows))
    for kind in kinds:
        rows = [
            (e["after"] if "clip_id" not in e else e["clip_id"], e["before"]) if isinstance(e, dict) else (e, "")
            for e in result[kind][:10]
        ]
        if rows:
            headers = ("clip", "before") if any(before for _, before in rows) else ("clip", "")
            more = [Text(f"and {len(result[kind]) - 10} more")] if len(result[kind]) > 10 else []
            parts.append(section(kind, table(headers, rows), *more))
    return parts


def prune_screen(result: Result) -> Screen:
    """Return what was deleted of Dagster's history, and what is left."""
    deleted = f"{counted(result['runs_deleted'], 'run')} and {counted(result['events_deleted'], 'event')} deleted"
    rows = [("finished runs kept", str(result["runs_kept"]))]
    if result["num_files"]:
        sizes = f"{format_size(result['bytes_after'])}, before {format_size(result['bytes_before'])}"
        rows.append((counted(result["num_files"], "file"), sizes))
    return [headline(f"{deleted}:", result["home"], "green"), table(("what", ""), rows)]


def doctor_screen(result: Result) -> Screen:
    """Return what was found in the set-up, problems first."""
    order = {"problem": 0, "warning": 1, "ok": 2}
    findings = sorted(result["findings"], key=lambda finding: order[finding["state"]])
    bad = [finding for finding in findings if finding["state"] != "ok"]
    good = [(finding["check"], finding["found"]) for finding in findings if finding["state"] == "ok"]
    num_problems = sum(finding["state"] == "problem" for finding in bad)
    if num_problems:
        parts: list[RenderableType] = [Text(f"{counted(num_problems, 'problem')} to fix", "bold red")]
    else:
        parts = [Text("No problems", "bold green")]
    for finding in bad:
        colour = "red" if finding["state"] == "problem" else "yellow"
        title = f"{finding['check']}: {finding['found']}"
        parts.append(Group(wrapped(title, colour), Padding(wrapped(finding["remedy"]), (0, 0, 0, 2))))
    return [*parts, table(("fine", ""), good)] if good else parts
