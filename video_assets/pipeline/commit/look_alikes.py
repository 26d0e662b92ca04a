"""Copies among stored clips, also mirrored or cropped, and look-alikes under two labels: what a commit warns of.

What is compared is bounded, however large the dataset is: 5,000 clips with all for copies and mirrored copies, and
parts of 100 clips with 1,000 for cropped ones; drawn by the hash of their content. Copies across splits are named by
the check `no_leakage`, and the same content under two labels is quarantined by the manifest.

A large commit keeps the pairs that were found in the notes of its index, so that the next one compares only what is new
with all. Without them, or by other rules, everything is compared, and the same pairs are found.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd

from video_assets.domain.clips import SourceWarning
from video_assets.domain.errors import FileDamaged
from video_assets.domain.near_duplicates import (
    RULES,
    Comparison,
    NearDuplicate,
    each_once,
    mirrored_signature,
    near_duplicates,
)
from video_assets.domain.splits import Split
from video_assets.pipeline.commit.committed_records import Committed, of_each, rows_by_content
from video_assets.pipeline.dataset_state import whole_commit
from video_assets.records.clip_record import ClipRecord
from video_assets.storage.paths import VersionPaths
from video_assets.storage.tables import INDEX, are_among, read_noted_table

_MAX_COMPARED, _MAX_ORIGINALS, _MAX_COPIES = 5_000, 100, 1_000
_MAX_TOLD = 10
_CHANGES: Mapping[str, Callable[[bytes], bytes]] = {"alike": bytes, "mirrored": mirrored_signature}
"""What is done to the signatures of the drawn clips, by the name of the comparison."""
_NOTE = "look_alikes"
_RULES = [*RULES, _MAX_COMPARED]
_MIN_KEPT = 1_000
"""Fewer clips are compared within a tenth of a second."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class ComparedClips:
    """The clips of a commit, and all pairs that were found in it, by the name of the comparison."""

    signatures: Mapping[str, bytes]
    """In the order of the hashes of their content."""
    splits: Mapping[str, str]
    pairs: Mapping[str, Sequence[Pair]]

    @classmethod
    def read(cls, version_paths: VersionPaths) -> "ComparedClips | None":
        """Return what the last commit of a version compared; None if it did not keep that, or by other rules."""
        columns = ["clip_id", "split", "content_hash", "signature"]
        try:
            index, notes = read_noted_table(version_paths.index, INDEX, columns)
        except FileDamaged:
            return None
        kept = json.loads((notes or {}).get(_NOTE, "{}"))
        if kept.get("rules") != _RULES:
            return None
        names, splits = index["clip_id"].to_numpy(object), index["split"].to_numpy(object)
        pairs = {what: [(names[a], names[b]) for a, b in rows] for what, rows in kept["pairs"].items()}
        return cls(_signatures(index), dict(zip(names, splits, strict=True)), pairs)

    def of_splits(self, one: Split, other: Split) -> Comparison | None:
        """Return the comparison of two splits."""
        return self._comparison(across(one, other), self._of_split(one), self._of_split(other))

    def of_drawn(self, what: str) -> Comparison | None:
        """Return the comparison of the drawn clips with all, after one of `_CHANGES`."""
        drawn = _first(self.signatures, _MAX_COMPARED)
        return self._comparison(what, {name: _CHANGES[what](data) for name, data in drawn.items()}, self.signatures)

    def _of_split(self, split: Split) -> dict[str, bytes]:
        return {name: signature for name, signature in self.signatures.items() if self.splits[name] == split}

    def _comparison(self, what: str, a: Mapping[str, bytes], b: Mapping[str, bytes]) -> Comparison | None:
        return Comparison(a, b, self.pairs[what]) if what in self.pairs else None


def across(one: Split, other: Split) -> str:
    """Return the name of the comparison of two splits."""
    return f"{one} {other}"


def kept_pairs(index: pd.DataFrame, pairs: Mapping[str, Sequence[NearDuplicate]]) -> dict[str, str]:
    """Return the note of an index that keeps pairs for the next commit, as rows of it; none for a small dataset."""
    if len(index) < _MIN_KEPT:
        return {}
    places = {name: place for place, name in enumerate(index["clip_id"].to_numpy(object))}
    rows = {what: [(places[pair.a], places[pair.b]) for pair in found] for what, found in pairs.items()}
    return {_NOTE: json.dumps({"rules": _RULES, "pairs": rows}, separators=(",", ":"))}


def commit_warnings(
    committed: Committed, earlier: ComparedClips | None = None
) -> tuple[list[SourceWarning], dict[str, list[NearDuplicate]]]:
    """Return the warnings of a commit, and the pairs to keep for the next one.

    A plan that was committed before keeps its earlier warnings. Of what `earlier` knows, nothing is compared again.
    """
    known = whole_commit(committed.version_paths)
    told = list(known.warnings) if known is not None and known.plan_digest == committed.notes.plan else None
    if told is not None and len(committed.index) < _MIN_KEPT:
        return told, {}
    signatures = _signatures(committed.index)
    pairs = {what: _alike(signatures, what, earlier) for what in _CHANGES}
    return _warnings_of(committed, signatures, pairs) if told is None else told, pairs


def _warnings_of(
    committed: Committed, signatures: Mapping[str, bytes], pairs: Mapping[str, Sequence[NearDuplicate]]
) -> list[SourceWarning]:
    found = {what: [(pair.a, pair.b) for pair in each_once(several)] for what, several in pairs.items()}
    found["cropped"] = _cropped_pairs(committed, signatures)
    clips = _Clips.of(committed, found.values())
    alike, mirrored, cropped = (clips.of_two_videos(found[what]) for what in ("alike", "mirrored", "cropped"))
    known = set(alike)
    mirrored = [pair for pair in mirrored if pair not in known]
    known |= set(mirrored)
    cropped = [pair for pair in cropped if pair not in known]
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
    """Stored clips that are in pairs, by id."""

    clips: Mapping[str, _Clip]

    @classmethod
    def of(cls, committed: Committed, pairs: Iterable[Iterable[Pair]]) -> "_Clips":
        names = {name for several in pairs for pair in several for name in pair}
        index, clips = committed.index, committed.manifest.clips
        groups = clips[are_among(clips["clip_id"], names)].drop_duplicates("clip_id").set_index("clip_id")["group"]
        index = index[are_among(index["clip_id"], names)]
        index = index.assign(group=index["clip_id"].map(groups).fillna(""))
        columns = ("clip_id", "split", "label", "source", "group")
        return cls({row[0]: _Clip(*row[1:]) for row in zip(*(index[name] for name in columns), strict=True)})

    def of_two_videos(self, pairs: Iterable[Pair]) -> list[Pair]:
        """Return those of these pairs whose clips are not of one video."""
        return [(a, b) for a, b in pairs if self.clips[a].source != self.clips[b].source]

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


def _signatures(index: pd.DataFrame) -> dict[str, bytes]:
    """Return the signatures of an index's clips, in the order of the hashes of their content."""
    names, data = index["clip_id"].to_numpy(object), index["signature"].to_numpy(object)
    return {names[row]: data[row] for row in rows_by_content(index) if data[row]}


def _first(signatures: Mapping[str, bytes], num_clips: int) -> dict[str, bytes]:
    return dict(islice(signatures.items(), num_clips))


def _alike(signatures: Mapping[str, bytes], what: str, earlier: ComparedClips | None) -> list[NearDuplicate]:
    """Return pairs of a drawn clip and any other that look alike after one of `_CHANGES`, the nearest first."""
    drawn = {name: _CHANGES[what](signature) for name, signature in _first(signatures, _MAX_COMPARED).items()}
    return near_duplicates(drawn, signatures, earlier=earlier and earlier.of_drawn(what), with_themselves=False)


def _cropped_pairs(committed: Committed, signatures: Mapping[str, bytes]) -> list[Pair]:
    """Return pairs of which one looks like a part of the other, the nearest first."""
    places = list(islice(committed.places(), _MAX_ORIGINALS))
    letterboxed = committed.plan.pinned.encoding.resize == "letterbox"
    parts: dict[str, bytes] = {}
    for clip_id, cropped in of_each(committed, places, partial(_parts_of, letterboxed=letterboxed)):
        parts |= {f"{number}/{clip_id}": signature for number, signature in enumerate(cropped)}
    found = near_duplicates(parts, _first(signatures, _MAX_COPIES))
    pairs = ((pair.a.partition("/")[2], pair.b) for pair in found)
    return list(dict.fromkeys((min(a, b), max(a, b)) for a, b in pairs if a != b))


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
