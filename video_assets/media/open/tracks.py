"""Choose the video track of a container: the one that moves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import av.container
import av.stream
import av.video.codeccontext
import av.video.stream

from video_assets.media.open.losses import lose

VideoStream = av.video.stream.VideoStream

_FULLY_INDEXED: Final = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "avi"})
_ATTACHED_PICTURE: Final = av.stream.Disposition.attached_pic
_ALIKE: Final = 0.9
"""Tracks of at least this share of the most frames, or of the longest time, have as many, or are as long."""

_COUNTED_BYTES: Final = 64 * 2**20
_COUNTED_PACKETS: Final = 20_000
"""Of a longer video, only packets up to these limits are counted: by then a still picture is told from a video."""


@dataclass(slots=True)
class TrackLength:
    """How many packets a track has, and how long it is."""

    num_packets: int = 0
    seconds: float = 0.0
    _ticks: list[int] = field(default_factory=list[int])

    def count(self, tick: int | None, time_base: float) -> None:
        """Count one packet."""
        self.num_packets += 1
        if tick is not None:
            self._ticks = [min([tick, *self._ticks]), max([tick, *self._ticks])]
            self.seconds = (self._ticks[1] - self._ticks[0]) * time_base


def video_tracks(container: av.container.InputContainer) -> list[VideoStream]:
    """Return the video streams without cover art and pictures of chapters.

    Raises:
        VideoLost: no_video.
    """
    if not container.streams.video:
        lose("no_video", "It holds no video stream.")
    tracks = [stream for stream in container.streams.video if not stream.disposition & _ATTACHED_PICTURE]
    if not tracks:
        lose("no_video", "Its only pictures are cover art, or those of chapters; it holds no video.")
    return tracks


def moving_codecs(container: av.container.InputContainer) -> list[av.video.codeccontext.VideoCodecContext]:
    """Return the decoders of all video streams that have one, without those of cover art."""
    tracks = [track for track in container.streams.video if not track.disposition & _ATTACHED_PICTURE]
    return [codec for track in tracks if (codec := _codec(track)) is not None]


def lengths_from_header(
    container: av.container.InputContainer, tracks: Sequence[VideoStream]
) -> dict[int, TrackLength] | None:
    """Return the length of each track by its stream index; None where the header does not tell all of them."""
    if container.format.name not in _FULLY_INDEXED or not any(track.frames for track in tracks):
        return None
    return {
        track.index: TrackLength(track.frames, float((track.duration or 0) * (track.time_base or 0)))
        for track in tracks
    }


def counted_lengths(container: av.container.InputContainer, tracks: Sequence[VideoStream]) -> dict[int, TrackLength]:
    """Return the same by reading packets, from the container's position on."""
    found = {track.index: TrackLength() for track in tracks}
    num_bytes = num_packets = 0
    for packet in container.demux(*tracks):
        if packet.size:
            tick = packet.pts if packet.pts is not None else packet.dts
            found[packet.stream.index].count(tick, float(packet.time_base or 0))
            num_bytes, num_packets = num_bytes + packet.size, num_packets + 1
        if num_bytes > _COUNTED_BYTES or num_packets > _COUNTED_PACKETS:
            break
    return found


def moving_track(tracks: Sequence[VideoStream], lengths: dict[int, TrackLength]) -> VideoStream:
    """Return the track of most frames, over the longest time, then of most pixels; the first of equal ones.

    A phone's motion photo has a video of 53 frames and a larger still picture beside it. A track without a packet is
    taken only if there is no other.

    Raises:
        VideoLost: unsupported_codec.
    """
    known = [track for track in tracks if _codec(track) is not None]
    if not known:
        lose("unsupported_codec", "FFmpeg has no decoder for its video stream.")
    most = max(lengths[track.index].num_packets for track in known)
    known = [track for track in known if lengths[track.index].num_packets >= _ALIKE * most]
    longest = max(lengths[track.index].seconds for track in known)
    known = [track for track in known if lengths[track.index].seconds >= _ALIKE * longest]
    return max(known, key=lambda track: (track.width * track.height, _is_default(track)))


def largest_track(container: av.container.InputContainer, tracks: Sequence[VideoStream]) -> VideoStream:
    """Return the track that version 1 of the encoder takes: a default one, then the largest; empty ones last.

    Of an animated AVIF or HEIC, the video is chosen and not the still picture, which is as large.

    Raises:
        VideoLost: unsupported_codec.
    """

    def rank(stream: VideoStream) -> tuple[bool, bool, bool, int]:
        codec = _codec(stream)
        if codec is None:
            return (False, False, False, 0)
        num_pixels = codec.width * codec.height + 5_000_000 * _is_default(stream)
        return (True, not _is_known_to_be_empty(container, stream), not is_primary_picture(stream), num_pixels)

    stream = max(tracks, key=rank)
    if not rank(stream)[0]:
        lose("unsupported_codec", "FFmpeg has no decoder for its video stream.")
    return stream


def is_primary_picture(stream: VideoStream) -> bool:
    """Return whether this is the still picture that an animated AVIF or HEIC has beside its video."""
    return stream.frames == 1 and stream.time_base == 1


def _codec(stream: VideoStream) -> av.video.codeccontext.VideoCodecContext | None:
    return cast("av.video.codeccontext.VideoCodecContext | None", stream.codec_context)  # None without a decoder


def _is_default(stream: VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.default)


def _is_known_to_be_empty(container: av.container.InputContainer, stream: VideoStream) -> bool:
    """Return whether the index of an mp4 or AVI lists no packet of the stream; other indexes may leave streams out."""
    return container.format.name in _FULLY_INDEXED and not stream.frames and not len(stream.index_entries)
