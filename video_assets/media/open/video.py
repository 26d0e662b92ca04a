"""Open one video so that it can read nothing but its own bytes."""

import ctypes
import functools
import io
import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol

import av
import av.container
import av.error
import av.packet
import av.stream
import av.video.codeccontext
import av.video.stream

from video_assets.domain.clips import Loss, VideoLost
from video_assets.domain.encoding import ENCODER_VERSION
from video_assets.domain.geometry import Crop, Size
from video_assets.media.index.parameter_sets import TOLD_BY_HEADER, is_told_by_header
from video_assets.media.open.crop import read_crop
from video_assets.media.open.formats import (
    BARE_STREAMS,
    BARE_WITH_RATE,
    CONTAINERS,
    MP4,
    NamedBytes,
    detect_format,
    refuse_animated_webp,
)
from video_assets.media.open.losses import check_pixels, error_words, errors_as_losses, lose
from video_assets.media.open.tracks import (
    TrackLength,
    counted_lengths,
    is_primary_picture,
    largest_track,
    lengths_from_header,
    moving_codecs,
    moving_track,
    video_tracks,
)
from video_assets.settings import Limits


class StoredVideo(Protocol):
    """A video in a store. FFmpeg seeks in the file that `open` returns, so that only parts of it may be fetched."""

    @property
    def name(self) -> str:
        """The file's name, which FFmpeg uses to guess the format."""
        ...

    @property
    def size_bytes(self) -> int:
        """The length of the file."""
        ...

    def open(self) -> BinaryIO:
        """Open the file for reading."""
        ...


VideoSource = Path | bytes | StoredVideo
"""A local path, the bytes of a file, or a video in a store."""


READ_BYTES = 64 * 1024
"""How much FFmpeg reads at once. From 128 kB on, malloc would map and unmap memory for every read."""

SMALL_FILE_BYTES = 1 << 20
"""Files up to this size are read whole."""

_DISCARD_ALL = av.stream.Discard.all
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_GENERATE_PTS = 0x0001  # AVFMT_FLAG_GENPTS


@dataclass(slots=True)
class OpenVideo:
    """An open container and the decoder of its video stream, which has not decoded anything yet.

    `packets_read` are the packets that were demuxed so far, for a later decode; None once they took too much memory.
    `is_read_to_end` tells whether these are all packets. `encoder_version` decides where versions read a video
    differently.
    """

    container: av.container.InputContainer
    stream: av.video.stream.VideoStream
    codec: av.video.codeccontext.VideoCodecContext
    time_base: Fraction
    file: BinaryIO
    size_bytes: int
    limits: Limits
    encoder_version: int = ENCODER_VERSION
    num_video_tracks: int = 1
    packets_read: list[av.packet.Packet] | None = field(default_factory=list)
    is_read_to_end: bool = False

    @property
    def container_name(self) -> str:
        """FFmpeg's name of the container format, such as "mov,mp4,m4a,3gp,3g2,mj2"."""
        return self.container.format.name

    def packets(self) -> Iterator[av.packet.Packet]:
        """Yield every packet of the stream, then an empty one; packets that were read earlier come from memory."""
        yield from self.packets_read or ()
        if not self.is_read_to_end:
            yield from self.demux()

    def demux(self, stream: av.stream.Stream | None = None) -> Iterator[av.packet.Packet]:
        """Yield the stream's packets from the container's position on, then an empty one; by default the video's."""
        # At the end PyAV flushes every stream, and fails at one that appeared in the middle, as in program and
        # transport streams; by then all packets have come.
        try:
            yield from self.container.demux(self.stream if stream is None else stream)
        except IndexError:
            return

    @property
    def crop(self) -> Crop | None:
        """What the container takes off the edges of the coded picture, if anything."""
        if self.encoder_version == 1:
            return None
        videos = [stream.index for stream in self.container.streams.video]
        coded = Size(self.stream.width, self.stream.height)
        return read_crop(self.file, self.container_name, self.stream.id, videos.index(self.stream.index), coded)

    @property
    def frame_rate(self) -> Fraction:
        """Frames per second according to the container; 25 where it names no usable rate.

        For a bare stream that is its own rate, from its sequence header or VUI. Its demuxer gives it 25 as average
        rate, and the guessed rate is 25 again where twice the rate is above 200.
        """
        stream = self.stream
        rates = [stream.average_rate, stream.guessed_rate, stream.base_rate]
        if self.encoder_version >= 2 and self.container_name in BARE_STREAMS:
            of_header = [self.codec.framerate] if self.container_name in BARE_WITH_RATE else []
            rates = [*of_header, stream.guessed_rate, *rates]
        for rate in rates:
            if rate is not None and 0 < rate <= 1000:
                return Fraction(rate)
        return Fraction(25)


@contextmanager
def open_video(
    video: VideoSource, limits: Limits, encoder_version: int = ENCODER_VERSION, *, with_sound: bool = False
) -> Generator[OpenVideo]:
    """Open a video for reading its packets and decoding its frames; `with_sound`, for decoding its sound.

    FFmpeg gets a Python file object, a list of container formats and no protocol, and a callback refuses every other
    name: a playlist, a reference movie or an external track cannot make it open anything. Errors raised inside the
    `with` statement pass unchanged.

    Raises:
        VideoLost: missing_file, empty_file, too_large, read_failed, unreadable, encrypted, no_video, unsupported_codec,
            too_many_pixels.
    """
    _reuse_freed_memory()
    with errors_as_losses("it was opened"):
        file, size_bytes = _open_file(video, limits)
    try:
        with errors_as_losses("its header was read"):
            opened = _open_container(file, size_bytes, limits, encoder_version, with_sound=with_sound)
        try:
            yield opened
        finally:
            opened.container.close()
    finally:
        file.close()


def _open_file(video: VideoSource, limits: Limits) -> tuple[BinaryIO, int]:
    if isinstance(video, bytes):
        file: BinaryIO = io.BytesIO(video)
        name, size_bytes = "", len(video)
    elif isinstance(video, Path):
        if not stat.S_ISREG(video.stat().st_mode):  # reading a pipe or a device could block for ever
            lose("unreadable", "It is not a regular file.")
        file = io.FileIO(video)  # unbuffered: FFmpeg has a buffer of its own
        name, size_bytes = str(video), os.fstat(file.fileno()).st_size
    else:
        file, name, size_bytes = video.open(), video.name, video.size_bytes
    try:
        _check_file_size(size_bytes, limits)
        if size_bytes > SMALL_FILE_BYTES or isinstance(video, bytes):
            return file, size_bytes
        with file:
            return NamedBytes(name, file.read(size_bytes)), size_bytes
    except BaseException:
        file.close()
        raise


def _check_file_size(size_bytes: int, limits: Limits) -> None:
    if size_bytes == 0:
        lose("empty_file", "The file has zero bytes.")
    if size_bytes > limits.max_file_bytes:
        lose(
            "too_large",
            f"The file has {size_bytes:,} bytes; the limit (max_file_bytes) is {limits.max_file_bytes:,}.",
        )


def _refuse_to_open(url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    # Not an OSError: that would mean that the system failed to read the file.
    raise ValueError(f"a video may not open anything else ({url[:80]!r})")


def _open_container(
    file: BinaryIO, size_bytes: int, limits: Limits, encoder_version: int, *, with_sound: bool
) -> OpenVideo:
    container = _analysed_container(file, limits, with_sound=with_sound)
    try:
        tracks = video_tracks(container)
        if encoder_version == 1:
            stream = largest_track(container, tracks)
        elif len(tracks) == 1:
            stream = moving_track(tracks, {tracks[0].index: TrackLength()})
        else:
            lengths = lengths_from_header(container, tracks)
            if lengths is None:  # packets that were read do not come again, so it is opened once more
                lengths = counted_lengths(container, tracks)
                container.close()
                file.seek(0)
                container = _analysed_container(file, limits, with_sound=with_sound)
                tracks = video_tracks(container)
            stream = moving_track(tracks, lengths)
        check_pixels(stream.width, stream.height, limits)
        if stream.time_base is None or stream.time_base <= 0:
            lose("unreadable", "Its video stream has no time base.")
        _set_up(container, stream, limits)
        return OpenVideo(
            container=container,
            stream=stream,
            codec=stream.codec_context,
            time_base=stream.time_base,
            file=file,
            size_bytes=size_bytes,
            limits=limits,
            encoder_version=encoder_version,
            num_video_tracks=sum(not is_primary_picture(track) for track in tracks),
        )
    except BaseException:
        container.close()
        raise


def _analysed_container(file: BinaryIO, limits: Limits, *, with_sound: bool) -> av.container.InputContainer:
    """Open the file as FFmpeg does, which decodes the first frames of each track; of an mp4 only where it has to.

    That takes 1.5 ms for a picture of 640x360 and 0.5 ms for sound, and a video is opened for probing and for encoding.
    """
    format_name = detect_format(file)
    if format_name == MP4 and not with_sound:
        container = _av_container(file, limits, format_name, is_brief=True)
        if all(is_told_by_header(codec) for codec in moving_codecs(container)):
            return container
        container.close()
        file.seek(0)
    return _av_container(file, limits, format_name)


def _av_container(
    file: BinaryIO, limits: Limits, format_name: str | None, *, is_brief: bool = False
) -> av.container.InputContainer:
    refuse_animated_webp(file)
    options = {"max_pixels": str(limits.max_pixels)}  # for the frames that FFmpeg decodes to analyse the stream
    container_options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "", "enable_drefs": "0"}
    if is_brief:
        options["skip_frame"] = "all"
        container_options["codec_whitelist"] = ",".join(TOLD_BY_HEADER)
    try:
        container = av.open(
            file,
            mode="r",
            format=format_name,
            options=options,
            container_options=container_options,
            metadata_errors="replace",
            buffer_size=READ_BYTES,
            io_open=_refuse_to_open,
        )
    except av.error.FFmpegError as error:
        _explain_failure(file, error)
    container.flags &= ~_GENERATE_PTS  # PyAV makes up missing times by default; the ffmpeg program does not
    return container


def _set_up(container: av.container.InputContainer, stream: av.video.stream.VideoStream, limits: Limits) -> None:
    codec = stream.codec_context
    codec.thread_count = 1  # the pool is the parallelism; one thread gives the same frames every time
    codec.thread_type = "NONE"
    codec.options = {"max_pixels": str(limits.max_pixels)}  # a stream may grow in the middle
    for other in container.streams:
        if other is not stream:
            other.discard = _DISCARD_ALL


def _explain_failure(file: BinaryIO, error: av.error.FFmpegError) -> NoReturn:
    file.seek(0)
    head = file.read(1 << 20) or b""
    if b"encv" in head and b"sinf" in head:
        raise VideoLost(Loss("encrypted", "Its video samples are encrypted.")) from error
    if isinstance(error, av.error.ArgumentError | av.error.PermissionError):
        raise VideoLost(
            Loss(
                "unreadable",
                "It is not a video file, but something that names other files, or a still picture.",
            )
        ) from error
    raise VideoLost(Loss("unreadable", f"No known video container could be read: {error_words(error)}.")) from error


@functools.cache
def _reuse_freed_memory() -> None:
    """Let glibc keep up to 64 MB of freed frame buffers for the next frames.

    By default, blocks above 128 kB (every decoded frame, and a stored one of 224x224) are mapped from the system and
    given back when freed. Fresh pages cost more than decoding a small frame: with this, a clip of 17 small frames takes
    2.9 ms instead of 4.4.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
    mallopt(_M_TRIM_THRESHOLD, 64 * 2**20)
