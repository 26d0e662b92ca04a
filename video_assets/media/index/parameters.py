"""Parameters that pictures are decoded by, such as H.264's SPS and PPS: whether a keyframe brings those in force.

A decoder that begins at a keyframe has what the container's header gave it, what the keyframe brings, and what is left
of wherever it decoded before. Most videos say their parameters once, or again at every keyframe. In one that was joined
from two, they change in the middle, and later keyframes may not repeat them: begun there, decoding gives wrong pictures
(9 to 14 dB) without an error.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from av.packet import Packet

from video_assets.media.index.bitstream import NEEDS_FIRST_PACKET, avc_length_size, hevc_length_size, nal_units

ParameterKey = tuple[int, int]
"""What a set of parameters is, and its number among those of its kind; a later one with the same key replaces it."""

Parameters = dict[ParameterKey, bytes]

_H264_SLICES: Final = range(1, 6)
_H264_SPS, _H264_PPS = 7, 8
_HEVC_FIRST_NON_VCL: Final = 32
_HEVC_VPS, _HEVC_SPS, _HEVC_PPS = 32, 33, 34
_MPEG2_SEQUENCE: Final = re.compile(rb"\x00\x00\x01\xb3.*?(?=\x00\x00\x01[\x00\xb8]|\Z)", re.DOTALL)
_MPEG4_LAYER: Final = re.compile(rb"\x00\x00\x01[\x20-\x2f].*?(?=\x00\x00\x01|\Z)", re.DOTALL)
_JPEG_DHT, _JPEG_SCAN, _JPEG_DQT = 0xC4, 0xDA, 0xDB


def carried_parameters(codec: str, packet: Packet, extradata: bytes | None) -> Parameters:
    """The parameters that stand before the picture in a packet.

    H.264 and HEVC: parameter sets. MPEG-1 and 2: the sequence header. MPEG-4: the video object layer. MJPEG: tables.
    None for the other codecs, whose keyframes are whole, or whose parameters are in the container's header alone.
    """
    if codec == "h264":
        return _h264_sets(nal_units(bytes(packet), avc_length_size(extradata)))
    if codec == "hevc":
        return _hevc_sets(nal_units(bytes(packet), hevc_length_size(extradata)))
    read = _READERS.get(codec)
    return read(bytes(packet)) if read is not None else {}


class ParametersInForce:
    """Follows a stream's parameters from keyframe to keyframe."""

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._codec = codec
        self._extradata = extradata
        self._at_first: Parameters | None = None
        self._changed: set[ParameterKey] = set()

    def are_brought_by(self, keyframe: Packet, *, is_first: bool) -> bool:
        """Whether a decoder that begins at this keyframe, the next one of the stream, has the parameters in force.

        It has if they never changed, or if the keyframe brings all that ever did: of these, the decoder may hold any.
        """
        carried = carried_parameters(self._codec, keyframe, self._extradata)
        if carried:
            if self._at_first is None:
                self._at_first = parameters_of_header(self._codec, self._extradata)
            if is_first and self._codec in NEEDS_FIRST_PACKET:
                self._at_first |= carried
            self._changed.update(key for key, value in carried.items() if self._at_first.get(key) != value)
        return self._changed <= carried.keys()


def parameters_of_header(codec: str, extradata: bytes | None) -> Parameters:
    """The parameters that the container's header gives."""
    if not extradata:
        return {}
    if codec == "h264":
        return _h264_sets(_avc_units(extradata) if avc_length_size(extradata) else nal_units(extradata, 0))
    if codec == "hevc":
        return _hevc_sets(_hevc_units(extradata) if hevc_length_size(extradata) else nal_units(extradata, 0))
    read = _READERS.get(codec)
    return read(extradata) if read is not None else {}


def _h264_sets(units: Iterator[bytes]) -> Parameters:
    sets: Parameters = {}
    for unit in units:
        kind = unit[0] & 31 if unit else 0
        if kind in _H264_SLICES:
            break
        if kind in (_H264_SPS, _H264_PPS):  # a profile, flags and a level precede the number of an SPS
            sets[kind, _unsigned(unit[4:] if kind == _H264_SPS else unit[1:])] = unit.rstrip(b"\0")
    return sets


def _hevc_sets(units: Iterator[bytes]) -> Parameters:
    sets: Parameters = {}
    for unit in units:
        kind = (unit[0] >> 1) & 63 if unit else 63
        if kind < _HEVC_FIRST_NON_VCL:
            break
        if kind in (_HEVC_VPS, _HEVC_SPS):  # their numbers lie deep, and there is hardly ever more than one of each
            sets[kind, 0] = unit.rstrip(b"\0")
        elif kind == _HEVC_PPS:
            sets[kind, _unsigned(unit[2:])] = unit.rstrip(b"\0")
    return sets


def _sequence_header(data: bytes) -> Parameters:
    found = _MPEG2_SEQUENCE.search(data)
    return {(0, 0): found[0]} if found else {}


def _object_layer(data: bytes) -> Parameters:
    found = _MPEG4_LAYER.search(data)
    return {(0, 0): found[0]} if found else {}


def _jpeg_tables(data: bytes) -> Parameters:
    tables: Parameters = {}
    place = 2
    while place + 5 <= len(data) and data[place] == 0xFF and data[place + 1] != _JPEG_SCAN:
        kind = data[place + 1]
        if kind == 0xFF:  # a byte that only fills
            place += 1
            continue
        length = int.from_bytes(data[place + 2 : place + 4])
        if kind in (_JPEG_DHT, _JPEG_DQT):
            tables[kind, data[place + 4]] = data[place + 5 : place + 2 + length]
        place += 2 + length
    return tables


_READERS: Final[dict[str, Callable[[bytes], Parameters]]] = {
    "mpeg1video": _sequence_header,
    "mpeg2video": _sequence_header,
    "mpeg4": _object_layer,
    "mjpeg": _jpeg_tables,
}


def _avc_units(extradata: bytes) -> Iterator[bytes]:
    """The sets in an mp4's or mkv's header of H.264: a number of SPS and those, then the same of PPS."""
    place = 5
    for mask in (31, 255):
        count = extradata[place] & mask if place < len(extradata) else 0
        units, place = _counted_units(extradata, place + 1, count)
        yield from units


def _hevc_units(extradata: bytes) -> Iterator[bytes]:
    """The same of HEVC: a number of arrays, each with a kind and a number of sets."""
    place = 23
    for _ in range(extradata[22]):
        count = int.from_bytes(extradata[place + 1 : place + 3])
        units, place = _counted_units(extradata, place + 3, count)
        yield from units


def _counted_units(extradata: bytes, place: int, count: int) -> tuple[list[bytes], int]:
    units: list[bytes] = []
    for _ in range(count):
        length = int.from_bytes(extradata[place : place + 2])
        units.append(extradata[place + 2 : place + 2 + length])
        place += 2 + length
        if place >= len(extradata):
            break
    return units, place


def _unsigned(data: bytes) -> int:
    """The number ue(v) (H.264, 9.1) that data begins with.

    >>> [_unsigned(bytes([first])) for first in (0b1_0000000, 0b010_00000, 0b00101_000)]
    [0, 1, 4]
    """
    bits = int.from_bytes(data[:8].ljust(8, b"\0"))
    num_zeros = 64 - bits.bit_length()
    return (bits >> (63 - 2 * num_zeros)) - 1 if num_zeros < 32 else 0
