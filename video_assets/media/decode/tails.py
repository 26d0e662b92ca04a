"""Notice damage that FFmpeg's decoders of HEVC, VP8 and VP9 do not: they decode anything to some picture.

Their data are read by an arithmetic decoder, which of sound data reads neither less than there is nor more. So what
follows the data of a picture does not matter, and the last of its data does. Damaged data are read to another length.
A second decoder gets every packet with more bytes at its end, and has to give the same frames. Keyframes, and pictures
at which the video jumps, are decoded with other last bytes too, and have to become other frames.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import av.codec.context
import av.error
import av.packet
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from video_assets.media.index.bitstream import hevc_length_size
from video_assets.media.open.video import OpenVideo

TRIED_CODECS: Final = frozenset({"hevc", "vp8", "vp9"})

_MIN_BYTES: Final = 64
"""Less is too little to say that its end has to matter."""
_END_BYTES: Final = 16
"""An encoder may end with up to 4 bytes that are never read."""
_MORE_BYTES: Final = 512
_ZEROS: Final = 8
"""An encoder may leave out zeros at the end, which are read as if they were there."""
_CHANGING_AREAS: Final = 24
_MIN_JUMP: Final = 6.0
_JUMP_RATIO: Final = 1.3
_MAX_JUMPS: Final = 2
_REORDERED: Final = 4
_OPEN_GROUPS: Final = 2
_MAX_GROUP_BYTES: Final = 32 * 2**20
_HEVC_FIRST_NON_VCL: Final = 32


@dataclass(slots=True)
class _Group:
    """The packets from a keyframe on, by their numbers, and small copies of the frames that came out, as shown."""

    packets: dict[int, av.packet.Packet] = field(default_factory=dict[int, av.packet.Packet])
    thumbnails: dict[int, NDArray[np.float32]] = field(default_factory=dict[int, NDArray[np.float32]])
    num_bytes: int = 0


class TailCheck:
    """Tries the packets of a decode, group by group, where its codec is one that hides damage."""

    def __init__(self, opened: OpenVideo) -> None:
        self._opened = opened
        self._groups: list[_Group] = []
        self._longer: _LongerDecode | None = None
        self.is_needed = opened.codec.codec.canonical_name in TRIED_CODECS

    def add_packet(self, number: int, packet: av.packet.Packet, *, begins: bool) -> set[int]:
        """Note a packet of the decode; return the numbers of earlier ones that are found damaged."""
        if not self.is_needed:
            return set()
        found: set[int] = set()
        if begins or not self._groups:
            self._groups.append(_Group())
            if len(self._groups) > _OPEN_GROUPS:  # all frames of the one before have come out
                found = self._damaged(self._groups.pop(0))
        group = self._groups[-1]
        group.num_bytes += packet.size
        if not group.packets or group.num_bytes <= _MAX_GROUP_BYTES:
            group.packets[number] = packet
        self._longer = self._longer or _LongerDecode(self._opened)
        self._longer.add_packet(number, packet)
        return found

    def add_frame(self, frame: VideoFrame) -> None:
        """Note a frame that came out; it carries the number of its packet."""
        if not self.is_needed or not isinstance(frame.opaque, int):
            return
        if self._longer is not None:
            self._longer.add_frame(frame.opaque, frame)
        for group in self._groups:
            if frame.opaque in group.packets:
                group.thumbnails[frame.opaque] = _thumbnail(frame)

    def finish(self) -> set[int]:
        """Return the numbers of the other packets that are found damaged, and forget all."""
        if self._longer is not None:
            self._longer.finish()
        groups, self._groups = self._groups, []
        found = {number for group in groups for number in self._damaged(group)}
        self._longer = None
        return found

    def _damaged(self, group: _Group) -> set[int]:
        numbers, packets = list(group.packets), list(group.packets.values())
        differing = self._longer.take_differing(numbers[-1]) if self._longer is not None else set[int]()
        first = min(differing, default=numbers[-1] + 1)  # later ones may differ because this one does
        tried = [numbers.index(number) for number in {*numbers[:1], *_at_jumps(group.thumbnails)} if number < first]
        place = _first_without_end(self._opened, packets, sorted(tried))
        if place is not None:
            return {numbers[place]}
        return {first} if differing else set()


class _LongerDecode:
    """A second decode beside the first one, of the same packets with more bytes at the end of each picture."""

    def __init__(self, opened: OpenVideo) -> None:
        self._opened = opened
        self._decoder = _decoder_of(opened)
        self._chance = random.Random(0)  # noqa: S311
        self._frames: tuple[dict[int, VideoFrame], dict[int, VideoFrame]] = ({}, {})  # of the first, of this one
        self._differing: set[int] = set()

    def add_packet(self, number: int, packet: av.packet.Packet) -> None:
        """Decode a packet with more bytes."""
        first = self._opened.codec
        if self._decoder.skip_frame != first.skip_frame:
            self._decoder.skip_frame = first.skip_frame
        for part in _with_more(first.codec.canonical_name, bytes(packet), first.extradata, self._chance):
            self._decode(number, _packet_of(part, number))

    def add_frame(self, number: int, frame: VideoFrame) -> None:
        """Note a frame of the first decode."""
        self._compare(number, frame, *self._frames)

    def finish(self) -> None:
        """Take the frames that are left in the decoder."""
        self._decode(-1, None)

    def take_differing(self, last: int) -> set[int]:
        """Return the packets up to `last` whose frames differ, and forget them and all before."""
        found = {number for number in self._differing if number <= last}
        self._differing -= found
        for frames in self._frames:
            for number in [number for number in frames if number <= last]:
                del frames[number]
        return found

    def _decode(self, number: int, packet: av.packet.Packet | None) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            self._differing |= {number} if packet is not None else set()
            return
        for frame in frames:
            if isinstance(frame.opaque, int):
                self._compare(frame.opaque, frame, *reversed(self._frames))

    def _compare(
        self, number: int, frame: VideoFrame, same: dict[int, VideoFrame], others: dict[int, VideoFrame]
    ) -> None:
        other = others.pop(number, None)
        if other is None:
            same[number] = frame
        elif not _is_same(frame, other):
            self._differing.add(number)


def _is_same(one: VideoFrame, other: VideoFrame) -> bool:
    return one.format.name == other.format.name and all(
        np.array_equal(_plane(one, number), _plane(other, number)) for number in range(len(one.planes))
    )


def _thumbnail(frame: VideoFrame) -> NDArray[np.float32]:
    """Return the frame's brightness, (24, 32) float32 up to 255: means of areas, which change little with motion."""
    depth = frame.format.components[0].bits
    small = cv2.resize(_plane(frame, 0), (32, 24), interpolation=cv2.INTER_AREA).astype(np.float32)
    return small / 2 ** max(0, depth - 8)


def _plane(frame: VideoFrame, number: int) -> NDArray[Any]:
    plane: Any = frame.planes[number]
    values = np.frombuffer(plane, np.uint8 if frame.format.components[0].bits <= 8 else np.dtype("<u2"))
    return values.reshape(plane.height, -1)[:, : plane.width]  # rows end with anything


def _at_jumps(thumbnails: Mapping[int, NDArray[np.float32]]) -> set[int]:
    """Return the packets that may have brought the largest jumps: the frames', and the first ones of those after them.

    A jump is where the areas that change most change by more than they do from other frames to the next.
    """
    shown = list(thumbnails)
    if len(shown) < 2:
        return set()
    changes = np.abs(np.diff(np.stack(list(thumbnails.values())), axis=0)).reshape(len(shown) - 1, -1)
    steps = np.partition(changes, -_CHANGING_AREAS, axis=1)[:, -_CHANGING_AREAS:].mean(axis=1)
    least = max(_MIN_JUMP, _JUMP_RATIO * float(np.median(steps)))
    places = [place for place in np.argsort(-steps)[:_MAX_JUMPS].tolist() if steps[place] >= least]
    return {packet for place in places for packet in (shown[place + 1], min(shown[place + 1 : place + 1 + _REORDERED]))}


def _first_without_end(opened: OpenVideo, packets: Sequence[av.packet.Packet], places: Sequence[int]) -> int | None:
    """Return the first of these places, in packets from a keyframe on, whose last bytes do not matter, or None."""
    codec, extradata = opened.codec.codec.canonical_name, opened.codec.extradata
    places = [place for place in places if packets[place].size >= _MIN_BYTES]
    if not places:
        return None
    parts = [packet_frames(codec, bytes(packet)) for packet in packets[: places[-1] + 1]]
    as_they_are = _decoded(opened, parts, places)
    for place in places:
        data = bytes(packets[place])
        chance = random.Random(len(data))  # noqa: S311
        others = (
            _decoded(opened, [*parts[:place], _with_other_end(codec, data, extradata, chance)], [place])
            for _ in range(2)
        )
        if place in as_they_are and all(other.get(place) == as_they_are[place] for other in others):
            return place
    return None


def _decoded(opened: OpenVideo, packets: Sequence[Sequence[bytes]], places: Sequence[int]) -> dict[int, bytes]:
    """Return the pixels of the frames that the packets at these places bring."""
    decoder = _decoder_of(opened, skip_loop_filter="all")  # only to compare
    found: dict[int, bytes] = {}
    sent = [(number, part) for number, parts in enumerate(packets) for part in parts]
    for number, part in [*sent, (0, None)]:
        packet = None if part is None else _packet_of(part, number)
        try:
            frames = decoder.decode(packet)
        except av.error.FFmpegError:
            continue
        for frame in frames:
            if frame.opaque in places and isinstance(frame.opaque, int):
                found[frame.opaque] = b"".join(_plane(frame, number).tobytes() for number in range(len(frame.planes)))
    return found


def _decoder_of(opened: OpenVideo, **options: str) -> VideoCodecContext:
    """Return another decoder for the same packets."""
    decoder: VideoCodecContext = av.codec.context.CodecContext.create(opened.codec.codec.name, "r")  # pyright: ignore[reportAssignmentType]
    decoder.extradata = opened.codec.extradata
    decoder.thread_count, decoder.thread_type = 1, "NONE"
    decoder.flags |= av.codec.context.Flags.copy_opaque
    decoder.options = {"max_pixels": str(opened.limits.max_pixels), **options}
    return decoder


def _packet_of(data: bytes, number: int) -> av.packet.Packet:
    packet = av.packet.Packet(data)
    packet.pts = packet.dts = packet.opaque = number
    return packet


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


def _with_more(codec: str, data: bytes, extradata: bytes | None, chance: random.Random) -> list[bytes]:
    """Return a packet with more bytes after each picture's data."""
    more = bytes(chance.randrange(1, 0xC0) for _ in range(_MORE_BYTES))
    if codec == "hevc":
        return [_joined(extradata, [unit + more if _is_slice(unit) else unit for unit in _units(data, extradata)])]
    return [part + bytes(_ZEROS) + more for part in packet_frames(codec, data)]


def _with_other_end(codec: str, data: bytes, extradata: bytes | None, chance: random.Random) -> list[bytes]:
    """Return a packet of which the last bytes of the last picture's data are others."""
    other = bytes(chance.randrange(1, 0xC0) for _ in range(_END_BYTES))
    if codec == "hevc":
        units = list(_units(data, extradata))
        slices = [number for number, unit in enumerate(units) if _is_slice(unit)]
        if slices:
            unit = units[slices[-1]].rstrip(b"\0")
            units[slices[-1]] = unit[:-_END_BYTES] + other
        return [_joined(extradata, units)]
    *hidden, last = packet_frames(codec, data)
    return [*hidden, last[:-_END_BYTES] + other]


def _units(data: bytes, extradata: bytes | None) -> Iterator[bytes]:
    """Yield the NAL units of an HEVC packet without the zeros between them."""
    size = hevc_length_size(extradata)
    if size:
        offset = 0
        while offset + size <= len(data):
            length = int.from_bytes(data[offset : offset + size])
            yield data[offset + size : offset + size + length]
            offset += size + length
        return
    yield from (unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:])


def _joined(extradata: bytes | None, units: Sequence[bytes]) -> bytes:
    size = hevc_length_size(extradata)
    if size:
        return b"".join(len(unit).to_bytes(size) + unit for unit in units if len(unit) < 1 << 8 * size)
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def _is_slice(unit: bytes) -> bool:
    return len(unit) > 2 and unit[0] >> 1 & 63 < _HEVC_FIRST_NON_VCL
