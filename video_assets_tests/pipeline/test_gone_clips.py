"""Clips that leave the source leave the dataset, by name; another source is not taken for a deletion."""

import shutil
from pathlib import Path

import pytest

from video_assets.domain.errors import BuildRefused
from video_assets.pipeline.noted_settings import manifest_settings
from video_assets.settings import ManifestSettings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.removals import REMOVALS, Removal, shorten_the_table
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
    with pytest.raises(BuildRefused, match=r"^none of the 24 clips of the dataset is in the source .*other"):
        Stages(other, stages.paths).manifest(max_failed_fraction=1.0)
    assert stages.paths.manifest.read_bytes() == before


def test_all_clips_under_other_names_are_the_same_source(stages: Stages) -> None:
    for name in ("jump", "run", "walk"):
        shutil.move(stages.source / name, stages.source / f"{name}ing")
    assert stages.manifest().gone == []


# --- the brake on removal ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("remove", REMOVALS, ids=lambda remove: remove.__name__)
def test_many_clips_leave_only_if_that_is_allowed_and_for_one_run(
    remove: Removal, built: Built, tmp_path: Path
) -> None:
    stages = Stages(copied_source(built.source, tmp_path), built.paths)
    before = {path: path.read_bytes() for path in built.paths.tables()}
    settings = remove(stages.source)
    with pytest.raises(BuildRefused, match=r"--set manifest.max_removed_fraction=1$") as refused:
        stages.manifest(**settings)
    assert REMOVALS[remove] in str(refused.value)
    assert {path: path.read_bytes() for path in built.paths.tables()} == before

    assert len(stages.manifest(**settings, max_removed_fraction=1.0).gone) >= 3
    assert manifest_settings(built.paths).max_removed_fraction == ManifestSettings().max_removed_fraction
    with pytest.raises(BuildRefused, match="max_removed_fraction"):  # nothing was committed since
        stages.manifest(**settings)


def test_few_clips_leave_without_a_word(built: Built, tmp_path: Path) -> None:
    stages = Stages(copied_source(built.source, tmp_path), built.paths)
    (stages.source / FIRST).unlink()
    assert stages.manifest().gone == [FIRST]


def test_a_whole_class_never_leaves_by_a_fraction(built: Built, tmp_path: Path) -> None:
    stages = Stages(copied_source(built.source, tmp_path), built.paths)
    shutil.rmtree(stages.source / "jump")
    with pytest.raises(BuildRefused, match="all of the class jump among them"):
        stages.manifest(max_removed_fraction=0.9)


def test_rows_whose_files_are_not_there_leave_too(built: Built, tmp_path: Path) -> None:
    """As of a table whose folder of one class is on a disk that is not mounted."""
    stages = Stages(copied_source(built.source, tmp_path), built.paths)
    shorten_the_table(stages.source)
    shutil.rmtree(stages.source / "jump")
    with pytest.raises(BuildRefused, match="all of the classes jump, walk among them"):
        stages.manifest(source_format="table", max_missing_fraction=1.0)
