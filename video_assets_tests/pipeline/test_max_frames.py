"""A clip with more frames than max_frames keeps the first ones or as many spread over it, and its warning says so."""

import numpy as np
import pandas as pd
import pytest

from video_assets.domain.encoding import Encoding
from video_assets.domain.sampling import Timeline, choose_timestamps, num_left_out
from video_assets.pipeline.dataset_warnings import cut_warnings

LONG = Timeline(np.arange(100) * 100_000, 10_000_000)  # ten frames a second, for ten seconds


def numbers(**settings: object) -> list[int]:
    encoding = Encoding.model_validate({"sampling": "all", "max_frames": 10, **settings})
    return (choose_timestamps(LONG, encoding) // 100_000).tolist()


def test_the_first_frames_are_kept_by_default() -> None:
    assert numbers() == list(range(10))
    assert numbers(sampling="fps", fps=5.0) == list(range(0, 20, 2))


def test_or_as_many_are_spread_over_the_whole_clip() -> None:
    assert numbers(over_max_frames="spread") == list(range(0, 100, 10))
    assert numbers(over_max_frames="spread", sampling="fps", fps=5.0) == list(range(0, 100, 10))
    assert numbers(over_max_frames="spread", max_frames=200) == list(range(100))
    assert numbers(over_max_frames="spread", sampling="uniform", num_frames=4) == numbers(
        sampling="uniform", num_frames=4
    )


def test_the_default_leaves_fingerprints_as_they_were() -> None:
    assert "over_max_frames" not in Encoding().as_dict()
    assert Encoding(over_max_frames="spread").as_dict()["over_max_frames"] == "spread"


@pytest.mark.parametrize(
    ("settings", "left_out", "words"),
    [
        ({"sampling": "fps", "fps": 5.0}, 855, "its first 300 frames are stored, 60.0 of 231.0 s; 855 frames after"),
        ({"sampling": "all"}, 5475, "its first 300 frames are stored, 12.0 of 231.0 s; 5 475 frames after"),
        ({"sampling": "all", "over_max_frames": "spread"}, 5475, "300 frames are stored, spread over its 231.0 s"),
    ],
)
def test_a_warning_says_how_many_frames_and_seconds_are_not_stored(
    settings: dict[str, object], left_out: int, words: str
) -> None:
    encoding = Encoding.model_validate(settings)
    lengths = pd.DataFrame({"duration_us": [231_000_000, 2_000_000], "num_frames": [5775, 50]}, index=["long", "short"])
    assert num_left_out(encoding, *(lengths[name].to_numpy() for name in lengths)).tolist() == [left_out, 0]
    (warning,) = cut_warnings(["long", "short", "unknown"], lengths, encoding)
    assert (warning.code, warning.source) == ("cut", "long")
    assert words in warning.detail
