"""Find out whether VP8 pictures between keyframes are read to their end, by decoding each of them twice.

A picture changes two things in a decoder: the pictures that later ones refer to, and the probabilities that their data
are read by (RFC 6386, 9). What is in the pictures does not matter for how data are read, so a grey picture takes their
place before each decode. A picture's header gives new probabilities themselves, not changes of them, so that reading it
again changes nothing. Of the same picture with other last bytes another one has to come out.
"""

import random
from typing import Final

import av.error
import av.packet
from av.video.codeccontext import VideoCodecContext

from video_assets.media.decode.other_bytes import other_ends, pieces_of, with_other_end
from video_assets.media.decode.planes import Planes, copy_planes, differing_share

_SHOWN: Final = 0x10
_IS_BETWEEN: Final = 1
_GREY_HEADER: Final = (*(0,) * 26, 1, 1, 0, 0, 0, 1)
"""The first fields of a picture's header, all of bits as likely as not: the golden, the alternative and the last
picture become this one, and probabilities stay as they are. All later fields are 0, too: no block has any data."""
_TAG_BYTES: Final = 3
_MIN_BYTES: Final = 30
"""Of the last of the parts that follow the blocks' modes. What decides modes may not show in a picture that refers to
grey ones, and each part ends with up to 4 bytes that are never read."""
_BYTES_OF_FIELDS, _BYTES_OF_MODES, _BYTES_OF_DATA = 256, 2, 40
"""More than the other fields, a block's mode, and the data of its parts can take."""


class Vp8PictureCheck:
    """Decodes pictures with other last bytes; `decoder` is a new one that shows each picture at once."""

    def __init__(self, decoder: VideoCodecContext) -> None:
        self._decoder = decoder
        self._chance = random.Random(0)  # noqa: S311
        self._damaged: set[int] = set()

    def add_packet(self, number: int, packet: av.packet.Packet) -> None:
        """Try a packet."""
        (data,) = pieces_of("vp8", bytes(packet), None)
        if not data[0] & _IS_BETWEEN:
            self._decode(data)
            return
        modes_end = _TAG_BYTES + (int.from_bytes(data[:_TAG_BYTES], "little") >> 5)
        data = bytes([data[0] | _SHOWN]) + data[1:]
        picture = self._picture(data)
        if picture and last_part_bytes(data[modes_end:]) >= _MIN_BYTES and not self._depends_on_end(data, picture):
            self._damaged.add(number)

    def take_damaged(self) -> set[int]:
        """Return the packets that are not read to their end, each once."""
        found, self._damaged = self._damaged, set()
        return found

    def finish(self) -> None:
        """Do nothing: each packet is tried at once."""

    def _depends_on_end(self, data: bytes, picture: list[Planes]) -> bool:
        for other in other_ends(self._chance):
            changed = with_other_end("vp8", [data], (0, len(data)), other)
            if not changed or differing_share(picture, self._picture(changed[0])):
                return True
        return False

    def _picture(self, data: bytes) -> list[Planes]:
        """Decode a picture that refers to grey ones; nothing comes before a keyframe, or of what gives an error."""
        self._decode(grey_picture(self._decoder.width, self._decoder.height, data[0] >> 1 & 7))
        return self._decode(data)

    def _decode(self, data: bytes) -> list[Planes]:
        packet = av.packet.Packet(data)
        packet.pts = packet.dts = 0
        try:
            return [copy_planes(frame) for frame in self._decoder.decode(packet)]
        except av.error.FFmpegError:
            return []


def last_part_bytes(parts: bytes) -> int:
    """Return the size of the last of up to 8 parts; the sizes of the others come first, and fit one number of parts.

    That number itself is among the data that are arithmetically coded.
    """
    for num_parts in (8, 4, 2):
        sizes = [int.from_bytes(parts[3 * part : 3 * part + 3], "little") for part in range(num_parts - 1)]
        if (left := len(parts) - sum(sizes) - 3 * len(sizes)) >= 0:
            return left
    return len(parts)


def grey_picture(width_px: int, height_px: int, version: int) -> bytes:
    """Return a VP8 picture without data that replaces all that others refer to, and leaves probabilities as they are.

    An arithmetic decoder reads zeros as zeros, however likely these are.
    """
    low, size, num_bits = 0, 255, 8  # of the arithmetic encoder (7.3)
    for bit in _GREY_HEADER:
        split = 1 + ((size - 1) >> 1)
        low, size = (low + split, size - split) if bit else (low, split)
        shift = 8 - size.bit_length()
        low, size, num_bits = low << shift, size << shift, num_bits + shift
    num_blocks = ((width_px + 15) // 16) * ((height_px + 15) // 16)
    head = (low << -num_bits % 8).to_bytes((num_bits + 7) // 8)
    fields = head + bytes(_BYTES_OF_FIELDS + _BYTES_OF_MODES * num_blocks)
    tag = _IS_BETWEEN | version << 1 | _SHOWN | len(fields) << 5
    return tag.to_bytes(_TAG_BYTES, "little") + fields + bytes(_BYTES_OF_DATA * num_blocks)
