"""Class weights, spreads and levels of channels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.statistics import Spread, channel_levels, channel_sums, class_weights


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20))
def test_each_class_that_has_clips_weighs_as_much_as_any_other(counts: list[int]) -> None:
    named = {str(number): count for number, count in enumerate(counts)}
    weights = class_weights(named, sum(counts))
    present = [count * weights[name] for name, count in named.items() if count]
    assert present == pytest.approx([sum(counts) / max(1, len(present))] * len(present), rel=1e-3)
    assert all(weights[name] == 0 for name, count in named.items() if not count)


def test_spreads_are_rounded_and_absent_without_numbers() -> None:
    assert Spread.of([1, 2, 6]) == Spread(1.0, 2.0, 3.0, 6.0)
    assert Spread.of([]) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_levels_are_those_of_all_pixels_together(dtype: type) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 6, 3)).astype(dtype)
    found = channel_levels([channel_sums(frame) for frame in frames])
    assert found is not None
    assert found.num_frames == 3
    assert found.mean == pytest.approx(frames.mean(axis=(0, 1, 2), dtype=np.float64) / 255, abs=1e-6)
    assert found.std == pytest.approx(frames.std(axis=(0, 1, 2), dtype=np.float64) / 255, abs=1e-6)
    assert channel_levels([]) is None
