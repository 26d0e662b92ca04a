"""What a packet's own bytes say: whether decoding may start there, and how many pictures it holds."""

import itertools
import re
from collections.abc import Iterator
from typing import Final

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

INTRA_ONLY: Final = frozenset(
    {"mjpeg", "prores", "dnxhd", "rawvideo", "v210", "huffyuv", "utvideo", "magicyuv", "dvvideo"}
)
"""Codecs whose every frame stands for itself."""

RESTARTABLE: Final = INTRA_ONLY | {"h264", "hevc", "vp8", "vp9", "av1", "mpeg1video", "mpeg2video", "mpeg4"}
"""Codecs for which starting at a keyframe was proven to give the same pictures as starting at the beginning."""

NEEDS_FIRST_PACKET: Final = frozenset({"mpeg1video", "mpeg2video", "mpeg4"})
"""Codecs whose first packet may carry headers (and the encoder's name, which FFmpeg's bug workarounds depend on) that
later keyframes lack: it is decoded once before starting anywhere else."""

_SAY_BIDIRECTIONAL: Final = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"})
_UNPACKED_BITS: Final = {"pal8": 8, "monow": 1, "monob": 1}
_START_CODE: Final = re.compile(rb"\x00\x00\x01")
_MPEG4_VOP: Final = b"\x00\x00\x01\xb6"
_MPEG2_PICTURE: Final = b"\x00\x00\x01\x00"
_PACKED_DIVX: Final = re.compile(rb"DivX\d+(?:b|Build)\d+p")

_H264_SLICE, _H264_IDR, _H264_SEI = 1, 5, 6
_MPEG4_I, _MPEG4_B = 0, 2
_MPEG2_I, _MPEG2_B = 1, 3
_HEVC_FIRST_IRAP, _HEVC_LAST_IRAP = 16, 21
_HEVC_FIRST_NON_VCL = 32
_SEI_RECOVERY_POINT = 6


def starts_cleanly(codec: str, packet: Packet, extradata: bytes | None) -> bool:
    """Whether all pictures that are shown from this keyframe on come out right when decoding begins here.

    Pictures that follow in the stream but are shown before it (open GOPs) are not covered.

    H.264: an IDR picture, or a recovery point that says "exact at once". HEVC: an IRAP picture. MPEG-1, 2, 4: an
    intra picture. VP8, VP9, AV1: the container's word is taken; their decoders refuse to start anywhere else.
    """
    if codec == "h264":
        return _h264_starts(nal_units(bytes(packet), avc_length_size(extradata)))
    if codec == "hevc":
        return _HEVC_FIRST_IRAP <= _hevc_kind(bytes(packet), extradata) <= _HEVC_LAST_IRAP
    if codec == "mpeg4":
        return _mpeg4_kind(bytes(packet)) == _MPEG4_I
    if codec in ("mpeg1video", "mpeg2video"):
        return _mpeg2_kind(bytes(packet)) == _MPEG2_I
    return codec in RESTARTABLE


def may_skip_unreferenced(codec: str, extradata: bytes | None) -> bool:
    """Whether FFmpeg's skipping of unreferenced frames leaves all other frames bit-identical.

    H.264: nal_ref_idc 0 is never referred to. MPEG-1, 2 and 4: B pictures are not. HEVC: "sub-layer non-reference"
    pictures may still be used by higher temporal layers, so only where the header says that there is one layer.
    VP8, VP9, AV1: FFmpeg has no such switch between packets, or encoders make hardly any such frames.
    """
    if codec == "hevc":
        return bool(extradata) and len(extradata) > 22 and extradata[0] == 1 and (extradata[21] >> 3) & 7 == 1
    return codec in ("h264", "mpeg1video", "mpeg2video", "mpeg4")


def is_shown(codec: str, packet: Packet) -> bool:
    """False for a VP8 packet that only updates references (an "altref" frame) and shows nothing."""
    if codec != "vp8":
        return True
    view = memoryview(packet)
    return bool(view[0] & 0x10)


def may_be_in_packet_order(codec: VideoCodecContext) -> bool:
    """Whether pictures may be shown in another order than they come, and `is_bidirectional` can tell if they are."""
    return codec.reorder_depth > 0 and codec.codec.canonical_name in _SAY_BIDIRECTIONAL


def is_bidirectional(codec: str, packet: Packet, extradata: bytes | None) -> bool:
    """Whether a packet holds a B picture alone, which is shown before one that precedes it in the stream.

    HEVC: one that no other of its layer refers to, for the kind of its slices lies deep; where pictures are reordered
    it is one of those between two others.
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


def least_raw_bytes(codec: VideoCodecContext) -> int:
    """How long a packet of raw pictures with a palette, or of one bit a pixel, has to be; 0 for all others.

    FFmpeg unpacks these into memory that it does not clear, and shows what lay there where the packet ends too early.
    It refuses shorter packets of other raw pictures.
    """
    bits = _UNPACKED_BITS.get(codec.pix_fmt or "") if codec.codec.canonical_name == "rawvideo" else None
    if bits is None:
        return 0
    return (codec.width * (codec.bits_per_coded_sample or bits) + 7) // 8 * codec.height


def count_vops(packet: Packet) -> int:
    """How many MPEG-4 pictures a packet holds; two where B pictures are packed into the packet before."""
    return bytes(packet).count(_MPEG4_VOP)


def is_packed(packet: Packet) -> bool:
    """Whether an MPEG-4 stream's first packet says that B pictures are packed (DivX and Xvid in AVI)."""
    return _PACKED_DIVX.search(bytes(packet)) is not None


def avc_length_size(extradata: bytes | None) -> int:
    """How many bytes stand before each H.264 NAL unit for its length; 0 where start codes do."""
    return (extradata[4] & 3) + 1 if extradata and len(extradata) > 6 and extradata[0] == 1 else 0


def hevc_length_size(extradata: bytes | None) -> int:
    """The same of HEVC."""
    return (extradata[21] & 3) + 1 if extradata and len(extradata) > 22 and extradata[0] == 1 else 0


def nal_units(data: bytes, length_size: int) -> Iterator[bytes]:
    """The NAL units of a packet: with length prefixes (mp4, mkv), or after start codes (`length_size` 0)."""
    if length_size:
        place = 0
        while place + length_size <= len(data):
            length = int.from_bytes(data[place : place + length_size])
            place += length_size
            yield data[place : place + length]
            place += length
        return
    starts = (match.end() for match in _START_CODE.finditer(data))  # whoever needs the first units finds those alone
    for start, stop in itertools.pairwise(itertools.chain(starts, [len(data) + 3])):
        yield data[start : stop - 3]


def _h264_starts(units: Iterator[bytes]) -> bool:
    is_exact = False
    for unit in units:
        kind = unit[0] & 31 if unit else 0
        if kind == _H264_IDR:
            return True
        if kind == _H264_SEI and _recovers_at_once(unit[1:]):
            is_exact = True
    return is_exact


def _hevc_kind(data: bytes, extradata: bytes | None) -> int:
    """The NAL unit type of a packet's first slice; that of no slice where it has none."""
    kinds = ((unit[0] >> 1) & 63 for unit in nal_units(data, hevc_length_size(extradata)) if unit)
    return next((kind for kind in kinds if kind < _HEVC_FIRST_NON_VCL), _HEVC_FIRST_NON_VCL)


def _mpeg4_kind(data: bytes) -> int | None:
    """The coding type of a packet's first picture (vop_coding_type); None where it has none."""
    place = data.find(_MPEG4_VOP)
    return data[place + 4] >> 6 if 0 <= place < len(data) - 4 else None


def _mpeg2_kind(data: bytes) -> int | None:
    """The same of MPEG-1 and 2 (picture_coding_type)."""
    place = data.find(_MPEG2_PICTURE)
    return (data[place + 5] >> 3) & 7 if 0 <= place < len(data) - 5 else None


def _recovers_at_once(sei: bytes) -> bool:
    """Whether a recovery point message says recovery_frame_cnt 0 (ue(v): a first bit of 1), exact_match_flag 1."""
    place = 0
    while place + 2 < len(sei):
        kind, place = _sei_number(sei, place)
        size, place = _sei_number(sei, place)
        if kind == _SEI_RECOVERY_POINT and size >= 1 and place < len(sei):
            return sei[place] >> 6 == 0b11
        place += size
    return False


def _sei_number(sei: bytes, place: int) -> tuple[int, int]:
    number = 0
    while place < len(sei) and sei[place] == 255:
        number += 255
        place += 1
    return (number + sei[place], place + 1) if place < len(sei) else (number, place)
