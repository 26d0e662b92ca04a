"""What the commands print: readable at 80 columns, plain where nobody looks."""

import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from video_assets.domain.progress import Counter, LineProgress, progress_line
from video_assets.report.escape import visible

WIDTH = 80
_BAR = 12


class Terminal(Protocol):
    """What is asked of a stream."""

    def write(self, text: str, /) -> object:
        """As of any text stream."""
        ...

    def flush(self) -> None:
        """As of any text stream."""
        ...

    def isatty(self) -> bool:
        """As of any text stream."""
        ...


@dataclass(slots=True)
class TerminalProgress:
    """A bar that is redrawn on a terminal; a line every few seconds elsewhere."""

    stream: Terminal
    every_seconds: float = 5.0

    def __call__(self, phase: str, num_clips: int, num_bytes: int) -> Counter:
        """Begins a phase."""
        if not self.stream.isatty():
            return LineProgress(self._say, self.every_seconds)(phase, num_clips, num_bytes)
        bar = _Bar(self.stream, phase, num_clips)
        return bar.count

    def _say(self, line: str) -> None:
        self.stream.write(f"{line}\n")
        self.stream.flush()


@dataclass(slots=True)
class _Bar:
    stream: Terminal
    phase: str
    num_clips: int
    begun: float = field(default_factory=time.monotonic)
    drawn: float = 0.0
    clips: int = 0
    bytes: int = 0

    def count(self, clips: int, num_bytes_done: int) -> None:
        self.clips += clips
        self.bytes += num_bytes_done
        now = time.monotonic()
        is_done = self.clips >= self.num_clips
        if not is_done and now - self.drawn < 0.2:
            return
        self.drawn = now
        line = progress_line(self.phase, self.clips, self.num_clips, self.bytes, now - self.begun)
        # The words come first: the time that is left stands at their end.
        width = max(0, min(_BAR, WIDTH - len("[] ") - len(line) - 1))
        filled = round(width * self.clips / max(1, self.num_clips))
        text = f"[{'#' * filled}{'.' * (width - filled)}] {line}"
        self.stream.write("\r\x1b[K" + text[: WIDTH - 1] + ("\n" if is_done else ""))
        self.stream.flush()


def plain(text: str) -> str:
    """The text without control characters: a file name cannot move the cursor, colour or turn what is shown."""
    return visible(text, keep="\n")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as they need to be; the last one is cut at the edge of the screen."""
    cells = [list(headers), *([plain(str(value)).replace("\n", " ") for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    lines = []
    for row in cells:
        line = "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()
        lines.append(line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…")
    return "\n".join(lines)


def paragraph(text: str, indent: str = "") -> str:
    """Text wrapped at the edge of the screen."""
    return textwrap.fill(plain(text), WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def build_summary(result: Mapping[str, Any]) -> str:
    """The last screen of a build: what was built, what was lost and why, and what to do next."""
    parts: list[str] = []
    if result.get("interrupted"):
        before = f"The build before this one, by {result['interrupted']}, was ended before its time"
        parts += [paragraph(f"{before}; this one went on from what it had finished.")]
    if result["refused"]:
        parts += [paragraph(f"Not built: {result['refused']}")]
    splits = [(name, entry["records"], entry["shards"]) for name, entry in result["splits"].items()]
    if splits:
        parts += [table(("split", "clips", "shards"), splits)]
    encoded = f"{result['clips_encoded']} clips encoded, {result['clips_reused']} reused; "
    shards = f"{result['shards_written']} shards written, {result['shards_reused']} reused; {result['seconds']:.1f} s"
    parts += [paragraph(encoded + shards)]
    parts += _losses(result)
    parts += _checks(result["checks"])
    if not result["refused"]:
        parts += [f"Dataset: {result['version_dir']}", _next_step(result)]
    return "\n\n".join(parts)


def _losses(result: Mapping[str, Any]) -> list[str]:
    lost, left_out = result["quarantined"], result["left_out"]
    parts: list[str] = []
    if lost:
        rows = [(item["reason"], item["source"], item["detail"]) for item in lost[:10]]
        more = f"\n… and {len(lost) - 10} more: quarantine.parquet" if len(lost) > 10 else ""
        parts.append(f"Quarantined: {len(lost)}\n" + table(("reason", "source", "what is wrong"), rows) + more)
    if left_out:
        named = "; ".join(f"{item['source']} ({item['reason']})" for item in left_out[:3])
        more = f"; and {len(left_out) - 3} more: left_out.parquet" if len(left_out) > 3 else ""
        parts.append(paragraph(f"Left out, not videos: {len(left_out)}: {named}{more}"))
    return parts


def _checks(checks: Sequence[Mapping[str, Any]]) -> list[str]:
    failed = [check for check in checks if not check["passed"]]
    parts = [f"Checks: {len(checks) - len(failed)} of {len(checks)} passed"] if checks else []
    for check in failed:
        word = "FAILED" if check["severity"] == "ERROR" else "warning"
        parts.append(paragraph(f"{word}: {check['name']}: {check.get('description', '')}"))
    return parts


def _next_step(result: Mapping[str, Any]) -> str:
    return (
        "Read it:\n"
        "  from video_assets.reader import load_dataset\n"
        f"  train = load_dataset({result['version_dir']!r}, 'train')"
    )


def plan_summary(result: Mapping[str, Any]) -> str:
    """What a build would do."""
    rows = [(name, entry["records"], entry["shards"]) for name, entry in result["splits"].items()]
    megabytes, minutes = result["estimated_bytes"] / 1e6, result["estimated_core_minutes"]
    work = (
        f"{result['shards_to_write']} shards to write, about {megabytes:.1f} MB and {minutes:.2f} minutes of one core; "
        f"{result['shards_superseded']} shards superseded; {result['clips_per_shard']} clips a shard."
    )
    parts = [table(("split", "clips", "shards"), rows), paragraph(work)]
    parts += _model_fit(result.get("model_fit", ()))
    return "\n\n".join([*parts, *_losses({**result, "left_out": []}), f"Nothing was written to {result['root']}."])


def _model_fit(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What MoViNet's training windows would do to the clips; nothing where all of them fit."""
    if not any(row["looped"] or row["cut"] for row in rows):
        return []
    cells = [
        (row["model"], row["window"], row["looped"], row["cut"], row["fits_better"].partition(" or ")[0])
        for row in rows
    ]
    headers = ("trained on", "windows of", "looped", "cut", "fits better with")
    words = (
        "Clips that a model's window would loop (shorter than it) or cut; --json has the settings for TF Model Garden:"
    )
    return [f"{paragraph(words)}\n{table(headers, cells)}"]


def status_summary(result: Mapping[str, Any]) -> str:
    """How a dataset stands."""
    rows = [(name, entry["records"], entry["shards"]) for name, entry in result["splits"].items()]
    parts = [f"Dataset: {result['version_dir']}"]
    parts += [table(("split", "clips", "shards"), rows)] if rows else ["Nothing is committed yet."]
    missing = result["shards_missing"]
    if missing:
        named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        parts.append(
            paragraph(f"{len(missing)} of {result['shards_planned']} planned shards are missing or stale: {named}")
        )
    parts += _losses({**result, "left_out": []}) + _checks(result["checks"])
    return "\n\n".join(parts)


def verify_summary(result: Mapping[str, Any]) -> str:
    """What the checks found."""
    checks = [{**check, "name": f"{check['name']} {check['target']}".strip()} for check in result["checks"]]
    verdict = "valid" if result["is_valid"] else "INVALID"
    return "\n\n".join(
        [f"Dataset: {result['version_dir']} is {verdict}", *_checks(checks), f"{result['seconds']:.1f} s"]
    )


def repair_summary(result: Mapping[str, Any]) -> str:
    """What a repair did, and what it could not do."""
    repaired, failed = result["repaired"], result["not_repaired"]
    parts = [f"Dataset: {result['directory']}"]
    if not repaired and not failed:
        parts.append("Every file is as it was written; there is nothing to repair.")
    if repaired:
        parts.append(table((f"{len(repaired)} files are as they were again",), [(name,) for name in repaired]))
    if failed:
        sentences = "\n".join(paragraph(f"- {entry['reason']}") for entry in failed)
        parts.append(f"{len(failed)} files are still damaged:\n{sentences}")
    return "\n\n".join([*parts, f"{result['seconds']:.1f} s"])


def diff_summary(result: Mapping[str, Any]) -> str:
    """What changed between two versions."""
    words = ("added", "removed", "renamed", "relabelled", "moved", "changed")
    counts = [(word, len(result[word])) for word in words]
    counts += [("re-encoded", result["re_encoded"]), ("unchanged", result["unchanged"])]
    parts = [table(("what", "clips"), counts)]
    if result["encoding"]:
        parts.append(
            table(("setting", "before", "after"), [(name, *pair) for name, pair in result["encoding"].items()])
        )
    for word in words:
        rows = [
            (e["after"] if "clip_id" not in e else e["clip_id"], e["before"]) if isinstance(e, dict) else (e, "")
            for e in result[word][:10]
        ]
        if rows:
            more = f"\n… and {len(result[word]) - 10} more" if len(result[word]) > 10 else ""
            parts.append(f"{word}\n" + table(("clip", "before"), rows) + more)
    return "\n\n".join(parts)
