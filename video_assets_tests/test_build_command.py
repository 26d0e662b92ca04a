"""The console command from end to end, in processes of its own, on names that nobody should give to files."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from video_assets.storage.files import file_sha256
from video_assets_tests.pipeline.damage import flip_byte
from video_assets_tests.pipeline.videos import write_video

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("video-assets")
LABELS = ('it\'s "quoted"', "<script>alert(1)<", "two\nlines", "🏃 läuft")
"""Class folders; a slash cannot be in a name, so the tag stays open."""
NUM_CLIPS = 3 * len(LABELS)
KEYS = {
    "root",
    "version_dir",
    "splits",
    "clips_encoded",
    "clips_reused",
    "shards_written",
    "shards_reused",
    "quarantined",
    "checks",
    "seconds",
}


@dataclass
class Done:
    """What a command did; `result` is the JSON object in the last line of standard output."""

    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        return json.loads(self.stdout.splitlines()[-1])


def run(*arguments: str | Path, **environment: str) -> Done:
    """Runs the installed command; of the environment it gets nothing that configures it."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("VIDEO_ASSETS_", "DAGSTER_"))}
    found = subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, env=inherited | environment
    )
    return Done(found.returncode, found.stdout, found.stderr)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of three clips each, with names that have to be escaped somewhere, and a broken file."""
    source = tmp_path_factory.mktemp('it\'s <a> "source"')
    for number, label in enumerate(LABELS):
        for clip in range(3):
            write_video(source / label / f"{label} {clip} & more.mp4", seed=100 * number + clip)
    (source / LABELS[1] / "<img src=x>.mp4").write_bytes(b"broken")
    return source


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run config as the launchpad takes it."""
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    encoding = {"resolution": 64, "num_frames": 4}
    values = {"plan": {"config": {"encoding": encoding, "clips_per_shard": 3}}}
    path.write_text(yaml.safe_dump({"ops": values}))
    return path


def settings(config: Path) -> tuple[str | Path, ...]:
    """An assignment wins over the file."""
    return ("--config", config, "--set", "plan.encoding.resolution=32", "--set", "splits.test_fraction=0.34")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def first(source: Path, config: Path, root: Path) -> Done:
    """The first build."""
    return run("build", "--source", source, "--root", root, "--workers", "2", "--json", *settings(config))


@pytest.fixture(scope="module")
def second(first: Done, source: Path, config: Path, root: Path) -> Done:
    """The same command again."""
    assert first.code == 0
    return run("build", "--source", source, "--root", root, "--json", *settings(config))


def test_a_build_ends_well_and_says_what_it_did(first: Done, root: Path) -> None:
    assert first.code == 0, first.stderr
    result = first.result
    assert set(result) >= KEYS
    assert result["root"] == str(root)
    assert result["version_dir"] == str(root / "clips" / "1.0.0")
    assert result["splits"] == {"train": {"records": 8, "shards": 3}, "test": {"records": 4, "shards": 2}}
    assert (result["clips_encoded"], result["clips_reused"]) == (NUM_CLIPS, 0)
    assert (result["shards_written"], result["shards_reused"]) == (5, 0)
    assert result["seconds"] > 0


def test_every_check_ran_and_passed(first: Done) -> None:
    found = [(check["name"], check["passed"], check["severity"]) for check in first.result["checks"]]
    of_shards = ["shard_is_complete", "shard_decodes", "shard_matches_source"]
    of_dataset = ["no_leakage", "classes_covered", "one_encoding", "nothing_lost"]
    assert found == [(name, True, "ERROR") for name in (*of_shards, *of_shards, *of_dataset)]


def test_the_broken_file_is_in_the_quarantine_with_reason_and_detail(first: Done) -> None:
    (lost,) = first.result["quarantined"]
    assert lost["source"] == f"{LABELS[1]}/<img src=x>.mp4"
    assert lost["reason"] == "unreadable"
    assert lost["detail"].startswith("No known video container")


def test_standard_output_is_one_json_object_and_progress_goes_elsewhere(first: Done) -> None:
    assert len(first.stdout.splitlines()) == 1
    assert first.stdout.isascii()
    assert f"encoding: {NUM_CLIPS} of {NUM_CLIPS} clips" in first.stderr
    assert "Traceback" not in first.stderr


def test_the_settings_of_file_and_assignments_hold_together(first: Done, root: Path) -> None:
    assert first.code == 0
    pinned = json.loads((root / "clips" / "encoding.json").read_text("utf-8"))
    assert (pinned["encoding"]["resolution"], pinned["encoding"]["num_frames"], pinned["clips_per_shard"]) == (32, 4, 3)


def test_names_are_kept_in_data_and_escaped_where_people_read_them(first: Done, root: Path) -> None:
    assert first.code == 0
    version = root / "clips" / "1.0.0"
    labels = (version / "label.labels.txt").read_text("utf-8").split("\n")[:-1]
    assert labels == sorted(['it\'s "quoted"', "<script>alert(1)<", "two\\nlines", "🏃 läuft"])
    for page in ("README.md", "card.html"):
        if (version / page).exists():
            text = (version / page).read_text("utf-8")
            assert "<script>alert" not in text
            assert "<img src=x>" not in text


def test_the_same_command_again_encodes_nothing_and_writes_nothing(second: Done, first: Done) -> None:
    assert second.code == 0, second.stderr
    result = second.result
    assert (result["clips_encoded"], result["clips_reused"]) == (0, NUM_CLIPS)
    assert (result["shards_written"], result["shards_reused"]) == (0, 5)
    for name in ("root", "version_dir", "splits", "quarantined", "checks"):
        assert result[name] == first.result[name]


def files_of(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): file_sha256(path) for path in directory.rglob("*") if path.is_file()}


def test_a_plan_writes_nothing_and_tells_what_a_build_would_do(source: Path, config: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    done = run("plan", "--source", source, "--root", root, "--json", *settings(config))
    assert done.code == 0, done.stderr
    assert not root.exists()
    assert done.result["splits"] == {"train": {"records": 8, "shards": 3}, "test": {"records": 4, "shards": 2}}
    assert done.result["shards_to_write"] == 5
    assert done.result["estimated_bytes"] > 0
    assert done.result["estimated_minutes"] > 0
    assert done.result["clips_tried"] == NUM_CLIPS  # of so few all are tried
    assert [a["name"] for a in done.result["alternatives"]] == ["smaller frames", "lower quality"]
    assert all(a["estimated_bytes"] < done.result["estimated_bytes"] for a in done.result["alternatives"])
    assert [lost["reason"] for lost in done.result["quarantined"]] == ["unreadable"]


def test_a_plan_over_a_built_dataset_changes_no_file_of_it(
    second: Done, source: Path, config: Path, root: Path
) -> None:
    assert second.code == 0
    before = files_of(root / "clips")
    done = run("plan", "--source", source, "--root", root, "--json", *settings(config))
    assert (done.code, done.result["shards_to_write"]) == (0, 0)
    assert files_of(root / "clips") == before


def test_another_encoding_is_refused_by_its_fields_and_the_dataset_stays(
    second: Done, source: Path, config: Path, root: Path
) -> None:
    assert second.code == 0
    done = run(
        "plan", "--source", source, "--root", root, "--json", *settings(config), "--set", "plan.encoding.resolution=48"
    )
    assert done.code == 1
    words = " ".join(done.stderr.split())
    assert "exists under another encoding (resolution 32 → 48)" in words
    assert "plan.new_version: true" in words


def test_status_tells_how_the_dataset_stands(second: Done, root: Path) -> None:
    assert second.code == 0
    done = run("status", "--root", root, "--json")
    assert done.code == 0, done.stderr
    result = done.result
    assert result["is_valid"] is True
    assert result["splits"] == second.result["splits"]
    assert result["shards_missing"] == []
    assert result["checks"] == second.result["checks"]
    assert [lost["reason"] for lost in result["quarantined"]] == ["unreadable"]


def test_a_right_dataset_is_verified_with_0_and_a_damaged_one_with_1_by_name(
    second: Done, root: Path, tmp_path: Path
) -> None:
    assert second.code == 0
    right = run("verify", "--root", root, "--all", "--json")
    assert right.code == 0, right.stderr
    assert right.result["is_valid"] is True
    assert all(check["passed"] for check in right.result["checks"])
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    flip_byte(copy / "clips" / "1.0.0" / "clips-train-00001.tfrecord", 700)
    damaged = run("verify", "--root", copy, "--json")
    assert damaged.code == 1
    assert damaged.result["is_valid"] is False
    failed = {(check["name"], check["target"]) for check in damaged.result["checks"] if not check["passed"]}
    assert {target for _, target in failed} == {"train-00001"}
    assert ("shard_is_complete", "train-00001") in failed
    assert "record 0 of clips-train-00001.tfrecord cannot be read" in " ".join(damaged.stderr.split())
    assert run("status", "--root", copy, "--json").result["shards_missing"] == ["train-00001"]


def test_a_build_that_is_refused_ends_with_1_and_keeps_its_runs_in_dagster_home(
    source: Path, config: Path, tmp_path: Path
) -> None:
    root, home = tmp_path / "root", tmp_path / "home"
    home.mkdir()
    arguments = ("build", "--source", source, "--root", root, "--json", *settings(config))
    done = run(*arguments, "--set", "manifest.max_failed_fraction=0", DAGSTER_HOME=str(home))
    assert done.code == 1
    assert done.result["refused"].startswith(
        "1 of 13 clips (7.7%) cannot be used (unreadable 1); at most 0.0% may fail."
    )
    assert [lost["reason"] for lost in done.result["quarantined"]] == ["unreadable"]
    assert (home / "history").is_dir()
    status = run("status", "--root", root, "--json", DAGSTER_HOME=str(home))
    assert status.code == 1
    assert [lost["reason"] for lost in status.result["quarantined"]] == ["unreadable"]
    assert (status.result["version_dir"], status.result["is_valid"]) == ("", False)
    assert not (root / "clips" / ".dagster").exists()


def test_a_plan_that_is_refused_names_all_that_is_lost_in_json(source: Path, config: Path, tmp_path: Path) -> None:
    arguments = ("plan", "--source", source, "--root", tmp_path / "root", "--json", *settings(config))
    done = run(*arguments, "--set", "manifest.max_failed_fraction=0")
    assert done.code == done.result["exit_code"] == 1
    assert done.result["error"].endswith(
        "All are named by --json; fix or remove them, or raise manifest.max_failed_fraction."
    )
    assert [lost["reason"] for lost in done.result["quarantined"]] == ["unreadable"]


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("plan.encoding.jpeg_quality=101", "plan.encoding.jpeg_quality is 101"),
        ("splits.test_fraction=much", "splits.test_fraction is 'much'"),
    ],
)
def test_a_wrong_setting_ends_with_2_names_the_field_and_writes_nothing(
    source: Path, tmp_path: Path, assignment: str, words: str
) -> None:
    root = tmp_path / "root"
    done = run("build", "--source", source, "--root", root, "--json", "--set", assignment)
    assert done.code == 2
    assert words in " ".join(done.stderr.split())
    assert not root.exists()
