"""Decode only what the wanted frames of an indexed video need: seek to keyframes, and skip unreferenced frames.

Packets are read by their numbers, by seeking where that is faster than reading on.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import av.error
import av.packet
import numpy as np
from av.video.frame import VideoFrame

from video_assets.media.decode.damage import DamageLog, PacketChecks, notice_more_damage
from video_assets.media.decode.frame_stack import FrameStack
from video_assets.media.decode.tails import TailCheck
from video_assets.media.index.bitstream import (
    INTRA_ONLY,
    NEEDS_FIRST_PACKET,
    begins_anew,
    may_skip_unreferenced,
    starts_cleanly,
)
from video_assets.media.index.packet_index import OTHER_FIRST_FRAME, PacketIndex
from video_assets.media.index.packets import NO_TICK, FrameDamaged, IndexNotTrusted
from video_assets.media.index.parameter_sets import parameters_in_packet
from video_assets.media.open.video import OpenVideo

READ_ON_BYTES: Final = 512 * 1024
READ_ON_PACKETS: Final = 60
"""Up to both limits, reading on and dropping packets (12 us each) is no slower than seeking (0.7 ms)."""


class PacketReader:
    """Reads packets of an indexed video by their numbers in decode order."""

    def __init__(self, opened: OpenVideo, index: PacketIndex) -> None:
        self._opened = opened
        self._index = index
        self._position = -1  # of the next packet that the container gives; -1: unknown
        self._stream: Iterator[av.packet.Packet] = iter(())

    def packets(self, start: int, stop: int) -> Iterator[av.packet.Packet]:
        """Yield the packets [start, stop).

        Raises:
            IndexNotTrusted: the file gives other packets than when it was indexed.
        """
        if self._index.packets is not None:
            yield from self._index.packets[start:stop]
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
        if not start - READ_ON_PACKETS <= self._position <= start or self._position < 0:
            return False
        return int(self._index.sizes[self._position : start].sum()) <= READ_ON_BYTES

    def _seek(self, start: int) -> None:
        """Seek so that the container's next packet is `start`, or one a little before it."""
        container, stream, index = self._opened.container, self._opened.stream, self._index
        ticks = (index.dts[start], index.pts[start])
        # FFmpeg's mp4 demuxer seeks by presentation time, the others by decoding time.
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
                self._stream = chain([first], self._stream)
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
        """Return the number of this packet in the index, by its time and size: the last one up to `start`."""
        if packet is None or packet.pts is None:
            return None
        same = (self._index.pts[: start + 1] == packet.pts) & (self._index.sizes[: start + 1] == packet.size)
        numbers = same.nonzero()[0]
        return int(numbers[-1]) if len(numbers) else None


SECONDS_PER_PIXEL: Final = 1.5e-9
"""What decoding a frame costs per pixel (H.264 at 640x360: 0.33 ms, measured on one core)."""

FLUSH_SECONDS: Final = 0.0002
"""What flushing the decoder and starting it again costs."""

SEEK_SECONDS: Final = 0.0015
"""What seeking in the file costs beside that: a new read buffer, and the packets before the keyframe."""


@dataclass(slots=True)
class DecodeRun:
    """Packets [start, stop) to decode without a seek, for some frames, numbered in display order."""

    start: int
    stop: int
    frame_indices: list[int]


def decode_indexed(opened: OpenVideo, index: PacketIndex, stack: FrameStack, spans: Sequence[Sequence[int]]) -> int:
    """Decode the frames of some spans, given by their indices in display order, and put them on the stack.

    Returns:
        The number of frames that were decoded for it.

    Raises:
        IndexNotTrusted: decoding gives other frames than the index says, errors, or damaged frames.
    """
    cost_frames = seek_cost_frames(opened, index)
    runs = join_runs(index, [plan_runs(index, sorted(set(frame_indices)), cost_frames) for frame_indices in spans])
    return _IndexedDecoder(opened, index, stack).decode(runs)


def seek_cost_frames(opened: OpenVideo, index: PacketIndex) -> float:
    """Return how many frames can be decoded in the time of a seek; 0 where every frame is decoded by itself."""
    if index.packets is not None and opened.codec.codec.canonical_name in INTRA_ONLY:
        return 0
    seconds = FLUSH_SECONDS + (0 if index.packets is not None else SEEK_SECONDS)
    return seconds / (SECONDS_PER_PIXEL * max(1, opened.codec.width * opened.codec.height))


def plan_runs(index: PacketIndex, frame_indices: Sequence[int], seek_cost_frames: float) -> list[DecodeRun]:
    """Return the packets to decode for some frames (sorted), with a seek only where going on would cost more."""
    runs: list[DecodeRun] = []
    seek_points = index.seek_points.tolist()
    packets = index.frame_packets[np.array(frame_indices, dtype=np.int64)].tolist()
    for frame_index, packet in zip(frame_indices, packets, strict=True):
        start = _seek_point_for(index, seek_points, packet)
        latest = runs[-1] if runs else None
        if latest is not None and start - latest.stop <= seek_cost_frames:
            latest.stop = max(latest.stop, packet + 1)
            latest.frame_indices.append(frame_index)
        else:
            runs.append(DecodeRun(start, packet + 1, [frame_index]))
    return runs


def join_runs(index: PacketIndex, runs_of_spans: Sequence[Sequence[DecodeRun]]) -> list[DecodeRun]:
    """Join the runs of several spans, so that each packet is decoded once.

    Decoding still begins anew wherever one of the spans would begin: if it cannot begin there, this is found out as for
    the span by itself. [0, 30) for one span and [20, 50) for another become [0, 20) and [20, 50).
    """
    if len(runs_of_spans) < 2:
        return list(chain.from_iterable(runs_of_spans))
    reach: dict[int, int] = {}
    for run in chain.from_iterable(runs_of_spans):
        reach[run.start] = max(reach.get(run.start, 0), run.stop)
    starts = sorted(reach)
    joined = [DecodeRun(start, start, []) for start in starts]
    seek_points = index.seek_points.tolist()
    all_runs = chain.from_iterable(runs_of_spans)
    for frame_index in sorted(set(chain.from_iterable(run.frame_indices for run in all_runs))):
        packet = int(index.frame_packets[frame_index])
        run = joined[bisect_right(starts, _seek_point_for(index, seek_points, packet)) - 1]
        run.stop = max(run.stop, packet + 1)
        run.frame_indices.append(frame_index)
    stop = 0
    for run, following in zip(joined, [*starts[1:], index.num_packets], strict=True):
        stop = max(stop, reach[run.start])
        run.stop = max(run.stop, min(stop, following))
    return joined


def _seek_point_for(index: PacketIndex, seek_points: Sequence[int], packet: int) -> int:
    """Return the last packet at which decoding may begin for the frame that `packet` brings."""
    if not index.has_pts:
        return 0
    candidate = bisect_right(seek_points, packet) - 1
    # Open GOP: a frame that follows the keyframe but is shown before it refers to the previous GOP.
    while candidate > 0 and index.pts[seek_points[candidate]] > index.pts[packet]:
        candidate -= 1
    return seek_points[max(0, candidate)]


class _IndexedDecoder:
    """Decodes runs of packets into a frame stack."""

    def __init__(self, opened: OpenVideo, index: PacketIndex, stack: FrameStack) -> None:
        self._opened = opened
        self._index = index
        self._stack = stack
        self._reader = PacketReader(opened, index)
        codec = opened.codec
        self._codec_name = codec.codec.canonical_name
        self._can_skip = may_skip_unreferenced(self._codec_name, codec.extradata)
        self._skips_now = False
        self._num_frames_decoded = 0
        self._latest_tick = NO_TICK
        self._is_at_first = False
        self._not_before = NO_TICK
        self._tails = TailCheck(opened)
        self._checks = PacketChecks(opened)

    def decode(self, runs: Sequence[DecodeRun]) -> int:
        """Decode the runs in order, and return the number of frames that came out."""
        self._tails.is_strict = self._begin_anew(runs)
        if self._tails.is_strict:
            notice_more_damage(self._opened)
        if self._tails.is_needed:
            DamageLog().prepare(self._opened)
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

    def _begin_anew(self, runs: Sequence[DecodeRun]) -> bool:
        packets, extradata = self._index.packets, self._opened.codec.extradata
        if packets is None:
            return self._codec_name != "h264"
        starts = (packets[run.start] for run in runs if run.start or not self._index.has_first_packet)
        return all(begins_anew(self._codec_name, packet, extradata) for packet in starts)

    def _decode_run(self, run: DecodeRun) -> None:
        index = self._index
        wanted = {int(index.frame_ticks[frame_index]): frame_index for frame_index in run.frame_indices}
        exempt = self._exempt(run)
        self._latest_tick = NO_TICK
        self._is_at_first = index.has_pts and index.has_first_packet and not run.start
        begins_later = index.has_pts and bool(run.start or not index.has_first_packet)
        self._not_before = int(index.pts[run.start]) if begins_later else NO_TICK
        number = run.start
        self._checks.begin()
        for packet in self._reader.packets(run.start, run.stop):
            if number and index.is_from_table and packet.is_keyframe:
                self._check_keyframe(packet, is_start=number == run.start)
            if self._checks.is_damaged(packet):
                raise FrameDamaged("The bytes of a packet are not those that were written.")
            packet.opaque = number
            frames = self._send(packet, may_skip=number not in exempt)
            if packet.pts is None or packet.pts >= self._not_before:
                self._tails.add_packet(number, packet)
            self._take(frames, wanted)
            self._refuse(self._tails.take_damaged())
            number += 1
        last_wanted = max(int(index.frame_packets[frame_index]) for frame_index in run.frame_indices)
        if wanted or run.stop != last_wanted + 1:  # a wanted frame may be left in the decoder
            self._take(self._send(None, may_skip=False), wanted)
        self._refuse(self._tails.finish())
        if wanted:
            raise IndexNotTrusted(f"{len(wanted)} frames that its index lists did not come out of the decoder.")

    def _refuse(self, damaged: set[int]) -> None:
        if damaged:
            raise FrameDamaged("A packet is read to another length than it has.")

    def _check_keyframe(self, packet: av.packet.Packet, *, is_start: bool) -> None:
        """Check a keyframe that the sample table lists: it has to carry the parameters of the first one.

        A change of parameters in keyframes that are not decoded goes unnoticed. The sample entries avc1 and hvc1 do not
        allow such a change, and looking at every keyframe would mean reading the whole file.
        """
        extradata = self._opened.codec.extradata
        carried = parameters_in_packet(self._codec_name, packet, extradata).keys()
        if is_start and not starts_cleanly(self._codec_name, packet, extradata):
            raise IndexNotTrusted("Decoding cannot begin at one of its keyframes.")
        expected = self._index.first_packet_parameters
        if carried - expected or (is_start and expected - carried):
            raise IndexNotTrusted("One of its keyframes does not carry the parameters that the first one does.")

    def _exempt(self, run: DecodeRun) -> set[int]:
        """Return the packets that may not be skipped; without presentation times, frames come up to 2 packets late."""
        if not self._can_skip:
            return set()
        packets = [int(self._index.frame_packets[frame_index]) for frame_index in run.frame_indices]
        if self._index.has_pts:
            return set(packets)
        return {packet - back for packet in packets for back in range(3)}

    def _send(self, packet: av.packet.Packet | None, *, may_skip: bool) -> list[VideoFrame]:
        codec = self._opened.codec
        skip = may_skip and self._can_skip
        if skip != self._skips_now:
            codec.skip_frame = "NONREF" if skip else "DEFAULT"
            self._skips_now = skip
        try:
            return codec.decode(packet)
        except av.error.FFmpegError as error:
            if packet is not None and packet.pts is not None and packet.pts < self._not_before:
                return []  # a leading picture of an open GOP, as below
            raise FrameDamaged(f"A packet did not decode ({error.strerror}).") from error

    def _take(self, frames: Sequence[VideoFrame], wanted: dict[int, int]) -> None:
        for frame in frames:
            self._num_frames_decoded += 1
            tick = self._tick(frame)
            if self._is_at_first and tick != self._index.frame_ticks[0]:
                raise IndexNotTrusted(OTHER_FIRST_FRAME)
            self._is_at_first = False
            if tick < self._not_before:  # leading pictures of an open GOP: what they refer to was not decoded
                continue
            self._tails.add_frame(frame)
            if frame.is_corrupt:
                raise FrameDamaged("A frame came out damaged.")
            frame_index = wanted.pop(tick, None)
            if frame_index is not None:
                self._stack.put(frame_index, frame)

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
