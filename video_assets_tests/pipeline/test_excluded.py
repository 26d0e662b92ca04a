"""`manifest.exclude`: clips that are left out by name, also of a dataset that grows."""

from pathlib import Path

import pytest

from video_assets.domain.errors import SettingsError
from video_assets.pipeline.manifest.excluded import EXCLUDED
from video_assets.pipeline.noted_settings import manifest_settings, settings_in_force
from video_assets.settings import Settings
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.stages import Stages, copied_source
from video_assets_tests.pipeline.videos import NUM_CLIPS, clip_path, write_class

BAD = clip_path("run", 1, 1)


@pytest.fixture
def stages(built: Built, tmp_path: Path) -> Stages:
    return Stages(copied_source(built.source, tmp_path), built.paths)


def test_clips_are_left_out_by_path_and_by_id_and_the_reason_says_so(stages: Stages) -> None:
    table = stages.source / "spans.csv"
    path = clip_path("walk", 1, 1)
    rows = [f"{path},walk,0,0.5", f"{path},walk,0.5,1", f"{BAD},run,,", f"{clip_path('jump', 1, 1)},jump,,"]
    table.write_text("path,label,start,end\n" + "".join(f"{row}\n" for row in rows), "utf-8")
    (stages.source / "bad.txt").write_text(f"\ufeff# mislabelled\n\n./{BAD}\n{path}#t=0.5,1\nno/such.mp4\n", "utf-8")
    report = Stages(table, stages.paths).manifest(exclude="bad.txt", max_removed_fraction=1)
    assert set(report.clips["clip_id"]) == {f"{path}#t=0,0.5", clip_path("jump", 1, 1)}
    left_out = {item.source: item.reason for item in report.left_out}
    assert left_out[BAD] == left_out[f"{path}#t=0.5,1"] == EXCLUDED
    [warning] = [warning for warning in report.reading.warnings if warning.code == "not_excluded"]
    assert warning.detail == "1 line of manifest.exclude names no clip of the source: no/such.mp4"


def test_growth_goes_on_without_them_and_takes_them_again_when_asked_to(stages: Stages, tmp_path: Path) -> None:
    listed = tmp_path / "bad.txt"
    listed.write_text(BAD, "utf-8")
    assert len(stages.manifest(exclude=str(listed)).clips) == NUM_CLIPS - 1
    write_class(stages.source, "run", range(5, 6))
    grown = stages.manifest(exclude=settings_in_force(stages.paths, Settings()).manifest.exclude)
    assert len(grown.clips) == NUM_CLIPS + 1
    assert BAD not in set(grown.clips["clip_id"])
    assert grown.gone == []
    assert BAD in set(stages.manifest(exclude="").clips["clip_id"])


def test_an_excluded_clip_leaves_the_dataset_with_the_next_commit(stages: Stages) -> None:
    (stages.source / "bad.txt").write_text(BAD, "utf-8")
    stages.manifest(exclude="bad.txt")
    assert manifest_settings(stages.paths).exclude == "bad.txt"  # beside the source, it moves with it
    stages.splits()
    stages.plan()
    stages.shards()
    report = stages.commit()
    assert sum(report.records.values()) == NUM_CLIPS - 1


def test_a_list_that_is_gone_is_named(stages: Stages) -> None:
    with pytest.raises(SettingsError, match=r"^manifest.exclude: .*gone.txt cannot be read .*name a text file"):
        stages.manifest(exclude="gone.txt")
