"""Find out whether a keyframe brings the active parameter sets, such as H.264's SPS and PPS.

A decoder that begins at a keyframe has the parameters of the container's header, those that the keyframe brings, and
those of the packets that it decoded earlier. Most videos give their parameters once, or again with every keyframe. In a
video joined from two they change in the middle, and later keyframes may not repeat them: decoding from such a keyframe
gives wrong pictures (9 to 14 dB) and no error.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from video_assets.media.index.bitstream import NEEDS_FIRST_PACKET, Bits, avc_length_size, hevc_length_size, nal_units

ParameterKey = tuple[int, int]
"""The kind of a parameter set and its number within the kind; a later set with the same key replaces it."""

Parameters = dict[ParameterKey, bytes]

_H264_SLICES: Final = range(1, 6)
_H264_SPS, _H264_PPS = 7, 8
_HEVC_FIRST_NON_VCL: Final = 32
_HEVC_VPS, _HEVC_SPS, _HEVC_PPS = 32, 33, 34
_MPEG2_SEQUENCE: Final = re.compile(rb"\x00\x00\x01\xb3.*?(?=\x00\x00\x01[\x00\xb8]|\Z)", re.DOTALL)
_MPEG4_LAYER: Final = re.compile(rb"\x00\x00\x01[\x20-\x2f].*?(?=\x00\x00\x01|\Z)", re.DOTALL)
_JPEG_DHT, _JPEG_SCAN, _JPEG_DQT = 0xC4, 0xDA, 0xDB

TOLD_BY_HEADER: Final = ("h264", "hevc", "mpeg4", "vp9", "libdav1d", "av1")
"""Decoders of the codecs that `is_told_by_header` knows."""
PROFILES_WITH_CHROMA: Final = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
CHROMA_444, _OWN_ASPECT = 3, 255
_SQUARE_PIXELS: Final = (0, 1)  # 0: not said


def parameters_in_packet(codec: str, packet: Packet, extradata: bytes | None) -> Parameters:
    """Return the parameters before the picture in a packet.

    H.264 and HEVC: parameter sets. MPEG-1 and 2: the sequence header. MPEG-4: the video object layer. MJPEG: tables.
    Other codecs have none: their keyframes are complete, or only the container's header holds parameters.
    """
    if codec == "h264":
        return _h264_sets(nal_units(bytes(packet), avc_length_size(extradata)))
    if codec == "hevc":
        return _hevc_sets(nal_units(bytes(packet), hevc_length_size(extradata)))
    read = _READERS.get(codec)
    return read(bytes(packet)) if read is not None else {}


class ActiveParameters:
    """Tracks a stream's parameters from keyframe to keyframe."""

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._codec = codec
        self._extradata = extradata
        self._initial: Parameters | None = None
        self._changed: set[ParameterKey] = set()

    def are_in(self, keyframe: Packet, *, is_first: bool) -> bool:
        """Return whether a decoder that begins at this keyframe, the stream's next one, has the active parameters.

        It has them if no parameter ever changed, or if the keyframe brings every one that did.
        """
        carried = parameters_in_packet(self._codec, keyframe, self._extradata)
        if carried:
            if self._initial is None:
                self._initial = parameters_in_header(self._codec, self._extradata)
            if is_first and self._codec in NEEDS_FIRST_PACKET:
                self._initial |= carried
            self._changed.update(key for key, value in carried.items() if self._initial.get(key) != value)
        return self._changed <= carried.keys()


def parameters_in_header(codec: str, extradata: bytes | None) -> Parameters:
    """Return the parameters in the container's header."""
    if not extradata:
        return {}
    if codec == "h264":
        return _h264_sets(_avc_units(extradata) if avc_length_size(extradata) else nal_units(extradata, 0))
    if codec == "hevc":
        return _hevc_sets(_hevc_units(extradata) if hevc_length_size(extradata) else nal_units(extradata, 0))
    read = _READERS.get(codec)
    return read(extradata) if read is not None else {}


def is_told_by_header(codec: VideoCodecContext) -> bool:
    """Return whether the header in an mp4 tells what FFmpeg otherwise learns by decoding the first frames.

    Of H.264 that is the shape of pixels, and how many frames are shown later than they are decoded. The context comes
    from a container that was opened without decoding anything.
    """
    if codec.codec.name != "h264":
        return codec.codec.name in TOLD_BY_HEADER and codec.format is not None
    sets = [unit for (kind, _), unit in parameters_in_header("h264", codec.extradata).items() if kind == _H264_SPS]
    try:
        return len(sets) == 1 and _tells_order(Bits.of_nal_unit(sets[0]), codec.width, codec.height)
    except ValueError:
        return False


def _tells_order(bits: Bits, width_px: int, height_px: int) -> bool:
    """Return whether an H.264 SPS (7.3.2.1.1) tells the order of frames, and of whole frames of square pixels.

    The size is what the container says.

    Raises:
        ValueError: it is cut short, or of a kind that is not read; it may tell the order all the same.
    """
    chroma = pass_to_size(bits)
    sides = [16 * (bits.unsigned() + 1) for _ in range(2)]
    if not bits.number():
        return False
    bits.number()
    if bits.number():
        units = (2 if chroma in (1, 2) else 1, 2 if chroma == 1 else 1)
        sides = [side - unit * (bits.unsigned() + bits.unsigned()) for side, unit in zip(sides, units, strict=True)]
    return sides == [width_px, height_px] and bool(bits.number()) and _usage_tells_order(bits)


def pass_to_size(bits: Bits) -> int:
    """Read an H.264 SPS up to the size of its pictures, and return its chroma format.

    Raises:
        ValueError: it is cut short, or of a kind that is not read.
    """
    bits.number(8)
    profile, _, _ = bits.number(8), bits.number(16), bits.unsigned()
    chroma = 1  # 4:2:0
    if profile in PROFILES_WITH_CHROMA:
        chroma = bits.unsigned()
        bits.number(1 if chroma == CHROMA_444 else 0)
        bits.unsigned(2)
        if bits.number(2) & 1:
            raise ValueError("scaling matrices are not read")
    bits.unsigned()
    order_type = bits.unsigned()
    if order_type == 1:
        raise ValueError("this order of pictures is not read")
    bits.unsigned(2 if order_type == 0 else 1)
    bits.number()
    return chroma


def _usage_tells_order(bits: Bits) -> bool:
    """Return the same of its VUI (E.1.1)."""
    if bits.number():
        aspect = bits.number(8)
        is_square = aspect in _SQUARE_PIXELS or (aspect == _OWN_ASPECT and bits.number(16) == bits.number(16))
        if not is_square:
            return False
    if bits.number():
        bits.number()
    if bits.number() and bits.number(5) & 1:
        bits.number(24)
    if bits.number():
        bits.unsigned(2)
    if bits.number():
        bits.number(65)
    bufferings = [_pass_buffering(bits) for _ in range(2)]
    bits.number(1 if any(bufferings) else 0)
    return bool(bits.number(2) & 1)


def _pass_buffering(bits: Bits) -> bool:
    """Read the parameters of a hypothetical decoder's buffer (E.1.2), if there are any, and return whether."""
    if not bits.number():
        return False
    num_schedules = bits.unsigned() + 1
    bits.number(8)
    for _ in range(num_schedules):
        bits.unsigned(2)
        bits.number()
    bits.number(20)
    return True


def _h264_sets(units: Iterator[bytes]) -> Parameters:
    sets: Parameters = {}
    for unit in units:
        kind = unit[0] & 31 if unit else 0
        if kind in _H264_SLICES:
            break
        if kind in (_H264_SPS, _H264_PPS):  # the number of an SPS follows its profile, flags and level
            sets[kind, _unsigned(unit[4:] if kind == _H264_SPS else unit[1:])] = unit.rstrip(b"\0")
    return sets


def _hevc_sets(units: Iterator[bytes]) -> Parameters:
    sets: Parameters = {}
    for unit in units:
        kind = (unit[0] >> 1) & 63 if unit else 63
        if kind < _HEVC_FIRST_NON_VCL:
            break
        if kind in (_HEVC_VPS, _HEVC_SPS):  # numbers are costly to find, and there is hardly ever more than one
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
    offset = 2
    while offset + 5 <= len(data) and data[offset] == 0xFF and data[offset + 1] != _JPEG_SCAN:
        kind = data[offset + 1]
        if kind == 0xFF:  # a fill byte
            offset += 1
            continue
        length = int.from_bytes(data[offset + 2 : offset + 4])
        if kind in (_JPEG_DHT, _JPEG_DQT):
            tables[kind, data[offset + 4]] = data[offset + 5 : offset + 2 + length]
        offset += 2 + length
    return tables


_READERS: Final[dict[str, Callable[[bytes], Parameters]]] = {
    "mpeg1video": _sequence_header,
    "mpeg2video": _sequence_header,
    "mpeg4": _object_layer,
    "mjpeg": _jpeg_tables,
}


def _avc_units(extradata: bytes) -> Iterator[bytes]:
    """Yield the sets in the H.264 header of an mp4 or mkv: the number of SPS and the SPS, then the same for PPS."""
    offset = 5
    for mask in (31, 255):
        count = extradata[offset] & mask if offset < len(extradata) else 0
        units, offset = _counted_units(extradata, offset + 1, count)
        yield from units


def _hevc_units(extradata: bytes) -> Iterator[bytes]:
    """Yield the sets in the HEVC header: a number of arrays, each with a kind and a number of sets."""
    offset = 23
    for _ in range(extradata[22]):
        count = int.from_bytes(extradata[offset + 1 : offset + 3])
        units, offset = _counted_units(extradata, offset + 3, count)
        yield from units


def _counted_units(extradata: bytes, offset: int, count: int) -> tuple[list[bytes], int]:
    units: list[bytes] = []
    for _ in range(count):
        length = int.from_bytes(extradata[offset : offset + 2])
        units.append(extradata[offset + 2 : offset + 2 + length])
        offset += 2 + length
        if offset >= len(extradata):
            break
    return units, offset


def _unsigned(data: bytes) -> int:
    """Decode the number ue(v) (H.264, 9.1) at the beginning of `data`.

    >>> [_unsigned(bytes([first])) for first in (0b1_0000000, 0b010_00000, 0b00101_000)]
    [0, 1, 4]
    """
    bits = int.from_bytes(data[:8].ljust(8, b"\0"))
    num_zeros = 64 - bits.bit_length()
    return (bits >> (63 - 2 * num_zeros)) - 1 if num_zeros < 32 else 0
