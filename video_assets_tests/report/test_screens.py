"""The last screens: what was done, what was lost and why, and what to do next."""

from typing import Any

import pytest

from video_assets.report.help_text import WIDTH
from video_assets.report.screens import (
    build_screen,
    diff_screen,
    format_size,
    plan_screen,
    repair_screen,
    status_screen,
    verify_screen,
)
from video_assets.report.terminal import Screen, as_text

BUILT: dict[str, Any] = {
    "source": "/my videos",
    "root": "/r",
    "version_dir": "/r/clips/1.0.0",
    "splits": {"test": {"records": 12, "shards": 1}, "train": {"records": 48, "shards": 2}},
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


def parts_of(screen: Screen) -> list[str]:
    return as_text(screen).split("\n\n")


def flat(screen: Screen) -> str:
    return " ".join(as_text(screen).split())


def test_a_finished_build_says_what_it_did_and_what_comes_next() -> None:
    assert parts_of(build_screen(BUILT)) == [
        "Built /r/clips/1.0.0",
        "split  clips  shards\ntrain     48       2\ntest      12       1",
        "Encoded 60 clips and reused 0; wrote 3 shards and reused 0; took 1.2 s.",
        "Checks: 1 of 1 passed",
        (
            "Next\n"
            "  Train with it:\n"
            "    from video_assets.reader import load_dataset\n"
            "    train = load_dataset('/r/clips/1.0.0', 'train', seed=1)\n"
            "  Look at it, and let it grow by itself:\n"
            "    video-assets ui --source '/my videos' --root /r"
        ),
    ]


def test_a_dataset_of_another_name_is_named_in_the_next_command() -> None:
    text = as_text(build_screen({**BUILT, "version_dir": "/r/walks/1.0.0"}))
    assert text.endswith("video-assets ui --source '/my videos' --root /r --name walks")


def test_a_refused_build_ends_after_why() -> None:
    refused = {**BUILT, "refused": "2 of 3 planned shards are missing", "checks": [], "read_as": "Read as: folders"}
    assert as_text(build_screen(refused)) == "Read as: folders.\n\nNot built: 2 of 3 planned shards are missing."


def test_a_dataset_that_was_committed_is_shown_also_if_dagster_does_not_know_of_it() -> None:
    text = as_text(build_screen({**BUILT, "refused": "Dagster's storage cannot be opened", "committed": True}))
    assert text.startswith("Built /r/clips/1.0.0\nDagster's storage cannot be opened\n\nsplit  clips  shards\n")


def test_what_was_lost_is_grouped_by_reason_the_commonest_first_with_examples() -> None:
    others = [{"source": f"{n}.mp4", "reason": "unreadable", "detail": "moov atom not found"} for n in range(5)]
    parts = parts_of(build_screen({**BUILT, "quarantined": [LOST, *others]}))
    assert parts[3].split("\n")[:8] == [
        "6 clips cannot be used",
        "  5 clips are not readable videos (unreadable):",
        "    0.mp4  moov atom not found",
        "    1.mp4  moov atom not found",
        "    2.mp4  moov atom not found",
        "    and 2 more",
        "  1 clip is an empty file (empty_file):",
        "    run/dead.mp4  the file has no bytes",
    ]
    assert "quarantine.parquet" in parts[3]


def test_very_many_reasons_do_not_fill_the_screen() -> None:
    many = [{**LOST, "reason": f"reason {number}"} for number in range(20)]
    assert "There are 12 other reasons." in as_text(build_screen({**BUILT, "quarantined": many}))
    assert "reason 19" in as_text(build_screen({**BUILT, "quarantined": many, "verbose": True}))


def test_what_was_left_out_is_counted_and_named() -> None:
    left_out = [{"source": f"{number}.txt", "reason": "not a video by its name"} for number in range(4)]
    text = flat(build_screen({**BUILT, "left_out": left_out}))
    assert "4 files are not videos, or not taken for one: 0.txt (not a video by its name); 1.txt (not a" in text
    assert "; and 1 more: left_out.parquet" in text
    assert "3.txt" in flat(build_screen({**BUILT, "left_out": left_out, "verbose": True}))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "1 clip stays in its split, because an assigned clip never moves: 0.mp4 (train; the table says test)"),
        (
            250,
            "1.mp4 (train; the table says test); 2.mp4 (train; the table says test); and 247 more",
        ),
    ],
)
def test_an_official_list_that_came_too_late_is_told_on_both_screens(number: int, words: str) -> None:
    clips = [{"clip_id": f"{n}.mp4", "official": "test", "split": "train"} for n in range(min(number, 200))]
    told = {"official_splits_ignored": number, "clips_that_stay": clips}
    assert words in flat(build_screen({**BUILT, **told}))
    assert words in flat(plan_screen({**PLAN, **told}))


def test_classes_are_named_and_those_that_seem_to_be_splits_are_doubted() -> None:
    many = [f"class{number}" for number in range(12)]
    for screen, result in ((build_screen, BUILT), (plan_screen, PLAN)):
        assert "12 classes: class0, class1, class2, class3, class4, class5, class6, class7 and 4 more" in flat(
            screen({**result, "classes": many})
        )
        doubted = flat(screen({**result, "classes": ["test", "Train"]}))
        assert "2 classes: test, Train" in doubted
        assert "These are names of splits, and the folders below them were not read" in doubted


def test_clips_that_left_the_source_are_counted_and_named_on_both_screens() -> None:
    told = {"gone": 4, "gone_clips": ["run/a.mp4", "run/b.mp4", "run/c.mp4", "run/d.mp4"]}
    for screen, result in ((build_screen, BUILT), (plan_screen, PLAN)):
        text = flat(screen({**result, **told}))
        assert (
            "4 clips were removed: they are no longer in the source, or manifest.include leaves them out (run/a.mp4, "
            in text
        )


def test_failed_checks_and_warnings_are_told_apart() -> None:
    checks = [
        {"name": "one_encoding", "passed": False, "severity": "ERROR", "description": "train-00000 is under another"},
        {"name": "no_leakage", "passed": False, "severity": "WARN", "description": "two clips look alike"},
        {"name": "nothing_lost", "passed": True, "severity": "ERROR"},
    ]
    parts = parts_of(build_screen({**BUILT, "checks": checks}))
    assert parts[0] == "Built, but not valid: /r/clips/1.0.0"
    assert parts[3] == (
        "Checks: 1 of 3 passed\n"
        "  FAILED: one_encoding: train-00000 is under another\n"
        "  warning: no_leakage: two clips look alike"
    )


def test_a_check_that_names_very_many_clips_does_not_fill_the_screen() -> None:
    check = {"name": "no_leakage", "passed": False, "severity": "WARN", "description": "a.mp4 and b.mp4; " * 200}
    parts = parts_of(build_screen({**BUILT, "checks": [check]}))
    assert len(parts[3].split("\n")) <= 7
    assert parts[3].endswith("… (all of it: --json)")


PLAN: dict[str, Any] = {
    "source": "/my videos",
    "root": "/r",
    "version_dir": "/r/clips/1.0.0",
    "splits": BUILT["splits"],
    "estimated_bytes": 12_345_678,
    "estimated_bytes_error": 0.034,
    "estimated_minutes": 2.5,
    "estimated_core_minutes": 1.5,
    "clips_tried": 64,
    "trial_seconds": 3.2,
    "workers": 2,
    "alternatives": [
        {
            "name": "lower quality",
            "set": ["plan.encoding.jpeg_quality=85", "plan.new_version=true"],
            "estimated_bytes": 8e6,
            "estimated_minutes": 2.4,
        }
    ],
    "budget": None,
    "shards_to_write": 3,
    "shards_superseded": 1,
    "clips_per_shard": 20,
    "quarantined": [LOST],
}


def test_a_plan_says_what_would_be_done_and_what_else_could_be() -> None:
    parts = parts_of(plan_screen(PLAN))
    assert parts[0] == "Would build /r/clips/1.0.0"
    assert parts[2] == "3 shards to write, with at most 20 clips each; 1 shard replaced."
    lines = parts[3].split("\n")
    assert lines[2].split() == ["as", "set", "12.3", "MB", "±", "3", "%", "2", "min"]
    assert lines[3:] == [
        "  lower quality  8.0 MB         2 min",
        "  From encoding 64 clips in 3.2 s; 2 decoding processes.",
        "  ± is the standard error. Times may be off by a third, and more while the",
        "  machine is busy.",
        "  For lower quality:",
        "    --set plan.encoding.jpeg_quality=85 --set plan.new_version=true",
    ]
    assert parts[-2].startswith("1 clip cannot be used\n")
    assert parts[-1] == (
        "Next\n  Nothing was written to /r. This builds it:\n    video-assets build --source '/my videos' --root /r"
    )


def test_the_build_that_a_plan_ends_with_has_the_plans_settings() -> None:
    budget = {"bytes": 10e6, "jpeg_quality": 90, "estimated_bytes": 9.8e6, "set": ["plan.encoding.jpeg_quality=90"]}
    given = {"config": "my run.yaml", "set": ["manifest.include=['*.mp4']", "splits.seed=3"], "budget": budget}
    assert parts_of(plan_screen({**PLAN, **given}))[-1].split("\n")[-1].strip() == (
        "video-assets build --source '/my videos' --root /r --config 'my run.yaml' "
        "--set 'manifest.include=['\"'\"'*.mp4'\"'\"']' --set splits.seed=3 --set plan.encoding.jpeg_quality=90"
    )


def test_a_size_budget_gives_the_setting_to_copy() -> None:
    budget = {"bytes": 10e6, "jpeg_quality": 90, "estimated_bytes": 9.8e6, "set": ["plan.encoding.jpeg_quality=90"]}
    text = flat(plan_screen({**PLAN, "budget": budget}))
    assert "JPEG quality 90 is the highest with which the dataset takes no more than 10.0 MB: about 9.8 MB." in text
    assert "--set plan.encoding.jpeg_quality=90" in text
    assert "which is set already" in flat(plan_screen({**PLAN, "budget": {**budget, "set": []}}))


@pytest.mark.parametrize(
    ("num_bytes", "said"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (20e9, "20.0 GB"), (5e15, "5000.0 TB")]
)
def test_sizes_are_said_as_people_say_them(num_bytes: float, said: str) -> None:
    assert format_size(num_bytes) == said


STATUS: dict[str, Any] = {
    "root": "/r",
    "version_dir": "/r/clips/1.0.0",
    "splits": BUILT["splits"],
    "shards_planned": 9,
    "shards_missing": [],
    "quarantined": [],
    "checks": [],
    "is_valid": True,
}


def test_a_plan_names_no_table_for_its_losses_for_none_of_its_tables_is_left() -> None:
    lost = [{"source": "run/broken.mp4", "reason": "unreadable", "detail": "No known video container"}]
    assert "To see all of them: --verbose, --json. " in flat(plan_screen({**PLAN, "quarantined": lost}))
    assert "--json, or quarantine.parquet beside the version." in flat(build_screen({**BUILT, "quarantined": lost}))


def test_a_status_names_what_is_missing() -> None:
    missing = [f"train-{index:05d}" for index in range(7)]
    text = flat(status_screen({**STATUS, "is_valid": False, "shards_missing": missing}))
    assert text.startswith("Not up to date, or not valid: /r/clips/1.0.0")
    assert "7 of 9 planned shards are missing or stale: train-00000, train-00001," in text
    assert "train-00004 and 2 more" in text
    assert text.endswith("video-assets build --source DIR --root /r")
    assert "Nothing is committed yet: " in flat(status_screen({**STATUS, "is_valid": False, "splits": {}}))
    assert flat(status_screen(STATUS)).endswith("video-assets verify --root /r --all")


def test_a_status_before_any_plan_tells_what_was_lost_and_how_to_go_on() -> None:
    lost = [{"source": "run/broken.mp4", "reason": "unreadable", "detail": "No known video container"}]
    result = {**STATUS, "is_valid": False, "splits": {}, "version_dir": "", "name": "mine", "shards_missing": []}
    text = flat(status_screen({**result, "quarantined": lost}))
    assert text.startswith(
        "Nothing is planned yet: /r/mine 1 clip cannot be used 1 clip is not a readable video (unreadable):"
    )
    assert "Fix what is named above, or allow more losses (manifest.max_failed_fraction)" in text
    assert text.endswith("video-assets build --source DIR --root /r --name mine")


@pytest.mark.parametrize(("is_valid", "verdict"), [(True, "Valid"), (False, "INVALID")])
def test_a_verification_names_the_shard_that_fails(*, is_valid: bool, verdict: str) -> None:
    check = {
        "name": "shard_decodes",
        "target": "train-00001",
        "passed": is_valid,
        "severity": "ERROR",
        "description": "…",
        "facts": {},
    }
    text = as_text(verify_screen({**STATUS, "is_valid": is_valid, "checks": [check], "seconds": 2.0}))
    assert text.startswith(f"{verdict}: /r/clips/1.0.0\n")
    assert ("FAILED: shard_decodes train-00001: …" in text) == (not is_valid)
    assert "Read in 2 s." in text


def test_a_verification_recommends_a_repair_only_for_what_it_would_mend() -> None:
    gone = {
        "name": "shard_matches_source",
        "target": "train-00001",
        "passed": False,
        "severity": "ERROR",
        "description": "…",
        "facts": {"missing_video": "run/1.mp4"},
    }
    damaged = {**gone, "name": "shard_decodes", "facts": {}}
    result = {**STATUS, "is_valid": False, "seconds": 2.0}
    text = flat(verify_screen({**result, "checks": [gone]}))
    assert "repair" not in text
    assert text.endswith(
        "Put the missing videos back, or build again without them: video-assets build --source DIR --root /r"
    )
    assert "video-assets repair --root /r" in flat(verify_screen({**result, "checks": [gone, damaged]}))


def test_a_verification_recommends_no_repair_of_shards_that_nobody_could_read() -> None:
    unread = {
        "name": "shard_decodes",
        "target": "train-00001",
        "passed": False,
        "severity": "ERROR",
        "description": "…",
        "facts": {"not_read": "crashed"},
    }
    damaged = {**unread, "name": "bytes_are_as_written", "facts": {}}
    result = {**STATUS, "is_valid": False, "seconds": 2.0}
    text = flat(verify_screen({**result, "checks": [unread]}))
    assert "repair" not in text
    assert text.endswith(
        "Try TensorFlow by itself, and install it again: "
        'python -c "import tensorflow" pip install --force-reinstall tensorflow'
    )
    assert "video-assets repair --root /r" in flat(verify_screen({**result, "checks": [unread, damaged]}))


def test_checks_that_say_the_same_take_one_line() -> None:
    check = {"name": "c", "passed": False, "severity": "WARN", "description": "the source is not there", "facts": {}}
    checks = [{**check, "target": f"train-{index:05d}"} for index in range(40)]
    text = flat(verify_screen({**STATUS, "checks": checks, "seconds": 2.0}))
    assert "Checks: 0 of 40 passed warning: c train-00000 and 39 more: the source is not there" in text


def test_a_repair_says_what_is_whole_again_and_what_is_not() -> None:
    done = {"directory": "/r/clips", "repaired": ["1.0.0/index.parquet"], "not_repaired": [], "seconds": 1.0}
    assert parts_of(repair_screen(done)) == [
        "Repaired /r/clips",
        "1 file restored\n  1.0.0/index.parquet",
        "1 s.",
    ]
    failed = parts_of(repair_screen({**done, "not_repaired": [{"reason": "its source is gone"}]}))
    assert (failed[0], failed[2]) == ("Still damaged: /r/clips", "1 file still damaged\n  - its source is gone")
    assert parts_of(repair_screen({**done, "repaired": []}))[0] == "Nothing to repair: /r/clips"


def test_a_difference_names_clips_and_settings() -> None:
    kinds = ("added", "removed", "renamed", "relabelled", "moved", "changed")
    result: dict[str, Any] = {kind: [] for kind in kinds}
    result |= {
        "added": [f"{number}.mp4" for number in range(12)],
        "moved": [{"clip_id": "a.mp4", "before": "train", "after": "test"}],
        "re_encoded": 3,
        "unchanged": 4,
        "encoding": {"resolution": (224, 64)},
    }
    text = as_text(diff_screen(result))
    assert "added          12" in text
    assert "re-encoded      3" in text
    assert "setting     before  after\nresolution  224     64" in text
    assert "moved\n  clip   before\n  a.mp4  train" in text
    assert "and 2 more" in text


HOSTILE = "evil\x1b[31mred\x1b[2J\x07\u202e[bold]markup[/bold]\nline\udcff"


def test_no_name_reaches_the_screen_as_more_than_a_name() -> None:
    lost = {"source": HOSTILE, "reason": "unreadable", "detail": HOSTILE * 5}
    check = {"name": "c", "target": HOSTILE, "passed": False, "severity": "ERROR", "description": HOSTILE, "facts": {}}
    hostile = {
        **BUILT,
        "version_dir": f"/r/{HOSTILE}",
        "source": HOSTILE,
        "quarantined": [lost],
        "left_out": [{"source": HOSTILE, "reason": HOSTILE}],
        "checks": [check],
    }
    clip = {"clip_id": HOSTILE, "before": HOSTILE, "after": HOSTILE}
    kinds = ("added", "removed", "renamed", "relabelled", "moved", "changed")
    screens = [
        build_screen(hostile),
        build_screen({**hostile, "refused": HOSTILE}),
        plan_screen({**PLAN, "quarantined": [lost], "root": HOSTILE}),
        status_screen({**STATUS, "quarantined": [lost], "checks": [check], "shards_missing": [HOSTILE]}),
        verify_screen({**STATUS, "checks": [check], "seconds": 1.0, "is_valid": False}),
        diff_screen({kind: [clip] for kind in kinds} | {"re_encoded": 0, "unchanged": 0, "encoding": {}}),
    ]
    for screen in screens:
        text = as_text(screen)
        assert all(character.isprintable() or character == "\n" for character in text)
        assert "evil\\x1b[31mred\\x1b[2J" in text


def test_every_line_that_is_not_to_be_copied_stays_within_the_screen() -> None:
    lost = [{"source": f"{'deep/' * 40}{n}.mp4", "reason": "unreadable", "detail": "x " * 200} for n in range(4)]
    result = {**BUILT, "quarantined": lost, "left_out": [{"source": "y" * 300, "reason": "z"}]}
    lines = as_text(build_screen(result)).split("\n")
    assert max(map(len, lines)) <= WIDTH
