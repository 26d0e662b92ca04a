"""A span of a long Matroska video gives the same frames by a range index as by reading all packets."""

import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video_assets.domain.clips import Loss, VideoLost
from video_assets.domain.sampling import KnownTimeline, Timeline, span_us
from video_assets.media.decode import decode_clip as decode
from video_assets.media.decode.decode_clip import decode_clip, decode_spans
from video_assets.media.decode.frame_stack import DecodedFrames
from video_assets.media.index.matroska_range import TimeRange, read_range_index
from video_assets.media.index.packets import IndexNotTrusted
from video_assets.media.open import video
from video_assets.media.open.video import open_video
from video_assets.media.probe import probe_video
from video_assets.settings import DEFAULT_LIMITS
from video_assets_tests.media.decode.test_decode_clip import OPEN_GOP, SIZE, VP8, VP9, X264
from video_assets_tests.media.decode.test_spans import (
    Span,
    assert_same,
    by_itself,
    choice,
    is_as_in_a_sequential_decode,
)
from video_assets_tests.media.making import numbered_video

NUM_FRAMES = 150  # six seconds
QUIET = "log-level=none"
KINDS: dict[str, dict[str, object]] = {
    "h264 mkv": {"options": X264},
    "h264 open gop mkv": {"options": OPEN_GOP},
    "h264 many b-frames mkv": {"options": {"x264-params": "keyint=30:bframes=16:b-adapt=0:ref=16:b-pyramid=normal"}},
    "h264 variable rate mkv": {"options": X264, "times": [n * n // 4 + 20 * n + 700 for n in range(NUM_FRAMES)]},
    "hevc mkv": {"codec": "libx265", "options": {"x265-params": f"keyint=12:bframes=3:{QUIET}"}},
    "hevc open gop mkv": {"codec": "libx265", "options": {"x265-params": f"keyint=10:open-gop=1:bframes=4:{QUIET}"}},
    "vp8 webm": {"codec": "libvpx", "container": "webm", "options": VP8},
    "vp9 webm": {"codec": "libvpx-vp9", "container": "webm", "options": VP9},
    "av1 mkv": {"codec": "libsvtav1", "options": {"preset": "12", "g": "20"}},
    "h264 mkv that cannot be sought": {"options": X264, "container_options": {"live": "1"}},
}
SURELY_BY_PART = [kind for kind in KINDS if "sought" not in kind and "variable" not in kind]


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return {}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVT_LOG", "0")


def video_of(kind: str, made: dict[str, bytes]) -> bytes:
    if kind not in made:
        made[kind] = numbered_video(NUM_FRAMES, **{"container": "matroska", **KINDS[kind]})  # pyright: ignore[reportArgumentType]
    return made[kind]


def known_of(video: bytes) -> KnownTimeline:
    facts = probe_video(video)
    assert facts.index_trusted
    return KnownTimeline(facts.start_us, facts.start_us + facts.duration_us, facts.num_frames)


def part_of(known: KnownTimeline, span: Span) -> TimeRange:
    return TimeRange(known, *span_us(Timeline(np.array([known.start_us]), known.end_us), *span))


def by_part(video: bytes, span: Span, known: KnownTimeline) -> DecodedFrames | Loss:
    try:
        return decode_clip(video, choice(span), SIZE, time_range=part_of(known, span))
    except VideoLost as lost:
        return lost.loss


def assert_same_clip(found: DecodedFrames | Loss, wanted: DecodedFrames | Loss) -> None:
    """Compare everything that goes into a record; the timeline lacks frames outside of the range."""
    if isinstance(found, DecodedFrames) and isinstance(wanted, DecodedFrames):
        bounds = found.timeline.start_us, found.timeline.end_us
        assert bounds == (wanted.timeline.start_us, wanted.timeline.end_us)
        found.timeline = wanted.timeline
    assert_same(found, wanted)


@pytest.fixture
def whole_index_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("all packets were read")

    with monkeypatch.context() as patch:
        patch.setattr(decode, "read_index", refuse)
        yield


SPANS: list[Span] = [
    (0, 1),
    (0.3, 0.5),
    (2.0, 3.0),
    (2.01, 2.02),
    (3.96, 4.8),
    (5.5, 6),
    (5.9, 60),
    (0, 7),
    (4.0, 4.04),
]


@pytest.mark.parametrize("kind", SURELY_BY_PART)
def test_spans_are_found_by_seeking_alone(kind: str, made: dict[str, bytes], request: pytest.FixtureRequest) -> None:
    video = video_of(kind, made)
    wanted = [by_itself(video, span) for span in SPANS]
    known = known_of(video)
    request.getfixturevalue("whole_index_is_not_needed")
    for span, one in zip(SPANS, wanted, strict=True):
        assert isinstance(one, DecodedFrames)
        assert_same_clip(by_part(video, span, known), one)


instants = st.integers(0, 170).map(lambda number: number / 25)


@pytest.mark.parametrize("kind", KINDS)
def test_any_span_by_a_range_index_is_what_it_is_by_the_whole_index(kind: str, made: dict[str, bytes]) -> None:
    video = video_of(kind, made)
    known = known_of(video)

    @settings(max_examples=12)
    @given(st.lists(st.tuples(instants, instants), min_size=1, max_size=4))
    def check(spans: list[Span]) -> None:
        wanted = [by_itself(video, span) for span in spans]
        for span, one in zip(spans, wanted, strict=True):
            assert_same_clip(by_part(video, span, known), one)
        parts = [part_of(known, span) for span in spans]
        hull = TimeRange(known, min(part.start_us for part in parts), max(part.end_us for part in parts))
        together = decode_spans(video, [choice(span) for span in spans], SIZE, time_range=hull)
        for found, one in zip(together, wanted, strict=True):
            assert_same_clip(found, one)

    check()


@pytest.mark.parametrize("kind", ["h264 mkv", "h264 open gop mkv", "hevc open gop mkv", "vp9 webm"])
def test_a_span_of_a_damaged_video_is_what_it_is_by_the_whole_index(kind: str, made: dict[str, bytes]) -> None:
    """Damage after probing would have to keep the file's size and time."""
    whole = video_of(kind, made)
    known = known_of(whole)

    @settings(max_examples=20)
    @given(
        st.tuples(instants, instants),
        st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(1, 255)), min_size=1, max_size=3),
    )
    def check(span: Span, damage: list[tuple[int, int]]) -> None:
        damaged = bytearray(whole)
        for place, change in damage:
            damaged[place] ^= change
        video = bytes(damaged)
        try:
            if known_of(video) != known:
                return
        except (VideoLost, AssertionError):  # it would not have been planned, or not as a known one
            return
        found, wanted = by_part(video, span, known), by_itself(video, span)
        if isinstance(wanted, Loss) or wanted.note or is_as_in_a_sequential_decode(video, span, wanted):
            assert_same_clip(found, wanted)

    check()


def test_only_the_packets_of_the_range_are_read(made: dict[str, bytes]) -> None:
    video = video_of("h264 mkv", made)
    with open_video(video, DEFAULT_LIMITS) as opened:
        index = read_range_index(opened, part_of(known_of(video), (3.0, 3.4)))
    assert not index.has_first_packet
    assert index.num_packets < 12 + 10 + 20
    starts_us = index.timeline.starts_us.tolist()
    assert starts_us[:2] == [0, 2_880_000]
    assert starts_us[1:15] == list(range(2_880_000, 3_440_000, 40_000)), "up to the first that is behind the part"
    assert index.timeline.end_us == 6_000_000


class Elsewhere(io.BytesIO):
    """A video in a store that counts how much of it was read."""

    name = "far.mkv"

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.size_bytes, self.num_bytes_read = len(data), 0

    def open(self) -> "Elsewhere":
        return self

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.num_bytes_read += len(data)
        return data

    def close(self) -> None:
        self.seek(0)


def test_of_a_large_video_in_a_store_little_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "SMALL_FILE_BYTES", 0)
    monkeypatch.setattr(video, "READ_BYTES", 4096)
    data = numbered_video(1000, container="matroska", options={"qp": "8", "g": "25"})
    assert len(data) > 60 * video.READ_BYTES
    far = Elsewhere(data)
    found = decode_clip(far, choice((30, 31)), SIZE, time_range=part_of(known_of(data), (30, 31)))
    assert far.num_bytes_read < len(data) / 5
    assert_same_clip(found, by_itself(data, (30, 31)))


@pytest.mark.parametrize(
    ("known", "span"),
    [
        (KnownTimeline(0, 6_040_000, 151), (5.0, 6.04)),
        (KnownTimeline(40_000, 6_000_000, 149), (0, 1)),
        (KnownTimeline(-40_000, 6_000_000, 149), (0, 1)),
    ],
)
def test_where_the_video_is_not_as_it_was_all_packets_are_read(
    known: KnownTimeline, span: Span, made: dict[str, bytes]
) -> None:
    video = video_of("h264 mkv", made)
    with open_video(video, DEFAULT_LIMITS) as opened, pytest.raises(IndexNotTrusted):
        read_range_index(opened, part_of(known, span))
    assert_same_clip(by_part(video, span, known), by_itself(video, span))


def test_frames_missing_outside_of_the_range_lead_to_the_whole_index(made: dict[str, bytes]) -> None:
    data = video_of("vp9 webm", made)
    known = known_of(data)
    with open_video(data, DEFAULT_LIMITS) as opened:
        assert read_range_index(opened, part_of(known, (3.0, 3.4))).num_packets > 10
    with open_video(data, DEFAULT_LIMITS) as opened, pytest.raises(IndexNotTrusted, match="fixed rate"):
        read_range_index(opened, part_of(replace(known, num_frames=known.num_frames - 12), (3.0, 3.4)))


def test_times_outside_of_the_range_are_looked_for_in_the_whole_video(made: dict[str, bytes]) -> None:
    video = video_of("h264 mkv", made)
    part = part_of(known_of(video), (3.0, 3.4))
    for span in [(0.5, 1.0), (4.0, 5.0), (2.0, 3.2)]:
        elsewhere = by_itself(video, span)
        assert isinstance(elsewhere, DecodedFrames)
        times = elsewhere.timestamps_us.tolist()
        assert_same_clip(decode_clip(video, lambda _, times=times: times, SIZE, time_range=part), elsewhere)


def test_a_container_that_is_no_matroska_is_indexed_whole() -> None:
    video = numbered_video(60, options=X264)
    with (
        open_video(video, DEFAULT_LIMITS) as opened,
        pytest.raises(IndexNotTrusted, match="not allow exact seeking"),
    ):
        read_range_index(opened, part_of(known_of(video), (1, 2)))
    assert_same_clip(by_part(video, (1, 2), known_of(video)), by_itself(video, (1, 2)))


def test_an_error_in_decoding_a_range_leads_to_the_whole_index(
    made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    video = video_of("h264 mkv", made)
    wanted = by_itself(video, (3, 4))
    decoded = vars(decode)["_decoded"]

    def fail(opened: object, index: object, *others: object) -> DecodedFrames:
        if not getattr(index, "has_first_packet"):  # noqa: B009
            raise IndexNotTrusted("no")
        return decoded(opened, index, *others)

    monkeypatch.setattr(decode, "_decoded", fail)
    known = known_of(video)
    assert_same_clip(by_part(video, (3, 4), known), wanted)
    (found,) = decode_spans(video, [choice((3, 4))], SIZE, time_range=part_of(known, (3, 4)))
    assert_same_clip(found, wanted)
