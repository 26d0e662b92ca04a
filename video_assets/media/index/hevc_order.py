"""Follow the reference picture sets of HEVC: each picture names those that it and later ones are decoded from.

FFmpeg puts grey in the place of a picture that is missing, and says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from av.packet import Packet

from video_assets.media.index.bitstream import Bits, hevc_length_size, nal_units
from video_assets.media.index.display_numbers import DisplayNumbers, order_count
from video_assets.media.index.parameter_sets import CHROMA_444, parameters_in_header

_FIRST_NON_VCL, _SPS, _PPS, _END_OF_SEQUENCE = 32, 33, 34, 36
_NEVER_WRITTEN: Final = (*range(22, 32), *range(41, 62))
"""Kinds of units that nothing uses. After lost or doubled bytes of a bare stream, any kind comes."""
_FIRST_IRAP, _LAST_IRAP = 16, 23
_IDRS: Final = (19, 20)
_LAST_BLA: Final = 18
_RASLS: Final = (8, 9)
_LEADING: Final = range(6, 10)
_FIRST_REFERENCED: Final = 16
"""Of lower kinds the even ones are pictures that no other of their layer refers to."""
_HEADER_BYTES: Final = 128
_LATEST: Final = 64
"""More pictures than any decoder keeps."""
_MOST_SETS, _MOST_REFERENCES = 64, 16


@dataclass(frozen=True, slots=True)
class _Reference:
    """How far before (or after) a picture another one is shown, and whether this very picture refers to it."""

    delta: int
    is_used: bool


_References = tuple[_Reference, ...]


@dataclass(frozen=True, slots=True)
class _Sequence:
    """What an SPS says, as far as it decides what is in a slice header."""

    has_planes: bool
    order_bits: int
    sets: tuple[_References, ...]
    has_long_term: bool
    num_long_term: int


@dataclass(frozen=True, slots=True)
class _Parameters:
    """What a PPS says, as far as it decides the same."""

    sequence: int
    has_output_flag: bool
    num_extra_bits: int
    begins_rows_anew: bool


class HevcOrder:
    """Follows picture order counts (8.3.1) and reference picture sets (8.3.2) from a keyframe on.

    Only references that are shown after the latest keyframe have to be there: encoders may name some before it.
    """

    def __init__(self, extradata: bytes | None, numbers: DisplayNumbers | None = None) -> None:
        self._length_size = hevc_length_size(extradata)
        self._numbers = numbers
        self._sequences: dict[int, _Sequence] = {}
        self._parameters: dict[int, _Parameters] = {}
        self._known: dict[bytes, tuple[int, _Sequence | _Parameters] | None] = {}
        self._keyframe: int | None = None  # the count of the latest keyframe; None before the first
        self._has_leading = False  # whether pictures that follow the keyframe may refer to those before
        self._base = 0  # the count of the latest picture of the lowest layer, which those of others continue
        self._there: set[int] = set()
        self._latest: list[int] = []
        for unit in parameters_in_header("hevc", extradata).values():
            self._keep_set(unit)

    def is_wrong(self, packet: Packet) -> bool:
        """Return whether a picture is missing that this packet's picture refers to, or one came twice."""
        for unit in nal_units(bytes(packet), self._length_size):
            if len(unit) < 3 or layer_of(unit):
                continue
            kind = unit[0] >> 1 & 63
            if kind in (_SPS, _PPS):
                self._keep_set(unit)
            elif kind == _END_OF_SEQUENCE:
                self._keyframe = None
            elif kind < _FIRST_NON_VCL:
                try:
                    return self._misses_one(kind, unit[:_HEADER_BYTES]) or self._has_garbage(packet)
                except (KeyError, ValueError):  # a decoder says what is wrong with it
                    self._keyframe = None
                    break
        return self._has_garbage(packet)

    def _has_garbage(self, packet: Packet) -> bool:
        """Return whether a bare stream's packet has a unit of a kind that nothing writes."""
        if self._numbers is None:
            return False
        return any(unit[0] >> 1 & 63 in _NEVER_WRITTEN for unit in nal_units(bytes(packet), self._length_size) if unit)

    def _misses_one(self, kind: int, unit: bytes) -> bool:
        bits, is_keyframe = Bits.of_nal_unit(unit), _FIRST_IRAP <= kind <= _LAST_IRAP
        bits.number(16)
        if not bits.number():  # not the first slice
            raise ValueError("a picture does not begin with its first slice")
        bits.number(int(is_keyframe))
        parameters = self._parameters[bits.unsigned()]
        sequence = self._sequences[parameters.sequence]
        bits.number(parameters.num_extra_bits)
        bits.unsigned()
        bits.number(parameters.has_output_flag + 2 * sequence.has_planes)
        begins_anew = is_keyframe and (kind <= _LAST_BLA or kind in _IDRS or self._keyframe is None)
        low = 0 if kind in _IDRS else bits.number(sequence.order_bits)
        count = low if begins_anew else order_count(low, sequence.order_bits, self._base)
        if self._keyframe is None and not is_keyframe:
            return False
        if kind in _RASLS and not self._has_leading:
            return False
        if unit[1] & 7 == 1 and (kind >= _FIRST_REFERENCED or (kind % 2 and kind not in _LEADING)):
            self._base = count
        is_missing = not begins_anew and count in self._latest
        if begins_anew:
            self._there, self._latest = set(), []
        if self._numbers is not None:
            self._numbers.add(count, is_restart=is_keyframe, begins_anew=begins_anew)
        if is_keyframe:
            self._keyframe, self._has_leading = count, not begins_anew
        references = () if kind in _IDRS else _read_references(bits, sequence)
        is_missing |= self._lacks(references, count, may_be_before=kind in _LEADING)
        self._latest = [*self._latest[1 - _LATEST :], count]
        if not (is_keyframe and begins_anew):
            has_all = sequence.has_long_term  # which ones it names is not read
            named = {count + reference.delta for reference in references}
            self._there = self._there if has_all else self._there & named
        self._there.add(count)
        return is_missing

    def _lacks(self, references: _References, count: int, *, may_be_before: bool) -> bool:
        keyframe = self._keyframe if self._keyframe is not None else count
        wanted = [count + reference.delta for reference in references if reference.is_used]
        return any(one not in self._there and (may_be_before or one >= keyframe) for one in wanted)

    def _keep_set(self, unit: bytes) -> None:
        if unit not in self._known:
            if len(self._known) > _MOST_SETS:
                self._known.clear()
            self._known[unit] = _read_set(unit)
        found = self._known[unit]
        if found is None:
            return
        number, kept = found
        if isinstance(kept, _Sequence):
            self._sequences[number] = kept
        else:
            self._parameters[number] = kept


def begins_rows_anew(unit: bytes) -> bool | None:
    """Return whether a PPS says that each row of blocks begins at a place that slices name; None of other units."""
    found = _read_set(unit) if len(unit) > 2 and unit[0] >> 1 & 63 == _PPS else None
    return found[1].begins_rows_anew if found is not None and isinstance(found[1], _Parameters) else None


def layer_of(unit: bytes) -> int:
    """Return the layer of a NAL unit of two bytes or more: 0, but for a second eye's view and others not shown."""
    return (unit[0] & 1) << 5 | unit[1] >> 3


def _read_set(unit: bytes) -> tuple[int, _Sequence | _Parameters] | None:
    """Return the number of an SPS or a PPS, and what it says; None for others, and where it is cut short."""
    kind = unit[0] >> 1 & 63
    bits = Bits.of_nal_unit(unit)
    try:
        bits.number(16)
        if kind == _SPS:
            return _read_sequence(bits)
        if kind == _PPS:
            return _read_parameters(bits)
    except ValueError:
        pass
    return None


def _read_parameters(bits: Bits) -> tuple[int, _Parameters]:
    number, sequence = bits.unsigned(), bits.unsigned()
    bits.number()
    has_output_flag, num_extra_bits = bool(bits.number()), bits.number(3)
    bits.number(2)
    bits.unsigned(3)
    bits.number(2)
    bits.unsigned(bits.number() + 2)  # of a change of the quantizer if there is one, and of two for chroma
    bits.number(5)
    return number, _Parameters(sequence, has_output_flag, num_extra_bits, begins_rows_anew=bool(bits.number()))


def _read_sequence(bits: Bits) -> tuple[int, _Sequence]:
    bits.number(4)
    num_layers = bits.number(3)
    bits.number(1 + 96)
    flags = [(bits.number(), bits.number()) for _ in range(num_layers)]
    bits.number(2 * (8 - num_layers) if num_layers else 0)
    for has_profile, has_level in flags:
        bits.number(88 * has_profile + 8 * has_level)
    number, chroma = bits.unsigned(), bits.unsigned()
    has_planes = chroma == CHROMA_444 and bool(bits.number())
    bits.unsigned(2)
    if bits.number():
        bits.unsigned(4)
    bits.unsigned(2)
    order_bits = bits.unsigned() + 4
    has_all_layers = bits.number()
    bits.unsigned(3 * (num_layers + 1 if has_all_layers else 1))
    bits.unsigned(6)
    if bits.number() and bits.number():
        _pass_scaling_lists(bits)
    bits.number(2)
    if bits.number():  # samples without coding
        bits.number(8)
        bits.unsigned(2)
        bits.number()
    sets: list[_References] = []
    num_sets = bits.unsigned()
    if num_sets > _MOST_SETS:
        raise ValueError("more sets than there may be")
    for _ in range(num_sets):
        sets.append(_read_reference_set(bits, sets, is_in_slice=False))
    has_long_term = bool(bits.number())
    num_long_term = bits.unsigned() if has_long_term else 0
    return number, _Sequence(has_planes, order_bits, tuple(sets), has_long_term, num_long_term)


def _pass_scaling_lists(bits: Bits) -> None:
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not bits.number():
                bits.unsigned()
            else:
                bits.unsigned(min(64, 1 << 4 + 2 * size) + (size > 1))


def _read_references(bits: Bits, sequence: _Sequence) -> _References:
    """Return the pictures of a slice header's short-term set."""
    if not bits.number():
        return _read_reference_set(bits, sequence.sets, is_in_slice=True)
    num_sets = len(sequence.sets)
    return sequence.sets[bits.number((num_sets - 1).bit_length() if num_sets > 1 else 0)] if num_sets else ()


def _read_reference_set(bits: Bits, sets: Sequence[_References], *, is_in_slice: bool) -> _References:
    """Return a set (7.3.7): one after another, or what differs from an earlier set."""
    if sets and bits.number():
        back = bits.unsigned() + 1 if is_in_slice else 1
        if back > len(sets):
            raise ValueError("a set is told by one that is not there")
        is_earlier = bits.number()
        delta = (bits.unsigned() + 1) * (-1 if is_earlier else 1)
        found: list[_Reference] = []
        for reference in (*sets[-back], _Reference(0, is_used=True)):
            is_used = bool(bits.number())
            if is_used or bits.number():
                found.append(_Reference(reference.delta + delta, is_used))
        return _in_order(found)
    counts = bits.unsigned(), bits.unsigned()
    if max(counts) > _MOST_REFERENCES:
        raise ValueError("more references than there may be")
    found = []
    for count, sign in zip(counts, (-1, 1), strict=True):
        delta = 0
        for _ in range(count):
            delta += sign * (bits.unsigned() + 1)
            found.append(_Reference(delta, bool(bits.number())))
    return tuple(found)


def _in_order(references: Sequence[_Reference]) -> _References:
    """Return them as a set has them: those before the picture, the nearest first, then those after it."""
    return tuple(sorted((one for one in references if one.delta), key=lambda one: (one.delta > 0, abs(one.delta))))
