"""By which settings a clip is in a dataset, and in which group, is not forgotten by a later build that omits them."""

from dataclasses import replace
from pathlib import Path

from video_assets.domain.limits import Limits
from video_assets.pipeline.manifest.stage import kept_settings
from video_assets.pipeline.settings import SourceSettings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.stages import Stages

ASKED = SourceSettings(max_failed_fraction=0.5, limits=Limits(max_frames=7))


def test_a_first_build_has_the_settings_that_it_is_given(tmp_path: Path) -> None:
    assert kept_settings(DatasetPaths(tmp_path, "clips"), ASKED, ()) == ASKED


def test_what_is_not_given_stays_as_it_was_and_what_is_given_holds(videos: Path, tmp_path: Path) -> None:
    stages = Stages(videos, DatasetPaths(tmp_path / "root", "clips"))
    stages.manifest(group_pattern="g(..)", include=("jump/*",), max_failed_fraction=1.0)
    kept = replace(ASKED, group_pattern="g(..)", include=("jump/*",))
    assert kept_settings(stages.paths, ASKED, ()) == kept
    given = replace(ASKED, group_pattern="")
    assert kept_settings(stages.paths, given, ["group_pattern"]) == replace(given, include=("jump/*",))
    assert kept_settings(stages.paths, given, ["group_pattern", "include"]) == given
