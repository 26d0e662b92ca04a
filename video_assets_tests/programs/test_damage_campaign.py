"""Slices of the campaigns of `tools.damage`: keyframes, holes, cut files; clocks and tracks."""

import pytest

from tools.damage import clocks
from tools.damage.__main__ import SAMPLINGS, Case, cases, try_case
from tools.damage.making import CONTAINERS, KINDS, sound_video


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVT_LOG", "0")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random_keyframe", "hole", "cut"])
@pytest.mark.parametrize("codec", CONTAINERS)
def test_no_damaged_video_is_stored_wrongly_without_a_word(codec: str, kind: str) -> None:
    for number, sampling in enumerate(SAMPLINGS):  # uniform, segments, fps, all, a span
        case = Case(codec, CONTAINERS[codec][0], kind, sampling, seed=3 * number)
        tried = try_case(case)
        assert tried.outcome in ("lost", "warned", "right"), (case, tried)


@pytest.mark.parametrize(
    "case",
    [
        Case("mpeg2", "mpeg", "zeroed_block", "span", 194),  # frames at others' times
        Case("mpeg2", "mpeg", "lost_packets", "uniform", 214),
        Case("h264", "flv", "zeroed_block", "span", 300084),  # zeros that the decoder takes for data
        Case("h264", "flv", "lost_packets", "all", 261),  # a picture that is lost as a whole
        Case("mpeg4_b", "mp4", "lost_picture", "all", 215),
        Case("wmv2", "asf", "random_keyframe", "fps", 8),  # pictures of which a part is lost
    ],
)
def test_what_was_stored_without_a_word_is_noticed(case: Case) -> None:
    assert try_case(case).outcome == "lost"


@pytest.mark.parametrize("kind", clocks.PLACES)
def test_the_frame_that_is_shown_at_a_wanted_time_is_stored(kind: str) -> None:
    for case in clocks.cases(kind, 6, seed=11):
        assert clocks.try_case(case) == "", case


def test_cases_are_functions_of_their_seeds() -> None:
    (first, *_), (again, *_) = cases("flipped_bits", 3, seed=7), cases("flipped_bits", 3, seed=7)
    assert first == again
    assert first.video() == again.video() != sound_video(first.codec, first.container, 7 % 3)
    assert {case.kind for kind in KINDS for case in cases(kind, 2, 0)} == set(KINDS)
