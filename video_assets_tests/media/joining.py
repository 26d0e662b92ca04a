"""Join two videos to one whose codec parameters change in the middle."""

import io
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet, PacketSideData
from av.video.stream import VideoStream

NEW_EXTRADATA = 1  # AV_PKT_DATA_NEW_EXTRADATA
UNIT = re.compile(rb"\x00\x00\x01")

Edit = Callable[[bytes, int, int], bytes]
"""Returns another packet, or None, for a packet's bytes, the number of its half, and its own number in that half."""


def joined_video(
    parts: Sequence[bytes],
    container: str,
    edit: Edit = lambda data, _part, _number: data,
    *,
    starts: Sequence[int] = (),
    new_headers: bool = False,
) -> bytes:
    """Write the packets of one video after another, with the header of the first, at 25 frames per second.

    Args:
        parts: videos without B pictures.
        starts: when each part begins to be shown, in half frames, though all packets are decoded in turn; else one
            part follows another.
        new_headers: let the first packet of each further part bring the header of its video.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        written: VideoStream | None = None
        place = 0
        for part, video in enumerate(parts):
            delay = 200 + starts[part] - 2 * place if starts else 0
            with av.open(io.BytesIO(video), "r") as source:
                stream = source.streams.video[0]
                written = written or output.add_stream_from_template(stream)
                for number, old in enumerate(packet for packet in source.demux(stream) if packet.size):
                    data = edit(bytes(old), part, number)
                    if not data:
                        continue
                    packet = Packet(data)
                    packet.pts, packet.dts = 2 * place + delay, 2 * place
                    packet.time_base, packet.duration = Fraction(1, 50), 2
                    packet.is_keyframe, packet.stream = old.is_keyframe, written
                    if new_headers and part and not number:
                        _attach_header(packet, stream.codec_context.extradata or b"")
                    output.mux(packet)
                    place += 1
    return file.getvalue()


def _attach_header(packet: Packet, extradata: bytes) -> None:
    make: Any = PacketSideData.__new__  # PyAV's stubs do not know its arguments
    data = make(PacketSideData, NEW_EXTRADATA, len(extradata))
    data.update(extradata)
    data.to_packet(packet)


def without_repeated_units(kinds: range) -> Edit:
    """Keep parameter sets only in the first packet of each half. `kinds` are those of their first bytes."""

    def edit(data: bytes, _part: int, number: int) -> bytes:
        units = UNIT.split(data)[1:]
        kept = units if not number else [unit for unit in units if unit[0] not in kinds]
        return b"".join(b"\0\0\0\1" + unit.rstrip(b"\0") for unit in kept)

    return edit


def with_another_matrix(data: bytes, part: int, number: int) -> bytes:
    """Give the second half of MPEG-2 a flat intra matrix, once; later keyframes lack their sequence header."""
    begin, end = data.find(b"\0\0\1\xb3"), data.find(b"\0\0\1\xb8")
    if begin < 0 or not part:
        return data
    if number:
        return data[end:]
    fixed = int.from_bytes(data[begin + 4 : begin + 12])  # ends with "no intra matrix", "no other matrix"
    header = ((fixed >> 2 << 1 | 1) << 512 | int.from_bytes(b"\x60" * 64)) << 1
    return data[: begin + 4] + header.to_bytes(72) + data[begin + 12 :]


def without_repeated_layer(data: bytes, _part: int, number: int) -> bytes:
    """Keep MPEG-4's object layer only in the first packet of each half."""
    return data[data.index(b"\0\0\1\xb6") :] if number else data


def without_repeated_tables(data: bytes, _part: int, number: int) -> bytes:
    """Keep MJPEG's quantisation tables only in the first picture of each half."""
    place = data.find(b"\xff\xdb")
    while number and place >= 0:
        data = data[:place] + data[place + 2 + int.from_bytes(data[place + 2 : place + 4]) :]
        place = data.find(b"\xff\xdb", 0, data.index(b"\xff\xda"))
    return data
