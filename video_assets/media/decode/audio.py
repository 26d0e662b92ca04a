"""Decode the sound of a clip, cut to its span on the timeline that video and sound share."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import av.audio.frame
import av.audio.resampler
import av.audio.stream
import av.error
import av.stream
import numpy as np
from numpy.typing import NDArray

from video_assets.media.open.losses import errors_as_losses, lose
from video_assets.media.open.video import OpenVideo, VideoSource, open_video
from video_assets.settings import DEFAULT_LIMITS, Limits

Samples = NDArray[np.float32]

_PRE_ROLL_US = 1_000_000
"""Decoded before the span and dropped. MDCT codecs need earlier frames: AAC one, MP3 up to 511 bytes of them."""
_GAP_US = 20_000
"""A larger jump of times is a gap in the sound, or an overlap; a smaller one comes from a coarse time base."""


def decode_audio(
    video: VideoSource, start_us: int, end_us: int, sample_rate: int, limits: Limits = DEFAULT_LIMITS
) -> Samples | None:
    """Return the samples (N,) float32 of the span [start_us, end_us), from -1 to 1; None without sound.

    A sample is the mean of the channels, which is never louder than one of them. Sample k sounds at
    `start_us + k / sample_rate`, to within half a sample; N is the span's length, rounded. Where the sound begins later
    than the span, ends earlier or has a gap, samples are 0: a player is silent there too. Of several streams, FFmpeg's
    best is decoded, or the first where FFmpeg cannot tell.

    Raises:
        VideoLost: the file cannot be opened, or its sound cannot be decoded.
    """
    with open_video(video, limits, with_sound=True) as opened:
        stream = _stream(opened)
        if stream is None:
            return None
        if stream.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]  (it is None without a decoder)
            lose("unsupported_codec", "FFmpeg has no decoder for its sound.")
        wanted = _Span(start_us, end_us, sample_rate)
        with errors_as_losses("its sound was decoded"):
            for part in _contiguous(_frames(opened, stream, start_us, end_us)):
                wanted.fill(part)
        return wanted.samples


def _stream(opened: OpenVideo) -> av.audio.stream.AudioStream | None:
    # FFmpeg has no best stream where it found no packet of sound yet: in a transport stream it may come late.
    streams = opened.container.streams
    best = streams.best("audio")
    return best if isinstance(best, av.audio.stream.AudioStream) else next(iter(streams.audio), None)


@dataclass(slots=True)
class _Span:
    """The wanted samples, silent until they are filled."""

    start_us: int
    end_us: int
    sample_rate: int
    samples: Samples = field(init=False)

    def __post_init__(self) -> None:
        num_samples = round((self.end_us - self.start_us) * self.sample_rate / 1e6)
        self.samples = np.zeros(max(1, num_samples), np.float32)

    def fill(self, part: list[tuple[int, av.audio.frame.AudioFrame]]) -> None:
        """Write frames that follow one another without a gap at their position."""
        position = round((part[0][0] - self.start_us) * self.sample_rate / 1e6)
        resampler = av.audio.resampler.AudioResampler(format="fltp", rate=self.sample_rate)
        for frame in [*(frame for _, frame in part), None]:
            for resampled in resampler.resample(frame):
                values = resampled.to_ndarray().mean(axis=0)
                begin, stop = max(0, position), min(len(self.samples), position + len(values))
                if begin < stop:
                    self.samples[begin:stop] = values[begin - position : stop - position]
                position += len(values)


def _frames(
    opened: OpenVideo, stream: av.audio.stream.AudioStream, start_us: int, end_us: int
) -> Iterator[tuple[int, av.audio.frame.AudioFrame]]:
    """Yield decoded frames around the span, each with its start in microseconds."""
    opened.stream.discard = av.stream.Discard.all
    stream.discard = av.stream.Discard.default
    stream.codec_context.thread_count = 1
    time_base = stream.time_base
    if time_base is None or time_base <= 0:
        lose("unreadable", "Its sound has no time base.")
    begin_us = start_us - _PRE_ROLL_US
    _seek(opened, stream, int(begin_us / 1_000_000 / time_base))
    next_us: int | None = None
    for packet in opened.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue  # a gap, in which players are silent
        for frame in frames:
            if frame.pts is not None and frame.time_base is not None:
                frame_us = round(frame.pts * frame.time_base * 1_000_000)
            elif next_us is not None:  # frames that the decoder holds back until the end, such as WMA's
                frame_us = next_us
            else:
                lose("unreadable", "Its sound has no times.")
            next_us = frame_us + round(frame.samples * 1e6 / frame.sample_rate)
            if frame_us >= end_us:
                return
            if frame_us >= begin_us:
                yield frame_us, frame


def _seek(opened: OpenVideo, stream: av.audio.stream.AudioStream, tick: int) -> None:
    """Seek to the sound's packet at that time or before it, or to its first one."""
    # FLV refuses times before its first packet. Packets that FFmpeg read to analyse the file are lost after a refused
    # seek, so reading on without a second one would leave out the beginning.
    for wanted in (tick, stream.start_time or 0):
        try:
            opened.container.seek(wanted, stream=stream, backward=True)
        except av.error.FFmpegError:
            continue
        return
    opened.container.seek(0, any_frame=False, backward=True)


def _contiguous(
    frames: Iterator[tuple[int, av.audio.frame.AudioFrame]],
) -> Iterator[list[tuple[int, av.audio.frame.AudioFrame]]]:
    part: list[tuple[int, av.audio.frame.AudioFrame]] = []
    expected_us = 0
    form: tuple[int, str, str] | None = None
    for frame_us, frame in frames:
        found = (frame.sample_rate, frame.layout.name, frame.format.name)
        if part and (abs(frame_us - expected_us) > _GAP_US or found != form):
            yield part
            part = []
        if not part:
            expected_us = frame_us
        part.append((frame_us, frame))
        form = found
        expected_us += round(frame.samples * 1e6 / frame.sample_rate)
    if part:
        yield part
