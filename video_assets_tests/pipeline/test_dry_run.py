"""What `plan` says is what a build would do, whatever state the dataset is in."""

from pathlib import Path
from typing import Any

import pytest

from video_assets.domain.errors import BuildRefused, SettingsError
from video_assets.pipeline.dry_run import run_plan
from video_assets.pipeline.manifest.new_files import LookCursor, look
from video_assets.settings import ManifestSettings, Settings
from video_assets.sources.read import list_source
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import SETTINGS, Built
from video_assets_tests.pipeline.stages import ENCODING, Stages


def dry_run(built: Built, settings: Settings = SETTINGS, budget_bytes: float | None = None) -> dict[str, Any]:
    return run_plan(built.source, built.paths, settings, num_workers=1, budget_bytes=budget_bytes)


@pytest.mark.slow
def test_alternatives_are_a_new_version_as_soon_as_a_shard_is_there_committed_or_not(built: Built) -> None:
    built.version.dataset_info.unlink()
    for alternative in dry_run(built)["alternatives"]:
        assert "plan.new_version=true" in alternative["set"]
    for key in built.keys:
        built.shard(key).unlink()
    for alternative in dry_run(built)["alternatives"]:
        assert "plan.new_version=true" not in alternative["set"]


def test_a_dry_run_knows_which_files_have_settled(built: Built) -> None:
    files = list_source(built.source)
    look(built.paths, files, look(built.paths, files, LookCursor()).cursor)
    settings = SETTINGS.replace(manifest=ManifestSettings(only_settled=True))
    assert dry_run(built, settings)["shards_to_write"] == 0


@pytest.mark.slow
def test_with_the_quality_that_a_budget_gives_the_shards_are_no_larger(built_once: Built, tmp_path: Path) -> None:
    as_set = sum(built_once.shard(key).stat().st_size for key in built_once.keys)
    empty = Built(built_once.source, DatasetPaths(tmp_path / "root", "clips"))
    budget = dry_run(empty, budget_bytes=0.8 * as_set)["budget"]
    stages = Stages(empty.source, empty.paths)
    stages.manifest()
    stages.splits()
    stages.plan(ENCODING.replace(jpeg_quality=budget["jpeg_quality"]))
    stages.shards()
    num_bytes = sum(empty.shard(key).stat().st_size for key in empty.keys)
    assert budget["estimated_bytes"] <= 0.8 * as_set
    assert budget["estimated_bytes"] == pytest.approx(num_bytes, rel=0.1)


def test_a_budget_that_no_quality_keeps_is_refused_with_what_would_help(built_once: Built) -> None:
    with pytest.raises(
        BuildRefused, match=r"no JPEG quality brings the dataset under 1.0 kB: .*plan.encoding.resolution"
    ):
        dry_run(built_once, budget_bytes=1000)


def test_a_budget_is_for_jpeg_alone(built_once: Built) -> None:
    png = SETTINGS.plan.encoding.replace(image_format="png")
    settings = SETTINGS.replace(plan=SETTINGS.plan.replace(encoding=png, new_version=True))
    with pytest.raises(SettingsError, match=r"set plan\.encoding\.image_format=jpeg as well"):
        dry_run(built_once, settings, budget_bytes=1e9)
