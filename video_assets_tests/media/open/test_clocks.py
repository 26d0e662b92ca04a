"""Bare streams, which have no container that says when a frame is shown, go by the rate in their own headers."""

import numpy as np
import pytest

from video_assets.domain.encoding import Encoding
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import choose_timestamps
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.probe import probe_video
from video_assets_tests.media.making import number_of, numbered_video

SIZE = FrameSize("short_side", 64)
FORMATS = {"h264": "libx264", "hevc": "libx265", "mpeg2video": "mpeg2video", "mpeg1video": "mpeg1video", "m4v": "mpeg4"}
OPTIONS = {"hevc": {"x265-params": "log-level=none"}}
ANY_RATE = ("h264", "hevc", "m4v")


def bare(container: str, rate: int, num_frames: int = 50) -> bytes:
    return numbered_video(
        num_frames, codec=FORMATS[container], container=container, rate=rate, options=OPTIONS.get(container)
    )


@pytest.mark.parametrize(
    ("container", "rate"),
    [*((container, rate) for container in ANY_RATE for rate in (10, 60, 120)), ("mpeg2video", 50), ("mpeg1video", 60)],
)
def test_a_bare_stream_is_laid_out_by_its_own_rate(container: str, rate: int) -> None:
    video = bare(container, rate)
    decoded = decode_clip(video, lambda timeline: timeline.starts_us.tolist(), SIZE)
    assert [number_of(frame) for frame in decoded.frames] == list(range(50))
    steps_us = np.diff([*decoded.timestamps_us, decoded.timeline.end_us])
    is_one_step = np.abs(steps_us - 1e6 / rate) <= 1
    assert is_one_step.sum() >= (
        49 if container == "mpeg1video" else 50
    )  # FFmpeg's parser takes one frame of MPEG-1 twice
    facts = probe_video(video)
    assert facts.duration_us == decoded.timeline.duration_us
    assert facts.frame_rate == pytest.approx(rate, rel=0.021)


def test_spans_and_rates_of_a_bare_stream_are_those_of_its_clock() -> None:
    video = bare("h264", 10)

    def frames(encoding: Encoding, *span: float) -> list[int]:
        size = FrameSize("short_side", 64, encoding.encoder_version)
        decoded = decode_clip(video, lambda timeline: choose_timestamps(timeline, encoding, *span).tolist(), size)
        return [number_of(frame) for frame in decoded.frames]

    assert frames(Encoding(sampling="all"), 1.0, 2.0) == list(range(10, 20))
    assert frames(Encoding(sampling="fps", fps=2)) == list(range(0, 50, 5))
    assert frames(Encoding(sampling="all", encoder_version=1), 1.0, 1.2) == list(range(25, 30)), "as it was stored then"


def test_the_last_frame_of_mpeg_2_lasts_as_long_as_the_others() -> None:
    facts = probe_video(bare("mpeg2video", 50, num_frames=200))
    assert facts.duration_us == 4_000_000
    assert probe_video(bare("mpeg2video", 50, num_frames=200), encoder_version=1).duration_us == 4_020_000


def test_a_stream_that_names_no_rate_goes_by_the_demuxers() -> None:
    facts = probe_video(numbered_video(20, codec="mjpeg", container="mjpeg", rate=50, pix_fmt="yuvj420p"))
    assert facts.frame_rate == 25
