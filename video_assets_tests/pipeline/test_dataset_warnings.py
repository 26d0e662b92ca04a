"""What users should know of a dataset is said by every command, the card and the index, clip by clip."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from video_assets.domain.clips import SourceWarning
from video_assets.domain.encoding import Encoding
from video_assets.pipeline.dataset_warnings import MAX_OF_A_CODE, dataset_warnings, warnings_as_dicts
from video_assets.pipeline.shards.pending import shards_to_build
from video_assets.pipeline.shards.stage import build_shards
from video_assets.pipeline.upkeep.status import dataset_status
from video_assets.settings import ManifestSettings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.media.decode.test_damage import damaged_video
from video_assets_tests.media.making import numbered_video
from video_assets_tests.pipeline.stages import InThisProcess, Stages

SOUND, DAMAGED, CUT = "run/sound.mp4", "run/damaged.mp4", "run/cut.mkv"


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    folder = tmp_path / "videos" / "run"
    folder.mkdir(parents=True)
    (folder / "sound.mp4").write_bytes(numbered_video(30))
    (folder / "damaged.mp4").write_bytes(damaged_video("h264", 0))
    whole = numbered_video(60, container="matroska", options={"g": "10"})
    (folder / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    return Stages(tmp_path / "videos", DatasetPaths(tmp_path / "root", "clips"))


def built(stages: Stages, **settings: Any) -> dict[str, Any]:
    given = ManifestSettings.model_validate({"allow_single_class": True, "max_failed_fraction": 0.9, **settings})
    stages.manifest(**given.model_dump(include=given.model_fields_set))
    stages.splits()
    stages.plan()
    for report in build_shards(stages.paths, shards_to_build(stages.paths), given.limits, InThisProcess()):
        assert not report.error
    stages.commit(max_failed_fraction=0.9)
    return dataset_status(stages.paths)


def test_damaged_and_truncated_videos_are_quarantined_by_default(stages: Stages) -> None:
    status = built(stages)
    assert {name: reason for name, (reason, _) in stages.quarantined().items()} == {
        DAMAGED: "damaged",
        CUT: "truncated",
    }
    assert "manifest.min_readable_fraction is 0.9" in stages.quarantined()[CUT][1]
    assert status["warnings"] == []


@pytest.mark.slow
def test_they_are_stored_with_a_warning_where_the_settings_say_so(stages: Stages) -> None:
    built(stages)
    status = built(stages, damaged_clips="store", min_readable_fraction=0.1)
    assert stages.quarantined() == {}
    warnings = json.loads(json.dumps(status["warnings"]))
    assert [(warning["code"], warning["source"], warning["count"]) for warning in warnings] == [
        ("damaged", DAMAGED, 1),
        ("truncated", CUT, 1),
    ]
    version = stages.paths.version("1.0.0")
    damage = pd.read_parquet(version.index).set_index("clip_id")["damage"].to_dict()
    assert damage[DAMAGED].endswith("gave errors).")
    assert damage[SOUND] == damage[CUT] == ""
    card = version.card_markdown.read_text("utf-8").replace("\\", "")
    assert "- damaged: run/damaged.mp4 is stored:" in card
    assert "- truncated: run/cut.mkv: only" in card


def test_videos_that_a_higher_limit_refuses_are_quarantined_without_being_opened_again(stages: Stages) -> None:
    given: dict[str, Any] = {"max_failed_fraction": 0.9, "allow_single_class": True}
    assert CUT in set(stages.manifest(min_readable_fraction=0.1, **given).clips["clip_id"])
    again = stages.manifest(min_readable_fraction=0.9, **given)
    assert (again.num_files_probed, again.lost["reason"].tolist()) == (0, ["truncated"])


def test_clips_that_max_frames_cuts_are_named_from_the_plan_on_and_marked_in_the_index(stages: Stages) -> None:
    stages.manifest(max_failed_fraction=0.9)
    stages.splits()
    stages.plan(Encoding(sampling="all", max_frames=20, resolution=32))
    sentence = f"{SOUND}: its first 20 frames are stored, 0.8 of 1.2 s; 10 frames after them are not"
    assert [w.detail.startswith(sentence) for w in dataset_warnings(stages.paths) if w.source == SOUND] == [True]
    stages.shards()
    report = stages.commit(max_failed_fraction=0.9)
    assert [(w.code, w.source) for w in report.warnings] == [("cut", SOUND)]
    index = pd.read_parquet(stages.paths.version("1.0.0").index)
    assert index.set_index("clip_id")["is_cut"].to_dict() == {SOUND: True}


def test_warnings_beyond_the_number_that_is_named_are_counted() -> None:
    warnings = [SourceWarning("damaged", f"{number}", "…", count=2) for number in range(MAX_OF_A_CODE + 3)]
    told = warnings_as_dicts([SourceWarning("truncated", "a", "…"), *warnings])
    assert (told[MAX_OF_A_CODE]["source"], told[MAX_OF_A_CODE]["count"]) == ("", 6)
    assert [entry["code"] for entry in told[-2:]] == ["damaged", "truncated"]


def test_a_dataset_without_a_manifest_has_no_warnings(tmp_path: Path) -> None:
    assert dataset_warnings(DatasetPaths(tmp_path, "clips")) == []
