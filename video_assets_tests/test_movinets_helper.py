"""The conversion by the names of the package movinets_helper: its files, its frames, without its faults."""

import gzip
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.errors import SettingsError
from video_assets.movinets_helper import Conversion, convert_mp4_to_tfrecord, frame_indices, serialize_example
from video_assets_tests.media.making import number_of, numbered_video


def original_indices(num_present: int, num_frames: int) -> list[int] | None:
    """The original's frames, or None where it fails: it gathers from the video's frames, and all must be there."""
    found = np.arange(0, num_present, num_present / num_frames).round().astype(int).tolist()
    return found if max(found) < num_present else None


@given(num_present=st.integers(1, 600), num_frames=st.integers(1, 600))
def test_the_frames_are_the_originals_wherever_that_one_works(num_present: int, num_frames: int) -> None:
    mine = frame_indices(num_present, num_frames).tolist()
    assert len(mine) == num_frames
    assert mine == sorted(mine) and mine[0] == 0 and mine[-1] < num_present
    original = original_indices(num_present, num_frames)
    assert original is None or mine == original


def test_of_fifty_frames_the_original_fails_at_36_lengths_and_is_followed_at_the_others() -> None:
    lengths = range(30, 601)
    failing = [length for length in lengths if original_indices(length, 50) is None]
    assert len(failing) == 36
    for length in lengths:
        mine = frame_indices(length, 50).tolist()
        assert len(mine) == 50 and max(mine) < length
        assert length in failing or mine == original_indices(length, 50)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of 60, 25, 7 and 1 frames, and what is none."""
    folder = tmp_path_factory.mktemp("videos")
    for num_frames in (60, 25, 7, 1):
        (folder / f"{num_frames} frames.mp4").write_bytes(numbered_video(num_frames))
    (folder / "broken.mp4").write_bytes(numbered_video(20)[:900])
    return folder


def table(folder: Path, *names: str) -> pd.DataFrame:
    return pd.DataFrame({"classes": range(len(names)), "files": [str(folder / name) for name in names]})


ALL = ("60 frames.mp4", "broken.mp4", "25 frames.mp4", "gone.mp4", "7 frames.mp4", "1 frames.mp4")


@pytest.fixture(scope="module")
def converted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    target = tmp_path_factory.mktemp("target")
    return convert_mp4_to_tfrecord(table(folder, *ALL), target, 2, resolution=64)


def read_back(tf: Any, files: list[Path]) -> list[tuple[Any, int]]:
    """By the parse specification of its reader."""
    names = ("label", "n_frames", "width", "height", "n_channels")
    features = {name: tf.io.FixedLenFeature([], tf.int64) for name in names} | {
        "video": tf.io.FixedLenFeature([], tf.string)
    }
    found: list[tuple[Any, int]] = []
    for record in tf.data.TFRecordDataset([str(file) for file in files], compression_type="GZIP"):
        parsed = tf.io.parse_single_example(record, features)
        shape = [int(parsed[name]) for name in names[1:]]
        found.append((tf.io.parse_tensor(parsed["video"], tf.float32).numpy().reshape(shape), int(parsed["label"])))
    return found


def test_the_files_have_the_originals_names_and_no_temporary_is_left(converted: Conversion) -> None:
    names = [f"video_batch_{number}_3.tfrecords" for number in range(3)]
    assert [file.name for file in converted.files] == names
    assert sorted(path.name for path in converted.files[0].parent.iterdir()) == names


def test_a_clip_of_any_length_gives_the_originals_frames_in_the_order_of_the_rows(
    tensorflow: ModuleType, converted: Conversion
) -> None:
    videos = read_back(tensorflow, converted.files)
    assert converted.num_videos == len(videos) == 4
    assert [label for _, label in videos] == [0, 2, 4, 5]
    for (video, _), length in zip(videos, (60, 25, 7, 1), strict=True):
        assert (video.dtype, video.shape) == (np.float32, (10, 64, 64, 3))
        assert [number_of(frame) for frame in video] == frame_indices(length, 10).tolist()
        assert video.min() >= 0 and video.max() <= 255 and (video == video.round()).all()


def test_bad_videos_are_named_with_their_reason(converted: Conversion, folder: Path) -> None:
    lost = {Path(video.file).name: video for video in converted.lost}
    assert set(lost) == {"broken.mp4", "gone.mp4"}
    assert (lost["broken.mp4"].label, lost["gone.mp4"].label) == (1, 3)
    assert lost["gone.mp4"].file == str(folder / "gone.mp4")
    assert all(video.loss.detail for video in converted.lost)


def test_the_real_packages_reader_reads_the_files(tensorflow: ModuleType, converted: Conversion) -> None:
    if importlib.util.find_spec("movinets_helper") is None:
        pytest.skip("needs movinets_helper: `make setup` installs it from constraints-readers.txt")
    reader = importlib.import_module("movinets_helper.reader")
    found = list(reader.get_dataset([str(file) for file in converted.files]))
    assert len(found) == 4
    for (video, label), (wanted, wanted_label) in zip(found, read_back(tensorflow, converted.files), strict=True):
        assert (video.numpy() == wanted).all()
        assert int(label) == wanted_label


def test_a_file_whose_videos_are_all_bad_holds_no_record_and_can_be_read(
    tensorflow: ModuleType, folder: Path, tmp_path: Path
) -> None:
    done = convert_mp4_to_tfrecord(table(folder, "broken.mp4"), tmp_path)
    assert [video.loss.reason for video in done.lost] != [] and done.num_videos == 0
    assert gzip.decompress(done.files[0].read_bytes()) == b""
    assert read_back(tensorflow, done.files) == []


def test_rotation_is_applied(tensorflow: ModuleType, tmp_path: Path) -> None:
    upright = numbered_video(10)
    turned = bytearray(upright)
    place = upright.index(b"tkhd")
    matrix = place + 4 + 40
    # A quarter turn clockwise: (0 1, -1 0).
    numbers = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 1 << 30)
    turned[matrix : matrix + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
    (tmp_path / "upright.mp4").write_bytes(upright)
    (tmp_path / "turned.mp4").write_bytes(turned)
    done = convert_mp4_to_tfrecord(table(tmp_path, "upright.mp4", "turned.mp4"), tmp_path, n_frames_per_video=3)
    (one, _), (other, _) = read_back(tensorflow, done.files)
    assert np.abs(np.rot90(one, -1, axes=(1, 2)) - other).mean() < 6
    assert np.abs(one - other).mean() > 20


def test_a_target_that_is_not_there_is_an_error_before_anything_is_decoded(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"target_path .*nowhere does not exist; make the directory first"):
        convert_mp4_to_tfrecord(table(folder, *ALL), tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"target_path .*file is not a directory"):
        convert_mp4_to_tfrecord(table(folder, *ALL), str(tmp_path / "file"))


def test_files_of_another_conversion_are_not_mixed_with_new_ones(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "video_batch_0_7.tfrecords").touch()
    with pytest.raises(SettingsError, match=r"holds video_batch_0_7\.tfrecords of a conversion into another number of"):
        convert_mp4_to_tfrecord(table(folder, "1 frames.mp4"), tmp_path)


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (
            pd.DataFrame({"labels": [1], "files": ["a"]}),
            {},
            "no column 'classes'; it needs classes and files",
        ),
        (
            pd.DataFrame({"classes": ["run"], "files": ["a"]}),
            {},
            "row 0 has the class 'run'; classes",
        ),
        (pd.DataFrame({"classes": [1, 0.5], "files": ["a", "b"]}), {}, "row 1 has the class 0.5; classes are whole"),
        (pd.DataFrame({"classes": [1], "files": ["a"]}), {"n_videos_in_record": 0}, "n_videos_in_record is 0; it must"),
        (pd.DataFrame({"classes": [1], "files": ["a"]}), {"n_frames_per_video": 0}, "n_frames_per_video is 0; it must"),
        (pd.DataFrame({"classes": [1], "files": ["a"]}), {"resolution": -1}, "resolution is -1; it must be at least 1"),
    ],
)
def test_what_is_wrong_with_the_call_is_named(
    tmp_path: Path, frame: pd.DataFrame, options: dict[str, int], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        convert_mp4_to_tfrecord(frame, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_serialized_example_is_the_originals_message(tensorflow: ModuleType) -> None:
    tf = tensorflow
    video = tf.random.stateless_uniform([2, 3, 4, 3], [1, 2], maxval=255.0)
    mine = tf.train.Example.FromString(serialize_example(tf.constant(7), video))
    feature = mine.features.feature
    sizes = {name: list(feature[name].int64_list.value) for name in feature if name != "video"}
    assert sizes == {"label": [7], "n_frames": [2], "width": [3], "height": [4], "n_channels": [3]}
    assert feature["video"].bytes_list.value == [tf.io.serialize_tensor(video).numpy()]
    with pytest.raises(ValueError, match=r"a video is \(T, H, W, C\), this one is \(3, 4, 3\)"):
        serialize_example(7, video[0])


def test_neither_tensorflow_nor_dagster_is_imported() -> None:
    code = "import sys, video_assets.movinets_helper; print({'tensorflow', 'dagster'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
