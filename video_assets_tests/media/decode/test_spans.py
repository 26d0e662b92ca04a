"""Spans that are decoded together are what each is by itself, and what a sequential decode gives."""

import itertools
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from video_assets.domain.clips import Loss, VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.geometry import FrameSize, Orientation
from video_assets.domain.sampling import Timeline, choose_timestamps
from video_assets.media.decode import convert
from video_assets.media.decode.decode_clip import JointDecodeFailed, decode_clip, decode_spans
from video_assets.media.decode.frame_stack import DecodedFrames
from video_assets.media.decode.indexed import DecodeRun, join_runs, plan_runs
from video_assets.media.decode.sequential import decode_frames_sequentially, decode_sequentially
from video_assets.media.index import packet_index as index
from video_assets.media.index.packets import IndexNotTrusted
from video_assets.media.open.video import VideoSource, open_video
from video_assets.settings import DEFAULT_LIMITS
from video_assets_tests.corpus import corpus_files, needs_corpus, require_corpus
from video_assets_tests.media.decode.test_decode_clip import KINDS, NUM_FRAMES, SIZE, X264, every_start, video_of
from video_assets_tests.media.decode.test_real_videos import GOOD, LABELLED
from video_assets_tests.media.joining import UNIT, joined_video
from video_assets_tests.media.making import decode_frames, numbered_video, use_tables_of_short_videos

Span = tuple[float, float]

LAYOUTS: dict[str, list[Span]] = {
    "overlapping": [(0.1 * number, 0.1 * number + 0.5) for number in range(8)],
    "nested": [(0, 1.6), (0.2, 1.2), (0.5, 0.9), (0.6, 0.62)],
    "identical": [(0.4, 1.1), (0.4, 1.1)],
    "touching": [(0, 0.4), (0.4, 0.8), (0.8, 1.2)],
    "at the ends": [(1.56, 9), (0, 0.04), (1.5, 1.6)],
    "far apart": [(1.3, 1.5), (0.1, 0.2)],
    "not in the video": [(0.2, 0.5), (7, 8), (1.5, 1.6)],
}


def choice(span: Span, encoding: Encoding = Encoding(num_frames=4)) -> Callable[[Timeline], list[int]]:  # noqa: B008
    return lambda timeline: choose_timestamps(timeline, encoding, *span).tolist()


def by_itself(video: VideoSource, span: Span) -> DecodedFrames | Loss:
    try:
        return decode_clip(video, choice(span), SIZE)
    except VideoLost as lost:
        return lost.loss


def together(video: VideoSource, spans: Sequence[Span]) -> list[DecodedFrames | Loss]:
    return decode_spans(video, [choice(span) for span in spans], SIZE)


def assert_same(found: DecodedFrames | Loss, wanted: DecodedFrames | Loss) -> None:
    """Compare everything that goes into a record."""
    if isinstance(found, Loss) or isinstance(wanted, Loss):
        assert found == wanted
        return
    assert (found.frames == wanted.frames).all()
    assert found.frames.shape == wanted.frames.shape
    assert found.timestamps_us.tolist() == wanted.timestamps_us.tolist()
    assert (found.note, found.num_frames_total) == (wanted.note, wanted.num_frames_total)
    assert found.timeline.starts_us.tolist() == wanted.timeline.starts_us.tolist()
    assert found.timeline.end_us == wanted.timeline.end_us


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return {}


@pytest.fixture(params=[True, False], ids=["in memory", "read again"])
def packets_are_in_memory_or_not(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets are not in memory, as of videos above 48 MB, and an mp4 is indexed by its table, as a long one is."""
    if not request.param:
        monkeypatch.setattr(index, "MAX_BYTES_IN_MEMORY", -1)
        use_tables_of_short_videos(monkeypatch)


@pytest.mark.usefixtures("packets_are_in_memory_or_not")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_spans_together_are_what_each_is_by_itself_and_in_a_sequential_decode(
    kind: str, made: dict[str, bytes]
) -> None:
    video = video_of(kind, made)
    everything = decode_sequentially(video, every_start, SIZE, DEFAULT_LIMITS, note="")
    picture_at = dict(zip(everything.timestamps_us.tolist(), everything.frames, strict=True))
    for spans in LAYOUTS.values():
        for found, span in zip(together(video, spans), spans, strict=True):
            assert_same(found, by_itself(video, span))
            if not isinstance(found, Loss):
                pictures = [picture_at[time_us] for time_us in found.timestamps_us.tolist()]
                assert (np.array(pictures) == found.frames).all()


bounds = st.integers(0, 45).map(lambda number: number / 25)
spans_by_chance = st.lists(st.tuples(bounds, bounds), min_size=1, max_size=6)


@pytest.mark.parametrize("kind", KINDS)
def test_any_spans_together_are_what_each_is_by_itself(kind: str, made: dict[str, bytes]) -> None:
    video = video_of(kind, made)

    @settings(max_examples=6)
    @given(spans_by_chance)
    def check(spans: list[Span]) -> None:
        for found, span in zip(together(video, spans), spans, strict=True):
            assert_same(found, by_itself(video, span))

    check()


def assert_shows(found: DecodedFrames | Loss, whole: bytes) -> None:
    """Compare the frames of a damaged video with those that the whole one shows at their times."""
    assert isinstance(found, DecodedFrames)
    clean = decode_frames_sequentially(whole, found.timestamps_us.tolist(), SIZE)
    assert (found.frames == clean.frames).all()


DAMAGED = ["h264 b-frames mp4", "h264 open gop mkv", "h264 ts", "hevc open gop", "mpeg4 avi", "mpeg2 ts", "vp9 webm"]


@pytest.mark.usefixtures("packets_are_in_memory_or_not")
@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.slow
def test_spans_of_a_damaged_video_are_what_each_is_by_itself_or_not_together(kind: str, made: dict[str, bytes]) -> None:
    whole = video_of(kind, made)

    @settings(max_examples=15)
    @given(spans_by_chance, st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(1, 255)), max_size=4))
    @example([(1.2, 1.24)], [(44, 1)])
    @example([(1.12, 1.16)], [(48, 1)])
    @example([(0, 0)], [(6839, 1)])
    @example([(0, 0.64), (0.48, 0.52)], [(4814, 1)])
    def check(spans: list[Span], damage: list[tuple[int, int]]) -> None:
        video = bytearray(whole)
        for place, change in damage:
            video[place % len(whole)] ^= change
        try:
            found = together(bytes(video), spans)
        except (JointDecodeFailed, VideoLost):
            return
        for one, span in zip(found, spans, strict=True):
            wanted = by_itself(bytes(video), span)
            if isinstance(one, Loss) and isinstance(wanted, Loss):
                # The first of two timelines tells the length that one says, the second one the other's.
                assert one.reason == wanted.reason
            elif isinstance(one, Loss) or isinstance(wanted, Loss):
                # A picture may be missing before the keyframe at which one of them begins: what is stored is right.
                assert_shows(one if isinstance(wanted, Loss) else wanted, whole)
            elif is_as_in_a_sequential_decode(bytes(video), span, wanted):
                assert_same(one, wanted)
            else:
                assert (one.timestamps_us.tolist(), one.note) == (wanted.timestamps_us.tolist(), wanted.note)

    check()


def is_as_in_a_sequential_decode(video: bytes, span: Span, decoded: DecodedFrames) -> bool:
    try:
        truth = decode_sequentially(video, choice(span), SIZE, DEFAULT_LIMITS, note="")
    except VideoLost:  # without the frames that damage took, the span may lie behind the end
        return False
    return truth.frames.shape == decoded.frames.shape and bool((truth.frames == decoded.frames).all())


def test_a_video_without_a_trusted_index_is_decoded_once_for_all_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    video = numbered_video(NUM_FRAMES, options={"x264-params": "keyint=10:open-gop=1:bframes=3"}, container="matroska")
    alone = [by_itself(video, span) for span in LAYOUTS["overlapping"]]
    monkeypatch.setattr(index, "starts_cleanly", lambda *_: False)

    def refuse(*_: object, **__: object) -> index.PacketIndex:
        raise IndexNotTrusted("Its packets' times repeat.")

    monkeypatch.setattr("video_assets.media.decode.decode_clip.read_index", refuse)
    found = together(video, LAYOUTS["overlapping"])
    assert sum(one.num_frames_decoded for one in found if isinstance(one, DecodedFrames)) == NUM_FRAMES
    for one, wanted in zip(found, alone, strict=True):
        assert isinstance(one, DecodedFrames) and isinstance(wanted, DecodedFrames)
        assert one.note == "All of it was decoded. Its packets' times repeat."
        assert (one.frames == wanted.frames).all()


def test_what_spans_share_is_decoded_once(made: dict[str, bytes]) -> None:
    video = video_of("h264 b-frames mp4", made)
    spans = [(0.02 * number, 1.0 + 0.02 * number) for number in range(10)]
    shared = sum(one.num_frames_decoded for one in together(video, spans) if isinstance(one, DecodedFrames))
    single = sum(one.num_frames_decoded for span in spans if isinstance(one := by_itself(video, span), DecodedFrames))
    union = decode_frames(video, [time for span in spans for time in times_of(video, span)], SIZE).num_frames_decoded
    assert single > 5 * union
    assert shared <= NUM_FRAMES
    assert shared <= 1.3 * union


def times_of(video: VideoSource, span: Span) -> list[int]:
    found = by_itself(video, span)
    assert isinstance(found, DecodedFrames)
    return found.timestamps_us.tolist()


@pytest.mark.parametrize("kind", ["h264 b-frames mp4", "h264 open gop mkv", "hevc open gop", "mpeg4 avi b-frames"])
def test_joined_runs_decode_what_each_span_would_and_begin_wherever_one_would(
    kind: str, made: dict[str, bytes]
) -> None:
    chance = random.Random(kind)
    with open_video(video_of(kind, made), DEFAULT_LIMITS) as opened:
        found = index.read_index(opened)
    for _ in range(300):
        spans = [sorted(chance.sample(range(NUM_FRAMES), chance.randint(1, 4))) for _ in range(chance.randint(1, 5))]
        alone = [plan_runs(found, places, chance.choice([0, 2, 50])) for places in spans]
        joined = join_runs(found, alone)
        starts = [run.start for run in joined]
        assert starts == sorted({run.start for runs in alone for run in runs})
        assert sorted(place for run in joined for place in run.frame_indices) == sorted(set(itertools.chain(*spans)))
        sent = {packet for run in joined for packet in range(run.start, run.stop)}
        assert sent == {packet for runs in alone for run in runs for packet in range(run.start, run.stop)}
        for run in joined:
            assert all(run.start <= int(found.frame_packets[place]) < run.stop for place in run.frame_indices)
            assert all(found.pts[run.start] <= found.frame_ticks[place] for place in run.frame_indices if run.start)


def test_runs_of_two_spans_are_cut_where_the_second_begins(made: dict[str, bytes]) -> None:
    with open_video(video_of("mjpeg avi", made), DEFAULT_LIMITS) as opened:
        found = index.read_index(opened)
    joined = join_runs(found, [[DecodeRun(0, 30, [0, 29])], [DecodeRun(20, 36, [20, 35])]])
    assert [(run.start, run.stop, run.frame_indices) for run in joined] == [(0, 20, [0]), (20, 36, [20, 29, 35])]


def test_frames_of_one_size_that_are_turned_differently_are_each_turned_as_they_say() -> None:
    part = numbered_video(40, options={"x264-params": "keyint=10:bframes=0:cpu-independent=1"}, container="h264")

    def turned_by_180(data: bytes, part: int, _number: int) -> bytes:
        orientation = bytes.fromhex("00000001 06 2f03100014 80")  # H.264, D.2.27
        return UNIT.sub(orientation + b"\0\0\1", data, count=1) if part else data

    upright, turned = (joined_video([part, part], "matroska", *edit) for edit in ([], [turned_by_180]))
    everything = decode_clip(turned, every_start, SIZE)
    as_coded = decode_clip(upright, every_start, SIZE).frames
    assert everything.note == ""
    assert (everything.frames[:40] == as_coded[:40]).all()
    assert (everything.frames[40:] == as_coded[40:, ::-1, ::-1]).all()
    spans = [(0, 1), (2, 3), (1.4, 1.8)]
    for one, span in zip(together(turned, spans), spans, strict=True):
        assert_same(one, by_itself(turned, span))


def test_spans_whose_frames_come_out_in_different_shapes_are_not_decoded_together(
    made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "orientation_of", lambda frame, _version: Orientation(90 if frame.time > 0.8 else 0))
    wide = FrameSize("short_side", 32)
    with pytest.raises(VideoLost, match="change their shape in the middle"):
        decode_spans(video_of("h264 b-frames mp4", made), [choice(span) for span in [(0, 0.5), (1, 1.5)]], wide)


def test_frames_of_a_long_gap_between_spans_are_not_decoded() -> None:
    video = numbered_video(200, options=X264)
    found = together(video, [(0.1, 0.3), (7.5, 7.7)])
    assert sum(one.num_frames_decoded for one in found if isinstance(one, DecodedFrames)) < 40


@pytest.mark.parametrize(
    "name", needs_corpus([*GOOD[::5], *LABELLED[::9], *corpus_files("long/vp8", "long/media3_363s_180p")])
)
@pytest.mark.slow
def test_spans_of_real_videos_together_are_what_each_is_by_itself(name: str) -> None:
    path = require_corpus() / name
    timeline = decode_clip(path, lambda timeline: [timeline.start_us], SIZE).timeline
    seconds = timeline.duration_us / 1e6
    length = min(4.0, seconds / 2)
    begin = (seconds - length) * 0.6
    spans = [(begin + part * length, begin + (part + 1) * length) for part in (-0.7, -0.3, 0, 0.2, 0.4)]
    spans = [(max(0.0, start), end) for start, end in spans]
    spans += [(0, length / 3), (max(0.0, seconds - length / 3), seconds + 1), spans[2]]
    if name == "formats/mpeg1_ps__weird_aspect.mpg":  # one frame is damaged in the file
        with pytest.raises(JointDecodeFailed, match="A frame came out damaged"):
            together(path, spans)
        return
    found = together(path, spans)
    for one, span in zip(found, spans, strict=True):
        assert_same(one, by_itself(path, span))
    assert any(isinstance(one, DecodedFrames) for one in found)
