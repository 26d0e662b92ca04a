"""Small files that would unpack to something huge are refused by the limits before they take memory."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from tools.fuzzing.decoding import try_bytes_within
from video_assets.domain.clips import Loss
from video_assets.media.workers.pool import DecodingPool
from video_assets.settings import DEFAULT_LIMITS, Limits
from video_assets_tests.media.making import numbered_video

SIDE = 12336
LIMITS = replace(DEFAULT_LIMITS, clip_seconds=20.0, memory_bytes=256 * 2**20)
MEBIBYTE = 2**20


def outcome_of(data: bytes, limits: Limits = LIMITS) -> tuple[Loss | None, int]:
    """Decode it in a process of 256 MiB; return the loss, if any, and the memory that it took."""
    with DecodingPool(1, limits) as pool:
        (result,) = pool.map(try_bytes_within, [(data, limits)])
    return (result.outcome if isinstance(result.outcome, Loss) else result.outcome.loss), result.peak_rss_bytes


def huge_gif() -> bytes:
    """Set a huge size for the first frame."""
    data = bytearray(numbered_video(3, codec="gif", container="gif", pix_fmt="rgb8"))
    data[6:10] = struct.pack("<HH", SIDE, SIDE)
    place = data.index(b"\x2c", 13)
    data[place + 5 : place + 9] = struct.pack("<HH", SIDE, SIDE)
    return bytes(data)


def huge_jpegs() -> bytes:
    """Set a huge size in the header of each picture; the container does not mention it."""
    data = bytearray(numbered_video(3, codec="mjpeg", container="mjpeg", pix_fmt="yuvj420p"))
    place = data.find(b"\xff\xc0")
    while place >= 0:
        data[place + 5 : place + 9] = struct.pack(">HH", SIDE, SIDE)
        place = data.find(b"\xff\xc0", place + 2)
    return bytes(data)


def jpegs_that_grow() -> bytes:
    """Only the second picture is huge."""
    small = numbered_video(2, codec="mjpeg", container="mjpeg", pix_fmt="yuvj420p")
    return small + huge_jpegs()


def huge_apng() -> bytes:
    """One colour, 456 MB of it, in half a megabyte."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * SIDE)
    body = b"".join([*(packer.compress(row * 257) for _ in range(SIDE // 257)), packer.flush()])
    frame = struct.pack(">IIIIIHHBB", 0, SIDE, SIDE, 0, 0, 1, 25, 0, 0)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + chunk(b"acTL", struct.pack(">II", 1, 0))
        + chunk(b"fcTL", frame)
        + (chunk(b"IDAT", body) + chunk(b"IEND", b""))
    )


@pytest.mark.slow
@pytest.mark.parametrize("make", [huge_gif, huge_jpegs, huge_apng])
def test_pictures_of_152_million_pixels_are_refused_before_they_are_unpacked(make: Callable[[], bytes]) -> None:
    data = make()
    assert len(data) < MEBIBYTE
    loss, peak = outcome_of(data)
    assert loss is not None
    assert loss.reason in ("too_many_pixels", "no_frames"), loss  # the latter where the decoder refuses each picture
    assert peak < 250 * MEBIBYTE


def test_a_stream_that_grows_in_the_middle_costs_no_more_than_its_clip() -> None:
    loss, peak = outcome_of(jpegs_that_grow())
    assert loss is None or loss.reason in ("too_many_pixels", "damaged", "unreadable"), loss
    assert peak < 250 * MEBIBYTE


def stretched(data: bytes, factor: int) -> bytes:
    """Show each frame longer: divide the media's time scale, and remove the edit that cuts frames."""
    data = data.replace(b"edts", b"free")
    place = data.index(b"mdhd") + 4 + 12
    (scale,) = struct.unpack_from(">I", data, place)
    return data[:place] + struct.pack(">I", max(1, scale // factor)) + data[place + 4 :]


def test_a_video_that_lasts_5000_times_as_long_is_refused_by_its_length() -> None:
    loss, _ = outcome_of(stretched(numbered_video(250), 5000))
    assert loss is not None
    assert loss.reason == "too_long"
    assert "the limit (max_duration_seconds) is 21,600 s" in loss.detail


def test_a_table_of_four_thousand_million_samples_costs_no_more_than_its_clip() -> None:
    data = numbered_video(5)
    place = data.index(b"stsz") + 8
    bomb = data[:place] + struct.pack(">II", 1, 0xFFFFFFF0) + data[place + 8 :]
    loss, peak = outcome_of(bomb)
    assert loss is not None
    assert loss.reason in ("unreadable", "out_of_memory", "no_frames", "too_many_frames", "damaged"), loss
    assert peak < 600 * MEBIBYTE
