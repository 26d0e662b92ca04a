"""What the commands print: readable at 80 columns, and nothing that a file name could do to a terminal."""

import io
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.report.terminal import (
    WIDTH,
    TerminalProgress,
    _Bar,
    build_summary,
    diff_summary,
    paragraph,
    plain,
    plan_summary,
    status_summary,
    table,
    verify_summary,
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


BUILT: dict[str, Any] = {
    "root": "/r",
    "version_dir": "/r/clips/1.0.0",
    "splits": {"train": {"records": 48, "shards": 2}, "test": {"records": 12, "shards": 1}},
    "clips_encoded": 60,
    "clips_reused": 0,
    "shards_written": 3,
    "shards_reused": 0,
    "quarantined": [],
    "left_out": [],
    "checks": [{"name": "one_encoding", "passed": True, "severity": "ERROR"}],
    "seconds": 1.25,
    "refused": "",
}
LOST = {"source": "run/dead.mp4", "reason": "empty_file", "detail": "the file has no bytes"}


def test_a_finished_build_says_what_it_did_and_what_comes_next() -> None:
    assert build_summary(BUILT).split("\n\n") == [
        "split  clips  shards\ntrain  48     2\ntest   12     1",
        "60 clips encoded, 0 reused; 3 shards written, 0 reused; 1.2 s",
        "Checks: 1 of 1 passed",
        "Dataset: /r/clips/1.0.0",
        "Read it:\n  from video_assets.reader import load_dataset\n  train = load_dataset('/r/clips/1.0.0', 'train')",
    ]


def test_a_refused_build_begins_with_why_and_names_no_dataset() -> None:
    text = build_summary({**BUILT, "refused": "2 of 3 planned shards are missing", "splits": {}, "checks": []})
    assert text.startswith("Not built: 2 of 3 planned shards are missing\n\n60 clips encoded")
    assert "Dataset:" not in text
    assert "Checks:" not in text


def test_what_was_lost_is_named_with_its_reason() -> None:
    text = build_summary({**BUILT, "quarantined": [LOST]})
    assert (
        "Quarantined: 1\nreason      source        what is wrong\nempty_file  run/dead.mp4  the file has no bytes"
        in text
    )


def test_of_many_losses_ten_are_named_and_the_rest_are_counted() -> None:
    many = [{**LOST, "source": f"{number}.mp4"} for number in range(25)]
    text = build_summary({**BUILT, "quarantined": many})
    assert "Quarantined: 25\n" in text
    assert text.count("empty_file") == 10
    assert "… and 15 more: quarantine.parquet" in text


def test_what_was_left_out_is_counted_and_named() -> None:
    left_out = [{"source": f"{number}.txt", "reason": "not a video by its name"} for number in range(4)]
    text = " ".join(build_summary({**BUILT, "left_out": left_out}).split())
    assert "Left out, not videos: 4: 0.txt (not a video by its name); 1.txt (not a video by its name); 2.txt" in text
    assert "; and 1 more: left_out.parquet" in text


def test_failed_checks_and_warnings_are_told_apart() -> None:
    checks = [
        {"name": "one_encoding", "passed": False, "severity": "ERROR", "description": "train-00000 is under another"},
        {"name": "no_leakage", "passed": False, "severity": "WARN", "description": "two clips look alike"},
        {"name": "nothing_lost", "passed": True, "severity": "ERROR"},
    ]
    assert build_summary({**BUILT, "checks": checks}).split("\n\n")[2:5] == [
        "Checks: 1 of 3 passed",
        "FAILED: one_encoding: train-00000 is under another",
        "warning: no_leakage: two clips look alike",
    ]


def test_a_plan_says_what_would_be_done_and_that_nothing_was() -> None:
    plan = {
        "root": "/r",
        "splits": BUILT["splits"],
        "estimated_bytes": 12_345_678,
        "estimated_core_minutes": 1.5,
        "shards_to_write": 3,
        "shards_superseded": 1,
        "clips_per_shard": 20,
        "quarantined": [LOST],
    }
    parts = plan_summary(plan).split("\n\n")
    assert " ".join(parts[1].split()) == (
        "3 shards to write, about 12.3 MB and 1.50 minutes of one core; 1 shards superseded; 20 clips a shard."
    )
    assert parts[2].startswith("Quarantined: 1\n")
    assert parts[-1] == "Nothing was written to /r."


STATUS: dict[str, Any] = {
    "version_dir": "/r/clips/1.0.0",
    "splits": BUILT["splits"],
    "shards_planned": 9,
    "shards_missing": [],
    "quarantined": [],
    "checks": [],
}


def test_a_status_names_what_is_missing() -> None:
    missing = [f"train-{index:05d}" for index in range(7)]
    text = " ".join(status_summary({**STATUS, "shards_missing": missing}).split())
    assert "7 of 9 planned shards are missing or stale: train-00000, train-00001," in text
    assert text.endswith("train-00004 and 2 more")
    assert "Nothing is committed yet." in status_summary({**STATUS, "splits": {}})
    assert "missing" not in status_summary(STATUS)


@pytest.mark.parametrize(("is_valid", "verdict"), [(True, "valid"), (False, "INVALID")])
def test_a_verification_names_the_shard_that_fails(*, is_valid: bool, verdict: str) -> None:
    check = {
        "name": "shard_decodes",
        "target": "train-00001",
        "passed": is_valid,
        "severity": "ERROR",
        "description": "…",
    }
    text = verify_summary({**STATUS, "is_valid": is_valid, "checks": [check], "seconds": 2.0})
    assert text.startswith(f"Dataset: /r/clips/1.0.0 is {verdict}\n")
    assert ("FAILED: shard_decodes train-00001: …" in text) == (not is_valid)
    assert text.endswith("\n\n2.0 s")


def test_a_difference_names_clips_and_settings() -> None:
    words = ("added", "removed", "renamed", "relabelled", "moved", "changed")
    result: dict[str, Any] = {word: [] for word in words}
    result |= {
        "added": [f"{number}.mp4" for number in range(12)],
        "moved": [{"clip_id": "a.mp4", "before": "train", "after": "test"}],
        "re_encoded": 3,
        "unchanged": 4,
        "encoding": {"resolution": (224, 64)},
    }
    text = diff_summary(result)
    assert "added       12" in text
    assert "re-encoded  3" in text
    assert "setting     before  after\nresolution  224     64" in text
    assert "moved\nclip   before\na.mp4  train" in text
    assert "… and 2 more" in text


# --- columns, paragraphs, control characters ------------------------------------------------------


def test_columns_are_as_wide_as_they_need_to_be() -> None:
    assert table(("a", "long"), [("wide value", 1), ("b", 22)]) == "a           long\nwide value  1\nb           22"


@given(st.lists(st.tuples(st.text(), st.text(max_size=200)), max_size=5))
def test_a_table_stays_within_the_screen_a_row_a_line(rows: list[tuple[str, str]]) -> None:
    lines = table(("one", "other"), rows).split("\n")
    assert len(lines) == len(rows) + 1
    assert all(len(line) <= WIDTH for line in lines)


@given(st.text(st.characters()))
def test_a_text_cannot_move_the_cursor_or_colour_the_screen(text: str) -> None:
    assert all(c.isprintable() or c == "\n" for c in plain(text))
    assert all(c.isprintable() or c == "\n" for c in paragraph(text))
    plain(text).encode("utf-8")


def test_control_characters_are_spelled_out() -> None:
    assert plain("a\x1b[31m\u202eb\r\n\udcff") == "a\\x1b[31m\\u202eb\\r\n\\udcff"


@given(st.text(max_size=400))
def test_paragraphs_are_wrapped_at_the_edge_of_the_screen(text: str) -> None:
    assert all(len(line) <= WIDTH for line in paragraph(text, "  ").split("\n"))


# --- progress -------------------------------------------------------------------------------------


def test_a_terminal_gets_a_bar_that_ends_full_on_its_own_line() -> None:
    terminal = Terminal()
    count = TerminalProgress(terminal)("encoding", 4, 1000)
    for _ in range(4):
        count(1, 250)
    drawn = terminal.getvalue().split("\r\x1b[K")
    assert drawn[0] == ""
    assert drawn[1].startswith("[###.........] encoding: 1 of 4 clips, ")
    assert drawn[-1].startswith("[############] encoding: 4 of 4 clips, ")
    assert drawn[-1].endswith("\n")
    assert terminal.getvalue().count("\n") == 1
    assert all(len(text) < WIDTH + 1 for text in drawn)


@pytest.mark.parametrize(("num_clips", "bar"), [(10_000, "[............] "), (10_000_000, "[")])
def test_a_bar_leaves_room_for_the_time_that_is_left(num_clips: int, bar: str) -> None:
    terminal = Terminal()
    _Bar(terminal, "encoding", num_clips, begun=time.monotonic() - 20).count(num_clips // 100, 10**7)
    drawn = terminal.getvalue().removeprefix("\r\x1b[K")
    assert drawn.startswith(bar)
    assert re.search(r" clips/s, 0\.\d MB/s, \d+ s left$", drawn)
    assert len(drawn) < WIDTH


def test_elsewhere_it_is_lines_without_control_characters() -> None:
    stream = io.StringIO()
    count = TerminalProgress(stream, every_seconds=3600)("encoding", 2, 1000)
    count(1, 500)
    assert stream.getvalue() == ""
    count(1, 500)
    assert stream.getvalue().startswith("encoding: 2 of 2 clips, ")
    assert stream.getvalue().endswith(" MB/s\n")
