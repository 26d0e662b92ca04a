"""Give a video up with a reason, for an error of FFmpeg, PyAV or the file system, or for a limit."""

import errno
from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

import av.error
from av.codec.codec import UnknownCodecError

from video_assets.domain.clips import Loss, LossReason, VideoLost
from video_assets.domain.errors import VideoAssetsError
from video_assets.settings import Limits


def lose(reason: LossReason, detail: str) -> NoReturn:
    """Raise the `VideoLost` that gives a video up."""
    raise VideoLost(Loss(reason, detail))


@contextmanager
def errors_as_losses(what: str) -> Generator[None]:
    """Turn errors of PyAV, FFmpeg and the file system into a `VideoLost`.

    Args:
        what: What was being done, as the end of "An error occurred while …".
    """
    try:
        yield
    except (VideoLost, VideoAssetsError):  # the second: a store cannot be reached, which is no fault of the video
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
        raise VideoLost(Loss("unreadable", f"An error occurred while {what}: {error_words(error)}.")) from error
    except (AttributeError, TypeError, AssertionError) as error:
        # PyAV returns None for what a file does not say, and asserts: the file may be the cause. It may also be a bug
        # of ours, so the error's type is kept, which tells the two apart.
        words = f"{type(error).__name__}: {error_words(error)}"
        raise VideoLost(Loss("unreadable", f"An error occurred while {what}: {words}.")) from error
    except OSError as error:
        # PyAV passes on what reading the file raised, so this is the system. Only EINVAL comes from the video, which
        # named an impossible position to seek to.
        reason: LossReason = "unreadable" if error.errno == errno.EINVAL else "read_failed"
        raise VideoLost(Loss(reason, f"An error occurred while {what}: {error_words(error)}.")) from error


def check_pixels(width_px: int, height_px: int, limits: Limits) -> None:
    """Refuse a frame size above the limit, before memory for such a frame is allocated.

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
    """Refuse a video above the limits of length; the numbers come from packets or frames, not from its header.

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


def error_words(error: BaseException) -> str:
    """Return what an error says, in one line of at most 200 characters."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200].rstrip(".")
