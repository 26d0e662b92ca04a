"""The sound of videos in a store, and what a trial says of such videos."""

from pathlib import Path

import pytest

from video_assets.pipeline.plan.expected_build import trial_jobs, try_clips
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.stages import LIMITS, InThisProcess, Stages
from video_assets_tests.pipeline.test_captions_and_sound import SEQUENCES, sounding_source
from video_assets_tests.stores.conftest import Bucket

pytestmark = pytest.mark.slow
WITH_SOUND = SEQUENCES.replace(audio_sample_rate=16_000)


def stages_with_sound(bucket: Bucket, tmp_path: Path) -> tuple[Stages, Stages]:
    """The same sounding videos on disk and in a store, planned."""
    local = sounding_source(tmp_path)
    bucket.put_tree(local.source.parent, "videos")
    stored = Stages(bucket.at("videos/clips.csv"), DatasetPaths(bucket.at("root"), "clips"))
    for stages in (local, stored):
        stages.manifest()
        stages.splits()
    return local, stored


def test_sound_of_videos_in_a_store_gives_the_records_of_a_local_build(bucket: Bucket, tmp_path: Path) -> None:
    local, stored = stages_with_sound(bucket, tmp_path)
    for stages in (local, stored):
        stages.plan(WITH_SOUND)
        stages.shards()
        stages.commit()
    assert stored.quarantined() == {}
    shards = sorted(local.paths.version("1.0.0").directory.glob("*.tfrecord"))
    assert shards
    for shard in shards:
        assert bucket.at(f"root/clips/1.0.0/{shard.name}").read_bytes() == shard.read_bytes()


def test_a_trial_of_videos_in_a_store_fetches_each_once(bucket: Bucket, tmp_path: Path) -> None:
    _, stored = stages_with_sound(bucket, tmp_path)
    report = stored.plan(WITH_SOUND)
    encodings = [WITH_SOUND, WITH_SOUND.replace(resolution=16)]
    jobs = trial_jobs(stored.paths, report, encodings, LIMITS)
    before = len(bucket.proxy.log)
    assert try_clips(jobs, InThisProcess(), num_processes=2).num_stored == 3
    fetched = [request.path for request in bucket.proxy.log[before:] if request.method == "GET"]
    assert sum(path.endswith(".mp4") for path in fetched) == 3
