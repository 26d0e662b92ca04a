"""Every layout through every stage: the same clips, frames and places, whichever reader they are written for."""

import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from video_assets.domain.clips import VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import Split
from video_assets.media.images import decode_image
from video_assets.pipeline.checks.shard import SHARD_CHECKS
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.pipeline.shards.encode import encode_clip
from video_assets.pipeline.upkeep.verify import find_damage
from video_assets.reader import load_dataset
from video_assets.records.framing import read_records
from video_assets.records.layouts import layout_codec
from video_assets.setting_types import Layout, Resize, Sampling, ShortClip
from video_assets.settings import PlanSettings
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import INDEX, read_table
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline import damage
from video_assets_tests.pipeline.stages import ENCODING, Stages, audit_of
from video_assets_tests.pipeline.test_encode import job_of
from video_assets_tests.pipeline.videos import write_video

LAYOUTS: tuple[Layout, ...] = get_args(Layout)
KEY = "train-00001"


@pytest.fixture(scope="module")
def every_layout(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Layout, Built]:
    """One source in each layout, its frames not square, as PNG where images are stored."""
    found: dict[Layout, Built] = {}
    for layout in LAYOUTS:
        built = Built(videos, DatasetPaths(tmp_path_factory.mktemp(layout), "clips"))
        stages = Stages(built.source, built.paths)
        stages.manifest()
        stages.splits()
        stages.plan(ENCODING.replace(layout=layout, image_format="png", resize="short_side"))
        stages.shards()
        stages.commit()
        found[layout] = built
    return found


@pytest.mark.slow
def test_all_layouts_give_the_same_clips_in_the_same_order(
    tensorflow: ModuleType, every_layout: dict[Layout, Built]
) -> None:
    sizes: dict[Split, int] = {"train": 18, "test": 6}
    for split, num_clips in sizes.items():
        read: list[Any] = [
            list(load_dataset(built.version.directory, split).as_numpy_iterator()) for built in every_layout.values()
        ]
        assert [len(clips) for clips in read] == [num_clips] * len(LAYOUTS)
        for clips in zip(*read, strict=True):
            first = clips[0]
            assert first["video"].shape == (5, 32, 43, 3)
            for clip in clips:
                assert (clip["id"], clip["label"]) == (first["id"], first["label"])
                assert clip["video"].dtype == np.uint8
                assert (clip["video"] == first["video"]).all()


@pytest.mark.slow
def test_all_layouts_shuffle_alike_and_tell_the_same_shapes(
    tensorflow: ModuleType, every_layout: dict[Layout, Built]
) -> None:
    shuffled: list[Any] = [
        load_dataset(built.version.directory, "train", seed=3, start=5) for built in every_layout.values()
    ]
    assert len({str(clips.element_spec) for clips in shuffled}) == 1
    ids = [[clip["id"] for clip in clips.as_numpy_iterator()] for clips in shuffled]
    assert [len(order) for order in ids] == [13] * len(LAYOUTS)
    assert all(order == ids[0] for order in ids)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_index_leads_to_every_record_by_offset_and_length(
    tensorflow: ModuleType, every_layout: dict[Layout, Built], layout: Layout, tmp_path: Path
) -> None:
    """Seek, read, parse: alone in a file, a record's bytes are a TFRecord file that TensorFlow reads."""
    from video_assets.reader.parsing import parse_record

    built = every_layout[layout]
    index = read_table(built.version.index, INDEX)
    assert len(index) == 24
    for row in index.sample(frac=1, random_state=0).to_dict("records"):
        with built.shard(row["shard"]).open("rb") as file:
            file.seek(row["offset"])
            cut = tmp_path / "record"
            cut.write_bytes(file.read(row["length"]))
        (raw,) = tensorflow.data.TFRecordDataset(str(cut), Encoding(layout=layout).compression)
        record = parse_record(layout, raw)
        assert record["id"].numpy().decode() == row["clip_id"]
        assert (int(record["label"]), len(record["images"])) == (row["label_index"], row["num_frames"])
    ends = index["offset"] + index["length"]
    for key, rows in index.groupby("shard"):
        assert int(ends[rows.index].max()) == int(rows["length"].sum()) == built.shard(str(key)).stat().st_size


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_check_passes_on_every_record(every_layout: dict[Layout, Built], layout: Layout) -> None:
    built = every_layout[layout]
    audit = audit_of(built.paths, KEY, None)
    outcomes = [audit.run(name) for name in SHARD_CHECKS]
    assert [outcome.passed for outcome in outcomes] == [True] * 3, outcomes
    assert outcomes[2].facts == {"records_compared": 4, "worst_psnr_db": 99.0}


def test_the_plan_knows_that_floats_are_larger_than_images(videos: Path, tmp_path: Path) -> None:
    stages = Stages(videos, DatasetPaths(tmp_path, "clips"))
    stages.manifest()
    stages.splits()
    sharding = PlanSettings(shard_megabytes=1)
    plans = {layout: stages.plan(ENCODING.replace(layout=layout), sharding) for layout in LAYOUTS}
    clips = {layout: plan.pinned.clips_per_shard for layout, plan in plans.items()}
    assert clips["sequence_example"] == clips["tfds"] > 3 * clips["movinets_helper"] > 100


# --- text index -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_text_indexes_lead_to_every_record_grow_with_the_dataset_and_go_with_their_shard(
    videos: Path, tmp_path: Path
) -> None:
    source = Path(shutil.copytree(videos, tmp_path / "videos"))
    built = Built(source, DatasetPaths(tmp_path / "root", "clips"))
    stages = Stages(source, built.paths)
    stages.everything()
    folder = built.version.directory
    assert list(folder.glob("*.idx")) == []
    stages.commit(text_index=True)
    assert_indexed(folder)
    write_video(source / "run" / "v_run_g09_c01.mp4", seed=99)
    next(source.rglob("v_jump_g01_c01.mp4")).unlink()
    stages.up_to_plan()
    stages.shards()
    report = stages.commit(retired_grace_minutes=0)  # as a sensor's run commits, which does not ask for them
    assert report.removed != []
    assert_indexed(folder)
    assert find_damage(built.paths) == []


def assert_indexed(folder: Path) -> None:
    """Every shard has an index, no other file has, and what it says is where the records lie."""
    shards = sorted(folder.glob("*.tfrecord"))
    assert [path.stem for path in sorted(folder.glob("*.idx"))] == [path.stem for path in shards]
    for shard in shards:
        with shard.open("rb") as file:
            lines = [f"{record.offset} {record.length}\n" for record in read_records(file)]
        assert shard.with_suffix(".idx").read_text("ascii") == "".join(lines)


def test_text_indexes_of_compressed_shards_are_refused_by_name(every_layout: dict[Layout, Built]) -> None:
    built = every_layout["movinets_helper"]
    with pytest.raises(SettingsError, match=r"dataset\.text_index is true, but plan\.encoding\.layout is movinets"):
        Stages(built.source, built.paths).commit(text_index=True)
    assert list(built.version.directory.glob("*.idx")) == []


# --- damage to a shard of floats --------------------------------------------------------------------------------------


@pytest.fixture
def floats(every_layout: dict[Layout, Built], tmp_path: Path) -> Built:
    """A copy of the dataset in the layout movinets_helper."""
    built = every_layout["movinets_helper"]
    shutil.copytree(built.paths.root, tmp_path / "root")
    return Built(built.source, DatasetPaths(tmp_path / "root", "clips"))


def faults(built: Built) -> dict[str, str]:
    """The sentences of the checks that fail, by name."""
    audit = audit_of(built.paths, KEY, None)
    return {name: outcome.description for name in SHARD_CHECKS if not (outcome := audit.run(name)).passed}


def frames_of(record: Any) -> NDArray[np.uint8]:
    assert record.frames is not None
    return record.frames


def test_swapped_frames_of_a_shard_of_floats_are_found(floats: Built) -> None:
    swapped = [0, 3, 2, 1, 4]
    damage.rewrite_shard(floats, KEY, lambda rs: [replace(r, frames=frames_of(r)[swapped]) for r in rs])
    assert list(faults(floats)) == ["shard_matches_source"]
    assert "frame 1 is " in faults(floats)["shard_matches_source"]


def test_frames_that_are_three_shades_lighter_are_found(floats: Built) -> None:
    """Storing floats loses nothing, so that little is allowed."""
    damage.rewrite_shard(
        floats, KEY, lambda rs: [replace(r, frames=np.minimum(frames_of(r), 252) + np.uint8(3)) for r in rs]
    )
    assert list(faults(floats)) == ["shard_matches_source"]
    assert "46.5 dB are possible" in faults(floats)["shard_matches_source"]


def test_pixels_that_are_no_whole_numbers_are_found(floats: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    from video_assets.records import video_tensor
    from video_assets.records.messages import serialize_tensor

    monkeypatch.setattr(video_tensor, "serialize_tensor", lambda values: serialize_tensor(values * 0.999))
    damage.rewrite_shard(floats, KEY, lambda rs: rs)
    assert "holds pixels that are not whole numbers from 0 to 255" in faults(floats)["shard_decodes"]


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_flipped_byte_of_a_compressed_shard_is_found(floats: Built, place: str) -> None:
    size = floats.shard(KEY).stat().st_size
    damage.flip_byte(floats.shard(KEY), {"first": 0, "middle": size // 2, "last": size - 1}[place])
    assert f"of clips-{KEY}.tfrecord cannot be read" in faults(floats)["shard_is_complete"]


def test_a_grown_dataset_of_floats_keeps_its_shards(floats: Built, tmp_path: Path, videos: Path) -> None:
    source = Path(shutil.copytree(videos, tmp_path / "videos"))
    write_video(source / "run" / "v_run_g09_c01.mp4", seed=99)
    before = {key: floats.shard(key).read_bytes() for key in ("train-00000", KEY)}
    stages = Stages(source, floats.paths)
    stages.manifest()
    stages.splits()
    stages.plan(read_plan(floats.paths).pinned.encoding)
    stages.shards()
    report = stages.commit()
    assert sum(report.records.values()) == 25
    assert {key: floats.shard(key).read_bytes() for key in before} == before


# --- every setting in every layout ------------------------------------------------------------------------------------

MODES = [
    *product(get_args(Sampling), get_args(Resize), ["png"], ["repeat_last"]),
    *product(["segments"], ["letterbox"], ["jpeg"], get_args(ShortClip)),
    *product(["uniform"], ["stretch"], ["png"], ["loop", "quarantine"]),
]


def stored_frames(path: Path, encoding: Encoding, folder: Path) -> tuple[NDArray[np.uint8], list[int]]:
    """The frames and times of the one record that encoding gives."""
    file = folder / "record"
    file.write_bytes(encode_clip(job_of(path, encoding)).framed)
    with file.open("rb") as opened:
        (framed,) = read_records(opened, encoding.compression)
    record = layout_codec(encoding.layout).decode_record(framed.data, ["a", "b", "run"])
    frames = np.stack([*map(decode_image, record.images)]) if record.frames is None else record.frames
    assert (record.num_frames, record.label) == (len(record.timestamps_us), "run")
    return frames, record.timestamps_us.tolist()


@pytest.mark.parametrize(("sampling", "resize", "image_format", "short_clip"), MODES, ids=str)
@pytest.mark.parametrize("num_frames", [5, 24])
def test_every_setting_gives_the_same_frames_in_every_layout(
    videos: Path, tmp_path: Path, sampling: Any, resize: Any, image_format: Any, short_clip: Any, num_frames: int
) -> None:
    """A clip of twenty frames; 24 of them are more than there are."""
    encoding = Encoding(
        sampling=sampling,
        resize=resize,
        image_format=image_format,
        short_clip=short_clip,
        num_frames=num_frames,
        resolution=32,
        fps=4,
    )
    path = next(videos.rglob("v_run_g01_c01.mp4"))
    if short_clip == "quarantine" and num_frames > 20:
        for layout in LAYOUTS:
            with pytest.raises(VideoLost, match="too_short"):
                encode_clip(job_of(path, encoding.replace(layout=layout)))
        return
    found = [stored_frames(path, encoding.replace(layout=layout), tmp_path) for layout in LAYOUTS]
    exact, times = found[LAYOUTS.index("movinets_helper")]
    assert len(exact) == {"uniform": num_frames, "segments": num_frames, "fps": 8, "all": 20}[sampling]
    assert exact.shape[1:3] == ((32, 43) if resize == "short_side" else (32, 32))
    for frames, other_times in found:
        assert other_times == times
        error = np.abs(frames.astype(int) - exact)
        assert error.mean() < 4 if image_format == "jpeg" and frames is not exact else not error.any()
