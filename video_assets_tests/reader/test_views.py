"""Windows, segments and crops of stored clips: by TensorFlow and without it, from every layout."""

import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from video_assets.domain.errors import FileDamaged, SettingsError
from video_assets.reader import Augmentation, Segments, StoredClips, Window, load_dataset
from video_assets.storage.paths import VersionPaths
from video_assets_tests.reader.number_lines import HEIGHT, STEP_US, WIDTH, number_line, numbers_of, write_lines

LENGTHS = [60, 45, 7, 60]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> VersionPaths:
    """Numbered clips of 60, 45, 7 and 60 frames in PNG, so that every pixel can be compared."""
    return write_lines(tmp_path_factory.mktemp("lines"), LENGTHS, clips_per_shard=2)


def loaded(paths: VersionPaths, **options: Any) -> list[dict[str, Any]]:
    """All clips as `load_dataset` gives them."""
    clips: Any = load_dataset(paths.directory, "train", **options)
    return list(clips.as_numpy_iterator())


def assert_same_clips(loaded_clips: list[dict[str, Any]], stored: Any) -> None:
    """The clips of `load_dataset`, and those of `StoredClips`, array by array."""
    assert len(loaded_clips) == len(stored)
    for one, other in zip(loaded_clips, stored, strict=True):
        assert one.keys() == other.keys()
        assert one["id"].decode() == other["id"]
        for name in ("video", "label", "timestamps_us"):
            assert one[name].dtype == other[name].dtype and one[name].shape == other[name].shape, name
            np.testing.assert_array_equal(one[name], other[name])


CHOICES: list[dict[str, Any]] = [
    {},
    {"window": Window(16, 2, "center")},
    {"window": Window(16, (1, 4), num_windows=2, short_clip="loop"), "num_crops": 3},
    {"segments": Segments(8), "crop_px": 20},
]


@pytest.mark.parametrize("options", CHOICES, ids=["whole", "center", "random-three-crops", "segments-one-crop"])
@pytest.mark.slow
def test_both_readers_give_the_same_arrays(
    tensorflow: ModuleType, lines: VersionPaths, options: dict[str, Any]
) -> None:
    for epoch in (0, 1):
        stored = StoredClips(lines.directory, "train", **options, seed=0, epoch=epoch)
        assert_same_clips(loaded(lines, **options, first_epoch=epoch), stored)


def test_several_windows_and_crops_are_views_of_a_leading_axis(tensorflow: ModuleType, lines: VersionPaths) -> None:
    window = Window(4, 5, "even", num_windows=2)
    first, second, short, _ = loaded(lines, window=window, num_crops=3)
    assert first["video"].shape == (6, 4, HEIGHT, HEIGHT, 3)
    assert numbers_of(first["video"]) == [[0, 5, 10, 15]] * 3 + [[44, 49, 54, 59]] * 3
    assert numbers_of(second["video"]) == [[0, 5, 10, 15]] * 3 + [[29, 34, 39, 44]] * 3
    assert numbers_of(short["video"]) == [[0, 5, 6, 6]] * 6
    lefts = first["video"][:, 0, 0, 0, 1] // 4
    assert lefts.tolist() == [0, (WIDTH - HEIGHT) // 2, WIDTH - HEIGHT] * 2
    assert first["timestamps_us"].tolist() == (100_000 + STEP_US * np.array(numbers_of(first["video"]))).tolist()


def test_one_crop_of_one_window_has_no_leading_axis_and_a_known_number_of_frames(
    tensorflow: ModuleType, lines: VersionPaths
) -> None:
    dataset = load_dataset(lines.directory, "train", window=Window(5, 1, "first"), num_crops=1)
    assert dataset.element_spec["video"].shape.as_list() == [5, None, None, 3]  # type: ignore[index]
    clip = next(iter(dataset.as_numpy_iterator()))
    left = (WIDTH - HEIGHT) // 2
    np.testing.assert_array_equal(clip["video"], number_line(5)[:, :, left : left + HEIGHT])


def test_random_windows_are_drawn_anew_in_each_epoch_and_are_resumed(
    tensorflow: ModuleType, lines: VersionPaths
) -> None:
    options: dict[str, Any] = {"window": Window(8, 3), "seed": 5, "num_epochs": 3}
    whole = [(clip["id"], numbers_of(clip["video"])) for clip in loaded(lines, **options)]
    assert len({str(numbers) for clip_id, numbers in whole if clip_id == b"0.mp4"}) == 3
    assert [(clip["id"], numbers_of(clip["video"])) for clip in loaded(lines, start=5, **options)] == whole[5:]
    shares = [
        (clip["id"], numbers_of(clip["video"]))
        for index in range(2)
        for clip in loaded(lines, num_workers=2, worker_index=index, **options)
    ]
    assert sorted(shares) == sorted(whole)


@pytest.mark.parametrize("layout", ["tfds", "sequence_example", "movinets_helper"])
def test_every_layout_gives_windows_crops_and_times(tensorflow: ModuleType, tmp_path: Path, layout: Any) -> None:
    paths = write_lines(tmp_path, [20, 9], layout=layout)
    window = Window(6, 2, "even", num_windows=2)
    clips = loaded(paths, window=window, crop_px=24)
    assert [numbers_of(clip["video"])[1] for clip in clips] == [[9, 11, 13, 15, 17, 19], [0, 2, 4, 6, 8, 8]]
    assert clips[0]["timestamps_us"][1].tolist() == [460_000 + 2 * STEP_US * place for place in range(6)]
    assert_same_clips(clips, StoredClips(paths.directory, "train", window=window, crop_px=24))


def test_a_part_of_a_jpeg_is_that_of_the_whole_frame(tensorflow: ModuleType, tmp_path: Path) -> None:
    """Only the part is decoded; its edges must not show it."""
    paths = write_lines(tmp_path, [12], image_format="jpeg")
    (whole,) = loaded(paths)
    (views,) = loaded(paths, window=Window(4, 2, "center"), num_crops=3, crop_px=17)
    for number, left in enumerate([0, 15, 31]):
        np.testing.assert_array_equal(views["video"][number], whole["video"][2:9:2, 7:24, left : left + 17])
    (stored,) = StoredClips(paths.directory, "train", window=Window(4, 2, "center"), num_crops=3, crop_px=17)
    difference = np.abs(views["video"].astype(int) - stored["video"])
    assert difference.max() <= 8 and difference.mean() < 1.5


@pytest.mark.parametrize("image_format", ["jpeg", "png"])
def test_a_random_crop_while_decoding_is_the_crop_of_the_decoded_clip(
    tensorflow: ModuleType, tmp_path: Path, image_format: Any
) -> None:
    from video_assets.reader import augment_clip

    paths = write_lines(tmp_path, [5, 6, 7], image_format=image_format)
    augmentation = Augmentation(size_px=16)
    plain = load_dataset(paths.directory, "train", window=Window(4, 1, "center"))
    expected = [augment_clip(clip, augmentation, seed=3, epoch=1)["video"] for clip in plain]
    order = {clip["id"]: video for clip, video in zip(plain.as_numpy_iterator(), expected, strict=True)}
    fused = loaded(paths, window=Window(4, 1, "center"), augmentation=augmentation, seed=3, first_epoch=1)
    for clip in fused:
        np.testing.assert_array_equal(clip["video"], order[clip["id"]])


def test_each_view_is_augmented_by_itself_and_within_its_crop(tensorflow: ModuleType, lines: VersionPaths) -> None:
    only_crops = Augmentation(size_px=16, min_area=0.2, flip_probability=0.0, brightness=0.0, contrast=0.0)
    options: dict[str, Any] = {"window": Window(4, 1, num_windows=3), "num_crops": 1, "seed": 2}
    clips = loaded(lines, augmentation=only_crops, **options)
    assert {clip["video"].shape for clip in clips} == {(3, 4, 16, 16, 3)}
    columns = np.array([clip["video"][:, 0, 0, :, 1] / 4 for clip in clips])
    assert columns.min() >= 8 - 1 and columns.max() <= 40 + 1  # the crop in the middle has the columns 8 to 39
    assert len({tuple(view) for clip in columns for view in clip.tolist()}) > 8


# --- StoredClips ------------------------------------------------------------------------------------------------------


def test_stored_clips_are_a_sequence(lines: VersionPaths) -> None:
    clips = StoredClips(f"{lines.directory}/", "train")
    assert len(clips) == 4
    assert [clip["id"] for clip in clips] == ["0.mp4", "1.mp4", "2.mp4", "3.mp4"]
    assert clips[-1]["id"] == "3.mp4" and clips[np.int64(2)]["video"].shape == (7, HEIGHT, WIDTH, 3)
    for index in (4, -5):
        with pytest.raises(IndexError):
            clips[index]
    assert len(StoredClips(lines.directory, "test")) == 0


def test_stored_clips_need_no_tensorflow_and_can_be_pickled(lines: VersionPaths) -> None:
    script = (
        "import pickle, sys\n"
        "clips = pickle.loads(sys.stdin.buffer.read())\n"
        "assert clips[3]['id'] == '3.mp4' and clips[0]['video'].shape == (4, 32, 48, 3)\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    clips = StoredClips(lines.directory, "train", window=Window(4))
    subprocess.run([sys.executable, "-c", script], input=pickle.dumps(clips), check=True, timeout=120)


def test_windows_of_an_epoch_are_drawn_by_setting_it(lines: VersionPaths) -> None:
    clips = StoredClips(lines.directory, "train", window=Window(4), seed=8)
    first = numbers_of(clips[0]["video"])
    clips.epoch = 1
    assert numbers_of(clips[0]["video"]) == numbers_of(clips.read(0, epoch=1)["video"]) != first
    assert numbers_of(clips.read(0, epoch=0)["video"]) == first


def test_arrays_may_be_changed_by_those_who_got_them(lines: VersionPaths) -> None:
    clip = StoredClips(lines.directory, "train")[0]
    clip["video"] += 1
    clip["timestamps_us"] += 1


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    paths = write_lines(tmp_path, [5, 5])
    clips = StoredClips(paths.directory, "train")
    file = paths.shard("train", 0)
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    file.write_bytes(data)
    assert clips[0]["id"] == "0.mp4"
    with pytest.raises(
        FileDamaged, match=rf"^{file} is damaged: clip 1, at byte \d+, is not what was written \(.*checksum"
    ):
        clips[1]
    with pytest.raises(FileDamaged, match="record 1 at byte"):
        StoredClips(paths.directory, "train")


def test_an_option_that_is_out_of_range_is_named(lines: VersionPaths) -> None:
    with pytest.raises(SettingsError, match=r"^crop_px is 33; it must be from 1 to 32, the short side of the stored"):
        StoredClips(lines.directory, "train", crop_px=33)
    with pytest.raises(SettingsError, match=r"^window and segments both choose the frames; give one of them$"):
        load_dataset(lines.directory, "train", window=Window(4), segments=Segments(4))


# --- the table of recipes in docs/TRAINING.md ----------------------------------------------------------------------


def recipe(model: str, column: int) -> dict[str, Any]:
    """The keywords of a row of the table: column 1 to train, 2 to test."""
    page = Path(__file__).parents[2] / "docs" / "TRAINING.md"
    (row,) = [line for line in page.read_text("utf-8").splitlines() if line.startswith(f"| {model} |")]
    code = row.split("|")[column + 1].strip(" `")
    return eval(f"dict({code})", {"Window": Window, "Segments": Segments, "dict": dict})


@pytest.fixture(scope="module")
def long_lines(tmp_path_factory: pytest.TempPathFactory) -> VersionPaths:
    """Clips of 255 and 120 numbered frames."""
    return write_lines(tmp_path_factory.mktemp("long"), [255, 120])


def steps(start: int, num_frames: int, stride: int) -> list[int]:
    return list(range(start, start + num_frames * stride, stride))


SEGMENTS_DRAWN = [15, 51, 66, 124, 139, 164, 206, 252]


@pytest.mark.parametrize(
    ("model", "trained", "tested"),
    [
        ("MoViNet A0", steps(5, 50, 5), [steps(4, 50, 5)]),
        ("SlowFast 8x8", steps(97, 32, 2), [steps(192 * view // 9, 32, 2) for view in range(10)]),
        ("TSN", SEGMENTS_DRAWN, [[(2 * part + 1) * 255 // 50 for part in range(25)]]),
        ("VideoMAE", steps(98, 16, 4), [steps(194 * view // 4, 16, 4) for view in range(5)]),
    ],
)
def test_each_recipe_gives_exactly_these_frames(
    tensorflow: ModuleType, long_lines: VersionPaths, model: str, trained: list[int], tested: list[list[int]]
) -> None:
    """Of a clip of 255 frames: one drawn with seed 4 in epoch 0, and every view of the test."""
    drawn = StoredClips(long_lines.directory, "train", seed=4, **recipe(model, 1))
    assert numbers_of(drawn[0]["video"]) == trained
    for clip in loaded(long_lines, seed=4, **recipe(model, 1)):
        np.testing.assert_array_equal(clip["video"], drawn[int(clip["id"][:1])]["video"])
    test = recipe(model, 2)
    (clip, _) = loaded(long_lines, **test)
    num_crops = test.get("num_crops", 1)
    views = clip["video"] if clip["video"].ndim == 5 else clip["video"][None]
    assert numbers_of(views) == [frames for frames in tested for _ in range(num_crops)]


def test_a_clip_shorter_than_the_window_of_movinet_is_looped_as_model_garden_does(long_lines: VersionPaths) -> None:
    clip = StoredClips(long_lines.directory, "train", **recipe("MoViNet A0", 2))[1]
    assert numbers_of(clip["video"]) == [place % 120 for place in steps(0, 50, 5)]
