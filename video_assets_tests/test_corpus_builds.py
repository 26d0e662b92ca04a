"""Whole builds on real videos: every clip accounted for, every stored frame the one that its source shows then."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from video_assets.domain.clips import LossReason
from video_assets.domain.encoding import Encoding
from video_assets.domain.splits import Split
from video_assets.media.workers.pool import DecodingPool
from video_assets.pipeline.manifest.stage import build_manifest
from video_assets.pipeline.shards.pending import shards_to_build
from video_assets.settings import EncodingSettings, ManifestSettings, PlanSettings, Settings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.corpus import corpus_files, needs_corpus, require_corpus
from video_assets_tests.pipeline.stages import LIMITS, Stages

pytestmark = [pytest.mark.corpus, pytest.mark.slow]

POOL = partial(DecodingPool, 2, LIMITS)


@dataclass
class Twice:
    """A dataset that was built by the command's own road, and what the same build said when it was run again."""

    paths: DatasetPaths
    first: dict[str, Any]
    second: dict[str, Any]

    @property
    def index(self) -> pd.DataFrame:
        return pd.read_parquet(self.paths.version("1.0.0").index)


@pytest.fixture(scope="module", params=["ut_interaction/clips.csv", "ucf101"])
def twice(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Twice:
    """A table whose groups span classes, and a folder whose names tell the groups."""
    from video_assets.pipeline.build_command import run_build

    source = require_corpus() / "labelled" / request.param
    paths = DatasetPaths(tmp_path_factory.mktemp("root"), "clips")
    settings = Settings(plan=PlanSettings(encoding=EncodingSettings(resolution=64), clips_per_shard=8))
    first = run_build(source, paths, settings, num_workers=2).as_dict()
    second = run_build(source, paths, settings, num_workers=2).as_dict()
    return Twice(paths, first, second)


def test_a_build_is_valid_and_the_same_again_encodes_and_writes_nothing(twice: Twice) -> None:
    assert (twice.first["refused"], twice.first["exit_code"]) == ("", 0)
    num_clips = len(twice.index)
    assert (twice.first["clips_encoded"], twice.first["clips_reused"]) == (num_clips, 0)
    assert (twice.second["clips_encoded"], twice.second["clips_reused"]) == (0, num_clips)
    assert (twice.second["shards_written"], twice.second["exit_code"]) == (0, 0)
    assert twice.second["splits"] == twice.first["splits"]


def test_every_usable_clip_is_in_exactly_one_shard(twice: Twice) -> None:
    manifest = pd.read_parquet(twice.paths.manifest)
    assert sorted(twice.index["clip_id"]) == sorted(manifest["clip_id"])
    assert twice.index["clip_id"].is_unique
    assert twice.first["quarantined"] == []


def test_no_group_and_no_content_is_in_two_splits(twice: Twice) -> None:
    manifest = pd.read_parquet(twice.paths.manifest)[["clip_id", "group", "content_hash"]]
    assert manifest["group"].notna().all()
    clips = twice.index[["clip_id", "split"]].merge(manifest, on="clip_id")
    assert clips.groupby("group")["split"].nunique().max() == 1
    assert clips.groupby("content_hash")["split"].nunique().max() == 1


def test_every_class_with_enough_groups_is_in_both_splits(twice: Twice) -> None:
    manifest = pd.read_parquet(twice.paths.manifest)[["clip_id", "group"]]
    clips = twice.index[["clip_id", "split", "label"]].merge(manifest, on="clip_id")
    by_class = clips.groupby("label").agg(groups=("group", "nunique"), splits=("split", "nunique"))
    assert (by_class["splits"][by_class["groups"] > 1] == 2).all()


def read_by_tfds(dataset: Any) -> list[tuple[str, int, tuple[int, ...]]]:
    return [(e["id"].numpy().decode(), int(e["label"]), tuple(e["video"].shape)) for e in dataset]


@pytest.mark.parametrize("split", ["train", "test"])
def test_tensorflow_datasets_and_our_reader_give_the_same_clips_in_the_same_order(
    twice: Twice, tfds: ModuleType, split: Split
) -> None:
    from video_assets.reader import load_dataset

    version = twice.paths.version("1.0.0")
    rows = twice.index[twice.index["split"] == split].sort_values(["shard", "offset"])
    expected = list(zip(rows["clip_id"], rows["label_index"], strict=True))
    options = {"split": split, "shuffle_files": False}
    by_directory = read_by_tfds(tfds.builder_from_directory(str(version.directory)).as_dataset(**options))
    by_name = read_by_tfds(tfds.load("clips", data_dir=str(twice.paths.root), **options))
    by_us = read_by_tfds(load_dataset(version.directory, split))
    assert by_directory == by_name == by_us
    assert [(clip_id, label) for clip_id, label, _ in by_us] == expected
    assert {shape for _, _, shape in by_us} == {(10, 64, 64, 3)}
    names = tfds.builder_from_directory(str(version.directory)).info.features["label"].names
    assert names == version.label_names.read_text("utf-8").splitlines()
    assert [names[label] for _, label, _ in by_us] == rows["label"].tolist()


def test_pixels_read_by_tensorflow_datasets_are_those_of_our_reader(twice: Twice, tfds: ModuleType) -> None:
    from video_assets.reader import load_dataset

    version = twice.paths.version("1.0.0")
    theirs = tfds.builder_from_directory(str(version.directory)).as_dataset(split="test", shuffle_files=False)
    for one, other in zip(theirs, load_dataset(version.directory, "test"), strict=True):
        assert (one["video"].numpy() == other["video"].numpy()).all()


def stages_of(root: Path, include: str, encoding: Encoding) -> Stages:
    """Files of one folder of the corpus as one class, planned; decoded in processes of their own."""
    stages = Stages(require_corpus(), DatasetPaths(root, "clips"))
    settings = ManifestSettings(
        source_format="folders", allow_single_class=True, include=[include], max_failed_fraction=1.0
    )
    build_manifest(stages.source, stages.paths, settings, POOL)
    stages.splits()
    stages.plan(encoding, PlanSettings(clips_per_shard=12))
    stages.shards(pool=POOL)
    return stages


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """Broken and hostile files, committed."""
    stages = stages_of(tmp_path_factory.mktemp("nasty"), "nasty/*", Encoding(num_frames=5, resolution=64))
    stages.commit(max_failed_fraction=1.0)
    return stages


def test_each_hostile_file_is_stored_or_quarantined_with_a_reason(nasty: Stages) -> None:
    stored = pd.read_parquet(nasty.paths.version("1.0.0").index)["clip_id"]
    lost = nasty.quarantined()
    assert not set(stored) & set(lost)
    assert set(stored) | set(lost) == set(corpus_files("nasty/"))
    assert all(reason in get_args(LossReason) and detail for reason, detail in lost.values())
    assert len(stored) > 10
    assert len(lost) > 10


def test_a_second_look_at_hostile_files_leaves_nothing_to_do(nasty: Stages) -> None:
    assert shards_to_build(nasty.paths) == []
    settings = ManifestSettings(
        source_format="folders", allow_single_class=True, include=["nasty/*"], max_failed_fraction=1.0
    )
    again = build_manifest(nasty.source, nasty.paths, settings, POOL)
    passing = {
        "too_many_pixels",
        "too_many_frames",
        "too_long",
        "timeout",
        "out_of_memory",
        "crashed",
        "damaged",
        "truncated",  # how much must be readable is a setting, and the facts of what is not taken are not kept
    }
    tried_again = {clip for clip, (reason, _) in nasty.quarantined().items() if reason in passing}
    assert again.num_files_probed <= len(tried_again)
    report = nasty.plan(Encoding(num_frames=5, resolution=64), PlanSettings(clips_per_shard=12))
    assert (report.added, report.superseded) == ([], [])


def test_hostile_files_that_were_stored_can_be_read(nasty: Stages, tensorflow: ModuleType) -> None:
    from video_assets.reader import load_dataset

    shapes = {
        tuple(clip["video"].shape)
        for split in ("train", "test")
        for clip in load_dataset(nasty.paths.version("1.0.0").directory, split)
    }
    assert shapes == {(5, 64, 64, 3)}


# --- Every stored frame against the ffmpeg program ------------------------------------------------

SIDE_PX = 224
GRAPHICS = {
    "10bit_h264.mp4",
    "10bit_h265.mp4",
    "all_intra__sample.ts",  # a title
    "attached_pic_mjpeg__h264.mp4",
    "attached_pic_png__h264.mp4",
    "attachment_font.mkv",
    "av1__av1_video.mkv",
    "edit_list_iibbibb.mp4",
    "full_range__bt709.mp4",
    "h265__testsrc.mp4",
    "h265_bframes__sample.mp4",  # the same title
    "mpeg4_avi_5fps__testvideo-43.avi",
    "sar_2by3.mp4",
    "subs_mov_text.mp4",
    "yuv422__test.mp4",
}
"""Test patterns and titles: sharp coloured edges, which 4:2:0 chroma softens. All other files show at least 33 dB."""
CANNOT_BE_COMPARED = {
    "multi_video_aux__interleaved.mp4": "its packets' times contradict each other; all frames are the same white",
}
_SHOWN_AT = re.compile(r"pts_time:\s*(\S+)")


def ffmpeg_program() -> str:
    """The system's, else the one in a wheel."""
    found = shutil.which("ffmpeg")
    if found is not None:
        return found
    return str(pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe())


def all_frames(path: Path) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Times in microseconds and pictures of a full decode by the ffmpeg program."""
    scale = f"scale={SIDE_PX}:{SIDE_PX}:flags=area+accurate_rnd+full_chroma_int,showinfo=checksum=0"
    command = [
        ffmpeg_program(),
        "-nostdin",
        "-copyts",
        "-i",
        str(path),
        "-an",
        "-fps_mode",
        "passthrough",
        "-vf",
        scale,
    ]
    done = subprocess.run([*command, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"], capture_output=True, check=True)
    times = [1e6 * float(text) for text in _SHOWN_AT.findall(done.stderr.decode("utf-8", "replace"))]
    return np.array(times), np.frombuffer(done.stdout, np.uint8).reshape(-1, SIDE_PX, SIDE_PX, 3)


@pytest.fixture(scope="module")
def formats(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Times and frames of every stored clip, as TensorFlow reads them."""
    root = tmp_path_factory.mktemp("formats")
    stages = stages_of(root, "formats/*", Encoding(num_frames=6, resolution=SIDE_PX))
    assert {source: reason for source, (reason, _) in stages.quarantined().items()} == {
        "formats/webp_anim__windows95.webp": "unsupported_codec"
    }
    import tensorflow as tf

    from video_assets.reader.parsing import decode_images, parse_record

    found: dict[str, tuple[NDArray[np.int64], NDArray[np.uint8]]] = {}
    for shard in sorted(stages.paths.version("1.0.0").directory.glob("*.tfrecord")):
        for raw in tf.data.TFRecordDataset(str(shard)):
            record = parse_record("tfds", raw)
            frames = decode_images(record["images"]).numpy()
            found[record["id"].numpy().decode()] = (record["timestamps_us"].numpy(), frames)
    return found


def mean_squared_error(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.mean((one.astype(np.int32) - other) ** 2))


DECODABLE = [name for name in corpus_files("formats/") if not name.endswith(".webp")]


@pytest.mark.parametrize("name", needs_corpus(DECODABLE))
def test_each_stored_frame_is_the_one_that_a_full_decode_shows_then_and_no_neighbour_is_nearer(
    name: str, formats: dict[str, tuple[NDArray[np.int64], NDArray[np.uint8]]]
) -> None:
    file_name = Path(name).name
    stored_us, stored = formats[name]
    assert stored.shape == (6, SIDE_PX, SIDE_PX, 3)
    if file_name in CANNOT_BE_COMPARED:
        pytest.skip(CANNOT_BE_COMPARED[file_name])
    shown_us, shown = all_frames(require_corpus() / name)
    assert len(shown_us) == len(shown)
    for time_us, frame in zip(stored_us, stored, strict=True):
        place = int(np.abs(shown_us - time_us).argmin())
        assert abs(shown_us[place] - time_us) < 50, f"no frame of {file_name} begins at {time_us} us"
        own = mean_squared_error(frame, shown[place])
        psnr_db = 10 * np.log10(255**2 / max(own, 1e-9))
        assert psnr_db >= (20 if file_name in GRAPHICS else 33), f"{file_name} at {time_us} us: {psnr_db:.1f} dB"
        for neighbour in {max(place - 1, 0), min(place + 1, len(shown) - 1)} - {place}:
            other = mean_squared_error(frame, shown[neighbour])
            assert other >= 0.9 * own - 0.5, f"{file_name} at {time_us} us looks like the frame beside it"
