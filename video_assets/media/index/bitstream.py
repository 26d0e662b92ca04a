"""Read a packet's bytes: whether decoding may begin there, and which pictures it holds."""

import itertools
import re
from collections.abc import Iterator
from typing import Final

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

INTRA_ONLY: Final = frozenset(
    {"mjpeg", "prores", "dnxhd", "rawvideo", "v210", "huffyuv", "utvideo", "magicyuv", "dvvideo"}
)
"""Codecs in which every frame is decoded by itself."""

SEEKABLE: Final = INTRA_ONLY | {"h264", "hevc", "vp8", "vp9", "av1", "mpeg1video", "mpeg2video", "mpeg4"}
"""Codecs in which decoding from a keyframe was shown to give the same frames as decoding from the beginning."""

MS_MPEG4: Final = frozenset({"msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "rv10", "rv20"})
"""Relatives of MPEG-4 by Microsoft, and RealVideo 1 and 2, which FFmpeg reads as it does these."""

NEEDS_FIRST_PACKET: Final = frozenset({"mpeg1video", "mpeg2video", "mpeg4"})
"""Codecs whose first packet is decoded before beginning anywhere else. It may carry headers that later keyframes lack,
and the encoder's name, on which FFmpeg's workarounds for bugs depend."""

_SAY_BIDIRECTIONAL: Final = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"})
PLACEHOLDER_BYTES: Final = 8
"""A smaller MPEG-4 packet holds no picture: it follows a packet that held two, and may be called a keyframe."""

_UNPACKED_BITS: Final = {"pal8": 8, "monow": 1, "monob": 1}
_START_CODE: Final = re.compile(rb"\x00\x00\x01")
_MPEG4_VOP: Final = b"\x00\x00\x01\xb6"
_MPEG2_PICTURE: Final = b"\x00\x00\x01\x00"
_FIRST_PICTURE: Final = {"mpeg4": _MPEG4_VOP, "mpeg1video": _MPEG2_PICTURE, "mpeg2video": _MPEG2_PICTURE}
_AV1_DELIMITER: Final = b"\x12\0"
_PACKED_DIVX: Final = re.compile(rb"DivX\d+(?:b|Build)\d+p")

_H264_SLICE, _H264_IDR, _H264_SEI = 1, 5, 6
_EXACT, _NEAR = 0b11, 0b10
"""How a recovery point begins at which pictures are at once as they should be, or nearly so."""
_H264_SLICES: Final = range(1, 6)
_H264_INTRA: Final = (2, 7)
_HEADER_BYTES: Final = 16
_MPEG4_I, _MPEG4_B = 0, 2
_MPEG2_I, _MPEG2_B = 1, 3
_HEVC_FIRST_IRAP, _HEVC_LAST_IRAP = 16, 21
_HEVC_FIRST_NON_VCL = 32
_SEI_RECOVERY_POINT = 6


def starts_cleanly(codec: str, packet: Packet, extradata: bytes | None) -> bool:
    """Return whether decoding from this keyframe gives all frames shown from it on as they should be.

    Frames that follow in the stream but are shown before the keyframe (open GOPs) do not count. H.264: an IDR picture,
    or a recovery point that is exact at once. HEVC: an IRAP picture. MPEG-1, 2, 4: an intra picture. VP8, VP9, AV1: any
    keyframe, since their decoders refuse to begin anywhere else.
    """
    if codec == "h264":
        return _h264_starts(nal_units(bytes(packet), avc_length_size(extradata)))
    if codec == "hevc":
        return _HEVC_FIRST_IRAP <= _hevc_kind(bytes(packet), extradata) <= _HEVC_LAST_IRAP
    if codec == "mpeg4":
        return packet.size >= PLACEHOLDER_BYTES and _mpeg4_kind(bytes(packet)) == _MPEG4_I
    if codec in ("mpeg1video", "mpeg2video"):
        return _mpeg2_kind(bytes(packet)) == _MPEG2_I
    return codec in SEEKABLE


def begins_anew(codec: str, packet: Packet, extradata: bytes | None) -> bool:
    """Return False where an H.264 keyframe leaves pictures before it in the decoder's memory: it is not an IDR picture.

    FFmpeg then misses the pictures that the numbers of later ones count from, and may call one of those damaged.
    """
    if codec != "h264":
        return True
    return any(unit and unit[0] & 31 == _H264_IDR for unit in nal_units(bytes(packet), avc_length_size(extradata)))


def may_keep_others(codec: str, packet: Packet, extradata: bytes | None) -> bool:
    """Return whether an H.264 packet is a sound recovery point, all of whose slices are intra, and no IDR picture.

    Cameras write some from which pictures are only nearly as they should be. Of a damaged IDR picture anything may be
    left, such as what looks like a recovery point before slices of others.
    """
    if codec != "h264" or begins_anew(codec, packet, extradata):
        return False
    units = list(nal_units(bytes(packet), avc_length_size(extradata)))
    if not any(unit and unit[0] & 31 == _H264_SEI and _recovery_of(unit[1:]) in (_EXACT, _NEAR) for unit in units):
        return False
    slices = [unit for unit in units if len(unit) > _HEADER_BYTES and unit[0] & 31 == _H264_SLICE]
    try:
        return bool(slices) and all(_slice_kind(unit) in _H264_INTRA for unit in slices)
    except ValueError:
        return False


def _slice_kind(unit: bytes) -> int:
    bits = Bits.of_nal_unit(unit[:_HEADER_BYTES])
    bits.number(8)
    return bits.unsigned(2)  # first_mb_in_slice, slice_type


def may_skip_unreferenced(codec: str, extradata: bytes | None) -> bool:
    """Return whether FFmpeg can skip unreferenced frames while all other frames stay bit-identical.

    H.264: nothing refers to pictures of nal_ref_idc 0. MPEG-1, 2 and 4: nothing refers to B pictures. HEVC: higher
    temporal layers may refer to "sub-layer non-reference" pictures, so only where the header names one layer. VP8, VP9,
    AV1: FFmpeg cannot switch skipping between packets, or encoders make hardly any such frames.
    """
    if codec == "hevc":
        return bool(extradata) and len(extradata) > 22 and extradata[0] == 1 and (extradata[21] >> 3) & 7 == 1
    return codec in ("h264", "mpeg1video", "mpeg2video", "mpeg4")


def is_shown(codec: str, packet: Packet) -> bool:
    """Return False for a VP8 packet that only updates references (an "altref" frame) and shows nothing."""
    if codec != "vp8":
        return True
    view = memoryview(packet)
    return bool(view[0] & 0x10)


def may_be_reordered(codec: VideoCodecContext) -> bool:
    """Return whether frames may be reordered, and `is_bidirectional` can tell whether they are."""
    return codec.reorder_depth > 0 and codec.codec.canonical_name in _SAY_BIDIRECTIONAL


def is_bidirectional(codec: str, packet: Packet, extradata: bytes | None) -> bool:
    """Return whether a packet holds just a B picture, which is shown before one that precedes it in the stream.

    HEVC: a picture that no other of its layer refers to, since the type of its slices is costly to find. Where frames
    are reordered, such pictures are shown between two others.
    """
    data = bytes(packet)
    if codec == "hevc":
        kind = _hevc_kind(data, extradata)
        return kind < _HEVC_FIRST_IRAP and kind % 2 == 0
    if codec == "h264":
        for unit in nal_units(data, avc_length_size(extradata)):
            if len(unit) > 1 and unit[0] & 31 == _H264_SLICE:  # first_mb_in_slice 0, then slice_type 1 or 6, as ue(v)
                return unit[1] >> 4 == 0b1_010 or unit[1] >> 2 == 0b1_00111
        return False
    if codec == "mpeg4":
        return _mpeg4_kind(data) == _MPEG4_B and data.count(_MPEG4_VOP) == 1
    return _mpeg2_kind(data) == _MPEG2_B


def min_raw_bytes(codec: VideoCodecContext) -> int:
    """Return the least size of a packet of raw pictures with a palette, or with one bit per pixel; 0 for all others.

    Where such a packet is too short, FFmpeg shows whatever was in memory; of other raw pictures it refuses one.
    """
    bits = _UNPACKED_BITS.get(codec.pix_fmt or "") if codec.codec.canonical_name == "rawvideo" else None
    if bits is None:
        return 0
    return (codec.width * (codec.bits_per_coded_sample or bits) + 7) // 8 * codec.height


def count_vops(packet: Packet) -> int:
    """Count the MPEG-4 pictures in a packet: two where a B picture is packed into the packet before its own."""
    return bytes(packet).count(_MPEG4_VOP)


def is_packed(packet: Packet) -> bool:
    """Return whether an MPEG-4 stream's first packet says that B pictures are packed (DivX and Xvid in AVI)."""
    return _PACKED_DIVX.search(bytes(packet)) is not None


def avc_length_size(extradata: bytes | None) -> int:
    """Return the size of the length before each H.264 NAL unit; 0 where there are start codes instead."""
    return (extradata[4] & 3) + 1 if extradata and len(extradata) > 6 and extradata[0] == 1 else 0


def hevc_length_size(extradata: bytes | None) -> int:
    """Return the same for HEVC."""
    return (extradata[21] & 3) + 1 if extradata and len(extradata) > 22 and extradata[0] == 1 else 0


def nal_units(data: bytes, length_size: int) -> Iterator[bytes]:
    """Yield the NAL units of a packet, which follow their lengths (mp4, mkv) or start codes (`length_size` 0)."""
    if length_size:
        offset = 0
        while offset + length_size <= len(data):
            length = int.from_bytes(data[offset : offset + length_size])
            offset += length_size
            yield data[offset : offset + length]
            offset += length
        return
    starts = (match.end() for match in _START_CODE.finditer(data))  # lazily: most callers need the first units only
    for start, stop in itertools.pairwise(itertools.chain(starts, [len(data) + 3])):
        yield data[start : stop - 3]


def coded_pictures(codec: str, packet: Packet, extradata: bytes | None) -> Iterator[bytes]:
    """Yield the bytes of a packet's pictures alone, which stay the same when a stream is put into another container.

    Left out is what muxers add, drop or move: start codes and lengths, parameter sets and delimiters (H.264, HEVC),
    headers before the first picture (MPEG-1, 2, 4), and temporal delimiters (AV1).
    """
    data = bytes(packet)
    if codec == "h264":
        units = nal_units(data, avc_length_size(extradata))
        yield from (unit.rstrip(b"\0") for unit in units if unit and unit[0] & 31 in _H264_SLICES)
    elif codec == "hevc":
        units = nal_units(data, hevc_length_size(extradata))
        yield from (unit.rstrip(b"\0") for unit in units if unit and (unit[0] >> 1) & 63 < _HEVC_FIRST_NON_VCL)
    elif codec in _FIRST_PICTURE:
        yield data[max(0, data.find(_FIRST_PICTURE[codec])) :]
    else:
        yield data.removeprefix(_AV1_DELIMITER) if codec == "av1" else data


def _h264_starts(units: Iterator[bytes]) -> bool:
    is_exact = False
    for unit in units:
        kind = unit[0] & 31 if unit else 0
        if kind == _H264_IDR:
            return True
        if kind == _H264_SEI and _recovery_of(unit[1:]) == _EXACT:
            is_exact = True
    return is_exact


def _hevc_kind(data: bytes, extradata: bytes | None) -> int:
    """Return the NAL unit type of a packet's first slice; `_HEVC_FIRST_NON_VCL` where it has none."""
    kinds = ((unit[0] >> 1) & 63 for unit in nal_units(data, hevc_length_size(extradata)) if unit)
    return next((kind for kind in kinds if kind < _HEVC_FIRST_NON_VCL), _HEVC_FIRST_NON_VCL)


def _mpeg4_kind(data: bytes) -> int | None:
    """Return the coding type of a packet's first picture (vop_coding_type); None where it has none."""
    offset = data.find(_MPEG4_VOP)
    return data[offset + 4] >> 6 if 0 <= offset < len(data) - 4 else None


def _mpeg2_kind(data: bytes) -> int | None:
    """Return the same for MPEG-1 and 2 (picture_coding_type)."""
    offset = data.find(_MPEG2_PICTURE)
    return (data[offset + 5] >> 3) & 7 if 0 <= offset < len(data) - 5 else None


def _recovery_of(sei: bytes) -> int:
    """Return a recovery point's recovery_frame_cnt (0 as ue(v): a bit of 1) and exact_match_flag; 0 if it is none."""
    offset = 0
    while offset + 2 < len(sei):
        kind, offset = _sei_number(sei, offset)
        size, offset = _sei_number(sei, offset)
        if kind == _SEI_RECOVERY_POINT and size >= 1 and offset < len(sei):
            return sei[offset] >> 6
        offset += size
    return 0


def _sei_number(sei: bytes, offset: int) -> tuple[int, int]:
    number = 0
    while offset < len(sei) and sei[offset] == 255:
        number += 255
        offset += 1
    return (number + sei[offset], offset + 1) if offset < len(sei) else (number, offset)


class Bits:
    """Reads the fields of a header one after another."""

    def __init__(self, data: bytes) -> None:
        self._value, self._size = int.from_bytes(data), 8 * len(data)
        self._left = self._size

    @property
    def num_bits_read(self) -> int:
        """How many bits were read."""
        return self._size - self._left

    @classmethod
    def of_nal_unit(cls, unit: bytes) -> "Bits":
        """Read a NAL unit of H.264, without the bytes that keep start codes out of it (7.4.1)."""
        return cls(unit.replace(b"\0\0\3", b"\0\0"))

    def number(self, num_bits: int = 1) -> int:
        """Read u(n).

        Raises:
            ValueError: if the data end before.
        """
        self._left -= num_bits
        if self._left < 0:
            raise ValueError("the data end within a header")
        return self._value >> self._left & (1 << num_bits) - 1

    def unsigned(self, count: int = 1) -> int:
        """Read ue(v) (H.264, 9.1) so many times, and return the last one."""
        found = 0
        for _ in range(count):
            num_zeros = self._left - (self._value & (1 << self._left) - 1).bit_length()
            found = self.number(2 * num_zeros + 1) - 1
        return found
