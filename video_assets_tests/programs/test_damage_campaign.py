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


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        Case("mpeg2", "mpeg", "zeroed_block", "span", 194),  # frames at others' times
        Case("mpeg2", "mpeg", "lost_packets", "uniform", 214),
        Case("h264", "flv", "zeroed_block", "span", 300084),  # zeros that the decoder takes for data
        Case("h264", "flv", "lost_packets", "all", 261),  # a picture that is lost as a whole
        Case("mpeg4_b", "mp4", "lost_picture", "all", 215),
        Case("wmv2", "asf", "random_keyframe", "fps", 8),  # pictures of which a part is lost
        Case("h264", "mpegts", "random_picture", "all", 263),  # arithmetic coding that goes on after the last block
        Case("h264", "flv", "random_picture", "all", 50064),
        Case("h264", "flv", "doubled", "fps", 10044),  # tags that do not follow one another
        Case("vp8", "webm", "doubled", "uniform", 10114),  # elements of a cluster that do not
        Case("hevc", "mpegts", "flipped_bits", "fps", 47),  # rows that end elsewhere than their slice says
        Case("hevc", "mp4", "random_picture", "all", 20265),
        Case("hevc_slices", "hevc", "random_picture", "segments", 10261),  # blocks that the data do not reach
        Case("hevc_slices", "hevc", "random_picture", "uniform", 85),  # references that are not there
        Case("hevc_slices", "hevc", "doubled", "segments", 181),  # frames that are shown after those of a doubled piece
        Case("hevc_slices", "hevc", "doubled", "span", 10069),  # a unit of a kind that nothing writes
        Case("mpeg2", "mpeg", "lost_picture", "all", 73),  # one of the B pictures before a keyframe
        Case("mpeg2", "matroska", "lost_picture", "uniform", 212),  # the frame that is shown in a lost one's place
        Case("mpeg4_b", "avi", "lost_picture", "uniform", 246),
        Case("vp8", "webm", "random_picture", "fps", 20154),  # data between keyframes that are not read to their end
        Case("vp8", "avi", "flipped_bits", "fps", 55),
        Case("h264_slices", "h264", "random_keyframe", "span", 226),  # its rest looks like another kind of keyframe
        Case("h264_slices", "mpegts", "random_keyframe", "uniform", 70081),  # a parameter set that goes on and on
    ],
)
def test_what_was_stored_without_a_word_is_noticed(case: Case) -> None:
    assert try_case(case).outcome == "lost"


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        Case("hevc_slices", "hevc", "lost_picture", "uniform", 5),  # no one refers to it, but later ones come too early
        Case("h264_slices", "h264", "lost_picture", "segments", 98),
        Case("hevc_slices", "hevc", "cut", "all", 133),  # pictures before the last one would have followed
        Case("vp9", "webm", "lost_picture", "segments", 40036),  # pictures without numbers
        Case("mpeg4", "matroska", "lost_picture", "segments", 30),  # the second picture
    ],
)
def test_a_lost_picture_that_nothing_refers_to_is_warned_of(case: Case) -> None:
    assert try_case(case).outcome == "warned"


@pytest.mark.parametrize("seed", [297, 40057])
def test_the_end_of_a_program_stream_that_was_cut_is_left_out(seed: int) -> None:
    assert try_case(Case("mpeg1", "mpeg", "cut", "all", seed)).outcome == "right"


@pytest.mark.parametrize("kind", clocks.PLACES)
def test_the_frame_that_is_shown_at_a_wanted_time_is_stored(kind: str) -> None:
    for case in clocks.cases(kind, 6, seed=11):
        assert clocks.try_case(case) == "", case


def test_cases_are_functions_of_their_seeds() -> None:
    (first, *_), (again, *_) = cases("flipped_bits", 3, seed=7), cases("flipped_bits", 3, seed=7)
    assert first == again
    assert first.video() == again.video() != sound_video(first.codec, first.container, 7 % 3)
    assert {case.kind for kind in KINDS for case in cases(kind, 2, 0)} == set(KINDS)
