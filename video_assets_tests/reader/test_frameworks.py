"""`StoredClips` in PyTorch's loader and in grain: workers, epochs, and a run that is resumed."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from video_assets.reader import StoredClips, Window
from video_assets_tests.reader.number_lines import numbers_of, write_lines

NUM_CLIPS = 11


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> StoredClips:
    """Eleven numbered clips, 20 to 30 frames long, in shards of four; windows of four frames."""
    paths = write_lines(tmp_path_factory.mktemp("lines"), range(20, 20 + NUM_CLIPS), clips_per_shard=4)
    return StoredClips(paths.directory, "train", window=Window(4, 2), seed=1)


def test_pytorch_loads_each_clip_once_an_epoch_with_two_workers_and_resumes(clips: StoredClips) -> None:
    pytest.importorskip("torch", reason="needs torch")
    from torch.utils.data import DataLoader  # pyright: ignore[reportMissingImports]

    def batches(epoch: int, skip: int = 0) -> list[Any]:
        clips.epoch = epoch
        order = np.random.default_rng([1, epoch]).permutation(len(clips))[skip * 3 :].tolist()
        return list(DataLoader(clips, batch_size=3, sampler=order, num_workers=2))

    epochs = [batches(0), batches(1)]
    seen = [[clip_id for batch in epoch for clip_id in batch["id"]] for epoch in epochs]
    for epoch, of_epoch in enumerate(seen):
        assert sorted(of_epoch, key=lambda name: int(name[:-4])) == [f"{number}.mp4" for number in range(NUM_CLIPS)]
        for batch in epochs[epoch]:
            for clip_id, video in zip(batch["id"], batch["video"].numpy(), strict=True):
                expected = clips.read(int(clip_id[:-4]), epoch=epoch)["video"]
                np.testing.assert_array_equal(video, expected)
    assert seen[0] != seen[1]
    assert [batch["id"] for batch in batches(1, skip=2)] == [batch["id"] for batch in epochs[1]][2:]


@pytest.mark.slow  # two processes import everything anew
def test_grain_reads_each_clip_once_an_epoch_and_resumes_with_two_workers(clips: StoredClips) -> None:
    grain: Any = pytest.importorskip("grain", reason="needs grain")
    dataset = grain.MapDataset.source(clips).seed(1).shuffle().repeat(2).batch(2, drop_remainder=False)
    with_workers = dataset.to_iter_dataset().mp_prefetch(grain.MultiprocessingOptions(num_workers=2))
    iterator = iter(with_workers)
    first = [next(iterator)["id"].tolist() for _ in range(3)]
    state = iterator.get_state()
    rest = [batch["id"].tolist() for batch in iterator]
    assert set(Counter(name for batch in first + rest for name in batch).values()) == {2}
    order = [name for batch in first + rest for name in batch]
    assert order[:NUM_CLIPS] != order[NUM_CLIPS:] and len(set(order[:NUM_CLIPS])) == NUM_CLIPS
    resumed = iter(with_workers)
    resumed.set_state(state)
    assert [batch["id"].tolist() for batch in resumed] == rest


def test_grain_may_draw_another_window_each_time(clips: StoredClips) -> None:
    grain: Any = pytest.importorskip("grain", reason="needs grain")
    drawn = (
        grain.MapDataset.range(len(clips))
        .seed(1)
        .repeat(8)
        .random_map(lambda index, rng: clips.read(index, epoch=int(rng.integers(2**31))))
    )
    windows = {str(numbers_of(drawn[place]["video"])) for place in range(0, 8 * NUM_CLIPS, NUM_CLIPS)}
    assert len(windows) > 3
    assert numbers_of(drawn[0]["video"]) == numbers_of(drawn[0]["video"])
