"""Labelled spans of one video share its decoding, and neither their records nor their fates tell of it."""

import csv
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.clips import Loss, VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.plan import PlannedClip
from video_assets.domain.sampling import KnownTimeline
from video_assets.media.decode.decode_clip import JointDecodeFailed
from video_assets.media.workers.pool import DecodingPool
from video_assets.pipeline.manifest.probing import ProbeJob
from video_assets.pipeline.plan.plan_table import planned_clips, read_plan
from video_assets.pipeline.shards import encode
from video_assets.pipeline.shards import spans as span_tasks
from video_assets.pipeline.shards import stage as shards
from video_assets.pipeline.shards.encode import ClipJob, EncodedClip, encode_clip
from video_assets.pipeline.shards.pending import shards_to_build
from video_assets.pipeline.shards.stage import ShardReport, build_shards, known_timelines
from video_assets.settings import DEFAULT_LIMITS, Limits, PlanSettings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.corpus import require_corpus
from video_assets_tests.media.decode.test_decode_clip import X264
from video_assets_tests.media.making import numbered_video
from video_assets_tests.pipeline import containment_jobs
from video_assets_tests.pipeline.containment_jobs import KILLING_SECONDS, STALLING_SECONDS
from video_assets_tests.pipeline.stages import ENCODING, LIMITS, InThisProcess, Stages
from video_assets_tests.pipeline.test_containment import lost_reasons, stored_records
from video_assets_tests.pipeline.test_encode import job_of
from video_assets_tests.pipeline.videos import write_video

Span = tuple[float | None, float | None]
NUM_FRAMES = 60  # six seconds
SPANS: list[Span] = [
    *((0.3 * number, 0.3 * number + 2.0) for number in range(12)),
    *[(None, None), (5.0, None), (None, 1.0), (5.9, 99.0), (2.0, 2.05), (0.0, 6.0)],
]


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    """Two videos with many spans of each, and a whole one, in a table; two clips a shard and nothing built."""
    videos = tmp_path / "videos"
    for seed, name in enumerate(("a.mp4", "b.mp4", "c.mp4")):
        write_video(videos / name, seed, NUM_FRAMES)
    rows = (
        [("a.mp4", "x", *span) for span in SPANS] + [("b.mp4", "y", *span) for span in SPANS] + [("c.mp4", "x", "", "")]
    )
    with (videos / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "start", "end"), *rows])
    return Stages(videos / "clips.csv", DatasetPaths(tmp_path / "root", "clips"))


def elsewhere(stages: Stages, name: str) -> Stages:
    return Stages(stages.source, DatasetPaths(stages.paths.root.parent / name, "clips"))


def plan(stages: Stages, pool: InThisProcess | None = None) -> None:
    stages.manifest(pool)
    stages.splits()
    stages.plan(ENCODING, PlanSettings(clips_per_shard=7))


def one_by_one(_: object, jobs: Iterable[ClipJob]) -> Iterator[EncodedClip | Loss]:
    """In the place of `encode_in_order`."""
    return (result.outcome for result in InThisProcess().map(encode_clip, jobs))


def shard_bytes(stages: Stages) -> dict[str, bytes]:
    files = sorted(stages.paths.version("1.0.0").directory.rglob("*"))
    return {path.name: path.read_bytes() for path in files if path.suffix in (".tfrecord", ".json")}


def built_one_by_one(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> tuple[Stages, list[ShardReport]]:
    alone = elsewhere(stages, "alone")
    plan(alone)
    with monkeypatch.context() as patch:
        patch.setattr(span_tasks, "encode_in_order", one_by_one)
        return alone, alone.shards()


def test_shards_of_spans_are_those_of_encoding_one_by_one(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, _ = built_one_by_one(stages, monkeypatch)
    pool = InThisProcess()
    plan(stages)
    reports = stages.shards(pool=pool)
    assert len(reports) > 3
    assert shard_bytes(stages) == shard_bytes(alone)
    assert len(stored_records(stages, reports)) == 2 * len(SPANS) + 1
    assert max(len(jobs) for jobs in pool.jobs) > 10, "spans of several shards are encoded together"
    assert sum(report.num_frames_decoded for report in reports) <= 3 * NUM_FRAMES + 10


def test_a_video_is_hashed_and_probed_once_for_all_its_spans(stages: Stages) -> None:
    pool = InThisProcess()
    plan(stages, pool)
    assert sorted(job.file.path for job in pool.jobs if isinstance(job, ProbeJob)) == ["a.mp4", "b.mp4", "c.mp4"]


def test_shards_that_are_built_after_others_are_what_they_would_be_with_them(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, _ = built_one_by_one(stages, monkeypatch)
    plan(stages)
    first, second, *rest = shards_to_build(stages.paths)
    for keys in ([second], rest, [first]):
        stages.shards(keys)
    assert shard_bytes(stages) == shard_bytes(alone)


@pytest.mark.slow
def test_a_build_that_is_left_in_the_middle_goes_on_to_the_same_bytes(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, _ = built_one_by_one(stages, monkeypatch)
    plan(stages)
    with DecodingPool(2) as pool:
        reports = build_shards(stages.paths, shards_to_build(stages.paths), LIMITS, partial(_lent, pool))
        next(reports)
        reports.close()  # type: ignore[attr-defined]  (a generator)
        assert 0 < len(shards_to_build(stages.paths)) < len(shard_bytes(alone)) / 2
        list(build_shards(stages.paths, shards_to_build(stages.paths), LIMITS, partial(_lent, pool)))
    assert shard_bytes(stages) == shard_bytes(alone)


@pytest.mark.slow
def test_spans_of_a_long_matroska_video_are_found_by_seeking_and_are_the_same_bytes(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = stages.source.parent / "long.mkv"
    long.write_bytes(numbered_video(700, container="matroska", options=X264))
    with stages.source.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("long.mkv", "x", start, start + 1.5) for start in range(26)])
    pool = InThisProcess()
    plan(stages)
    reports = stages.shards(pool=pool)
    parts = {job.time_range for jobs in pool.jobs for job in jobs if job.path == long}
    assert len(parts) == 26 and None not in parts
    assert all(job.time_range is None for jobs in pool.jobs for job in jobs if job.path != long)
    monkeypatch.setattr(shards, "known_timelines", lambda *_: {})
    alone, alone_reports = built_one_by_one(stages, monkeypatch)
    assert stored_records(alone, alone_reports) == stored_records(stages, reports)
    assert shard_bytes(alone) == shard_bytes(stages)


def test_a_damaged_manifest_tells_nothing_of_videos_and_stops_no_shard(stages: Stages) -> None:
    (stages.source.parent / "long.mkv").write_bytes(numbered_video(700, container="matroska", options=X264))
    with stages.source.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(("long.mkv", "x", 1, 2))
    plan(stages)
    clips = list(planned_clips(read_plan(stages.paths).rows))
    assert list(known_timelines(stages.paths, clips).values()) == [KnownTimeline(0, 28_000_000, 700)]
    damaged = bytearray(stages.paths.manifest.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    stages.paths.manifest.write_bytes(damaged)
    assert known_timelines(stages.paths, clips) == {}
    stages.paths.manifest.unlink()
    assert known_timelines(stages.paths, clips) == {}


class _lent:
    def __init__(self, pool: DecodingPool) -> None:
        self._pool = pool

    def __enter__(self) -> DecodingPool:
        return self._pool

    def __exit__(self, *_: object) -> None:
        pass


def build_misbehaving(stages: Stages, monkeypatch: pytest.MonkeyPatch, limits: Limits) -> list[ShardReport]:
    monkeypatch.setattr(encode, "encode_spans", containment_jobs.encode_spans_or_misbehave)
    monkeypatch.setattr(encode, "encode_clip", containment_jobs.encode_span_or_misbehave)
    plan(stages)
    return list(build_shards(stages.paths, shards_to_build(stages.paths), limits, partial(DecodingPool, 2, limits)))


def add_span(stages: Stages, start: float) -> str:
    with stages.source.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(("a.mp4", "x", start, start + 1))
    return f"a.mp4#t={start:g},{start + 1:g}"


@pytest.mark.slow
def test_a_span_that_kills_its_process_costs_none_of_those_that_were_encoded_with_it(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = stored_records(*built_one_by_one(stages, monkeypatch))
    guilty = add_span(stages, KILLING_SECONDS)
    reports = build_misbehaving(stages, monkeypatch, LIMITS)
    assert stored_records(stages, reports) == wanted
    losses = [loss for report in reports if report.sidecar for loss in report.sidecar.losses]
    assert [(loss.clip_id, loss.reason) for loss in losses] == [(guilty, "crashed")]


@pytest.mark.slow
def test_a_span_that_hangs_costs_none_of_those_that_were_encoded_with_it(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = stored_records(*built_one_by_one(stages, monkeypatch))
    add_span(stages, STALLING_SECONDS)
    reports = build_misbehaving(stages, monkeypatch, replace(DEFAULT_LIMITS, clip_seconds=4.0))
    assert stored_records(stages, reports) == wanted
    assert {source: reason for source, (reason, _) in lost_reasons(stages, reports).items()} == {"a.mp4": "timeout"}


def test_a_video_that_changed_loses_its_spans_and_no_others(stages: Stages) -> None:
    plan(stages)
    write_video(stages.source.parent / "b.mp4", 9, NUM_FRAMES)
    reports = stages.shards()
    lost = [loss for report in reports if report.sidecar for loss in report.sidecar.losses]
    assert {(loss.source, loss.reason) for loss in lost} == {("b.mp4", "changed")}
    assert len(lost) == len(SPANS)
    assert len(stored_records(stages, reports)) == len(SPANS) + 1


@pytest.mark.parametrize("trouble", [JointDecodeFailed("no"), VideoLost(Loss("damaged", "of some span"))])
def test_where_spans_are_not_smooth_together_each_is_encoded_by_itself(
    trouble: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise trouble

    video = write_video(tmp_path / "a.mp4", 1, NUM_FRAMES)
    jobs = [span_job(video, span) for span in [*SPANS, (7.0, 8.0)]]
    wanted = list(one_by_one(None, jobs))
    assert isinstance(wanted[-1], Loss) and wanted[-1].reason == "bad_span"
    assert [framed(one) for one in span_tasks.encode_in_order(InThisProcess(), jobs)] == [framed(one) for one in wanted]
    monkeypatch.setattr(encode, "decode_spans", fail)
    assert [framed(one) for one in span_tasks.encode_in_order(InThisProcess(), jobs)] == [framed(one) for one in wanted]


def framed(outcome: EncodedClip | Loss) -> bytes | Loss:
    return outcome if isinstance(outcome, Loss) else outcome.framed


def span_job(path: Path, span: Span, encoding: Encoding = ENCODING) -> ClipJob:
    return job_of(path, encoding, start_seconds=span[0], end_seconds=span[1])


@pytest.mark.corpus
@pytest.mark.slow
def test_a_worker_stays_small_with_as_many_spans_of_1080p_as_it_gets_at_once() -> None:
    path = require_corpus() / "long" / "media3_363s_1080p_h264.mp4"
    jobs = [span_job(path, (float(start), start + 5.0), Encoding()) for start in range(22)]
    (task,) = span_tasks.span_tasks(jobs)
    with DecodingPool(1) as pool:
        (result,) = pool.map(encode.encode_spans, [[job for _, job in task]])
    assert isinstance(result.outcome, list) and len(result.outcome) == 22
    assert result.peak_rss_bytes < 350 * 2**20


# --- Which spans are encoded together ---------------------------------------------------------------------------------

seconds = st.one_of(st.none(), st.floats(0, 100))
names = st.sampled_from(["a.mp4", "b.mp4", "c.mkv"])
wishes = st.lists(st.tuples(names, seconds, seconds), max_size=120)


def jobs_of(wanted: Iterable[tuple[str, float | None, float | None]], **encoding: Any) -> list[ClipJob]:
    settings = Encoding(**encoding)
    clips = [PlannedClip(f"{i}", name, "0", "x", 0, start, end) for i, (name, start, end) in enumerate(wanted)]
    return [ClipJob(Path(clip.path), 1, 1, clip, settings, LIMITS) for clip in clips]


@given(wishes, st.sampled_from(["uniform", "all", "fps"]), st.sampled_from([32, 224, 4000]))
def test_every_clip_is_in_one_task_with_others_of_its_video(
    wanted: list[tuple[str, float | None, float | None]], sampling: str, resolution: int
) -> None:
    jobs = jobs_of(wanted, sampling=sampling, resolution=resolution)
    tasks = list(span_tasks.span_tasks(jobs))
    assert sorted(place for task in tasks for place, _ in task) == list(range(len(jobs)))
    assert all(jobs[place] is job for task in tasks for place, job in task)
    assert all(len({job.path for _, job in task}) == 1 for task in tasks)
    assert all(len(task) <= span_tasks.TOGETHER_CLIPS for task in tasks)
    earliest = [min(place for place, _ in task) for task in tasks]
    assert earliest == sorted(earliest)


def test_far_spans_of_an_mp4_are_left_to_several_processes_and_those_of_other_containers_share_an_index() -> None:
    for name, sizes in (("a.mp4", [2, 2]), ("a.mov", [2, 2]), ("a.mkv", [4])):
        jobs = jobs_of([(name, 0, 5), (name, 60, 65), (name, 14.9, 20), (name, 74, 80)])
        assert [len(task) for task in span_tasks.span_tasks(jobs)] == sizes


def test_what_waits_for_its_turn_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of 0.25 MB each: of 128 MB, 512."""
    wanted = [("a.mp4", float(number % 90), 1.0 + number % 90) for number in range(3000)]
    tasks = list(span_tasks.span_tasks(jobs_of(wanted)))
    farthest = max(place - head for task in tasks for head in [min(place for place, _ in task)] for place, _ in task)
    assert 300 < farthest < 600
    monkeypatch.setattr(span_tasks, "WAITING_BYTES", 2**20)
    tasks = list(span_tasks.span_tasks(jobs_of(wanted)))
    assert max(place - task[0][0] for task in tasks for place, _ in task) < 5
    small = list(span_tasks.span_tasks(jobs_of(wanted, resolution=8)))
    assert Counter(len(task) for task in small).most_common(1) == [(span_tasks.TOGETHER_CLIPS, 93)]


def test_a_task_holds_no_more_frames_than_fit_into_a_process() -> None:
    wanted = [("a.mp4", float(number), number + 2.0) for number in range(100)]
    (most,) = {len(task) for task in itertools.islice(span_tasks.span_tasks(jobs_of(wanted)), 3)}
    assert most == span_tasks.TOGETHER_BYTES // (10 * 224 * 224 * 3)
    every_frame = jobs_of(wanted, sampling="all", max_frames=300)
    assert {len(task) for task in span_tasks.span_tasks(every_frame)} == {1}
    endless = [("a.mp4", number, None) for number in range(3)]
    floats = jobs_of(endless, sampling="all", max_frames=100_000, layout="movinets_helper")
    assert [len(task) for task in span_tasks.span_tasks(floats)] == [1, 1, 1]


def test_a_changed_time_of_a_file_is_another_video() -> None:
    one, other = jobs_of([("a.mp4", 0, 1), ("a.mp4", 1, 2)])
    assert len(list(span_tasks.span_tasks([one, replace(other, mtime_ns=2)]))) == 2
