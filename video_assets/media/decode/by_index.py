"""Decode only what some frames of an indexed video need: jumps between keyframes, skips between frames."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import av.error
import av.packet
import numpy as np
from av.video.frame import VideoFrame

from video_assets.media.decode.sequential import FrameStack
from video_assets.media.index.bitstream import INTRA_ONLY, NEEDS_FIRST_PACKET, may_skip_unreferenced, starts_cleanly
from video_assets.media.index.packet_index import OTHER_FIRST_FRAME, PacketIndex
from video_assets.media.index.packets import NO_TICK, FrameDamaged, IndexNotTrusted
from video_assets.media.index.parameters import carried_parameters
from video_assets.media.open.video import OpenVideo

READ_THROUGH_BYTES: Final = 512 * 1024
READ_THROUGH_PACKETS: Final = 60
"""Up to here, reading on and dropping packets (12 us each) is no slower than seeking (0.7 ms)."""


class PacketReader:
    """Gives the packets of an indexed video by their numbers in decode order."""

    def __init__(self, opened: OpenVideo, index: PacketIndex) -> None:
        self._opened = opened
        self._index = index
        self._position = -1  # of the next packet that the container gives; -1: unknown
        self._stream: Iterator[av.packet.Packet] = iter(())

    def packets(self, start: int, stop: int) -> Iterator[av.packet.Packet]:
        """Packets [start, stop).

        Raises:
            IndexNotTrusted: when the file gives other packets than it gave to the index.
        """
        if self._index.held is not None:
            yield from self._index.held[start:stop]
            return
        if not self._is_near(start):
            self._seek(start)
        while self._position < stop:
            number = self._position
            packet = self._next()
            if packet is None or not self._is(packet, number):
                raise IndexNotTrusted("Reading it again gave other packets.")
            self._position += 1
            if number >= start:
                yield packet

    def _is_near(self, start: int) -> bool:
        if not start - READ_THROUGH_PACKETS <= self._position <= start or self._position < 0:
            return False
        return int(self._index.sizes[self._position : start].sum()) <= READ_THROUGH_BYTES

    def _seek(self, start: int) -> None:
        """Let the container's next packet be `start`, or a few packets before it."""
        container, stream, index = self._opened.container, self._opened.stream, self._index
        ticks = (index.dts[start], index.pts[start])
        # FFmpeg's mp4 demuxer goes back to a keyframe that is shown by the time asked for, the others to one decoded.
        for tick in reversed(ticks) if index.is_from_table else ticks:
            if tick == NO_TICK:
                continue
            try:
                container.seek(int(tick), stream=stream, backward=True)
            except av.error.FFmpegError:
                continue
            self._stream = self._opened.demux()
            first = self._next()
            number = self._number(first, start)
            if first is not None and number is not None and number <= start:
                self._position = number
                self._stream = _prepended(first, self._stream)
                return
        raise IndexNotTrusted("Seeking to a keyframe did not lead there.")

    def _next(self) -> av.packet.Packet | None:
        for packet in self._stream:
            if packet.size:
                return packet
        return None

    def _is(self, packet: av.packet.Packet, number: int) -> bool:
        same_size = packet.size == int(self._index.sizes[number])
        return same_size and (packet.pts is None or packet.pts == int(self._index.pts[number]))

    def _number(self, packet: av.packet.Packet | None, start: int) -> int | None:
        """Which packet of the index this is: the one before `start` (inclusive) with its time and size."""
        if packet is None or packet.pts is None:
            return None
        same = (self._index.pts[: start + 1] == packet.pts) & (self._index.sizes[: start + 1] == packet.size)
        numbers = same.nonzero()[0]
        return int(numbers[-1]) if len(numbers) else None


def _prepended(first: av.packet.Packet, rest: Iterator[av.packet.Packet]) -> Iterator[av.packet.Packet]:
    yield first
    yield from rest


SECONDS_PER_PIXEL: Final = 1.5e-9
"""Decoding one frame costs about this times its pixels (H.264 at 640x360: 0.33 ms, measured on one core)."""

JUMP_SECONDS: Final = 0.0002
"""What emptying and restarting the decoder costs."""

SEEK_SECONDS: Final = 0.0015
"""What a seek in the file costs on top: a new read buffer, and packets up to the keyframe."""


@dataclass(slots=True)
class Run:
    """Packets [start, stop) to decode in one go, for the frames with the numbers `places` (in display order).

    What comes out of packets behind the last one that is wanted is looked at all the same.
    """

    start: int
    stop: int
    places: list[int]


def decode_indexed(opened: OpenVideo, index: PacketIndex, stack: FrameStack, spans: Sequence[Sequence[int]]) -> int:
    """Fill the stack with its missing frames (number 0 is the first that is shown), which are those of the spans.

    Returns:
        How many frames the decoder gave on the way.

    Raises:
        IndexNotTrusted: when decoding does not give what the index says, or gives errors or damaged frames.
    """
    jump_costs_frames = jump_cost_frames(opened, index)
    runs = join_runs(index, [plan_runs(index, sorted(set(places)), jump_costs_frames) for places in spans])
    return _Decoding(opened, index, stack).decode(runs)


def jump_cost_frames(opened: OpenVideo, index: PacketIndex) -> float:
    """How many frames could be decoded in the time that a jump takes; none where every frame stands for itself."""
    if index.held is not None and opened.codec.codec.canonical_name in INTRA_ONLY:
        return 0
    seconds = JUMP_SECONDS + (0 if index.held is not None else SEEK_SECONDS)
    return seconds / (SECONDS_PER_PIXEL * max(1, opened.codec.width * opened.codec.height))


def plan_runs(index: PacketIndex, places: Sequence[int], jump_costs_frames: float) -> list[Run]:
    """Which packets to decode for the frames `places` (sorted), jumping only where it is cheaper than going on."""
    runs: list[Run] = []
    restarts = index.restarts.tolist()
    for place, packet in zip(places, index.frame_packets[np.array(places, dtype=np.int64)].tolist(), strict=True):
        start = _restart_before(index, restarts, packet)
        latest = runs[-1] if runs else None
        if latest is not None and start - latest.stop <= jump_costs_frames:
            latest.stop = max(latest.stop, packet + 1)
            latest.places.append(place)
        else:
            runs.append(Run(start, packet + 1, [place]))
    return runs


def join_runs(index: PacketIndex, runs_of_spans: Sequence[Sequence[Run]]) -> list[Run]:
    """What several spans need, each packet once: it decodes all that they would, and begins anew wherever one would.

    So a stream in which decoding cannot begin where it should is found out as it is for each span by itself. The
    packets [0, 30) for one span and [20, 50) for another become [0, 20) and [20, 50).
    """
    if len(runs_of_spans) < 2:
        return list(chain.from_iterable(runs_of_spans))
    reach: dict[int, int] = {}
    for run in chain.from_iterable(runs_of_spans):
        reach[run.start] = max(reach.get(run.start, 0), run.stop)
    starts = sorted(reach)
    joined = [Run(start, start, []) for start in starts]
    restarts = index.restarts.tolist()
    for place in sorted({place for runs in runs_of_spans for run in runs for place in run.places}):
        packet = int(index.frame_packets[place])
        run = joined[bisect_right(starts, _restart_before(index, restarts, packet)) - 1]
        run.stop = max(run.stop, packet + 1)
        run.places.append(place)
    stop = 0
    for run, following in zip(joined, [*starts[1:], index.num_packets], strict=True):
        stop = max(stop, reach[run.start])
        run.stop = max(run.stop, min(stop, following))
    return joined


def _restart_before(index: PacketIndex, restarts: Sequence[int], packet: int) -> int:
    """The last packet at which decoding may begin for the frame that `packet` brings."""
    if not index.has_pts:
        return 0
    candidate = bisect_right(restarts, packet) - 1
    # an open GOP: pictures behind the keyframe in the stream but shown before it refer to the GOP before
    while candidate > 0 and index.pts[restarts[candidate]] > index.pts[packet]:
        candidate -= 1
    return restarts[max(0, candidate)]


class _Decoding:
    """One pass through the runs."""

    def __init__(self, opened: OpenVideo, index: PacketIndex, stack: FrameStack) -> None:
        self._opened = opened
        self._index = index
        self._stack = stack
        self._reader = PacketReader(opened, index)
        codec = opened.codec
        self._codec_name = codec.codec.canonical_name
        self._skips = may_skip_unreferenced(self._codec_name, codec.extradata)
        self._is_skipping = False
        self._num_frames_decoded = 0
        self._latest_tick = NO_TICK
        self._is_at_first = False

    def decode(self, runs: Sequence[Run]) -> int:
        """Decode run after run; how many frames came out."""
        if runs and runs[0].start > 0 and self._codec_name in NEEDS_FIRST_PACKET:
            for packet in self._reader.packets(0, 1):
                self._send(packet, may_skip=False)
            self._send(None, may_skip=False)
            self._opened.codec.flush_buffers()
        for number, run in enumerate(runs):
            if number:
                self._opened.codec.flush_buffers()
            self._decode_run(run)
        return self._num_frames_decoded

    def _decode_run(self, run: Run) -> None:
        index = self._index
        wanted = {int(index.frame_ticks[place]): place for place in run.places}
        exempt = self._exempt(run)
        self._latest_tick = NO_TICK
        self._is_at_first = index.has_pts and index.begins_stream and not run.start
        not_before = int(index.pts[run.start]) if index.has_pts and (run.start or not index.begins_stream) else NO_TICK
        number = run.start
        for packet in self._reader.packets(run.start, run.stop):
            if number and index.is_from_table and packet.is_keyframe:
                self._check_keyframe(packet, is_start=number == run.start)
            self._take(self._send(packet, may_skip=number not in exempt), wanted, not_before)
            number += 1
        if not wanted and run.stop == 1 + max(int(index.frame_packets[place]) for place in run.places):
            return  # nothing is left in the decoder that anybody asked for
        self._take(self._send(None, may_skip=False), wanted, not_before)
        if wanted:
            raise IndexNotTrusted(f"{len(wanted)} frames that its index lists did not come out of the decoder.")

    def _check_keyframe(self, packet: av.packet.Packet, *, is_start: bool) -> None:
        """Indexing by the table has not looked at it. Those that carry other parameters than the first may change them.

        Where only keyframes change them that nobody decodes, that is not seen. No header should allow this (avc1,
        hvc1: none in the samples), and to look at the beginning of each keyframe is to read all over the file.
        """
        extradata = self._opened.codec.extradata
        carried = carried_parameters(self._codec_name, packet, extradata).keys()
        if is_start and not starts_cleanly(self._codec_name, packet, extradata):
            raise IndexNotTrusted("Decoding cannot begin at one of its keyframes.")
        if carried - self._index.carried_at_first or (is_start and self._index.carried_at_first - carried):
            raise IndexNotTrusted("One of its keyframes does not carry the parameters that the first one does.")

    def _exempt(self, run: Run) -> set[int]:
        """Packets whose pictures must come out. Without presentation times a picture may come a packet or two late."""
        if not self._skips:
            return set()
        packets = [int(self._index.frame_packets[place]) for place in run.places]
        if self._index.has_pts:
            return set(packets)
        return {packet - back for packet in packets for back in range(3)}

    def _send(self, packet: av.packet.Packet | None, *, may_skip: bool) -> list[VideoFrame]:
        codec = self._opened.codec
        skip = may_skip and self._skips
        if skip != self._is_skipping:
            codec.skip_frame = "NONREF" if skip else "DEFAULT"
            self._is_skipping = skip
        try:
            return codec.decode(packet)
        except av.error.FFmpegError as error:
            raise FrameDamaged(f"A packet did not decode ({error.strerror}).") from error

    def _take(self, frames: Sequence[VideoFrame], wanted: dict[int, int], not_before: int) -> None:
        for frame in frames:
            self._num_frames_decoded += 1
            tick = self._tick(frame)
            if self._is_at_first and tick != self._index.frame_ticks[0]:
                raise IndexNotTrusted(OTHER_FIRST_FRAME)
            self._is_at_first = False
            if tick < not_before:  # pictures that lead into an open GOP lack what they refer to
                continue
            if frame.is_corrupt:
                raise FrameDamaged("A frame came out damaged.")
            place = wanted.pop(tick, None)
            if place is not None:
                self._stack.put(place, frame)

    def _tick(self, frame: VideoFrame) -> int:
        if frame.pts is not None:
            tick = frame.pts
        elif self._index.has_pts:
            raise IndexNotTrusted("A frame came out without its time.")
        else:
            tick = frame.dts if frame.dts is not None else self._latest_tick + 1
        if tick <= self._latest_tick:
            raise IndexNotTrusted("Frames came out in another order than their times.")
        self._latest_tick = tick
        return tick
