"""What `plan` says is what a build would do, whatever state the dataset is in."""

from typing import Any

from video_assets.defs.dry_run import run_plan
from video_assets.pipeline.arrivals import LookCursor, look
from video_assets.sources.by_keywords import list_source
from video_assets_tests.datasets import RUN_CONFIG, Built


def dry_run(built: Built, **manifest: object) -> dict[str, Any]:
    settings = {"manifest": {"config": {"max_failed_fraction": 0.1, **manifest}}}
    return run_plan(built.source, built.paths, {"ops": {**RUN_CONFIG["ops"], **settings}}, num_workers=1)


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
    assert dry_run(built, only_settled=True)["shards_to_write"] == 0
