"""Probe a video: collect the facts that the manifest stores, and check that its first frame decodes."""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from typing import Final

import av.error
import av.packet
from av.video.frame import VideoFrame

from video_assets.domain.clips import VideoLost
from video_assets.domain.encoding import ENCODER_VERSION
from video_assets.domain.geometry import Size, display_size, usable_pixel_aspect
from video_assets.domain.sampling import Timeline
from video_assets.media.decode.convert import orientation_of
from video_assets.media.decode.damage import BARE_STREAMS, PacketChecks
from video_assets.media.decode.indexed import PacketReader
from video_assets.media.decode.sequential import sequential_facts
from video_assets.media.index.bitstream import coded_pictures
from video_assets.media.index.contradictions import contradiction_of
from video_assets.media.index.packet_index import OTHER_FIRST_FRAME, PacketIndex, read_index
from video_assets.media.index.packets import IndexNotTrusted, TableNotTrusted
from video_assets.media.index.readable import longest_gap_us, lost_frame_us, readable_fraction, said_length
from video_assets.media.open.losses import check_pixels, errors_as_losses, lose
from video_assets.media.open.video import OpenVideo, VideoSource, open_video
from video_assets.settings import DEFAULT_LIMITS, Limits

_TRANSFERS: Final = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    11: "iec61966-2-4",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    18: "arib-std-b67",
}
"""Names of transfer functions by their numbers (ITU-T H.273, table 3); others are hardly ever seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """What the manifest stores about a video, according to its container and packet index."""

    container: str
    codec: str
    pixel_format: str
    width_px: int  # coded size
    height_px: int
    display_width_px: int  # after crop, pixel aspect and rotation
    display_height_px: int
    rotation_degrees: int  # clockwise, after mirroring
    is_mirrored: bool
    sample_aspect_ratio: str  # "1:1" if unknown
    frame_rate: float  # average, from the timeline
    num_frames: int  # frames in the timeline
    start_us: int
    duration_us: int
    has_audio: bool
    index_trusted: bool
    index_note: str  # why it is not trusted, or ""
    num_keyframes: int
    transfer: str  # of brightness, as FFmpeg calls it: bt709, smpte2084 (PQ), arib-std-b67 (HLG); "" if unknown
    field_order: str  # progressive or interlaced, as the first frame says
    num_video_tracks: int  # cover art left out
    readable_fraction: float  # of what the container says
    gap_us: int  # the longest time in the middle without a frame, where frames come at a steady rate
    contradiction: str = ""  # what the container says in two ways that differ, as a sentence
    picture_hash: str = ""  # SHA-256 of the coded pictures, the same in every container; "" if not known


def probe_video(
    video: VideoSource, limits: Limits = DEFAULT_LIMITS, encoder_version: int = ENCODER_VERSION
) -> VideoFacts:
    """Return the facts about a video, by its packets; only its first frame is decoded, to find broken videos.

    Where the packets do not tell which frames there are, the whole video is decoded, and `index_note` says why.

    Raises:
        VideoLost: the video cannot be used.
    """
    try:
        try:
            return _probe_by_index(video, limits, encoder_version, allow_table=True)
        except TableNotTrusted:
            return _probe_by_index(video, limits, encoder_version, allow_table=False)
    except IndexNotTrusted as error:
        return _probe_sequentially(video, limits, encoder_version, str(error))


def hash_pictures(video: VideoSource, limits: Limits, encoder_version: int = ENCODER_VERSION) -> str:
    """Return what `VideoFacts.picture_hash` is, by reading every packet; empty where that fails."""
    with suppress(VideoLost), open_video(video, limits, encoder_version) as opened, errors_as_losses("it was hashed"):
        return _picture_hash(opened, opened.demux())
    return ""


def _picture_hash(opened: OpenVideo, packets: Iterable[av.packet.Packet]) -> str:
    codec, extradata = opened.codec.codec.canonical_name, opened.codec.extradata
    digest, is_empty = hashlib.sha256(codec.encode()), True
    for packet in packets:
        for data in coded_pictures(codec, packet, extradata) if packet.size else ():
            digest.update(data)
            is_empty = is_empty and not data
    return "" if is_empty else digest.hexdigest()


def _probe_by_index(video: VideoSource, limits: Limits, encoder_version: int, *, allow_table: bool) -> VideoFacts:
    with open_video(video, limits, encoder_version) as opened, errors_as_losses("it was probed"):
        said = said_length(opened)
        index = read_index(opened, allow_table=allow_table)
        first = _first_indexed_frame(opened, index)
        if first is None:
            raise IndexNotTrusted("None of its first packets decoded to a frame.")
        if index.has_pts and first.pts != index.frame_ticks[0]:
            raise IndexNotTrusted(OTHER_FIRST_FRAME)
        fraction = readable_fraction(opened, said, index.timeline, index.num_packets)
        facts = _facts(opened, first, index.timeline, index.num_keyframes, fraction, note="")
        if opened.container_name in BARE_STREAMS and index.packets is not None:
            checks = PacketChecks(opened)
            for packet in index.packets:
                checks.is_damaged(packet)
            facts = replace(facts, gap_us=max(facts.gap_us, _us_of_frames(checks.num_missing, index.timeline)))
        return facts if index.packets is None else replace(facts, picture_hash=_picture_hash(opened, index.packets))


def _probe_sequentially(video: VideoSource, limits: Limits, encoder_version: int, note: str) -> VideoFacts:
    with open_video(video, limits, encoder_version) as opened, errors_as_losses("it was probed"):
        said = said_length(opened)
        found = sequential_facts(opened)
        fraction = readable_fraction(opened, said, found.timeline, found.num_packets)
    with open_video(video, limits, encoder_version) as opened, errors_as_losses("it was probed"):
        first = _first_frame(opened, opened.demux())
        if first is None:
            lose("no_frames", "Decoding it twice gave different numbers of frames.")
        note = " ".join(part for part in (note, found.note) if part)
        facts = _facts(opened, first, found.timeline, found.num_keyframes, fraction, note=note)
        return replace(facts, gap_us=max(facts.gap_us, _us_of_frames(found.num_missing, found.timeline)))


def _us_of_frames(num_frames: int, timeline: Timeline) -> int:
    return num_frames * timeline.duration_us // max(1, timeline.num_frames)


def _first_indexed_frame(opened: OpenVideo, index: PacketIndex) -> VideoFrame | None:
    """Decode the packet that brings the first frame; all before the second seek point where that gives none."""
    reader = PacketReader(opened, index)
    if index.has_pts:
        frame = _first_frame(opened, chain(reader.packets(0, int(index.frame_packets[0]) + 1), [None]))
        if frame is not None:
            return frame
        opened.codec.flush_buffers()
    stop = int(index.seek_points[1]) if len(index.seek_points) > 1 else index.num_packets
    return _first_frame(opened, chain(reader.packets(0, stop), [None]))  # None flushes the decoder


def _facts(
    opened: OpenVideo, first: VideoFrame, timeline: Timeline, num_keyframes: int, fraction: float, *, note: str
) -> VideoFacts:
    check_pixels(first.width, first.height, opened.limits)
    orientation = orientation_of(first, opened.encoder_version)
    aspect = usable_pixel_aspect(opened.stream.sample_aspect_ratio)
    coded, crop = Size(first.width, first.height), opened.crop
    seen = crop.of(coded) if crop is not None and crop.fits(coded) else coded
    shown = display_size(seen, aspect, orientation)
    return VideoFacts(
        container=opened.container_name,
        codec=opened.codec.codec.canonical_name,
        pixel_format=first.format.name,
        width_px=first.width,
        height_px=first.height,
        display_width_px=shown.width_px,
        display_height_px=shown.height_px,
        rotation_degrees=orientation.tilt_degrees or orientation.turn_degrees,
        is_mirrored=orientation.is_mirrored,
        sample_aspect_ratio=f"{aspect.numerator}:{aspect.denominator}",
        frame_rate=float(Fraction(timeline.num_frames * 1_000_000, max(1, timeline.duration_us))),
        num_frames=timeline.num_frames,
        start_us=timeline.start_us,
        duration_us=timeline.duration_us,
        has_audio=bool(opened.container.streams.audio),
        index_trusted=not note,
        index_note=note,
        num_keyframes=num_keyframes,
        transfer=_TRANSFERS.get(int(first.color_trc), ""),
        field_order="interlaced" if first.interlaced_frame else "progressive",
        num_video_tracks=opened.num_video_tracks,
        readable_fraction=fraction,
        gap_us=max(longest_gap_us(timeline), lost_frame_us(opened, timeline)),
        contradiction=contradiction_of(opened, timeline),
    )


def _first_frame(opened: OpenVideo, packets: Iterable[av.packet.Packet | None]) -> VideoFrame | None:
    for packet in packets:
        try:
            frames = opened.codec.decode(packet)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            continue
        if frames:
            return frames[0]
    return None
