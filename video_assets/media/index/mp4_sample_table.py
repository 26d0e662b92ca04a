"""Read the sample table of a long mp4: it tells what reading all packets would, at a hundredth of the cost.

FFmpeg has read the table to open the file, but its own index lacks presentation times. So the table is read here once
more: run lengths of durations and time offsets, sizes, and keyframes. Only the simple kind is read: not fragmented, one
description for all samples, and at most one edit after empty ones. The result is compared with FFmpeg's index (the
number of samples; for a few dozen samples their time, size and keyframe flag), and each packet that is decoded later is
compared with the result. Where anything differs, all packets are read instead.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from video_assets.media.open.losses import check_length
from video_assets.media.open.video import OpenVideo

MIN_TABLE_SAMPLES: Final = 600
"""Shorter videos are demuxed, which takes a few milliseconds and proves more."""

_MAX_TABLE_BYTES: Final = 64 * 2**20  # 2 million samples take about 40 MB
_NUM_CHECKED: Final = 48  # index entries compared at the beginning, at the end, and in between
_HEADER_BYTES: Final = 8
_FULL_HEADER_BYTES: Final = 4  # version and flags


@dataclass(slots=True)
class SampleTable:
    """The samples of one track in decode order.

    `dts`, `pts`, `sizes`, `durations`: (N,) int64, times in media ticks from zero, before any edit.
    `keyframes`: (K,) numbers of samples.
    """

    dts: NDArray[np.int64]
    pts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    durations: NDArray[np.int64]
    keyframes: NDArray[np.int64]


def read_sample_table(opened: OpenVideo) -> SampleTable | None:
    """Read the table of the opened stream; None where it is not of the simple kind, or FFmpeg reads it differently.

    The position in the file is restored.

    Raises:
        VideoLost: too_many_frames.
    """
    entries = opened.stream.index_entries
    if "mp4" not in opened.container_name or len(entries) < MIN_TABLE_SAMPLES:
        return None
    position = opened.file.tell()
    try:
        table = _table(opened, len(entries))
    except (struct.error, ValueError, IndexError):  # not as the format requires
        return None
    finally:
        opened.file.seek(position)
    return table if table is not None and _agrees(opened, table) else None


def _table(opened: OpenVideo, num_samples: int) -> SampleTable | None:
    moov = read_moov(opened)
    if moov is None or child_box(moov, b"mvex") is not None:
        return None
    for kind, track in boxes(moov):
        header = child_box(track, b"tkhd") if kind == b"trak" else None
        if header is not None and track_id(header) == opened.stream.id:
            return _track_table(opened, track, num_samples)
    return None


def _track_table(opened: OpenVideo, track: memoryview, num_samples: int) -> SampleTable | None:
    samples = descendant_box(track, b"mdia", b"minf", b"stbl")
    if samples is None or not _has_simple_edits(descendant_box(track, b"edts", b"elst")):
        return None
    stts, stsz, ctts, stss = (child_box(samples, kind) for kind in (b"stts", b"stsz", b"ctts", b"stss"))
    if stts is None or stsz is None or not _has_one_description(child_box(samples, b"stsd")):
        return None
    check_length(num_samples, 0, opened.limits)
    sizes = _sizes(stsz, num_samples)
    durations = _run_lengths(stts, num_samples)
    offsets = _run_lengths(ctts, num_samples) if ctts is not None else np.zeros(num_samples, np.int64)
    if sizes is None or durations is None or offsets is None:
        return None
    dts = np.cumsum(durations) - durations
    keyframes = _numbers(stss)[1:] - 1 if stss is not None else np.arange(num_samples, dtype=np.int64)
    return SampleTable(dts, dts + offsets, sizes, durations, keyframes)


def _agrees(opened: OpenVideo, table: SampleTable) -> bool:
    """Return whether FFmpeg's index says the same, apart from one shift of all times."""
    entries = opened.stream.index_entries
    num = len(table.dts)
    is_key = np.zeros(num, dtype=bool)
    inside = table.keyframes[(table.keyframes >= 0) & (table.keyframes < num)]
    is_key[inside] = True
    if not is_key[0] or len(inside) != len(table.keyframes):
        return False
    shift = entries[0].timestamp - int(table.dts[0])
    ends = [*range(_NUM_CHECKED), *range(num - _NUM_CHECKED, num)]
    for number in {*ends, *np.linspace(0, num - 1, _NUM_CHECKED, dtype=int).tolist()}:
        entry = entries[number]
        if entry.is_discard or entry.size != int(table.sizes[number]) or entry.is_keyframe != bool(is_key[number]):
            return False
        if entry.timestamp - int(table.dts[number]) != shift or entry.pos + entry.size > opened.size_bytes:
            return False  # the second: the file was cut, and does not hold the data any more
    return True


def read_moov(opened: OpenVideo) -> memoryview | None:
    """Return what an mp4's moov box holds; None without one, or where it is very large.

    Raises:
        ValueError: the file ends inside of it.
    """
    file, offset = opened.file, 0
    while offset + _HEADER_BYTES <= opened.size_bytes:
        file.seek(offset)
        header = file.read(16)
        size, kind = struct.unpack(">I4s", header[:8])
        start = _HEADER_BYTES
        if size == 1:
            (size,) = struct.unpack(">Q", header[8:16])
            start = 16
        elif size == 0:
            size = opened.size_bytes - offset
        if size < start:
            return None
        if kind == b"moov":
            if size > _MAX_TABLE_BYTES:
                return None
            file.seek(offset + start)
            return memoryview(_read_exactly(opened, size - start))
        offset += size
    return None


def _read_exactly(opened: OpenVideo, num_bytes: int) -> bytes:
    parts: list[bytes] = []
    while num_bytes > 0:
        part = opened.file.read(num_bytes)
        if not part:
            raise ValueError("the file ends inside its moov box")
        parts.append(part)
        num_bytes -= len(part)
    return b"".join(parts)


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the kinds of the boxes in a row, and what they hold."""
    offset = 0
    while offset + _HEADER_BYTES <= len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        if size < _HEADER_BYTES or offset + size > len(data):
            return
        yield kind, data[offset + _HEADER_BYTES : offset + size]
        offset += size


def child_box(data: memoryview, wanted: bytes) -> memoryview | None:
    """Return what the first box of a kind holds."""
    return next((body for kind, body in boxes(data) if kind == wanted), None)


def descendant_box(data: memoryview, *kinds: bytes) -> memoryview | None:
    """Return what a box holds, by the kinds of those around it."""
    found: memoryview | None = data
    for kind in kinds:
        found = child_box(found, kind) if found is not None else None
    return found


def track_id(tkhd: memoryview) -> int:
    """Return a track's number, from its header."""
    offset = _FULL_HEADER_BYTES + (16 if tkhd[0] == 1 else 8)
    return int(struct.unpack_from(">I", tkhd, offset)[0])


def _has_simple_edits(elst: memoryview | None) -> bool:
    """Return whether there is no edit, or empty ones and one at normal speed; FFmpeg's index tells what it cuts."""
    if elst is None:
        return True
    (count,) = struct.unpack_from(">I", elst, _FULL_HEADER_BYTES)
    layout = ">QqI" if elst[0] == 1 else ">IiI"
    size = struct.calcsize(layout)
    edits = [struct.unpack_from(layout, elst, 8 + number * size) for number in range(min(count, 4))]
    real = [edit for edit in edits if edit[1] != -1]
    return count < 4 and len(real) == 1 and edits[-1] is real[0] and real[0][2] == 1 << 16


def _has_one_description(stsd: memoryview | None) -> bool:
    """Return whether all samples share one codec header; of several, only a packet tells which is its own."""
    return stsd is not None and int(struct.unpack_from(">I", stsd, _FULL_HEADER_BYTES)[0]) == 1


def _numbers(box: memoryview) -> NDArray[np.int64]:
    """Return the 32-bit numbers of a full box after version and flags: a count, then its entries."""
    body = box[_FULL_HEADER_BYTES:]
    return np.frombuffer(body[: len(body) // 4 * 4], dtype=">i4").astype(np.int64)


def _run_lengths(box: memoryview, num_samples: int) -> NDArray[np.int64] | None:
    """Expand stts or ctts, pairs of a number of samples and their value; None where the numbers do not add up."""
    numbers = _numbers(box)
    num_runs = int(numbers[0])
    pairs = numbers[1 : 1 + 2 * num_runs].reshape(-1, 2)
    counts = pairs[:, 0]
    if num_runs != len(pairs) or (counts < 0).any() or int(counts.sum()) != num_samples:
        return None
    return np.repeat(pairs[:, 1], counts)


def _sizes(stsz: memoryview, num_samples: int) -> NDArray[np.int64] | None:
    numbers = _numbers(stsz)
    common, count = int(numbers[0]), int(numbers[1])
    if count != num_samples:
        return None
    if common:
        return np.full(num_samples, common, dtype=np.int64)
    return numbers[2 : 2 + num_samples] if len(numbers) >= 2 + num_samples else None
