"""Opening one video so that it can reach nothing but its own bytes, and saying in words why it cannot be used."""

import errno
import io
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol, cast

import av
import av.container
import av.error
import av.packet
import av.stream
import av.video.codeccontext
import av.video.stream
from av.codec.codec import UnknownCodecError

from video_assets.domain.clips import Loss, LossReason, VideoLost
from video_assets.domain.errors import VideoAssetsError
from video_assets.media.memory import keep_freed_memory
from video_assets.media.open.formats import CONTAINERS, NamedBytes, evident_format
from video_assets.settings import Limits


class ElsewhereVideo(Protocol):
    """A video that is no local file. What `open` gives is read where it is sought, and so need not be there whole."""

    @property
    def name(self) -> str:
        """As FFmpeg sees it, to guess the format by."""
        ...

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        ...

    def open(self) -> BinaryIO:
        """A file of its bytes."""
        ...


VideoSource = Path | bytes | ElsewhereVideo
"""A local path, the file's bytes, or a video elsewhere."""


READ_BYTES = 64 * 1024
"""How much FFmpeg asks for at once. Below 128 kB, where malloc would map and unmap fresh memory for every read."""

SMALL_FILE_BYTES = 1 << 20
"""Files up to this size are read whole, at once."""

_DISCARD_ALL = av.stream.Discard.all
_FULLY_INDEXED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "avi"})
_GENERATE_PTS = 0x0001  # AVFMT_FLAG_GENPTS


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """What the container and its packet index say about a video; everything that the manifest stores."""

    container: str
    codec: str
    pixel_format: str
    width_px: int  # coded size
    height_px: int
    display_width_px: int  # after pixel aspect and rotation
    display_height_px: int
    rotation_degrees: int  # clockwise, after mirroring
    is_mirrored: bool
    sample_aspect_ratio: str  # "1:1" if unknown
    frame_rate: float  # average, from the timeline
    num_frames: int  # frames in the timeline
    start_us: int
    duration_us: int
    has_audio: bool
    index_trusted: bool
    index_note: str  # why not, else ""
    num_keyframes: int


@dataclass(slots=True)
class OpenVideo:
    """A video whose container is open; its decoder is set up, nothing was decoded by us yet.

    `packets_read`: what the container has given so far, for whoever decodes later; None once it became too much.
    `is_read_to_end`: whether it has given all.
    """

    container: av.container.InputContainer
    stream: av.video.stream.VideoStream
    codec: av.video.codeccontext.VideoCodecContext
    time_base: Fraction
    file: BinaryIO
    size_bytes: int
    limits: Limits
    packets_read: list[av.packet.Packet] | None = field(default_factory=list)
    is_read_to_end: bool = False

    @property
    def container_name(self) -> str:
        """FFmpeg's name of the container format, such as "mov,mp4,m4a,3gp,3g2,mj2"."""
        return self.container.format.name

    def packets(self) -> Iterator[av.packet.Packet]:
        """Every packet of the stream, and an empty one at the end; those that were read before come from memory."""
        yield from self.packets_read or ()
        if not self.is_read_to_end:
            yield from self.demux()

    def demux(self, stream: av.stream.Stream | None = None) -> Iterator[av.packet.Packet]:
        """What the container gives of this stream, or of the video, from where it stands, and an empty packet.

        At the end PyAV goes through the streams that appeared in the middle, as in program and transport streams they
        may, and falls over them, for it made none for them; all has come by then.
        """
        try:
            yield from self.container.demux(self.stream if stream is None else stream)
        except IndexError:
            return

    @property
    def frame_rate(self) -> Fraction:
        """Frames per second as the container has it, or 25 where it says nothing usable."""
        for rate in (
            self.stream.average_rate,
            self.stream.guessed_rate,
            self.stream.base_rate,
        ):
            if rate is not None and 0 < rate <= 1000:
                return Fraction(rate)
        return Fraction(25)


def lose(reason: LossReason, detail: str) -> NoReturn:
    """Give this video up, with a reason."""
    raise VideoLost(Loss(reason, detail))


@contextmanager
def losses_named(what: str) -> Generator[None]:
    """Turn whatever PyAV, FFmpeg or the file system raises inside into a `VideoLost`.

    Args:
        what: what was going on, as the end of "It broke while …".
    """
    try:
        yield
    except (VideoLost, VideoAssetsError):  # the second: where it lies cannot be reached, which is no fault of its own
        raise
    except MemoryError as error:
        raise VideoLost(Loss("out_of_memory", f"Memory ran out while {what}.")) from error
    except FileNotFoundError as error:
        raise VideoLost(Loss("missing_file", "There is no such file.")) from error
    except (av.error.DecoderNotFoundError, UnknownCodecError) as error:
        raise VideoLost(Loss("unsupported_codec", f"FFmpeg has no decoder for its video: {error}.")) from error
    except (
        av.error.FFmpegError,  # before OSError: some of them are both
        ValueError,
        ArithmeticError,
        LookupError,
        RuntimeError,
    ) as error:
        raise VideoLost(Loss("unreadable", f"It broke while {what}: {_words(error)}.")) from error
    except (AttributeError, TypeError, AssertionError) as error:
        # PyAV gives None where a file says nothing, and asserts; so it may be the file. Or it is a fault of ours, which
        # still costs one clip only, but must be told from what decoders say.
        words = f"{type(error).__name__}: {_words(error)}"
        raise VideoLost(Loss("unreadable", f"It broke while {what}: {words}.")) from error
    except OSError as error:
        # PyAV hands on what reading the file raised, so this is the system. Only a place that no file has to seek to
        # (EINVAL) comes from the video.
        reason: LossReason = "unreadable" if error.errno == errno.EINVAL else "read_failed"
        raise VideoLost(Loss(reason, f"It broke while {what}: {_words(error)}.")) from error


@contextmanager
def open_video(video: VideoSource, limits: Limits) -> Generator[OpenVideo]:
    """Open a video for reading its packets and decoding its picture.

    What the body raises passes unchanged. FFmpeg gets a Python file object and a list of container formats, no
    protocol at all, and a callback that refuses every further name: a playlist, a reference movie or an external
    track cannot make it open anything.

    Raises:
        VideoLost: missing_file, empty_file, too_large, read_failed, unreadable, encrypted, no_video, unsupported_codec,
            too_many_pixels.
    """
    keep_freed_memory()
    with losses_named("opening it"):
        file, size_bytes = _open_file(video, limits)
    try:
        with losses_named("its header was read"):
            opened = _open_container(file, size_bytes, limits)
        try:
            yield opened
        finally:
            opened.container.close()
    finally:
        file.close()


def check_pixels(width_px: int, height_px: int, limits: Limits) -> None:
    """Refuse a frame size beyond the limit before anything of that size is allocated.

    Raises:
        VideoLost: too_many_pixels.
    """
    if width_px * height_px > limits.max_pixels:
        lose(
            "too_many_pixels",
            f"Its frames are {width_px}x{height_px}, {width_px * height_px:,} pixels; "
            f"the limit (max_pixels) is {limits.max_pixels:,}.",
        )


def check_length(num_frames: int, duration_us: int, limits: Limits) -> None:
    """Refuse what is longer than the limits, counted from packets or frames and not from the header.

    Raises:
        VideoLost: too_many_frames, too_long.
    """
    if num_frames > limits.max_frames:
        lose(
            "too_many_frames",
            f"It has more than {limits.max_frames:,} frames, which is the limit (max_frames).",
        )
    if duration_us > limits.max_duration_seconds * 1_000_000:
        lose(
            "too_long",
            f"Its frames span {duration_us / 1e6:,.1f} s; the limit (max_duration_seconds) is "
            f"{limits.max_duration_seconds:,.0f} s.",
        )


def _open_file(video: VideoSource, limits: Limits) -> tuple[BinaryIO, int]:
    if isinstance(video, bytes):
        file: BinaryIO = io.BytesIO(video)
        size_bytes = len(video)
    elif not isinstance(video, Path):
        file, size_bytes = video.open(), video.size_bytes
        if 0 < size_bytes <= min(SMALL_FILE_BYTES, limits.max_file_bytes):
            with file:
                file = NamedBytes(video.name, file.read(size_bytes))
    else:
        if not stat.S_ISREG(video.stat().st_mode):  # a pipe or a device could stall for ever
            lose("unreadable", "It is not a regular file.")
        file = raw = io.FileIO(video)  # no buffer: FFmpeg has its own
        size_bytes = os.fstat(raw.fileno()).st_size
        if 0 < size_bytes <= min(SMALL_FILE_BYTES, limits.max_file_bytes):
            with raw:
                file = NamedBytes(str(video), raw.read(size_bytes))
    if size_bytes == 0:
        file.close()
        lose("empty_file", "The file has zero bytes.")
    if size_bytes > limits.max_file_bytes:
        file.close()
        lose(
            "too_large",
            f"The file has {size_bytes:,} bytes; the limit (max_file_bytes) is {limits.max_file_bytes:,}.",
        )
    return file, size_bytes


def _refuse_to_open(url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    # Not an OSError, which would stand for a file that the system does not let be read.
    raise ValueError(f"a video may not open anything else ({url[:80]!r})")


def _open_container(file: BinaryIO, size_bytes: int, limits: Limits) -> OpenVideo:
    try:
        container = av.open(
            file,
            mode="r",
            format=evident_format(file),
            options={"max_pixels": str(limits.max_pixels)},  # for the few frames that FFmpeg decodes to get to know it
            container_options={
                "format_whitelist": CONTAINERS,
                "protocol_whitelist": "",
                "enable_drefs": "0",
            },
            metadata_errors="replace",
            buffer_size=READ_BYTES,
            io_open=_refuse_to_open,
        )
    except av.error.FFmpegError as error:
        _explain_failure(file, error)
    container.flags &= ~_GENERATE_PTS  # PyAV's default; the ffmpeg program takes the timestamps as they are
    try:
        stream = _choose_stream(container)
        check_pixels(stream.width, stream.height, limits)
        codec = stream.codec_context
        codec.thread_count = 1  # the pool is the parallelism; one thread gives the same frames every time
        codec.thread_type = "NONE"
        codec.options = {"max_pixels": str(limits.max_pixels)}  # a stream may grow in the middle
        for other in container.streams:
            if other is not stream:
                other.discard = _DISCARD_ALL
        time_base = stream.time_base
        if time_base is None or time_base <= 0:
            lose("unreadable", "Its video stream has no time base.")
        return OpenVideo(container, stream, codec, time_base, file, size_bytes, limits)
    except BaseException:
        container.close()
        raise


def _choose_stream(container: av.container.InputContainer) -> av.video.stream.VideoStream:
    """The stream that the ffmpeg program would take: the largest, default ones first, without packets last.

    But the film in an animated AVIF or HEIC, not the still picture beside it, which is as large and comes first.
    """
    if not container.streams.video:
        lose("no_video", "It holds no video stream.")
    streams = [
        stream for stream in container.streams.video if not stream.disposition & av.stream.Disposition.attached_pic
    ]
    if not streams:
        lose("no_video", "Its only pictures are cover art, or those of chapters; it holds no video.")

    def rank(stream: av.video.stream.VideoStream) -> tuple[bool, bool, bool, int]:
        codec = cast("av.video.codeccontext.VideoCodecContext | None", stream.codec_context)
        if codec is None:  # without a decoder
            return (False, False, False, 0)
        is_default = bool(stream.disposition & av.stream.Disposition.default)
        is_still = stream.frames == 1 and stream.time_base == 1
        num_pixels = codec.width * codec.height
        is_empty = _is_known_to_be_empty(container, stream)
        return (True, not is_empty, not is_still, num_pixels + 5_000_000 * is_default)

    stream = max(streams, key=rank)  # the first among equals
    if not rank(stream)[0]:
        lose("unsupported_codec", "FFmpeg has no decoder for its video stream.")
    return stream


def _is_known_to_be_empty(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> bool:
    """Whether an mp4's or AVI's index lists no packet of the stream; elsewhere an index need not list every stream."""
    has_full_index = container.format.name in _FULLY_INDEXED
    return has_full_index and not stream.frames and not len(stream.index_entries)


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
    raise VideoLost(Loss("unreadable", f"No known video container could be read: {_words(error)}.")) from error


def _words(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200].rstrip(".")
