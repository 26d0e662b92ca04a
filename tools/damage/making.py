"""Make small sound videos, and damage them in the ways in which files are damaged; all of it is decided by a seed."""

import io
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Final, cast

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from video_assets.media.codec_check import usual_scheduling

WIDTH_PX, HEIGHT_PX = 192, 144
NUM_FRAMES, RATE, GROUP = 60, 25, 20
TS_BYTES: Final = 188
ENCODERS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "h264": ("libx264", {"preset": "veryfast", "crf": "23", "x264-params": f"keyint={GROUP}:bframes=2"}),
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": f"keyint={GROUP}:log-level=none:pools=1"}),
    "mpeg4": ("mpeg4", {"g": str(GROUP), "b": "800k"}),
    "mpeg2": ("mpeg2video", {"g": str(GROUP), "bf": "2", "b": "1200k"}),
    "vp8": ("libvpx", {"g": str(GROUP), "b": "600k", "deadline": "realtime", "cpu-used": "-8"}),  # 8: as time allows
    "vp9": ("libvpx-vp9", {"g": str(GROUP), "b": "600k", "deadline": "realtime", "cpu-used": "8"}),
    "av1": ("libsvtav1", {"preset": "12", "g": str(GROUP), "crf": "40"}),
    "h264_slices": ("libx264", {"preset": "veryfast", "coder": "0", "x264-params": f"keyint={GROUP}:slices=4"}),
    "hevc_slices": (
        "libx265",
        {"preset": "ultrafast", "x265-params": f"keyint={GROUP}:slices=4:ctu=16:log-level=none:pools=1"},
    ),
    "mpeg4_b": ("mpeg4", {"g": str(GROUP), "bf": "2", "b": "800k"}),
    "mpeg1": ("mpeg1video", {"g": str(GROUP), "bf": "2", "b": "1200k"}),
    "wmv2": ("wmv2", {"g": str(GROUP), "b": "600k"}),
    "msmpeg4": ("msmpeg4", {"g": str(GROUP), "b": "600k"}),
    "flv1": ("flv", {"g": str(GROUP), "b": "600k"}),
}
CONTAINERS: Final = {
    "h264": ("mp4", "fragmented", "matroska", "mpegts", "flv"),
    "hevc": ("mp4", "matroska", "mpegts"),
    "mpeg4": ("avi", "mp4", "matroska"),
    "mpeg2": ("mpegts", "matroska", "mpeg"),
    "vp8": ("webm", "avi"),
    "vp9": ("webm", "mp4"),
    "av1": ("mp4", "webm"),
}
OTHER_CONTAINERS: Final = {
    "h264_slices": ("mp4", "mpegts", "h264"),
    "hevc_slices": ("mp4", "mpegts", "hevc"),
    "mpeg4_b": ("avi", "mp4", "mpegts"),
    "mpeg1": ("mpeg", "mpegts"),
    "wmv2": ("asf", "avi"),
    "msmpeg4": ("avi", "asf"),
    "flv1": ("flv",),
}
"""Streams with other options, and older codecs."""
Picture = NDArray[np.uint8]


@cache
def pictures(seed: int) -> tuple[Picture, ...]:
    """Draw a textured scene that a camera pans over, with something that moves in it."""
    chance = np.random.default_rng(seed)
    scene = chance.integers(70, 190, (320, 400, 3), dtype=np.uint8) // 4 + cv2.resize(
        chance.integers(20, 190, (14, 18, 3), dtype=np.uint8), (400, 320), interpolation=cv2.INTER_CUBIC
    )
    grain = chance.normal(0, 2, (HEIGHT_PX, WIDTH_PX, 3))
    drawn: list[Picture] = []
    for number in range(NUM_FRAMES):
        left, top = int(100 + 80 * np.sin(number / 50 + seed)), int(80 + 70 * np.cos(number / 70 + seed))
        view = scene[top : top + HEIGHT_PX, left : left + WIDTH_PX] + grain
        picture = np.ascontiguousarray(np.clip(view, 0, 255).astype(np.uint8))
        middle = (int(WIDTH_PX * (0.5 + 0.3 * np.sin(number / 9))), int(HEIGHT_PX * (0.5 + 0.3 * np.cos(number / 7))))
        drawn.append(cast("Picture", cv2.circle(picture, middle, 14, (255, 30, 60), -1)))
    return tuple(drawn)


@cache
def sound_video(codec: str, container: str, seed: int) -> bytes:
    """Encode the scene of a seed."""
    os.environ.setdefault("SVT_LOG", "0")
    encoder, options = ENCODERS[codec]
    file = io.BytesIO()
    muxing = {"fflags": "+bitexact"}  # without random ids
    if container == "fragmented":
        muxing["movflags"] = "frag_keyframe+empty_moov"
    kind = "mp4" if container == "fragmented" else container
    with usual_scheduling(), av.open(file, "w", format=kind, options=muxing) as output:
        stream = cast("VideoStream", output.add_stream(encoder, rate=RATE, options=options))
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        for number, picture in enumerate(pictures(seed)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class PacketPlace:
    """Where a packet's bytes lie in its file."""

    start: int
    stop: int
    is_keyframe: bool


@cache
def packet_places(video: bytes) -> tuple[PacketPlace, ...]:
    """Return the places of all packets; in a transport stream, of everything between one picture and the next."""
    found: list[PacketPlace] = []
    with av.open(io.BytesIO(video), "r") as container:
        packets = [packet for packet in container.demux(video=0) if packet.size and packet.pos is not None]
    starts = [int(cast("int", packet.pos)) for packet in packets]
    for packet, start, following in zip(packets, starts, [*starts[1:], len(video)], strict=True):
        data = bytes(packet)
        place = video.find(data, start)  # containers say where a packet's own header is
        is_whole = 0 <= place < following
        stop = place + packet.size if is_whole else following
        found.append(PacketPlace(place if is_whole else start, stop, packet.is_keyframe))
    return tuple(found)


def random_keyframe(video: bytes, chance: random.Random) -> bytes:
    """Overwrite 60 % of a keyframe with random bytes."""
    return _overwritten(video, chance.choice([place for place in packet_places(video) if place.is_keyframe]), chance)


def random_picture(video: bytes, chance: random.Random) -> bytes:
    """Overwrite 60 % of another picture with random bytes."""
    return _overwritten(video, chance.choice([p for p in packet_places(video) if not p.is_keyframe]), chance)


def _overwritten(video: bytes, place: PacketPlace, chance: random.Random) -> bytes:
    size = place.stop - place.start
    begin = place.start + min(size - 1, 24 + chance.randrange(max(1, size * 3 // 10)))
    stop = min(place.stop, begin + max(1, size * 6 // 10))
    if _is_transport(video):
        return _with_payload(video, begin, stop, chance.randbytes)
    return video[:begin] + chance.randbytes(stop - begin) + video[stop:]


def flipped_bits(video: bytes, chance: random.Random) -> bytes:
    """Flip eight bits of one picture."""
    place = chance.choice(packet_places(video))
    damaged = bytearray(video)
    for _ in range(8):
        damaged[chance.randrange(place.start + min(16, place.stop - place.start - 1), place.stop)] ^= (
            1 << chance.randrange(8)
        )
    return bytes(damaged)


def zeroed_block(video: bytes, chance: random.Random) -> bytes:
    """Fill a block of a disk with zeros, among the pictures."""
    first, last = packet_places(video)[0].start, packet_places(video)[-1].stop
    begin = chance.randrange(first, max(first + 1, last - 512)) // 512 * 512 + 512
    size = chance.choice([512, 1024, 4096])
    return video[:begin] + bytes(min(size, len(video) - begin)) + video[begin + size :]


def hole(video: bytes, chance: random.Random) -> bytes:
    """Leave bytes out, among the pictures."""
    first, last = packet_places(video)[0].start, packet_places(video)[-1].stop
    begin = chance.randrange(first + 64, max(first + 65, last - 3000))
    return video[:begin] + video[begin + chance.randrange(100, 6000) :]


def doubled(video: bytes, chance: random.Random) -> bytes:
    """Write some bytes twice, among the pictures."""
    first, last = packet_places(video)[0].start, packet_places(video)[-1].stop
    end = chance.randrange(min(first + 64, last - 1), last)
    return video[:end] + video[max(0, end - chance.randrange(100, 6000)) :]


def cut(video: bytes, chance: random.Random) -> bytes:
    """End the file early, as an interrupted download does."""
    return video[: int(len(video) * chance.uniform(0.15, 0.98))]


def lost_packets(video: bytes, chance: random.Random) -> bytes:
    """Lose packets of a transport stream: 1 % of all, or a burst; of other files, one picture and its bytes."""
    if not _is_transport(video):
        return hole(video, chance)
    packets = [video[start : start + TS_BYTES] for start in range(0, len(video), TS_BYTES)]
    if chance.random() < 0.5:
        return b"".join(packet for number, packet in enumerate(packets) if number < 4 or chance.random() > 0.01)
    begin, size = chance.randrange(4, max(5, len(packets) - 20)), chance.randrange(1, 40)
    return b"".join(packets[:begin] + packets[begin + size :])


def lost_picture(video: bytes, chance: random.Random) -> bytes:
    """Leave one picture out, as a whole, as a program does that writes the rest into a file of the same kind."""
    file = io.BytesIO()
    with av.open(io.BytesIO(video), "r") as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
        del packets[chance.randrange(1, len(packets) - 1)]
        with av.open(file, "w", format=_muxer(source.format.name)) as output:
            stream = output.add_stream_from_template(source.streams.video[0], opaque=True)
            for packet in packets:
                packet.stream = stream
                output.mux(packet)
    return file.getvalue()


def _muxer(format_name: str) -> str:
    return "mp4" if "mp4" in format_name else format_name.partition(",")[0]


KINDS: Final[dict[str, Callable[[bytes, random.Random], bytes]]] = {
    kind.__name__: kind
    for kind in (
        *(random_keyframe, random_picture, flipped_bits, zeroed_block, hole, cut, lost_packets),
        *(doubled, lost_picture),
    )
}


def _is_transport(video: bytes) -> bool:
    return len(video) > 2 * TS_BYTES and video[0] == video[TS_BYTES] == video[2 * TS_BYTES] == 0x47


def _with_payload(video: bytes, begin: int, stop: int, make: Callable[[int], bytes]) -> bytes:
    """Overwrite bytes of a transport stream, but not the headers of its packets."""
    damaged: Any = bytearray(video)
    for start in range(begin // TS_BYTES * TS_BYTES, stop, TS_BYTES):
        header = 4 + (1 + video[start + 4] if video[start + 3] & 0x20 else 0)
        low, high = max(begin, start + header + 32 * (video[start + 1] >> 6 & 1)), min(stop, start + TS_BYTES)
        if low < high:
            damaged[low:high] = make(high - low)
    return bytes(damaged)
