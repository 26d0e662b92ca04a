"""Clips that leave the source leave the dataset, by name; another source is not taken for a deletion."""

import shutil
from pathlib import Path

import pytest

from video_assets.domain.errors import BuildRefused
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.stages import Stages, copied_source
from video_assets_tests.pipeline.videos import clip_path

FIRST, SECOND = clip_path("jump", 1, 1), clip_path("jump", 1, 2)


@pytest.fixture
def stages(videos: Path, tmp_path: Path) -> Stages:
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    assert stages.manifest().gone == []
    return stages


def test_deleted_clips_are_named(stages: Stages) -> None:
    for path in (SECOND, FIRST):
        (stages.source / path).unlink()
    assert stages.manifest().gone == [FIRST, SECOND]
    assert stages.manifest().gone == []  # told once


def test_a_clip_under_another_name_is_not_gone(stages: Stages) -> None:
    (stages.source / FIRST).rename(stages.source / "jump" / "renamed.mp4")
    assert stages.manifest().gone == []


def test_a_clip_that_is_lost_now_is_in_the_quarantine_and_not_gone(stages: Stages) -> None:
    (stages.source / FIRST).write_bytes(b"")
    report = stages.manifest()
    assert FIRST in set(report.lost["source"])
    assert report.gone == []


def test_a_span_that_its_table_no_longer_has_is_gone(stages: Stages) -> None:
    table = stages.source / "labels.csv"
    table.write_text(f"path,label,start,end\n{FIRST},jump,0,1\n{FIRST},jump,1,2\n{SECOND},jump,,\n", "utf-8")
    spans = Stages(table, DatasetPaths(stages.paths.root, "spans"))
    spans.manifest()
    table.write_text(f"path,label,start,end\n{FIRST},jump,0,1\n{SECOND},jump,,\n", "utf-8")
    assert spans.manifest().gone == [f"{FIRST}#t=1,2"]


def test_a_source_with_none_of_the_clips_that_are_known_is_refused_and_changes_nothing(
    stages: Stages, tmp_path: Path
) -> None:
    before = stages.paths.manifest.read_bytes()
    other = tmp_path / "other"
    (other / "walk").mkdir(parents=True)
    (other / "walk" / "new.mp4").write_bytes((stages.source / FIRST).read_bytes()[:-1])
    with pytest.raises(BuildRefused, match=r"^none of the 24 clips that the dataset knows is in the source .*other"):
        Stages(other, stages.paths).manifest(max_failed_fraction=1.0)
    assert stages.paths.manifest.read_bytes() == before


def test_all_clips_under_other_names_are_the_same_source(stages: Stages) -> None:
    for name in ("jump", "run", "walk"):
        shutil.move(stages.source / name, stages.source / f"{name}ing")
    assert stages.manifest().gone == []
