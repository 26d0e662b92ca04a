"""Find where a Matroska or an FLV lacks bytes, or has more than were written: its parts do not follow one another."""

from collections.abc import Iterator
from typing import BinaryIO, Final

from video_assets.media.open.crop import CLUSTER, NO_END, SEGMENT, matroska_elements

_IN_CLUSTER: Final = frozenset({0xE7, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF, 0x5854, 0xEC, 0xBF})
"""Timestamp, Position, PrevSize, SimpleBlock, BlockGroup, EncryptedBlock, SilentTracks, Void and CRC-32 (RFC 9559)."""
_IN_SEGMENT: Final = frozenset(
    {CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, 0xEC, 0xBF}
)
"""Clusters, and SeekHead, Info, Tracks, Cues, Attachments, Chapters, Tags, Void and CRC-32."""
_TAG_HEAD_BYTES, _TAG_SIZE_BYTES = 11, 4
_TAG_KINDS: Final = (8, 9, 18)
_FLV: Final = b"FLV"


def broken_clusters(file: BinaryIO) -> Iterator[int]:
    """Yield where an element should begin in a cluster of a Matroska, or goes on after it, and none does.

    In clusters whose size is not known, as in live recordings, nothing is found.
    """
    size_bytes = file.seek(0, 2)
    try:
        for kind, start, stop in matroska_elements(file, 0, size_bytes):
            if kind == SEGMENT:
                yield from _broken_in_segment(file, start, min(stop, size_bytes))
    except IndexError:
        return


def _broken_in_segment(file: BinaryIO, start: int, stop: int) -> Iterator[int]:
    place = start
    for kind, begin, end in matroska_elements(file, start, stop):
        if kind not in _IN_SEGMENT:
            yield place
            return
        if kind == CLUSTER and end < stop:  # others are cut short, or of unknown size
            broken = _first_broken(file, begin, end)
            if broken >= 0:
                yield broken
        place = end


def _first_broken(file: BinaryIO, start: int, stop: int) -> int:
    """Return where the elements of a cluster break off; -1 where they fill it."""
    place = start
    try:
        for kind, _, end in matroska_elements(file, start, NO_END):
            if kind not in _IN_CLUSTER or end > stop:
                return place
            place = end
            if place == stop:
                return -1
    except IndexError:
        pass
    return place


def broken_tags(file: BinaryIO) -> list[int]:
    """Return where a tag of an FLV should begin and none does, or the size of the one before is said to be another.

    Nothing where most sizes are other ones: some writers do not say them.
    """
    broken, num_tags, num_others = list[int](), 0, 0
    file.seek(0)
    head = file.read(9)
    if not head.startswith(_FLV):
        return []
    place = int.from_bytes(head[5:9]) + _TAG_SIZE_BYTES
    while True:
        file.seek(place)
        head = file.read(_TAG_HEAD_BYTES)
        if len(head) < _TAG_HEAD_BYTES:
            break
        if head[0] & 31 not in _TAG_KINDS or any(head[8:11]):
            broken.append(place)
            break
        size = _TAG_HEAD_BYTES + int.from_bytes(head[1:4])
        file.seek(place + size)
        said = file.read(_TAG_SIZE_BYTES)
        if len(said) < _TAG_SIZE_BYTES:
            break
        place += size + _TAG_SIZE_BYTES
        num_tags += 1
        if int.from_bytes(said) != size:
            num_others += 1
            broken.append(place)
    return broken if 2 * num_others < num_tags else []
