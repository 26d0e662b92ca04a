"""Follow the numbers that H.264 reference pictures carry: a lost picture leaves a gap that FFmpeg fills with a copy."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from av.packet import Packet

from video_assets.media.index.bitstream import Bits, avc_length_size, nal_units, starts_cleanly
from video_assets.media.index.display_numbers import DisplayNumbers, order_count
from video_assets.media.index.parameter_sets import CHROMA_444, PROFILES_WITH_CHROMA, parameters_in_header

_SLICE, _IDR, _SPS, _PPS = 1, 5, 7, 8
_P, _B, _SP = 0, 1, 3
_HEADER_BYTES: Final = 24
"""What holds the first fields of a slice header."""
_HEAD_BYTES: Final = 2048
"""Where most packets' first slice begins."""
_WHOLE_HEADER_BYTES: Final = 1024
_MAX_REFERENCES: Final = 32


@dataclass(frozen=True, slots=True)
class _Sequence:
    """What an SPS says, as far as it decides what is in a slice header."""

    may_have_gaps: bool
    number_bits: int
    order_type: int
    order_bits: int  # of the lower part of a picture's place in the order of display; 0 without one
    has_order_deltas: bool
    has_chroma: bool
    has_planes: bool
    has_fields: bool


@dataclass(frozen=True, slots=True)
class _Picture:
    """What a PPS says, as far as it decides the same."""

    sequence: int
    has_bottom_order: bool
    num_references: tuple[int, int]
    is_weighted: bool
    is_weighted_explicitly: bool  # in B slices
    has_redundant: bool


class H264Order:
    """Follows `frame_num` (7.4.3), which counts reference pictures; unreferenced ones carry the next one's number.

    A keyframe at which decoding may begin may have any number, since editors cut and join videos there.
    """

    def __init__(self, extradata: bytes | None, numbers: DisplayNumbers | None = None) -> None:
        self._extradata = extradata
        self._numbers = numbers
        self._base: int | None = None  # the picture order count of the latest reference picture
        self._is_restart = True
        self._sequences: dict[int, _Sequence] = {}
        self._pictures: dict[int, _Picture] = {}
        self._latest: int | None = None  # the number of the latest reference picture
        self._is_of_reference = False  # whether one had it, and it is not taken from that of another picture
        self._latest_packet: Packet | None = None
        self._has_swallowed = False
        for unit in parameters_in_header("h264", extradata).values():
            self._keep_set(unit)

    def is_wrong(self, packet: Packet) -> bool:
        """Return whether a reference picture before this packet is missing, or a parameter set goes on and on."""
        self._is_restart = packet.is_keyframe and starts_cleanly("h264", packet, self._extradata)
        if self._is_restart:
            self._latest = None
        head = bytes(memoryview(packet)[:_HEAD_BYTES])
        unit = self._first_slice(head) or (self._first_slice(bytes(packet)) if packet.size > len(head) else b"")
        has_swallowed, self._has_swallowed = self._has_swallowed, False
        try:
            return has_swallowed or (bool(unit) and self._misses_one(unit, packet))
        except (KeyError, ValueError):  # a decoder says what is wrong with it
            self._latest = None
            return False

    def _first_slice(self, data: bytes) -> bytes:
        """Return the beginning of a packet's first slice, and note the parameter sets before it."""
        for unit in nal_units(data, avc_length_size(self._extradata)):
            kind = unit[0] & 31 if unit else 0
            if kind in (_SLICE, _IDR):
                return unit[:_HEADER_BYTES]
            if kind in (_SPS, _PPS):
                self._keep_set(unit)
                # Where the start of the next unit is lost, a picture becomes a part of the set.
                self._has_swallowed |= len(unit.rstrip(b"\0")) > _WHOLE_HEADER_BYTES
        return b""

    def _misses_one(self, unit: bytes, packet: Packet) -> bool:
        bits, is_reference = Bits.of_nal_unit(unit), bool(unit[0] >> 5 & 3)
        bits.number(8)
        is_first = bits.unsigned() == 0
        bits.unsigned()
        sequence = self._sequences[self._pictures[bits.unsigned()].sequence]
        number, numbers = bits.number(2 * sequence.has_planes + sequence.number_bits), 1 << sequence.number_bits
        number %= numbers
        is_field = sequence.has_fields and bool(bits.number())
        if self._numbers is not None:
            self._note_order(bits, unit, sequence, number, is_field=is_field)
        latest = None if unit[0] & 31 == _IDR else self._latest
        is_missing = latest is not None and number not in (latest, (latest + 1) % numbers)
        # As many as there are numbers may be missing, so that the next one has the same; so has a second field.
        is_repeated = number == latest and is_reference and self._is_of_reference and is_first and not is_field
        is_missing |= is_repeated
        if is_missing and number <= 1 and self._begins_count_anew():
            is_missing = False
        if is_reference:
            self._latest, self._latest_packet = number, packet
        elif is_missing or latest is None:
            self._latest = (number - 1) % numbers
        self._is_of_reference = is_reference or (self._is_of_reference and not is_missing and latest is not None)
        return is_missing and not sequence.may_have_gaps

    def _note_order(self, bits: Bits, unit: bytes, sequence: _Sequence, number: int, *, is_field: bool) -> None:
        """Note a picture's place in the order of display (8.2.1.1), which follows its number."""
        if self._numbers is None:
            return
        if sequence.order_type or is_field:
            self._numbers.give_up()
            return
        is_idr = unit[0] & 31 == _IDR
        bits.unsigned(int(is_idr))
        begins_anew = is_idr or self._base is None or (number <= 1 and self._begins_count_anew())
        count = order_count(bits.number(sequence.order_bits), sequence.order_bits, 0 if begins_anew else self._base)
        self._numbers.add(count, is_restart=self._is_restart, begins_anew=begins_anew)
        if unit[0] >> 5 & 3 or begins_anew:
            self._base = count

    def _begins_count_anew(self) -> bool:
        """Return whether the latest reference picture said that the next one's number is 1."""
        data = bytes(self._latest_packet) if self._latest_packet is not None else b""
        return any(
            unit and unit[0] & 31 == _SLICE and self._marks_all_unused(unit)
            for unit in nal_units(data, avc_length_size(self._extradata))
        )

    def _marks_all_unused(self, unit: bytes) -> bool:
        """Return whether a slice header (7.3.3) has the memory management control operation 5."""
        bits = Bits.of_nal_unit(unit[:_WHOLE_HEADER_BYTES])
        bits.number(8)
        bits.unsigned()
        kind = bits.unsigned() % 5
        picture = self._pictures[bits.unsigned()]
        _pass_order(bits, self._sequences[picture.sequence], has_bottom=picture.has_bottom_order)
        bits.unsigned(int(picture.has_redundant))
        counts = _read_counts(bits, kind, picture)
        for _ in counts:
            if bits.number():
                while bits.unsigned() != 3:
                    bits.unsigned()
        if picture.is_weighted_explicitly if kind == _B else picture.is_weighted and counts:
            _pass_weights(bits, counts, has_chroma=self._sequences[picture.sequence].has_chroma)
        return bool(bits.number()) and 5 in _memory_operations(bits)

    def _keep_set(self, unit: bytes) -> None:
        try:
            bits = Bits.of_nal_unit(unit[:_WHOLE_HEADER_BYTES])
            if bits.number(8) & 31 == _SPS:
                profile, _, number = bits.number(8), bits.number(16), bits.unsigned()
                self._sequences[number] = _read_sequence(bits, profile)
            else:
                number = bits.unsigned()
                self._pictures[number] = _read_picture(bits)
        except ValueError:  # cut short: slices that name it are not followed
            pass


def _read_sequence(bits: Bits, profile: int) -> _Sequence:
    chroma, has_planes = 1, False
    if profile in PROFILES_WITH_CHROMA:
        chroma = bits.unsigned()
        has_planes = chroma == CHROMA_444 and bool(bits.number())
        bits.unsigned(2)
        bits.number()
        if bits.number():
            for number in range(12 if chroma == CHROMA_444 else 8):
                if bits.number():
                    _pass_scaling_list(bits, 16 if number < 6 else 64)
    number_bits, order_type, order_bits, has_deltas = bits.unsigned() + 4, bits.unsigned(), 0, False
    if order_type == 0:
        order_bits = bits.unsigned() + 4
    elif order_type == 1:
        has_deltas = not bits.number()
        bits.unsigned(2)
        bits.unsigned(bits.unsigned())
    bits.unsigned()
    may_have_gaps = bool(bits.number())
    bits.unsigned(2)
    has_fields = not bits.number()
    has_chroma = bool(chroma) and not has_planes
    return _Sequence(may_have_gaps, number_bits, order_type, order_bits, has_deltas, has_chroma, has_planes, has_fields)


def _pass_scaling_list(bits: Bits, size: int) -> None:
    latest = following = 8
    for _ in range(size):
        if following:
            delta = bits.unsigned()
            following = (latest + (delta + 1) // 2 * (1 if delta % 2 else -1)) % 256
        latest = following or latest


def _read_picture(bits: Bits) -> _Picture:
    sequence = bits.unsigned()
    bits.number()
    has_bottom_order = bool(bits.number())
    if bits.unsigned():
        raise ValueError("slice groups are not followed")
    references = bits.unsigned() + 1, bits.unsigned() + 1
    is_weighted, weighting = bool(bits.number()), bits.number(2)
    bits.unsigned(3)
    return _Picture(
        sequence, has_bottom_order, references, is_weighted, weighting == 1, has_redundant=bool(bits.number(3) & 1)
    )


def _pass_order(bits: Bits, sequence: _Sequence, *, has_bottom: bool) -> None:
    """Pass the fields from the picture's number to its place in the order of display."""
    bits.number(2 * sequence.has_planes + sequence.number_bits)
    is_field = sequence.has_fields and bool(bits.number())
    bits.number(int(is_field))
    has_two = has_bottom and not is_field
    if sequence.order_type == 0:
        bits.number(sequence.order_bits)
        bits.unsigned(int(has_two))
    elif sequence.has_order_deltas:
        bits.unsigned(1 + has_two)


def _read_counts(bits: Bits, kind: int, picture: _Picture) -> list[int]:
    """Return how many pictures each of a slice's lists has."""
    num_lists = {_P: 1, _SP: 1, _B: 2}.get(kind, 0)
    bits.number(int(kind == _B))
    if num_lists and bits.number():
        return [min(bits.unsigned() + 1, _MAX_REFERENCES) for _ in range(num_lists)]
    return list(picture.num_references[:num_lists])


def _pass_weights(bits: Bits, counts: list[int], *, has_chroma: bool) -> None:
    bits.unsigned(1 + has_chroma)
    for _ in chain.from_iterable(range(count) for count in counts):
        if bits.number():
            bits.unsigned(2)
        if has_chroma and bits.number():
            bits.unsigned(4)


def _memory_operations(bits: Bits) -> Iterator[int]:
    while operation := bits.unsigned():
        yield operation
        bits.unsigned({3: 2, 5: 0}.get(operation, 1))
