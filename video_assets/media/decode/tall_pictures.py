"""Find out whether H.264 slices end where they should: decode them as if pictures were higher than they are.

FFmpeg's arithmetic decoder of H.264 (CABAC) stops at a picture's last block, whether the data say so or not. In a
picture that has one row of blocks more, it stops there only if they do, and then conceals the row that is missing.
Where it goes on, damaged data were read to another length: it finds an error, or fills the row and has nothing to
conceal. What is in the pictures does not matter for how their data are read.
"""

from typing import Final

import av.error
import av.packet
from av.video.codeccontext import VideoCodecContext

from video_assets.media.index.bitstream import Bits, avc_length_size, nal_units
from video_assets.media.index.parameter_sets import parameters_in_header, pass_to_size
from video_assets.media.open.video import OpenVideo

_STREAMED_IN: Final = frozenset({"mpegts", "flv", "mpeg", "h264"})
"""Containers of broadcasts and streams, which lose packets."""
_SMALL_BLOCKS: Final = 200
"""Blocks of 16 by 16 pixels in a small picture. At each block, damaged data may say that the picture ends, which FFmpeg
notices: of videos with one damaged picture, it misses 5 % of 112x80, 1.5 % of 320x240 and 0.07 % of 1280x720."""
CONCEALMENT: Final = {"ec": "favor_inter"}
"""The least that FFmpeg can do for a missing row and still say that it did. With `err_detect=explode` it also conceals
what lies above that row. Guessing motion vectors for all of it took longer than the decode itself."""
_SPS, _PPS = 7, 8


class TallDecode:
    """A second decode of a video, as if its pictures had one more row of blocks."""

    def __init__(self, opened: OpenVideo, decoder: VideoCodecContext) -> None:
        """`decoder` is a new one for the same packets."""
        extradata = opened.codec.extradata or b""
        self._first, self._decoder = opened.codec, decoder
        self._length_size = avc_length_size(extradata)
        self._damaged: set[int] = set()
        sets = parameters_in_header("h264", extradata).values()
        decoder.extradata = b"".join(b"\0\0\0\1" + _as_tall(unit) for unit in sets)

    def add_packet(self, number: int, packet: av.packet.Packet) -> None:
        """Decode a packet."""
        if self._decoder.skip_frame != self._first.skip_frame:
            self._decoder.skip_frame = self._first.skip_frame
        units = nal_units(bytes(packet), self._length_size)
        tall = av.packet.Packet(b"".join(b"\0\0\0\1" + _as_tall(unit) for unit in units if unit))
        tall.pts = tall.dts = number
        self._decode(number, tall)

    def take_damaged(self) -> set[int]:
        """Return the packets that are read to another length, each once."""
        found, self._damaged = self._damaged, set()
        return found

    def finish(self) -> None:
        """Take the frames that are left in the decoder."""
        self._decode(-1, None)

    def _decode(self, number: int, packet: av.packet.Packet | None) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            self._damaged |= {number} if packet is not None else set()
            return
        self._damaged |= {frame.pts for frame in frames if frame.pts is not None and not frame.is_corrupt}


def is_worth_its_time(opened: OpenVideo) -> bool:
    """Return whether H.264 is decoded a second time: in streams, and of small pictures. It nearly doubles the time."""
    codec = opened.codec
    num_blocks = -(-codec.width // 16) * -(-codec.height // 16)
    is_at_risk = opened.container_name in _STREAMED_IN or num_blocks <= _SMALL_BLOCKS
    return is_at_risk and can_be_tall(codec.extradata)


def can_be_tall(extradata: bytes | None) -> bool:
    """Return whether the header tells of frames with arithmetic coding, whose height can be changed.

    FFmpeg conceals nothing in fields, and finds the end of data without arithmetic coding by itself.
    """
    sets = parameters_in_header("h264", extradata)
    try:
        return (
            {kind for kind, _ in sets} == {_SPS, _PPS}
            and all(_height_of(unit)[2] for (kind, _), unit in sets.items() if kind == _SPS)
            and all(_is_arithmetic(unit) for (kind, _), unit in sets.items() if kind == _PPS)
        )
    except ValueError:
        return False


def _is_arithmetic(unit: bytes) -> bool:
    bits = Bits.of_nal_unit(unit)
    bits.number(8)
    bits.unsigned(2)
    return bool(bits.number())


def _as_tall(unit: bytes) -> bytes:
    """Return an SPS that says that pictures have one more row of blocks; any other unit as it is."""
    if unit[0] & 31 != _SPS:
        return unit
    try:
        start, stop, _ = _height_of(unit)
    except ValueError:  # a decoder says what is wrong with it
        return unit
    data = unit.rstrip(b"\0").replace(b"\0\0\3", b"\0\0")
    bits = f"{int.from_bytes(data):0{8 * len(data)}b}"
    rows = int(bits[start:stop], 2)  # in ue(v), which is the number plus 1: the number of rows
    higher = f"{rows + 1:b}"
    bits = (bits[:start] + "0" * (len(higher) - 1) + higher + bits[stop:]).rstrip("0")
    bits += "0" * (-len(bits) % 8)
    return _with_prevention(int(bits, 2).to_bytes(len(bits) // 8))


def _with_prevention(data: bytes) -> bytes:
    """Return the data with the bytes that keep start codes out of them (7.4.1)."""
    found, num_zeros = bytearray(), 0
    for value in data:
        if num_zeros == 2 and value <= 3:
            found.append(3)
            num_zeros = 0
        found.append(value)
        num_zeros = num_zeros + 1 if value == 0 else 0
    return bytes(found)


def _height_of(unit: bytes) -> tuple[int, int, bool]:
    """Return the first bit of an SPS's height, the one after it, and whether all pictures are whole frames.

    Raises:
        ValueError: it is cut short, or of a kind that is not read.
    """
    bits = Bits.of_nal_unit(unit)
    pass_to_size(bits)
    bits.unsigned()
    start = bits.num_bits_read
    bits.unsigned()
    return start, bits.num_bits_read, bool(bits.number())
