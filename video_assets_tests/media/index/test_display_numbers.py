"""Missing pictures of a bare stream are found by the step between the numbers that say the order of display."""

import pytest

from video_assets.media.index.display_numbers import DisplayNumbers, order_count

HIERARCHY = [0, 8, 4, 2, 6, 16, 12, 10, 14, 24, 20, 18, 22]
OPEN = [*HIERARCHY, 32, 28, 26, 30]  # 32 is a keyframe


def num_missing(numbers: list[int], keyframes: tuple[int, ...] = (0,)) -> int:
    found = DisplayNumbers()
    for number in numbers:
        found.add(number, is_restart=number in keyframes, begins_anew=number == 0)
    return found.num_missing()


def without(numbers: list[int], *left_out: int) -> list[int]:
    return [number for number in numbers if number not in left_out]


def test_a_number_that_is_left_out_is_a_missing_picture() -> None:
    assert num_missing(HIERARCHY) == num_missing(HIERARCHY * 3) == 0
    assert num_missing(without(HIERARCHY, 10)) == num_missing(HIERARCHY + without(HIERARCHY, 10)) == 1
    assert num_missing(without(HIERARCHY, 10, 12)) == 2
    assert num_missing(HIERARCHY + HIERARCHY[:7]) == 2  # cut: 10 and 14 would follow
    assert num_missing([number * 2 for number in HIERARCHY]) == 0  # a layer of pictures is left out of all


def test_pictures_that_editors_leave_out_before_a_keyframe_are_not_missing() -> None:
    assert num_missing(OPEN, (0, 32)) == 0
    assert num_missing(without(OPEN, 26, 28, 30), (0, 32)) == 0
    assert num_missing(without(OPEN, 26), (0, 32)) == 1
    assert num_missing(without(OPEN, 26, 28, 30), (0,)) == 3


def test_numbers_without_one_step_say_nothing() -> None:
    assert num_missing([0, 3, 5, 8, 10, 13, 15, 18, 20]) == 0  # as of films in 60 fields
    assert num_missing([0, 2, 6]) == 0
    assert num_missing([]) == 0
    fields = DisplayNumbers()
    for number in without(HIERARCHY, 10):
        fields.add(number, is_restart=not number, begins_anew=not number)
    fields.give_up()
    assert fields.num_missing() == 0


def test_a_joined_stream_begins_anew_at_a_keyframe() -> None:
    assert num_missing([0, 2, 4, 6, 8, 10, 12, 6, 8, 10, 12], (0, 6)) == 0


@pytest.mark.parametrize(("low", "base", "count"), [(2, 14, 18), (14, 18, 14), (0, 15, 16), (8, 0, 8), (9, 0, -7)])
def test_a_count_is_the_nearest_one_that_has_the_lower_bits(low: int, base: int, count: int) -> None:
    assert order_count(low, 4, base) == count
