"""Videos that are opened before the manifest asks: they change nothing but when it is done."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from video_assets.domain.errors import BuildRefused
from video_assets.domain.limits import Limits
from video_assets.media.kept_pools import kept_pools
from video_assets.media.pool import DecodingPool
from video_assets.pipeline.jobs import open_pool
from video_assets.pipeline.manifest import build_manifest
from video_assets.pipeline.probe_ahead import probe_ahead
from video_assets.pipeline.settings import SourceSettings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.stages import Stages, copied_source
from video_assets_tests.pipeline.videos import NUM_CLIPS, clip_path, write_video

CHANGED, GONE = clip_path("jump", 1, 1), clip_path("run", 1, 1)


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs that were really handed to decoding processes."""
    jobs: list[Any] = []
    submit = DecodingPool._submit

    def noted(self: DecodingPool, function: Any, job: Any, cancelled: Any) -> Any:
        jobs.append(job)
        return submit(self, function, job, cancelled)

    monkeypatch.setattr(DecodingPool, "_submit", noted)
    return jobs


def test_the_manifest_is_the_same_and_each_file_was_opened_once(
    videos: Path, tmp_path: Path, submitted: list[Any]
) -> None:
    source = copied_source(videos, tmp_path)
    (source / ".hidden").mkdir()
    (source / ".hidden" / "a.mp4").write_bytes(b"not looked at")
    plain = Stages(source, DatasetPaths(tmp_path / "plain", "clips")).manifest()
    paths = DatasetPaths(tmp_path / "root", "clips")
    with kept_pools():
        probe_ahead(source, paths, 2)
        ahead = len(submitted)
        found = build_manifest(source, paths, SourceSettings(), partial(open_pool, 2, Limits()))
    assert ahead == len(submitted) == NUM_CLIPS + 1
    assert found.clips.equals(plain.clips)
    assert found.lost.equals(plain.lost)


def test_a_file_that_changes_or_goes_after_it_was_opened_is_not_taken_for_what_it_was(
    videos: Path, tmp_path: Path, submitted: list[Any]
) -> None:
    source, paths = copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips")
    with kept_pools():
        probe_ahead(source, paths, 2)
        ahead = len(submitted)
        (source / CHANGED).unlink()
        (source / GONE).unlink()
        write_video(source / CHANGED, seed=99)
        found = build_manifest(source, paths, SourceSettings(), partial(open_pool, 2, Limits()))
    assert [job.file.path for job in submitted[ahead:]] == [CHANGED]
    afresh = Stages(source, DatasetPaths(tmp_path / "plain", "clips")).manifest()
    assert found.clips.equals(afresh.clips)
    assert GONE not in set(found.clips["path"])


def test_under_other_limits_every_file_is_opened_again(videos: Path, tmp_path: Path, submitted: list[Any]) -> None:
    source, paths = copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips")
    limits = Limits(max_pixels=1000)
    settings = SourceSettings(limits=limits, max_failed_fraction=1.0)
    with kept_pools():
        probe_ahead(source, paths, 2)
        ahead = len(submitted)
        with pytest.raises(BuildRefused, match="too_many_pixels 24"):
            build_manifest(source, paths, settings, partial(open_pool, 2, limits))
    assert len(submitted) == 2 * ahead


def test_a_dataset_that_knows_videos_begins_nothing(videos: Path, tmp_path: Path, submitted: list[Any]) -> None:
    source, paths = copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips")
    Stages(source, paths).manifest()
    with kept_pools():
        probe_ahead(source, paths, 2)
    assert submitted == []
