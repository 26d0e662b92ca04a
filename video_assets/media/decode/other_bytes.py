"""Change the bytes of a packet after the data of its pictures, or at their end."""

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from video_assets.media.index.bitstream import Bits, hevc_length_size, nal_units
from video_assets.media.index.hevc_order import layer_of
from video_assets.media.index.parameter_sets import parameters_in_header

_MIN_BYTES: Final = 30
"""Less is too little to say that its end has to matter."""
_OTHER_ENDS: Final = ((16, 0x80), (8, 1), (12, 0xC0), (8, 0x80), (16, 1), (6, 1), (12, 1), (6, 0x80))
"""How many last bytes are replaced, and the least value of the others. An encoder may end with up to 4 bytes that are
never read. High bytes are read as what is unlikely: not as blocks that are the same as before. Any one of these may by
chance be read to the same picture, where little of it changes."""
_NUM_ROUNDS: Final = 7
"""How often all of these are tried before none is said to matter. At low bit rates, most may show nothing: what
changes is motion, and the pictures that it points to are grey. Mostly the first one shows."""
_MORE: Final = b"\xff" * 8 + random.Random(0).randbytes(512).translate(bytes(1 + value % 0xBF for value in range(256)))  # noqa: S311
"""High bytes first: a decoder that reads a bit too far notices these soonest. No zeros: they could be a start code."""
_ZEROS: Final = 8
"""An encoder may leave out zeros at the end, which are read as if they were there."""
_HEVC_FIRST_NON_VCL: Final = 32
_HEVC_LEADING: Final = range(6, 10)
_HEVC_PARAMETER_SETS: Final = range(32, 35)
_HEVC_VPS: Final = 32
_CABAC_ZERO_WORD: Final = b"\0\0\3"
_SUPERFRAME_BIT: Final = 0x40
_VP9_HEADER_BYTES: Final = 256


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
    """Return the NAL units of an HEVC packet, or the frames of another, without zeros that fill up their ends.

    Of HEVC, only the layer that is shown.
    """
    if codec != "hevc":
        return [_without_filling(part) for part in packet_frames(codec, data)]
    units, has_layers = nal_units(data, hevc_length_size(extradata)), _has_layers(extradata)
    return [unit.rstrip(b"\0") for unit in units if not (has_layers and len(unit) > 1 and layer_of(unit))]


@lru_cache(maxsize=4)
def _has_layers(extradata: bytes | None) -> bool:
    """Return whether an HEVC header names several layers. In a stream of one, such a unit is a damaged one."""
    sets = parameters_in_header("hevc", extradata)
    return any(kind == _HEVC_VPS and int.from_bytes(unit[2:4]) >> 4 & 63 for (kind, _), unit in sets.items())


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


def ends_of_data(codec: str, pieces: Sequence[bytes]) -> list[tuple[int, int]]:
    """Return where arithmetic decoding of sound data ends: the numbers of pieces, and offsets in them."""
    if codec == "hevc":
        return [(place, _end_of_slice(piece)) for place, piece in enumerate(pieces) if _is_slice(piece)]
    return [(place, end) for place, piece in enumerate(pieces) for end in _ends_of_tiles(codec, piece)]


def other_ends(chance: random.Random) -> Iterator[bytes]:
    """Yield bytes to put where data end. Of sound data, some of these have to change what is decoded."""
    for num_bytes, least in _OTHER_ENDS * _NUM_ROUNDS:
        yield bytes(chance.randrange(least, 0xFF) for _ in range(num_bytes))


def with_other_end(codec: str, pieces: Sequence[bytes], place_and_end: tuple[int, int], other: bytes) -> list[bytes]:
    """Return them with other bytes where the data of one end; nothing where these are few."""
    place, end = place_and_end
    if end < _MIN_BYTES:
        return []
    if codec == "vp9":  # its last byte may not look like the index of a superframe
        other = other[:-1] + bytes([other[-1] & ~_SUPERFRAME_BIT or 1])
    piece = pieces[place]
    rest = b"" if codec == "hevc" else piece[end:]
    return [*pieces[:place], piece[: end - len(other)] + other + rest, *pieces[place + 1 :]]


def _end_of_slice(data: bytes) -> int:
    while data.endswith(_CABAC_ZERO_WORD):
        data = data.removesuffix(_CABAC_ZERO_WORD).rstrip(b"\0")
    return len(data)


def _ends_of_tiles(codec: str, frame: bytes) -> list[int]:
    """Return where the data of each tile end: before the length of the next one. Others than VP9 keyframes have one."""
    try:
        num_tiles, start = _vp9_tiles(Bits(frame[:_VP9_HEADER_BYTES])) if codec == "vp9" else (1, 0)
    except ValueError:
        return [len(frame)]
    ends: list[int] = []
    while len(ends) < num_tiles - 1:
        start += 4 + int.from_bytes(frame[start : start + 4])
        ends.append(start)
    return [*(end for end in ends if end < len(frame)), len(frame)]


def _vp9_tiles(bits: Bits) -> tuple[int, int]:
    """Return how many tiles a keyframe has, and where they begin (VP9 specification, 6.2); 1 for other frames.

    Raises:
        ValueError: the header is cut short.
    """
    bits.number(2)
    profile = bits.number() + 2 * bits.number()
    bits.number(int(profile == 3))
    if bits.number(2):  # one that was shown before, or not a keyframe
        return 1, 0
    bits.number()
    is_resilient = bits.number()
    bits.number(24 + (profile >= 2))
    is_rgb = bits.number(3) == 7
    bits.number((0 if is_rgb else 1) + (0 if profile % 2 == 0 else 1 if is_rgb else 3))
    width_px = bits.number(16) + 1
    bits.number(16)
    bits.number(32 * bits.number())
    bits.number((0 if is_resilient else 2) + 2)
    bits.number(6 + 3)
    if bits.number() and bits.number():  # changes of the loop filter
        _pass_flagged(bits, [7] * 6)
    bits.number(8)
    _pass_flagged(bits, [5] * 3)
    if bits.number():  # segments
        if bits.number():
            _pass_flagged(bits, [8] * 7)
            _pass_flagged(bits, [8] * 3 * bits.number())
        if bits.number():
            bits.number()
            _pass_flagged(bits, [9, 7, 2, 0] * 8)
    columns_log2, most_log2 = _tile_columns(width_px)
    while columns_log2 < most_log2 and bits.number():
        columns_log2 += 1
    rows_log2 = bits.number()
    rows_log2 += bits.number() if rows_log2 else 0
    header_bytes = bits.number(16)
    return 1 << columns_log2 + rows_log2, (bits.num_bits_read + 7) // 8 + header_bytes


def _pass_flagged(bits: Bits, sizes: Sequence[int]) -> None:
    for size in sizes:
        bits.number(size * bits.number())


def _tile_columns(width_px: int) -> tuple[int, int]:
    """Return the least and the largest log2 of the number of columns: each is 256 to 4096 pixels wide."""
    blocks = (width_px + 63) // 64
    return max(0, (blocks - 1).bit_length() - 6), max(0, blocks.bit_length() - 3)


def as_trailing(codec: str, piece: bytes) -> bytes:
    """Return an HEVC picture that follows a keyframe but is shown before it as one that a decoder may begin with."""
    if codec != "hevc" or not piece or piece[0] >> 1 & 63 not in _HEVC_LEADING:
        return piece
    return bytes([piece[0] & 0x83]) + piece[1:]


def parameter_sets(pieces: Sequence[bytes]) -> list[bytes]:
    """Return the parameter sets among the NAL units of an HEVC packet."""
    return [piece for piece in pieces if piece and piece[0] >> 1 & 63 in _HEVC_PARAMETER_SETS]


def _is_slice(unit: bytes) -> bool:
    return len(unit) > 2 and unit[0] >> 1 & 63 < _HEVC_FIRST_NON_VCL
