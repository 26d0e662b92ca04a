"""Copies among stored clips, also mirrored or cropped, and look-alikes under two labels: what a commit warns of.

What is compared is bounded, however large the dataset is: 5,000 clips with all for copies and mirrored copies, and
parts of 100 clips with 1,000 for cropped ones; drawn by the hash of their content. Copies across splits are named by
the check `no_leakage`, and the same content under two labels is quarantined by the manifest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from video_assets.domain.clips import SourceWarning
from video_assets.domain.near_duplicates import look_alikes, mirrored_signature, near_duplicates
from video_assets.pipeline.commit.committed import Committed, of_each
from video_assets.pipeline.dataset_state import whole_commit
from video_assets.records.clip_record import ClipRecord
from video_assets.storage.schemas import MANIFEST
from video_assets.storage.tables import read_table

_MAX_COMPARED, _MAX_ORIGINALS, _MAX_COPIES = 5_000, 100, 1_000
_MAX_TOLD = 10
Pair = tuple[str, str]


def commit_warnings(committed: Committed) -> list[SourceWarning]:
    """Return the warnings of a commit; a plan that was committed before keeps its earlier warnings."""
    known = whole_commit(committed.version_paths)
    if known is not None and known.plan_digest == committed.notes.plan:
        return list(known.warnings)
    clips = _Clips.of(committed)
    drawn = clips.drawn(_MAX_COMPARED)
    alike = _pairs(drawn, clips)
    mirrored = _pairs({name: mirrored_signature(signature) for name, signature in drawn.items()}, clips)
    mirrored = [pair for pair in mirrored if pair not in set(alike)]
    others = {*alike, *mirrored}
    cropped = [pair for pair in _cropped_pairs(committed, clips) if pair not in others]
    kinds: list[tuple[str, str, Sequence[Pair], Callable[[Pair], bool]]] = [
        ("label_suspect", "look alike under two labels", alike, clips.have_two_labels),
        ("look_alike", "look alike", alike, clips.are_repeated),
        ("mirrored_copy", "are mirror images", mirrored, clips.are_of_two_groups),
        ("cropped_copy", "look alike once one is cropped", cropped, clips.are_of_two_groups),
    ]
    return [
        warning
        for code, what, pairs, is_told in kinds
        for warning in _warnings(code, what, [pair for pair in pairs if is_told(pair)], clips)
    ]


@dataclass(frozen=True, slots=True)
class _Clip:
    split: str
    label: str
    source: str
    group: str


@dataclass(frozen=True, slots=True)
class _Clips:
    """Stored clips by id, in the order of the hashes of their content."""

    clips: Mapping[str, _Clip]
    signatures: Mapping[str, bytes]

    @classmethod
    def of(cls, committed: Committed) -> "_Clips":
        groups = read_table(committed.paths.manifest, MANIFEST, ["clip_id", "group"]).set_index("clip_id")["group"]
        index = committed.index.sort_values(["content_hash", "clip_id"])
        index = index.assign(group=index["clip_id"].map(groups[~groups.index.duplicated()]).fillna(""))
        columns = ("split", "label", "source", "group")
        clips = {str(row[0]): _Clip(*map(str, row[1:])) for row in index[["clip_id", *columns]].itertuples(index=False)}
        pairs = zip(index["clip_id"], index["signature"], strict=True)
        signatures = {str(name): signature for name, signature in pairs if signature}
        return cls(clips, signatures)

    def drawn(self, num_clips: int) -> dict[str, bytes]:
        """Return the signatures of the first clips."""
        return dict(islice(self.signatures.items(), num_clips))

    def have_two_labels(self, pair: Pair) -> bool:
        one, other = (self.clips[name] for name in pair)
        return one.label != other.label

    def are_repeated(self, pair: Pair) -> bool:
        """Return whether one clip of a split adds little to another; `no_leakage` names those of two splits."""
        one, other = (self.clips[name] for name in pair)
        return one.label == other.label and one.split == other.split and self.are_of_two_groups(pair)

    def are_of_two_groups(self, pair: Pair) -> bool:
        """Return whether nothing says that the clips belong together: those of a group look alike by nature."""
        one, other = (self.clips[name] for name in pair)
        return not one.group or one.group != other.group

    def words(self, name: str) -> str:
        clip = self.clips[name]
        return f"{name} ({clip.label}, {clip.split})"


def _pairs(signatures: Mapping[str, bytes], clips: _Clips) -> list[Pair]:
    """Return pairs of clips of two videos, the nearest first."""
    found = [(pair.a, pair.b) for pair in look_alikes(signatures, clips.signatures)]
    return [(a, b) for a, b in found if clips.clips[a].source != clips.clips[b].source]


def _cropped_pairs(committed: Committed, clips: _Clips) -> list[Pair]:
    """Return pairs of which one looks like a part of the other, the nearest first."""
    places = committed.places[:_MAX_ORIGINALS]
    letterboxed = committed.plan.pinned.encoding.resize == "letterbox"
    parts: dict[str, bytes] = {}
    for clip_id, signatures in of_each(committed, places, partial(_parts_of, letterboxed=letterboxed)):
        parts |= {f"{number}/{clip_id}": signature for number, signature in enumerate(signatures)}
    found = near_duplicates(parts, clips.drawn(_MAX_COPIES))
    pairs = dict.fromkeys((min(a, b), max(a, b)) for a, b in ((p.a.partition("/")[2], p.b) for p in found) if a != b)
    known = clips.clips
    return [(a, b) for a, b in pairs if a in known and known[a].source != known[b].source]


def _parts_of(record: ClipRecord, *, letterboxed: bool) -> tuple[str, list[bytes]]:
    from video_assets.media.images import crop_signatures, grey_frame, signature_frames, signature_greys

    if record.frames is None:
        greys = signature_greys(record.images)
    else:
        greys = np.stack([grey_frame(record.frames[index]) for index in signature_frames(record.num_frames)])
    return record.clip_id, crop_signatures(greys, letterboxed=letterboxed)


def _warnings(code: str, what: str, pairs: Sequence[Pair], clips: _Clips) -> list[SourceWarning]:
    """Return a warning for each of the nearest pairs, and one for all others."""
    told = [SourceWarning(code, a, f"{clips.words(a)} and {clips.words(b)} {what}") for a, b in pairs[:_MAX_TOLD]]
    if rest := pairs[_MAX_TOLD:]:
        told.append(SourceWarning(code, rest[0][0], f"{len(rest)} more pairs of clips {what}", len(rest)))
    return told
