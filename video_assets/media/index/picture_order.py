"""Follow the numbers or times of pictures in display order: MPEG's show lost pictures, and AV1's wrong ones."""

import re
from dataclasses import dataclass
from typing import Final

from av.packet import Packet

from video_assets.media.index.bitstream import Bits

_MPEG: Final = re.compile(rb"\x00\x00\x01[\x00-\xaf\xb3\xb5\xb8]")
_PICTURE, _SEQUENCE, _EXTENSION, _GROUP = 0, 0xB3, 0xB5, 0xB8  # those between are slices, by rows of blocks
_CODING_EXTENSION, _WHOLE_FRAME = 8, 3
_MAX_HEIGHT_PX: Final = 2800
"""Rows of higher pictures are counted in another way."""
_MPEG_P, _MPEG_B = 2, 3
_MPEG_NUMBERS: Final = 1024

_MPEG4: Final = re.compile(rb"\x00\x00\x01[\x20-\x2f\xb3\xb6]")  # a layer, a group, or a picture
_VOP_GROUP, _VOP, _VOP_B = 0xB3, 0xB6, 2
_EXTENDED_ASPECT, _GRAYSCALE = 15, 3

_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6
_KEY_FRAME, _INTRA_ONLY, _SWITCH_FRAME = 0, 2, 3
_SELECT: Final = 2
"""What a sequence header says of a flag that each frame decides."""


class MpegOrder:
    """Follows the `temporal_reference` of MPEG-1 and 2, which counts the pictures of a group as they are displayed.

    Editors drop all B pictures before the first I picture of a group, since they refer to the group before.
    """

    def __init__(self) -> None:
        self._next = -1  # the lowest number of the group that has not come; -1 where no group has begun
        self._reference = self._latest = -1  # the numbers of the latest I or P picture, and of the latest one
        self._may_begin_later = True
        self._height_px = 0

    def is_wrong(self, packet: Packet) -> bool:
        """Return whether a row of this packet's pictures is missing, or a picture to which one of them may refer."""
        data, is_wrong = bytes(packet), False
        row, rows = 0, (0,)  # the latest row of blocks, and how many the picture may have; 0 where it is not known
        for match in _MPEG.finditer(data):
            kind, start = data[match.end() - 1], match.end()
            if kind == _GROUP:
                is_wrong |= self.is_incomplete
                self._next, self._reference, self._latest, self._may_begin_later = 0, -1, -1, True
            elif kind == _SEQUENCE:
                self._height_px = int.from_bytes(data[start : start + 3]) & 0xFFF
            elif kind == _EXTENSION:
                rows = self._rows(data[start : start + 3]) or rows
            elif kind != _PICTURE:
                is_wrong |= any(rows) and kind not in (row, row + 1)
                row = kind
            else:
                is_wrong |= any(rows) and row not in rows
                row, rows = 0, (0,)
                header = int.from_bytes(data[start : start + 2])
                if self._next >= 0 and start + 2 <= len(data):
                    is_wrong |= self._misses_one(header >> 6, header >> 3 & 7)
        return is_wrong or (any(rows) and row not in rows)

    @property
    def is_incomplete(self) -> bool:
        """Whether pictures have not come yet that are shown before the latest I or P picture."""
        return self._next <= self._reference and not self._may_begin_later

    def _rows(self, extension: bytes) -> tuple[int, ...]:
        """Return how many rows a picture of MPEG-2 may have, of which no row is left out; nothing if not known."""
        if len(extension) < 3 or extension[0] >> 4 != _CODING_EXTENSION or not 0 < self._height_px <= _MAX_HEIGHT_PX:
            return ()
        pairs = (self._height_px + 31) // 32
        return (2 * pairs, (self._height_px + 15) // 16) if extension[2] & 3 == _WHOLE_FRAME else (pairs,)

    def _misses_one(self, number: int, kind: int) -> bool:
        half = _MPEG_NUMBERS // 2
        number = self._next + (number - self._next + half) % _MPEG_NUMBERS - half
        if number in (self._latest, self._reference):  # the second field of the same picture
            return False
        if kind == _MPEG_B:
            is_missing = number >= self._reference or number != self._next
            self._may_begin_later = False
            self._next = number + 1
        else:
            is_missing = self._next <= self._reference and not self._may_begin_later
            is_missing |= kind == _MPEG_P and number < self._next  # a group's header is lost, and its first picture
            self._may_begin_later = self._reference < 0
            self._next = max(self._next, self._reference + 1)
            self._reference = number
        self._next += self._next == self._reference
        self._latest = number
        return is_missing


class Mpeg4Order:
    """Follows the times that MPEG-4 pictures carry (ISO 14496-2, 6.3.5): a B picture is between the latest two others.

    Where it is not, one of these is missing. FFmpeg leaves out such B pictures without an error.
    """

    def __init__(self, extradata: bytes | None) -> None:
        self._ticks = 0  # in a second; 0 while it is not known
        self._seconds = self._seconds_before = 0  # those of the latest I or P picture, and of the one before
        self._latest = self._before = 0  # when they are shown
        self._num_references = 0  # since the latest group began
        self._read(extradata or b"")

    def is_wrong(self, packet: Packet) -> bool:
        """Return whether one of this packet's pictures follows a missing one."""
        return self._read(bytes(packet))

    def _read(self, data: bytes) -> bool:
        is_wrong = False
        for match in _MPEG4.finditer(data):
            kind, bits = data[match.end() - 1], Bits(data[match.end() : match.end() + 32])
            try:
                if kind == _VOP:
                    is_wrong |= bool(self._ticks) and self._misses_one(bits)
                elif kind == _VOP_GROUP:
                    hours, minutes, _marker, seconds = (bits.number(size) for size in (5, 6, 1, 6))
                    self._seconds, self._num_references = 3600 * hours + 60 * minutes + seconds, 0
                else:
                    self._ticks = _ticks_per_second(bits)
            except ValueError:  # a decoder says what is wrong with it
                self._num_references = 0
        return is_wrong

    def _misses_one(self, bits: Bits) -> bool:
        kind, seconds = bits.number(2), 0
        while bits.number():
            seconds += 1
        bits.number()
        ticks = bits.number(max(1, (self._ticks - 1).bit_length()))
        if kind == _VOP_B:
            shown_at = (self._seconds_before + seconds) * self._ticks + ticks
            # Those right after the first picture of a group belong to the group before, which editors may cut off.
            return (self._num_references > 0 and shown_at >= self._latest) or (
                self._num_references > 1 and shown_at <= self._before
            )
        self._seconds_before, self._seconds = self._seconds, self._seconds + seconds
        self._before, self._latest = self._latest, self._seconds * self._ticks + ticks
        self._num_references += 1
        return False


def _ticks_per_second(bits: Bits) -> int:
    """Return the vop_time_increment_resolution of a video object layer (6.2.3); 0 where it is of another kind."""
    bits.number(1 + 8)
    version = 1
    if bits.number():
        version = bits.number(4)
        bits.number(3)
    if bits.number(4) == _EXTENDED_ASPECT:
        bits.number(16)
    if bits.number():  # vol_control_parameters
        bits.number(3)
        if bits.number():  # vbv_parameters
            bits.number(79)
    shape = bits.number(2)
    if shape == _GRAYSCALE and version != 1:
        bits.number(4)
    bits.number()
    return bits.number(16)


@dataclass(frozen=True, slots=True)
class _Av1Sequence:
    """What a sequence header says, as far as it decides where frame headers carry their numbers."""

    number_bits: int
    id_bits: int
    shows_screen_content: int
    has_integer_vectors: int


class Av1Order:
    """Follows the `order_hint` of AV1, which counts frames as they are displayed: a packet may show the wrong one.

    A packet that shows a frame that came earlier has three bits that say which one. To a decoder any is right.
    """

    def __init__(self) -> None:
        self._sequence: _Av1Sequence | None = None
        self._slots: list[int | None] = [None] * 8  # the numbers of the frames that later ones may refer to
        self._latest: int | None = None  # that of the frame shown last
        self._is_repeated = False  # whether the packet shows a frame that came earlier

    def is_wrong(self, packet: Packet) -> bool:
        """Return whether a packet shows a frame that came earlier and whose turn it is not, or one that is too late."""
        shown: list[int] = []
        self._is_repeated = False
        try:
            for kind, data in _av1_units(bytes(packet)):
                if kind == _SEQUENCE_HEADER:
                    self._sequence = _read_sequence(Bits(data))
                elif kind in (_FRAME_HEADER, _FRAME) and self._sequence is not None:
                    self._follow(Bits(data), self._sequence, shown)
        except (IndexError, ValueError):  # a decoder says what is wrong with it
            self._sequence = None
        if not shown:
            return False
        latest, self._latest = self._latest, shown[-1]
        if latest is None or self._sequence is None:
            return False
        numbers = 1 << self._sequence.number_bits
        step = (shown[0] - latest) % numbers
        return step != 1 if self._is_repeated else not 0 < step < numbers // 2

    def _follow(self, bits: Bits, sequence: _Av1Sequence, shown: list[int]) -> None:
        if bits.number():  # show_existing_frame
            number = self._slots[bits.number(3)]
            if number is not None:
                self._is_repeated = not shown
                shown.append(number)
            return
        kind, is_shown = bits.number(2), bool(bits.number())
        if not is_shown:
            bits.number()  # showable_frame
        is_resilient = kind == _SWITCH_FRAME or (kind == _KEY_FRAME and is_shown) or bool(bits.number())
        if kind == _KEY_FRAME and is_shown:
            self._slots, self._latest = [None] * 8, None
        bits.number()  # disable_cdf_update
        shows_screen = sequence.shows_screen_content
        if (bits.number() if shows_screen == _SELECT else shows_screen) and sequence.has_integer_vectors == _SELECT:
            bits.number()
        bits.number(sequence.id_bits)
        if kind != _SWITCH_FRAME:
            bits.number()  # frame_size_override_flag
        number = bits.number(sequence.number_bits)
        if kind not in (_KEY_FRAME, _INTRA_ONLY) and not is_resilient:
            bits.number(3)  # primary_ref_frame
        refreshed = 0xFF if kind == _SWITCH_FRAME or (kind == _KEY_FRAME and is_shown) else bits.number(8)
        self._slots = [number if refreshed >> slot & 1 else old for slot, old in enumerate(self._slots)]
        if is_shown:
            shown.append(number)


def _av1_units(data: bytes) -> list[tuple[int, bytes]]:
    """Return the kinds of a packet's units (OBUs), with the first 64 bytes of each: headers are shorter."""
    units: list[tuple[int, bytes]] = []
    offset = 0
    while offset < len(data):
        kind, has_extension, has_size = data[offset] >> 3 & 15, data[offset] >> 2 & 1, data[offset] >> 1 & 1
        offset += 1 + has_extension
        size = len(data) - offset
        if has_size:
            size, offset = _leb128(data, offset)
        units.append((kind, data[offset : offset + min(size, 64)]))
        offset += size
    return units


def _leb128(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for place in range(8):
        value |= (data[offset + place] & 127) << 7 * place
        if data[offset + place] < 128:
            return value, offset + place + 1
    raise ValueError("a length has no end")


def _read_sequence(bits: Bits) -> _Av1Sequence | None:
    """Return what a sequence header says; None where frames carry no numbers, or fields of a decoder model first."""
    bits.number(3 + 1)
    if bits.number():  # reduced_still_picture_header
        return None
    if bits.number():  # timing_info_present_flag
        bits.number(64)
        if bits.number():  # equal_picture_interval, then a number of any length
            bits.unsigned()
        if bits.number():  # decoder_model_info_present_flag
            return None
    has_delays = bits.number()
    for _ in range(bits.number(5) + 1):
        bits.number(12)
        if bits.number(5) > 7:
            bits.number()
        if has_delays and bits.number():
            bits.number(4)
    width_bits, height_bits = bits.number(4) + 1, bits.number(4) + 1
    bits.number(width_bits + height_bits)
    id_bits = 0
    if (
        bits.number()
    ):  # frame_id_numbers_present_flag: delta_frame_id_length_minus_2, additional_frame_id_length_minus_1
        id_bits = bits.number(4) + 2 + bits.number(3) + 1
    bits.number(3 + 4)
    if not bits.number():  # enable_order_hint
        return None
    bits.number(2)
    shows_screen = _SELECT if bits.number() else bits.number()
    integer_vectors = _SELECT
    if shows_screen and not bits.number():
        integer_vectors = bits.number()
    return _Av1Sequence(bits.number(3) + 1, id_bits, shows_screen, integer_vectors)
