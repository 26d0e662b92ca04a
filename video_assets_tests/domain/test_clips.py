"""Names of clips, and groups that a file's name tells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.clips import ListedFile, WantedClip, group_from_path
from video_assets.settings import UCF101_GROUP_PATTERN


def clip_id(start: float | None, end: float | None) -> str:
    file = ListedFile("a/b.mp4", 1, 0)
    return WantedClip(file=file, label="a", start_seconds=start, end_seconds=end).clip_id


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, "a/b.mp4"),
        (0.0, None, "a/b.mp4#t=0"),
        (None, 2.0, "a/b.mp4#t=,2"),
        (1.5, 3.0, "a/b.mp4#t=1.5,3"),
        (100.0, 200.0, "a/b.mp4#t=100,200"),
        (0.1 + 0.2, 1 / 3, "a/b.mp4#t=0.3,0.333333"),
    ],
)
def test_clip_ids_are_pinned(start: float | None, end: float | None, expected: str) -> None:
    """Pinned: they are stored in every record and every history; a clip under another name is another clip."""
    assert clip_id(start, end) == expected


@given(
    st.tuples(st.integers(0, 10**10), st.integers(0, 10**10)), st.tuples(st.integers(0, 10**10), st.integers(0, 10**10))
)
def test_spans_that_differ_by_a_microsecond_have_different_names(one: tuple[int, int], other: tuple[int, int]) -> None:
    first, second = (clip_id(start / 1e6, end / 1e6) for start, end in (one, other))
    assert (first == second) == (one == other)


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("Biking/v_Biking_g01_c02.avi", "Biking_01"),
        ("v_Biking_g25_c07.avi", "Biking_25"),
        ("deep/er/v_HandstandPushups_g001_c1.mp4", "HandstandPushups_001"),
        ("v_Two_Words_g01_c02.avi", "Two_Words_01"),
        ("Biking/v_Biking_g01.avi", None),
        ("Biking/clip.avi", None),
        ("v_Biking_g01_c02/clip.avi", None),
    ],
)
def test_ucf101_names_tell_their_group(path: str, group: str | None) -> None:
    assert group_from_path(path, UCF101_GROUP_PATTERN) == group


def test_groups_of_two_classes_are_two_groups() -> None:
    names = ("v_Biking_g01_c01.avi", "v_Diving_g01_c01.avi")
    assert len({group_from_path(name, UCF101_GROUP_PATTERN) for name in names}) == 2


@pytest.mark.parametrize(
    ("pattern", "group"),
    [
        ("", None),
        (r"^[^/]+", "run"),  # without groups of its own, all that matches
        (r"person(\d+)", "07"),
        (r"person(\d+)_(?:cam\d)?(x)?", "07_"),  # a group that takes no part is empty
        (r"nobody(\d+)", None),
    ],
)
def test_a_pattern_of_ones_own_tells_groups(pattern: str, group: str | None) -> None:
    assert group_from_path("run/person07_cam2.mp4", pattern) == group
