"""Find what a header says in two ways that differ: one of the two is damaged, and nothing tells which.

An mp4 says the length of a track by the times of its samples, by its header (mdhd) and by its edits. A display matrix
whose axes are not at a right angle turns no picture (ISO 14496-12, 6.2.2). A Matroska's clock goes with the duration in
its header, but not with those in its tags. An AVI has a rate for the file, and one for each stream.
"""

import io
import struct
from fractions import Fraction
from typing import Final

import numpy as np

from video_assets.domain.sampling import Timeline
from video_assets.media.index.mp4_sample_table import boxes, child_box, descendant_box, read_moov, track_id
from video_assets.media.index.readable import tagged_us
from video_assets.media.open.formats import MP4
from video_assets.media.open.video import OpenVideo

_MATROSKA_TICK: Final = Fraction(1, 1000)
"""Nearly all writers choose it."""
_SAME_SHARE: Final = 0.05
_SKEW_SHARE: Final = 0.02


def contradiction_of(opened: OpenVideo, timeline: Timeline) -> str:
    """Return what the container of a video on this machine says in two ways, as a sentence; empty if nothing."""
    if "matroska" in opened.container_name:
        return _of_matroska(opened, timeline)
    if opened.container_name not in (MP4, "avi") or not isinstance(opened.file, io.FileIO | io.BytesIO):
        return ""
    position = opened.file.tell()
    try:
        if opened.container_name == "avi":
            return _of_avi(opened)
        moov = read_moov(opened)
        return _of_mp4(moov, opened.stream.id, timeline) if moov is not None else ""
    except (struct.error, ValueError, IndexError):  # not as the format requires
        return ""
    finally:
        opened.file.seek(position)


def _of_matroska(opened: OpenVideo, timeline: Timeline) -> str:
    said_us = max(tagged_us(opened.stream.metadata), default=0)
    if opened.time_base == _MATROSKA_TICK or not said_us or _are_same(said_us, timeline.end_us, 0):
        return ""
    return f"its pictures last {timeline.end_us / 1e6:.2f} s by its clock, and {said_us / 1e6:.2f} s by its tags"


def _of_avi(opened: OpenVideo) -> str:
    opened.file.seek(0)
    head = opened.file.read(36)
    (us_per_frame,) = struct.unpack_from("<I", head, 32)
    rate = opened.stream.average_rate
    if head[24:28] != b"avih" or not us_per_frame or not rate or _are_same(us_per_frame, int(1_000_000 / rate), 1):
        return ""
    return f"its pictures come at {float(rate):.2f} a second, and at {1_000_000 / us_per_frame:.2f} by its header"


def _of_mp4(moov: memoryview, wanted_id: int, timeline: Timeline) -> str:
    movie = child_box(moov, b"mvhd")
    for kind, track in boxes(moov):
        header = child_box(track, b"tkhd") if kind == b"trak" else None
        if movie is None or header is None or track_id(header) != wanted_id:
            continue
        if _is_skewed(movie, 36) or _is_skewed(header, 40):
            return "its display matrix turns or mirrors no picture"
        return "" if child_box(moov, b"mvex") is not None else _of_lengths(movie, track, timeline)
    return ""


def _of_lengths(movie: memoryview, track: memoryview, timeline: Timeline) -> str:
    times, header = descendant_box(track, b"mdia", b"minf", b"stbl", b"stts"), descendant_box(track, b"mdia", b"mdhd")
    if times is None or header is None:
        return ""
    (num_runs,) = struct.unpack_from(">I", times, 4)
    runs = np.frombuffer(times[8 : 8 + 8 * num_runs], ">u4").astype(np.int64).reshape(-1, 2)
    length, longest = int((runs[:, 0] * runs[:, 1]).sum()), int(runs[:, 1].max(initial=0))
    (scale, said), (movie_scale, _) = _clock(header), _clock(movie)
    if not length or not scale or not movie_scale:
        return ""
    end = length + timeline.start_us * scale // 1_000_000  # what some writers say, where the first picture comes late
    if said and not _are_same(length, said, 2 * longest) and not _are_same(end, said, 2 * longest):
        return f"its pictures last {length / scale:.2f} s by their times, and {said / scale:.2f} s by its header"
    for duration, begin in _edits(descendant_box(track, b"edts", b"elst")):
        shown = duration * scale // movie_scale
        if shown > length and not _are_same(length, shown, begin + 2 * longest):  # FFmpeg counts what is before it, too
            return f"its pictures last {length / scale:.2f} s, and its edit list shows {shown / scale:.2f} s of them"
    return ""


def _are_same(one: int, other: int, tolerance: int) -> bool:
    return abs(one - other) <= max(tolerance, _SAME_SHARE * max(one, other))


def _clock(header: memoryview) -> tuple[int, int]:
    """Return the time scale and the duration in a header of a movie or a track's media; 0: not known."""
    scale, duration = struct.unpack_from(">IQ", header, 20) if header[0] == 1 else struct.unpack_from(">II", header, 12)
    is_unknown = duration in (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
    return scale, 0 if is_unknown else duration


def _edits(elst: memoryview | None) -> list[tuple[int, int]]:
    """Return how long each edit shows something, by the movie's clock, and from where on, by the track's."""
    if elst is None:
        return []
    (count,) = struct.unpack_from(">I", elst, 4)
    layout = struct.Struct(">QqI" if elst[0] == 1 else ">IiI")
    entries = [layout.unpack_from(elst, 8 + number * layout.size) for number in range(min(count, 100))]
    return [(duration, begin) for duration, begin, _rate in entries if begin >= 0]


def _is_skewed(header: memoryview, offset: int) -> bool:
    """Return whether axes are no longer at a right angle; they may be turned, mirrored, and stretched.

    What follows the matrix is too short in files of some writers. Version 1 has three times of 64 bits before it.
    """
    a, b, _, c, d = struct.unpack_from(">5i", header, offset + 12 * (header[0] == 1))
    return abs(a * c + b * d) > _SKEW_SHARE * np.hypot(a, b) * np.hypot(c, d) or not (a * d - b * c)
