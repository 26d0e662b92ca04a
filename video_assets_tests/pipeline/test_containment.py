"""One bad video costs itself: among hundreds of them, the good clips' records are what they are without any."""

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import get_args

import psutil
import pytest

from video_assets.domain.clips import LossReason
from video_assets.media.workers.pool import DecodingPool
from video_assets.pipeline.manifest.stage import build_manifest
from video_assets.pipeline.shards import encode
from video_assets.pipeline.shards.pending import shards_to_build
from video_assets.pipeline.shards.stage import ShardReport, build_shards
from video_assets.pipeline.shared_pools import open_pool
from video_assets.settings import DEFAULT_LIMITS, ManifestSettings
from video_assets.storage.paths import parse_partition_key
from video_assets_tests.corpus import corpus_rows, require_corpus
from video_assets_tests.media.making import numbered_video
from video_assets_tests.pipeline import containment_jobs
from video_assets_tests.pipeline.mutations import FAULT_OF_OURS, mp4_boxes, mutate
from video_assets_tests.pipeline.stages import ENCODING, SHARDING, Stages
from video_assets_tests.pipeline.videos import clip_path, write_class, write_video

NUM_MUTANTS = 250
SEED = 20
SETTINGS = ManifestSettings(
    max_failed_fraction=1.0, clip_seconds=20.0, max_pixels=1_000_000, max_frames=20_000, clip_memory_megabytes=512
)
LIMITS = SETTINGS.limits
MEBIBYTE = 2**20


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    """Two classes of good clips, nothing built."""
    from video_assets.storage.paths import DatasetPaths

    for class_name in ("jump", "walk"):
        write_class(tmp_path / "videos", class_name, range(1, 4))
    return Stages(tmp_path / "videos", DatasetPaths(tmp_path / "root", "clips"))


def build_with_pool(stages: Stages, settings: ManifestSettings = SETTINGS) -> list[ShardReport]:
    """Manifest to shards, in real decoding processes."""
    limits = settings.limits
    pool = partial(DecodingPool, 2, limits)
    build_manifest(stages.source, stages.paths, settings, pool)
    stages.splits()
    stages.plan()
    reports = list(build_shards(stages.paths, shards_to_build(stages.paths), limits, pool))
    assert not [report.error for report in reports if report.error]
    return reports


def stored_records(stages: Stages, reports: list[ShardReport]) -> dict[str, bytes]:
    """The framed bytes of every record, by its clip."""
    found: dict[str, bytes] = {}
    for report in reports:
        assert report.sidecar is not None
        data = stages.paths.version("1.0.0").shard(*parse_partition_key(report.key)).read_bytes()
        found |= {clip.clip_id: data[clip.offset : clip.offset + clip.length] for clip in report.sidecar.clips}
    return found


def lost_reasons(stages: Stages, reports: list[ShardReport]) -> dict[str, tuple[str, str]]:
    """Reason and sentence of what the manifest or a shard lost, by the file."""
    lost = {loss.source: (loss.reason, loss.detail) for r in reports if r.sidecar for loss in r.sidecar.losses}
    return stages.quarantined() | lost


def decoding_processes() -> Iterator[psutil.Process]:
    """Processes below this one, but for the tracker of semaphores that Python itself keeps."""
    for process in psutil.Process().children(recursive=True):
        if process.is_running() and "resource_tracker" not in " ".join(process.cmdline()):
            yield process


def small_files() -> dict[str, bytes]:
    """A container and a codec each, a few kB."""
    return {
        "plain.mp4": numbered_video(12, options={"g": "6"}),
        "fragments.mp4": numbered_video(12, container_options={"movflags": "frag_keyframe+empty_moov"}),
        "hevc.mp4": numbered_video(8, codec="libx265", options={"x265-params": "log-level=none"}),
        "parts.avi": numbered_video(12, codec="mpeg4", container="avi"),
        "vp8.webm": numbered_video(12, codec="libvpx", container="webm"),
        "h264.mkv": numbered_video(12, container="matroska"),
        "stream.ts": numbered_video(12, container="mpegts"),
        "motion.mov": numbered_video(6, codec="mjpeg", container="mov", pix_fmt="yuvj420p"),
    }


def small_files_of_the_corpus() -> dict[str, bytes]:
    """Sixteen of the smallest."""
    rows = [row for row in corpus_rows("formats/") if row["decode"] == "ok" and int(row["size"]) < 40_000]
    paths = sorted(require_corpus() / row["path"] for row in rows)[:16]
    return {f"corpus_{path.name}": path.read_bytes() for path in paths}


def test_the_same_seed_breaks_files_in_the_same_way() -> None:
    originals = {"a.mp4": numbered_video(5), "b.avi": numbered_video(5, codec="mpeg4", container="avi")}
    first, again = (list(mutate(originals, 60, seed=1)) for _ in range(2))
    assert first == again
    assert len({mutant.name for mutant in first}) == 60
    assert list(mutate(originals, 60, seed=2)) != first


def test_boxes_are_found_with_their_parents() -> None:
    boxes = mp4_boxes(numbered_video(5))
    assert [box.kind for box in boxes if not box.parents] == [b"ftyp", b"free", b"mdat", b"moov"]
    (sizes,) = [box for box in boxes if box.kind == b"stsz"]
    kinds = {box.start: box.kind for box in boxes}
    assert [kinds[start] for start in sizes.parents] == [b"moov", b"trak", b"mdia", b"minf", b"stbl"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "originals", [small_files, pytest.param(small_files_of_the_corpus, marks=pytest.mark.corpus)], ids=["made", "real"]
)
def test_hundreds_of_broken_files_change_no_good_clip(
    originals: Callable[[], dict[str, bytes]], stages: Stages
) -> None:
    alone = stored_records(stages, build_with_pool(stages))
    assert len(alone) == 12
    together = Stages(stages.source, type(stages.paths)(stages.source.parent / "together", "clips"))
    names = set[str]()
    for number, mutant in enumerate(mutate(originals(), NUM_MUTANTS, SEED)):
        name = f"{('jump', 'walk')[number % 2]}/{mutant.name}"
        (stages.source / name).write_bytes(mutant.data)
        names.add(name)
    reports = build_with_pool(together)
    stored, lost = stored_records(together, reports), lost_reasons(together, reports)
    assert len(names) == NUM_MUTANTS
    assert stored.keys() | lost.keys() == alone.keys() | names
    assert not stored.keys() & lost.keys()
    assert all(reason in get_args(LossReason) and sentence for reason, sentence in lost.values())
    assert not [sentence for _, sentence in lost.values() if FAULT_OF_OURS.search(sentence)]
    assert {clip: stored.get(clip) for clip in alone} == alone
    # Of both enough that the test means something.
    assert len(stored) - len(alone) > NUM_MUTANTS / 10
    assert len(lost) > NUM_MUTANTS / 10
    assert not list(decoding_processes())


@pytest.mark.corpus
@pytest.mark.slow
def test_hostile_files_of_other_people_change_no_good_clip(stages: Stages) -> None:
    corpus = require_corpus()
    alone = stored_records(stages, build_with_pool(stages))
    names = {f"jump/{Path(row['path']).name}" for row in corpus_rows("nasty/")}
    for row in corpus_rows("nasty/"):
        shutil.copyfile(corpus / row["path"], stages.source / "jump" / Path(row["path"]).name)
    together = Stages(stages.source, type(stages.paths)(stages.source.parent / "together", "clips"))
    reports = build_with_pool(together)
    stored, lost = stored_records(together, reports), lost_reasons(together, reports)
    assert stored.keys() | lost.keys() == alone.keys() | names
    assert all(reason in get_args(LossReason) and sentence for reason, sentence in lost.values())
    assert not [sentence for _, sentence in lost.values() if FAULT_OF_OURS.search(sentence)]
    assert {clip: stored.get(clip) for clip in alone} == alone


def build_misbehaving(stages: Stages, monkeypatch: pytest.MonkeyPatch, settings: ManifestSettings) -> list[ShardReport]:
    """A build whose encoding does to some clips what their names say."""
    monkeypatch.setattr(encode, "encode_clip", containment_jobs.encode_or_misbehave)
    return build_with_pool(stages, settings)


@pytest.mark.slow
def test_a_process_killed_in_mid_clip_harms_no_other_clip_and_loses_none(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(stages.source / "walk" / "killed_once.mp4", seed=7)
    wanted = stored_records(stages, build_with_pool(stages))
    again = Stages(stages.source, type(stages.paths)(stages.source.parent / "again", "clips"))
    reports = build_misbehaving(again, monkeypatch, SETTINGS)
    assert (stages.source.parent / "was-killed").exists()
    assert stored_records(again, reports) == wanted
    assert lost_reasons(again, reports) == {}


@pytest.mark.slow
def test_a_file_that_always_kills_its_process_costs_itself_only(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = stored_records(stages, build_with_pool(stages))
    write_video(stages.source / "walk" / "killed_always.mp4", seed=8)
    again = Stages(stages.source, type(stages.paths)(stages.source.parent / "again", "clips"))
    reports = build_misbehaving(again, monkeypatch, SETTINGS)
    assert stored_records(again, reports) == wanted
    assert {source: reason for source, (reason, _) in lost_reasons(again, reports).items()} == {
        "walk/killed_always.mp4": "crashed"
    }


@pytest.mark.slow
def test_a_reader_that_stalls_is_stopped_at_the_time_limit_and_the_rest_goes_on(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = stored_records(stages, build_with_pool(stages))
    write_video(stages.source / "walk" / "is_stalled.mp4", seed=9)
    os.mkfifo(containment_jobs.path_of_pipe(stages.source))
    again = Stages(stages.source, type(stages.paths)(stages.source.parent / "again", "clips"))
    reports = build_misbehaving(again, monkeypatch, SETTINGS.replace(clip_seconds=8.0))
    assert stored_records(again, reports) == wanted
    assert {source: reason for source, (reason, _) in lost_reasons(again, reports).items()} == {
        "walk/is_stalled.mp4": "timeout"
    }


def test_a_pipe_in_the_place_of_a_planned_video_is_not_waited_for(stages: Stages) -> None:
    stages.up_to_plan()
    planned = stages.source / clip_path("walk", 1, 1)
    planned.unlink()
    os.mkfifo(planned)
    reports = list(build_shards(stages.paths, shards_to_build(stages.paths), LIMITS, partial(DecodingPool, 2, LIMITS)))
    reasons = {source: reason for source, (reason, _) in lost_reasons(stages, reports).items()}
    assert reasons == {clip_path("walk", 1, 1): "changed"}
    assert len(stored_records(stages, reports)) == 11


@pytest.mark.corpus
@pytest.mark.slow
def test_a_worker_stays_small_however_long_the_video() -> None:
    from tools.benchmarks.bench_build import clip_jobs

    videos = [require_corpus() / row["path"] for row in corpus_rows("long/")]
    assert any("1080p" in video.name for video in videos)
    with DecodingPool(1) as pool:
        results = list(pool.map(encode.encode_clip, clip_jobs(videos)))
    assert all(isinstance(result.outcome, encode.EncodedClip) for result in results)
    assert {result.job.path.name: r for result in results if (r := result.peak_rss_bytes / MEBIBYTE) > 350} == {}


def test_decoding_processes_load_neither_tensorflow_nor_dagster() -> None:
    with open_pool(1, DEFAULT_LIMITS) as pool:
        (result,) = pool.map(containment_jobs.modules_of_this_process, [None])
    assert isinstance(result.outcome, list)
    rooms = {name.partition(".")[0] for name in result.outcome}
    assert {"av", "cv2", "video_assets"} <= rooms
    assert not rooms & {"tensorflow", "dagster", "pandas", "pyarrow"}


@pytest.mark.slow
def test_a_build_imports_tensorflow_once_and_never_in_its_own_process(stages: Stages, tmp_path: Path) -> None:
    """Every Python process of the build notes down when it begins to load TensorFlow."""
    log = tmp_path / "imports.txt"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
        import os, sys

        class Note:
            def find_spec(self, name, path=None, target=None):
                if name == "tensorflow":
                    with open({str(log)!r}, "a") as file:
                        file.write(f"{{name}} {{os.getpid()}}\\n")

        sys.meta_path.insert(0, Note())
        """)
    )
    names = ("DAGSTER_HOME", "VIDEO_ASSETS_SOURCE", "VIDEO_ASSETS_ROOT", "VIDEO_ASSETS_NAME", "VIDEO_ASSETS_WORKERS")
    surroundings = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-m", "video_assets.cli", "build", "--source", str(stages.source)]
    settings = [f"--set=plan.clips_per_shard={SHARDING.clips_per_shard}"]
    settings += [f"--set=plan.encoding.resolution={ENCODING.resolution}"]
    with subprocess.Popen(
        [*command, "--root", str(tmp_path / "root"), "--workers", "2", *settings],
        env={**surroundings, "PYTHONPATH": str(tmp_path / "site")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as build:
        _, said = build.communicate()
    assert build.returncode == 0, said
    (imported,) = log.read_text().splitlines()
    assert imported != f"tensorflow {build.pid}"
    assert "encoding: " in said, "what TensorFlow says at its start is not shown, and progress still is"
    assert "oneDNN" not in said
    assert "tf_record_dataset_op" not in said
