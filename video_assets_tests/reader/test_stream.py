"""The order of training: shuffled, repeated, resumed and shared, always the same for the same options."""

from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from video_assets.domain.errors import SettingsError
from video_assets.reader.load import load_dataset
from video_assets.storage.paths import VersionPaths
from video_assets_tests.records.test_tfds import clip_record, write_dataset

NUM_CLIPS = 23


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> VersionPaths:
    """23 clips, numbered in stored order, in shards of 5, 5, 5, 5 and 3."""
    records = [clip_record(number) for number in range(NUM_CLIPS)]
    of_split = [records[first : first + 5] for first in range(0, NUM_CLIPS, 5)]
    return write_dataset(tmp_path_factory.mktemp("order"), {"train": of_split, "test": []})


def numbers(paths: VersionPaths, take: int = -1, **options: Any) -> list[int]:
    """The clips that come, by number."""
    clips: Any = load_dataset(paths.directory, "train", **options)
    return [int(clip["id"].decode().partition(".")[0]) for clip in clips.take(take).as_numpy_iterator()]


def test_a_shuffled_epoch_has_every_clip_once_and_another_order(tensorflow: ModuleType, shards: VersionPaths) -> None:
    order = numbers(shards, seed=1)
    assert sorted(order) == list(range(NUM_CLIPS))
    assert order != sorted(order)


@pytest.mark.slow
def test_a_seed_gives_its_order_again_and_another_seed_another(tensorflow: ModuleType, shards: VersionPaths) -> None:
    orders = [numbers(shards, seed=seed) for seed in (1, 2, 3, -5, 2**62)]
    assert [numbers(shards, seed=seed) for seed in (1, 2, 3, -5, 2**62)] == orders
    assert len(set(map(tuple, orders))) == 5


def test_the_order_does_not_hang_on_the_seed_of_tensorflow(tensorflow: ModuleType, shards: VersionPaths) -> None:
    order = numbers(shards, seed=1)
    tensorflow.random.set_seed(99)
    try:
        assert numbers(shards, seed=1) == order
    finally:
        tensorflow.random.set_seed(None)


def test_the_order_is_pinned(tensorflow: ModuleType, shards: VersionPaths) -> None:
    """A job that is resumed after an update must not see clips twice: say so in the changelog if this changes."""
    assert numbers(shards, seed=1, shuffle_buffer=8) == PINNED


@pytest.mark.slow
def test_each_epoch_has_its_own_order_which_can_be_asked_for(tensorflow: ModuleType, shards: VersionPaths) -> None:
    epochs = [numbers(shards, seed=1, first_epoch=epoch) for epoch in range(4)]
    assert len(set(map(tuple, epochs))) == 4
    assert numbers(shards, seed=1, num_epochs=4) == [number for epoch in epochs for number in epoch]
    assert numbers(shards, seed=1, first_epoch=2, num_epochs=2) == epochs[2] + epochs[3]
    assert numbers(shards, take=60, seed=1, num_epochs=None) == [n for epoch in epochs for n in epoch][:60]


def test_the_stored_order_repeats_as_it_is(tensorflow: ModuleType, shards: VersionPaths) -> None:
    assert numbers(shards, num_epochs=2) == [*range(NUM_CLIPS), *range(NUM_CLIPS)]


def test_shards_are_mixed_even_with_a_small_buffer(tensorflow: ModuleType, shards: VersionPaths) -> None:
    """Five shards are read in turns, so that the first five clips are of five shards."""
    first = Counter(number // 5 for number in numbers(shards, seed=3, shuffle_buffer=1)[:5])
    assert first == Counter(range(5))


@pytest.mark.slow
def test_with_a_buffer_of_all_clips_every_place_is_as_likely(tensorflow: ModuleType, shards: VersionPaths) -> None:
    """Over 300 epochs, clip 0 stands on average in the middle, and within 4 standard errors of it."""
    order = numbers(shards, seed=5, num_epochs=300)
    places = [place % NUM_CLIPS for place, number in enumerate(order) if number == 0]
    assert len(places) == 300
    assert abs(sum(places) / 300 - (NUM_CLIPS - 1) / 2) < 4 * (NUM_CLIPS**2 / 12 / 300) ** 0.5


@pytest.mark.parametrize("start", [0, 1, 10, 22, 23, 24, 57, 68, 69, 80])
@pytest.mark.slow
def test_a_run_that_stopped_goes_on_with_exactly_what_was_left(
    tensorflow: ModuleType, shards: VersionPaths, start: int
) -> None:
    options: dict[str, Any] = {"seed": 7, "num_epochs": 3, "shuffle_buffer": 6}
    assert numbers(shards, start=start, **options) == numbers(shards, **options)[start:]


def test_an_endless_run_can_be_resumed_too(tensorflow: ModuleType, shards: VersionPaths) -> None:
    whole = numbers(shards, take=120, seed=7, num_epochs=None)
    assert numbers(shards, take=50, seed=7, num_epochs=None, start=70) == whole[70:]


def test_the_state_of_an_iterator_can_also_be_saved_by_tensorflow(
    tensorflow: ModuleType, shards: VersionPaths, tmp_path: Path
) -> None:
    clips = load_dataset(shards.directory, "train", seed=7, num_epochs=2)
    iterator = iter(clips)
    for _ in range(30):
        next(iterator)
    saved = tensorflow.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    expected = [clip["id"].numpy() for clip in iterator]
    other = iter(clips)
    tensorflow.train.Checkpoint(iterator=other).restore(saved)
    assert [clip["id"].numpy() for clip in other] == expected
    assert len(expected) == 2 * NUM_CLIPS - 30


@pytest.mark.parametrize("seed", [None, 4])
@pytest.mark.parametrize("num_workers", [2, 3, 30])
@pytest.mark.slow
def test_workers_share_an_epoch_without_gap_or_overlap(
    tensorflow: ModuleType, shards: VersionPaths, num_workers: int, seed: int | None
) -> None:
    options: dict[str, Any] = {"seed": seed, "num_workers": num_workers}
    shares = [numbers(shards, worker_index=index, **options) for index in range(num_workers)]
    assert sorted(number for share in shares for number in share) == list(range(NUM_CLIPS))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("has_shares", [False, True])
def test_workers_of_a_distribution_strategy_see_every_clip_once(
    tensorflow: ModuleType, shards: VersionPaths, has_shares: bool
) -> None:
    """What `MultiWorkerMirroredStrategy` does to the dataset of each worker, without its servers."""
    tf, num_workers = tensorflow, 2
    seen: list[bytes] = []
    for index in range(num_workers):
        share: dict[str, Any] = {"num_workers": num_workers, "worker_index": index} if has_shares else {}
        clips: Any = load_dataset(shards.directory, "train", seed=4, **share).map(lambda clip: clip["id"]).batch(2)
        divided = tf.raw_ops.AutoShardDataset(
            input_dataset=tf.data.experimental.to_variant(clips),
            num_workers=num_workers,
            index=index,
            auto_shard_policy=int(clips.options().experimental_distribute.auto_shard_policy),
            output_types=[tf.string],
            output_shapes=[[None]],
        )
        ids = tf.data.experimental.from_variant(divided, tf.TensorSpec([None], tf.string))
        seen += [clip_id for batch in ids.as_numpy_iterator() for clip_id in batch.tolist()]
    assert len(set(seen)) == len(seen) == NUM_CLIPS


def test_a_worker_resumes_its_own_share(tensorflow: ModuleType, shards: VersionPaths) -> None:
    options: dict[str, Any] = {"seed": 4, "num_workers": 3, "worker_index": 1, "num_epochs": 3}
    whole = numbers(shards, **options)
    assert len(whole) == 3 * 8
    assert numbers(shards, start=13, **options) == whole[13:]


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 23), ({"num_epochs": 3}, 69), ({"start": 5}, 18), ({"num_workers": 3, "worker_index": 2}, 7)],
)
def test_how_many_clips_come_is_known_beforehand(
    tensorflow: ModuleType, shards: VersionPaths, options: dict[str, Any], expected: int
) -> None:
    clips: Any = load_dataset(shards.directory, "train", **options)
    assert len(clips) == expected == sum(1 for _ in clips)


def test_an_endless_dataset_says_so(tensorflow: ModuleType, shards: VersionPaths) -> None:
    clips: Any = load_dataset(shards.directory, "train", num_epochs=None)
    assert clips.cardinality().numpy() == tensorflow.data.INFINITE_CARDINALITY


def test_a_split_without_clips_ends_at_once_even_without_an_end(tensorflow: ModuleType, shards: VersionPaths) -> None:
    clips: Any = load_dataset(shards.directory, "test", seed=1, num_epochs=None)
    assert list(clips) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_epochs": 0}, "num_epochs is 0; it must be at least 1"),
        ({"start": -1}, "start is -1; it must be at least 0"),
        ({"first_epoch": -1}, "first_epoch is -1; it must be at least 0"),
        ({"seed": 1, "shuffle_buffer": 0}, "shuffle_buffer is 0; it must be at least 1"),
        ({"seed": 2**63}, "seed is 9223372036854775808; it must fit 64 bits"),
        ({"num_workers": 0}, "num_workers is 0; it must be at least 1"),
        ({"num_workers": 2, "worker_index": 2}, "worker_index is 2; it must be from 0 to 1"),
    ],
)
def test_an_option_that_is_out_of_range_is_named(
    tensorflow: ModuleType, shards: VersionPaths, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{message}$"):
        load_dataset(shards.directory, "train", **options)


PINNED = [0, 15, 11, 1, 16, 5, 12, 6, 7, 8, 13, 10, 21, 3, 4, 2, 19, 18, 9, 17, 14, 20, 22]
