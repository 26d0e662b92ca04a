"""Random changes to clips: the same in all frames, within their bounds, and the same again for the same seed."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from video_assets.domain.errors import SettingsError
from video_assets.reader import load_dataset
from video_assets_tests.records.test_tfds import clip_record, write_dataset

RAMP = np.broadcast_to(np.arange(40, dtype=np.uint8)[None, None, :, None] * 5, (3, 30, 40, 3))
"""Three equal frames, 30 by 40, that grow brighter to the right."""


@pytest.fixture(scope="module")
def augmentation(tensorflow: ModuleType) -> ModuleType:
    """The module under test, whose import imports TensorFlow."""
    from video_assets.reader import augmentation as module

    return module


def clip_of(name: str = "a") -> dict[str, Any]:
    import tensorflow as tf

    return {"video": tf.constant(RAMP), "label": tf.constant(1, tf.int64), "id": tf.constant(name)}


def test_all_frames_of_a_clip_are_changed_alike(augmentation: ModuleType) -> None:
    for number in range(10):
        clip = augmentation.augment_clip(clip_of(str(number)), augmentation.Augmentation(), seed=1)
        video = clip["video"].numpy()
        assert (video == video[:1]).all()
        assert video.shape == RAMP.shape and video.dtype == np.uint8
        assert (video != RAMP).any()
        assert clip["label"] == 1


def test_a_change_hangs_on_seed_epoch_and_clip_alone(augmentation: ModuleType) -> None:
    def changed(name: str, seed: int, epoch: int) -> bytes:
        clip = augmentation.augment_clip(clip_of(name), augmentation.Augmentation(), seed=seed, epoch=epoch)
        return clip["video"].numpy().tobytes()

    cases = [("a", 1, 0), ("b", 1, 0), ("a", 2, 0), ("a", 1, 1)]
    first = [changed(*case) for case in cases]
    assert [changed(*case) for case in cases] == first
    assert len(set(first)) == 4


@pytest.mark.slow
def test_a_crop_has_the_area_and_the_aspect_that_were_asked_for(augmentation: ModuleType) -> None:
    """Rows and columns that carry their own number tell which part of the frame is in the crop."""
    grid = np.zeros((1, 100, 100, 3), np.uint8)
    grid[..., 0] = np.arange(100)[:, None]
    grid[..., 1] = np.arange(100)[None, :]
    areas, changes = [], []
    for number in range(200):
        crop = augmentation.random_resized_crop(grid, [7, number], size_px=100, min_area=0.4, max_aspect_change=1.5)
        rows, columns = (np.ptp(crop.numpy()[0, ..., axis].astype(int)) + 1 for axis in (0, 1))
        areas.append(rows * columns / 10_000)
        changes.append(columns / rows)
    assert 0.35 < min(areas) < 0.5 and 0.9 < max(areas) <= 1
    assert 1 / 1.6 < min(changes) < 0.75 and 1.33 < max(changes) < 1.6


def test_without_a_crop_nothing_is_resampled(augmentation: ModuleType) -> None:
    whole = augmentation.random_resized_crop(RAMP, [0, 1], min_area=1.0, max_aspect_change=1.0)
    assert (whole.numpy() == RAMP).all()


def test_a_crop_has_the_size_that_was_asked_for(augmentation: ModuleType) -> None:
    assert augmentation.random_resized_crop(RAMP, [0, 1], size_px=16).shape == (3, 16, 16, 3)


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
def test_clips_are_mirrored_as_often_as_asked(augmentation: ModuleType, probability: float, share: float) -> None:
    mirrored = 0
    for number in range(200):
        video = augmentation.random_horizontal_flip(RAMP, [3, number], probability=probability).numpy()
        assert (video == RAMP).all() or (video == RAMP[:, :, ::-1]).all()
        mirrored += bool((video != RAMP).any())
    assert abs(mirrored / 200 - share) <= 0.12


def test_brightness_moves_all_values_and_contrast_spreads_them(augmentation: ModuleType) -> None:
    grey = np.full((2, 4, 4, 3), 100, np.uint8)
    grey[:, :2] = 140
    for number in range(50):
        lighter = augmentation.random_light(grey, [1, number], brightness=0.1, contrast=0.0).numpy().astype(int)
        assert len(set((lighter - grey).ravel().tolist())) == 1 and abs(int(lighter[0, 0, 0, 0]) - 140) <= 26
        spread = augmentation.random_light(grey, [1, number], brightness=0.0, contrast=0.5).numpy().astype(int)
        assert 20 <= spread.max() - spread.min() <= 60 and abs(spread.mean() - 120) <= 1


def test_what_leaves_the_range_is_cut_to_it(augmentation: ModuleType) -> None:
    white = np.full((1, 2, 2, 3), 250, np.uint8)
    values = {int(augmentation.random_light(white, [0, n], brightness=0.5)[0, 0, 0, 0]) for n in range(30)}
    assert max(values) == 255 and min(values) < 240


@pytest.mark.slow
def test_load_dataset_augments_anew_in_each_epoch_and_again_the_same(tensorflow: ModuleType, tmp_path: Path) -> None:
    from video_assets.reader import Augmentation

    paths = write_dataset(tmp_path, {"train": [[clip_record(number) for number in range(3)]], "test": []})

    def videos(**options: Any) -> dict[tuple[int, str], bytes]:
        clips: Any = load_dataset(
            paths.directory, "train", seed=3, num_epochs=2, augmentation=Augmentation(size_px=8), **options
        )
        rows = list(clips.as_numpy_iterator())
        assert {row["video"].shape for row in rows} == {(3, 8, 8, 3)}
        first = 6 - len(rows)
        return {((first + place) // 3, row["id"].decode()): row["video"].tobytes() for place, row in enumerate(rows)}

    whole = videos()
    assert videos() == whole
    assert len(set(whole.values())) == 6
    resumed = videos(start=4)
    assert len(resumed) == 2 and all(whole[key] == video for key, video in resumed.items())


def test_augment_clip_is_usable_in_map(augmentation: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, {"train": [[clip_record(1)]], "test": []})
    clips = load_dataset(paths.directory, "train")
    settings = augmentation.Augmentation(size_px=4)
    (clip,) = clips.map(lambda clip: augmentation.augment_clip(clip, settings, seed=1)).as_numpy_iterator()
    assert clip["video"].shape == (3, 4, 4, 3)


def test_augmentation_without_a_seed_is_refused(augmentation: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="augmentation draws at random, so it needs a seed"):
        load_dataset(tmp_path / "1.0.0", "train", augmentation=augmentation.Augmentation())


def test_some_of_keras_layers_change_all_frames_alike_and_which_ones_is_drawn(augmentation: ModuleType) -> None:
    """One layer makes clips lighter by 51, the other moves them: drawn are both, or one of them twice."""
    import keras
    import tensorflow as tf

    layers = [
        keras.layers.RandomBrightness((0.2, 0.2)),
        keras.layers.RandomTranslation(0.0, (-0.5, -0.5), fill_mode="nearest"),
    ]
    clips: Any = tf.data.Dataset.range(30).map(lambda n: augmentation.change_by_some(RAMP, layers, [n, 7]))
    again: Any = tf.data.Dataset.range(30).map(lambda n: augmentation.change_by_some(RAMP, layers, [n, 7]))
    seen: set[tuple[int, int]] = set()
    for video, same in zip(clips.as_numpy_iterator(), again.as_numpy_iterator(), strict=True):
        assert video.dtype == np.uint8 and (video == video[:1]).all() and (video == same).all()
        seen.add((int(video[0, 0, 0, 0]), int(video[0, 0, -1, 0])))
    assert seen == {(102, 255), (151, 246), (195, 195)}


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def test_clips_are_mixed_in_pairs_with_their_labels_and_all_frames_alike(augmentation: ModuleType, name: str) -> None:
    """Clips are 0 or 200 bright, so that brightness tells the share of each."""
    import keras
    import tensorflow as tf

    layer = getattr(keras.layers, name)(seed=3)
    videos = np.zeros((8, 4, 20, 30, 3), np.uint8)
    videos[1::2] = 200
    pairs: Any = tf.data.Dataset.from_tensors((videos, tf.one_hot([0, 1] * 4, 2))).repeat(4)
    shares: list[float] = []
    for video, label in pairs.map(lambda v, y: augmentation.mix_clips(v, y, layer)).as_numpy_iterator():
        assert video.shape == videos.shape and video.dtype == np.uint8
        assert (video == video[:, :1]).all()
        np.testing.assert_allclose(label.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(
            video.mean(axis=(1, 2, 3, 4)) / 200, label[:, 1], atol=1 / 20 + 1 / 30
        )  # whole pixels
        shares += label[:, 1].tolist()
    assert any(0.1 < share < 0.9 for share in shares)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size_px": 0}, "augmentation.size_px is 0; it must be at least 1, or None"),
        ({"min_area": 0.0}, "augmentation.min_area is 0.0; it must be above 0 and at most 1"),
        ({"max_aspect_change": 0.5}, "augmentation.max_aspect_change is 0.5; it must be at least 1"),
        ({"flip_probability": 1.5}, "augmentation.flip_probability is 1.5; it must be from 0 to 1"),
        ({"brightness": -1.0}, "augmentation.brightness is -1.0; it must be from 0 to 1"),
        ({"contrast": 1.0}, "augmentation.contrast is 1.0; it must be from 0 to below 1"),
    ],
)
def test_a_setting_that_is_out_of_range_is_named(
    augmentation: ModuleType, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{message}$"):
        augmentation.Augmentation(**settings)
