"""Which clip goes to which shard, and how that changes when clips come and go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from video_assets.domain.encoding import ENCODER_VERSION, Encoding
from video_assets.domain.hashing import json_digest, seeded_hash
from video_assets.domain.splits import Split


@dataclass(frozen=True, slots=True)
class PlannedClip:
    """Everything about a clip, but for the encoding, that its record's bytes depend on.

    A clip of several labels has them all in `label`; `label_index` is that of the first, `other_label_indices` are
    those of the others, in their order.
    """

    clip_id: str
    path: str
    content_hash: str
    label: str
    label_index: int
    start_seconds: float | None = None
    end_seconds: float | None = None
    caption: str | None = None
    other_label_indices: tuple[int, ...] = ()

    @property
    def label_indices(self) -> tuple[int, ...]:
        """Of all labels, in their order."""
        return (self.label_index, *self.other_label_indices)

    @property
    def is_span(self) -> bool:
        """Whether it is a part of its video, of which there may be others."""
        return self.start_seconds is not None or self.end_seconds is not None

    def row_digest(self) -> str:
        """Hash of all fields: two clips with the same one have the same record under the same encoding."""
        return json_digest(
            [
                self.clip_id,
                self.path,
                self.content_hash,
                self.label,
                self.label_index if not self.other_label_indices else self.label_indices,
                self.start_seconds,
                self.end_seconds,
                self.caption,
            ]
        )


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """One shard as planned: its clips in the order of their records."""

    split: Split
    shard_index: int
    clips: tuple[PlannedClip, ...]
    encoding: Encoding

    def fingerprint(self) -> str:
        """Hash of all that the shard's bytes depend on: rows and their contents, encoding, version of the encoder."""
        return shard_fingerprint([clip.row_digest() for clip in self.clips], self.encoding)


def shard_fingerprint(row_digests: Sequence[str], encoding: Encoding) -> str:
    """The fingerprint of a shard that holds these rows, in this order, under this encoding."""
    return json_digest(["shard", ENCODER_VERSION, encoding.as_dict(), list(row_digests)])


@dataclass(frozen=True, slots=True)
class ShardAssignment:
    """Where the clips of one split go.

    `shards` gives the row digests of every live shard in order, `num_shards` the number of indices ever used,
    `added` the live shards that are new, `superseded` those that were live and are no longer.
    """

    shards: dict[int, tuple[str, ...]]
    num_shards: int
    added: tuple[int, ...]
    superseded: tuple[int, ...]


def assign_shards(
    rows: Sequence[str],
    existing: Mapping[int, Sequence[str]],
    *,
    num_shards: int,
    clips_per_shard: int,
    seed: int,
) -> ShardAssignment:
    """Puts the rows of one split, named by their digests, into shards of at most `clips_per_shard`.

    A live shard keeps its index and its rows as long as all of them are still there. One that lost a row is
    superseded: what remains of it is placed anew. So is the last shard if it is not full and rows have to be
    placed. Placed rows go, in an order that hangs on seed and digest alone, into new indices from `num_shards`
    (the number of indices ever used) on, and never into one that exists.

    >>> assign_shards(["a", "b", "c"], {}, num_shards=0, clips_per_shard=2, seed=0).shards
    {0: ('c', 'a'), 1: ('b',)}

    Raises:
        ValueError: if a row stands twice, or clips_per_shard is below 1.
    """
    if clips_per_shard < 1:
        raise ValueError(f"clips_per_shard is {clips_per_shard}; it must be at least 1")
    present = set(rows)
    if len(present) != len(rows):
        raise ValueError("a row stands twice among the rows to place")
    kept = {i: tuple(members) for i, members in sorted(existing.items()) if members and present.issuperset(members)}
    to_place = present.difference(*kept.values()) if kept else present
    last = max(kept, default=None)
    if to_place and last is not None and len(kept[last]) < clips_per_shard:
        to_place = to_place.union(kept.pop(last))
    ordered = sorted(to_place, key=lambda row: (seeded_hash(seed, row), row))
    first_new = max(num_shards, max(existing, default=-1) + 1)
    placed = {
        first_new + number: tuple(ordered[begin : begin + clips_per_shard])
        for number, begin in enumerate(range(0, len(ordered), clips_per_shard))
    }
    superseded = tuple(i for i, members in sorted(existing.items()) if members and i not in kept)
    return ShardAssignment(kept | placed, first_new + len(placed), tuple(placed), superseded)
