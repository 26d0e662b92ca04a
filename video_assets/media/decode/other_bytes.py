"""Change the bytes of a packet after the data of its pictures, or at their end."""

import random
from collections.abc import Sequence
from typing import Final

from video_assets.media.index.bitstream import hevc_length_size, nal_units

_MIN_BYTES: Final = 30
"""Less is too little to say that its end has to matter."""
_MORE: Final = b"\xff" * 8 + random.Random(0).randbytes(512).translate(bytes(1 + value % 0xBF for value in range(256)))  # noqa: S311
"""High bytes first: a decoder that reads a bit too far notices these soonest. No zeros: they could be a start code."""
_ZEROS: Final = 8
"""An encoder may leave out zeros at the end, which are read as if they were there."""
_HEVC_FIRST_NON_VCL: Final = 32
_HEVC_LEADING: Final = range(6, 10)
_CABAC_ZERO_WORD: Final = b"\0\0\3"


def packet_frames(codec: str, data: bytes) -> list[bytes]:
    """Return the frames in a VP9 superframe, of which all but the last are hidden; any other packet is one part."""
    marker = data[-1] if data else 0
    if codec != "vp9" or marker & 0xE0 != 0xC0:
        return [data]
    num_frames, size_bytes = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index_bytes = 2 + num_frames * size_bytes
    if len(data) < index_bytes or data[-index_bytes] != marker:
        return [data]
    parts: list[bytes] = []
    offset, index = 0, data[1 - index_bytes : -1]
    for number in range(num_frames):
        size = int.from_bytes(index[number * size_bytes : (number + 1) * size_bytes], "little")
        parts.append(data[offset : offset + size])
        offset += size
    return [part for part in parts if part]


def pieces_of(codec: str, data: bytes, extradata: bytes | None) -> list[bytes]:
    """Return the NAL units of an HEVC packet, or the frames of another, without zeros that fill up their ends."""
    if codec != "hevc":
        return [_without_filling(part) for part in packet_frames(codec, data)]
    return [unit.rstrip(b"\0") for unit in nal_units(data, hevc_length_size(extradata))]


def _without_filling(frame: bytes) -> bytes:
    """Return a frame without most of the zeros at its end: a few of them may be data."""
    return frame.rstrip(b"\0") + bytes(_ZEROS) if frame.endswith(bytes(_ZEROS)) else frame


def packets_of(codec: str, pieces: Sequence[bytes], extradata: bytes | None) -> list[bytes]:
    """Return what a decoder gets, one after another."""
    if codec != "hevc":
        return list(pieces)
    size = hevc_length_size(extradata)
    if not size:
        return [b"".join(b"\0\0\0\1" + unit for unit in pieces)]
    return [b"".join(len(unit).to_bytes(size) + unit for unit in pieces if len(unit) < 1 << 8 * size)]


def with_more(codec: str, pieces: Sequence[bytes]) -> list[bytes]:
    """Return them with more bytes after each picture's data."""
    if codec == "hevc":
        return [piece + _MORE if _is_slice(piece) else piece for piece in pieces]
    if codec == "vp8":
        pieces = [_with_more_modes(piece) for piece in pieces]
    return [piece + bytes(_ZEROS) + _MORE for piece in pieces]


def _with_more_modes(frame: bytes) -> bytes:
    """Return a VP8 frame with more bytes after its first partition, which says how each block is predicted."""
    tag = int.from_bytes(frame[:3], "little")
    size, more = tag >> 5, bytes(_ZEROS) + _MORE[:32]
    stop = (3 if tag & 1 else 10) + size
    if stop > len(frame) or size + len(more) >= 1 << 19:
        return frame
    tag += len(more) << 5
    return tag.to_bytes(3, "little") + frame[3:stop] + more + frame[stop:]


def places_of_data(codec: str, pieces: Sequence[bytes]) -> list[int]:
    """Return which pieces hold data of pictures."""
    return [place for place, piece in enumerate(pieces) if codec != "hevc" or _is_slice(piece)]


def with_other_end(codec: str, pieces: Sequence[bytes], place: int, other: bytes) -> list[bytes]:
    """Return them with other bytes at the end of one of them, which holds data; nothing where these are few."""
    data = pieces[place]
    while codec == "hevc" and data.endswith(_CABAC_ZERO_WORD):
        data = data.removesuffix(_CABAC_ZERO_WORD).rstrip(b"\0")
    if len(data) < _MIN_BYTES:
        return []
    return [*pieces[:place], data[: -len(other)] + other, *pieces[place + 1 :]]


def as_trailing(codec: str, piece: bytes) -> bytes:
    """Return an HEVC picture that follows a keyframe but is shown before it as one that a decoder may begin with."""
    if codec != "hevc" or not piece or piece[0] >> 1 & 63 not in _HEVC_LEADING:
        return piece
    return bytes([piece[0] & 0x83]) + piece[1:]


def _is_slice(unit: bytes) -> bool:
    return len(unit) > 2 and unit[0] >> 1 & 63 < _HEVC_FIRST_NON_VCL
