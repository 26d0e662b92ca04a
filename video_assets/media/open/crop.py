"""Read what a container says of its picture's edges: the clean aperture of an mp4, the PixelCrop of a Matroska.

FFmpeg knows both and the ffmpeg program applies them (7.1 and later), but PyAV does not pass them on.
"""

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, Final

from video_assets.domain.geometry import Crop, Size, round_half_up

_MAX_BOXES: Final = 4000  # at one level: a fragmented mp4 has two for each fragment
_BOXES_TO_ENTRY: Final = (b"mdia", b"minf", b"stbl", b"stsd")
_SAMPLE_ENTRY_BYTES: Final = 86  # of a VisualSampleEntry (ISO/IEC 14496-12), with its header

SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
NO_END: Final = 1 << 62
"""Where elements stop whose end nobody says: beyond any file."""
_TRACKS, _TRACK_ENTRY, _TRACK_TYPE, _VIDEO = 0x1654AE6B, 0xAE, 0x83, 0xE0
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_CROP_LEFT, _CROP_TOP, _CROP_RIGHT, _CROP_BOTTOM = 0x54CC, 0x54BB, 0x54DD, 0x54AA
_VIDEO_TRACK = 1


def read_crop(file: BinaryIO, container: str, track_id: int, video_number: int, coded: Size) -> Crop | None:
    """Return what the container takes off the coded picture; None for nothing. The position in the file is restored.

    Args:
        file: The whole file.
        container: FFmpeg's name of the format.
        track_id: Number of the track, for an mp4.
        video_number: Which of the video tracks it is, from 0, for a Matroska.
        coded: The size of the coded picture.
    """
    position = file.tell()
    try:
        if "mp4" in container:
            crop = _of_mp4(file, track_id, coded)
        elif "matroska" in container:
            crop = _of_matroska(file, video_number)
        else:
            return None
    except (struct.error, ValueError, IndexError, ZeroDivisionError):  # not as the format requires
        return None
    finally:
        file.seek(position)
    return crop if crop is not None and crop.fits(coded) else None


def _of_mp4(file: BinaryIO, track_id: int, coded: Size) -> Crop | None:
    end = file.seek(0, 2)
    for kind, start, stop in _boxes(file, 0, end):
        if kind != b"moov":
            continue
        for inner, begin, finish in _boxes(file, start, stop):
            if inner == b"trak" and _is_track(file, begin, finish, track_id):
                return _clean_aperture(file, begin, finish, coded)
    return None


def _is_track(file: BinaryIO, start: int, stop: int, track_id: int) -> bool:
    header = _box(file, start, stop, b"tkhd")
    if header is None:
        return False
    file.seek(header[0])
    data = file.read(24)
    return track_id == int(struct.unpack_from(">I", data, 20 if data[0] == 1 else 12)[0])


def _clean_aperture(file: BinaryIO, start: int, stop: int, coded: Size) -> Crop | None:
    for kind in _BOXES_TO_ENTRY:
        found = _box(file, start, stop, kind)
        if found is None:
            return None
        start, stop = found
    found = _box(file, start + 8 + _SAMPLE_ENTRY_BYTES, stop, b"clap")
    if found is None:
        return None
    file.seek(found[0])
    numbers = struct.unpack(">IIIIiIiI", file.read(32))
    width, height, right, down = (Fraction(numbers[i], numbers[i + 1]) for i in (0, 2, 4, 6))
    # The aperture is centred on the picture's centre, moved by the offsets (ISO/IEC 14496-12, 12.1.4).
    left = round_half_up((coded.width_px - width) / 2 + right)
    top = round_half_up((coded.height_px - height) / 2 + down)
    return Crop(left, top, coded.width_px - left - round_half_up(width), coded.height_px - top - round_half_up(height))


def _box(file: BinaryIO, start: int, stop: int, wanted: bytes) -> tuple[int, int] | None:
    return next(((begin, end) for kind, begin, end in _boxes(file, start, stop) if kind == wanted), None)


def _boxes(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the content of each box."""
    for _ in range(_MAX_BOXES):
        file.seek(start)
        header = file.read(16)
        if len(header) < 8 or start + 8 > stop:
            return
        size, kind = struct.unpack(">I4s", header[:8])
        begin = start + 8
        if size == 1:
            (size,), begin = struct.unpack(">Q", header[8:16]), start + 16
        end = stop if size == 0 else start + size
        if end < begin or end > stop:
            return
        yield kind, begin, end
        start = end


def _of_matroska(file: BinaryIO, video_number: int) -> Crop | None:
    end = file.seek(0, 2)
    segment = _element(file, 0, end, SEGMENT)
    tracks = None if segment is None else _tracks(file, *segment)
    if tracks is None:
        return None
    number = 0
    for kind, start, stop in matroska_elements(file, *tracks):
        if kind != _TRACK_ENTRY or _number(file, start, stop, _TRACK_TYPE) != _VIDEO_TRACK:
            continue
        video = _element(file, start, stop, _VIDEO)
        if number == video_number and video is not None:
            sides = (_number(file, *video, side) for side in (_CROP_LEFT, _CROP_TOP, _CROP_RIGHT, _CROP_BOTTOM))
            return Crop(*sides)
        number += 1
    return None


def _tracks(file: BinaryIO, start: int, stop: int) -> tuple[int, int] | None:
    """Return where the tracks are: before the first cluster, or where the seek head says, since editing moves them."""
    found = _element(file, start, stop, _TRACKS)
    seek_head = _element(file, start, stop, _SEEK_HEAD) if found is None else None
    for kind, begin, end in () if seek_head is None else matroska_elements(file, *seek_head):
        if kind == _SEEK and _number(file, begin, end, _SEEK_ID) == _TRACKS:
            return _element(file, start + _number(file, begin, end, _SEEK_POSITION), stop, _TRACKS)
    return found


def _number(file: BinaryIO, start: int, stop: int, wanted: int) -> int:
    found = _element(file, start, stop, wanted)
    if found is None:
        return 0
    file.seek(found[0])
    return int.from_bytes(file.read(min(8, found[1] - found[0])))


def _element(file: BinaryIO, start: int, stop: int, wanted: int) -> tuple[int, int] | None:
    """Return where the content of an element is that comes before the first cluster."""
    for kind, begin, end in matroska_elements(file, start, stop):
        if kind in (wanted, CLUSTER):
            return (begin, end) if kind == wanted else None
    return None


def matroska_elements(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield id, start and end of the content of each element (RFC 8794); one of unknown size ends at `stop`.

    Raises:
        IndexError: no element begins where one has to.
    """
    while start < stop:
        file.seek(start)
        header = file.read(12)
        id_bytes = 9 - header[0].bit_length()
        kind = int.from_bytes(header[:id_bytes])
        size_bytes = 9 - header[id_bytes].bit_length()
        size = int.from_bytes(header[id_bytes : id_bytes + size_bytes]) & ((1 << 7 * size_bytes) - 1)
        begin = start + id_bytes + size_bytes
        is_unknown = size == (1 << 7 * size_bytes) - 1
        end = stop if is_unknown else min(stop, begin + size)
        yield kind, begin, end
        start = end
