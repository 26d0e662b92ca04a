"""Which clip goes to which shard, and how that changes when clips come and go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from video_assets.domain.encoding import Encoding
from video_assets.domain.hashing import json_digest, seeded_hash
from video_assets.domain.splits import Split


@dataclass(frozen=True, slots=True)
class PlannedClip:
    """Everything but the encoding that the bytes of a clip's record depend on.

    A clip of several labels has all of them in `label`; `label_index` is the index of the first one and
    `other_label_indices` are those of the others, in the same order.
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
        """Return the indices of all labels, in their order."""
        return (self.label_index, *self.other_label_indices)

    @property
    def is_span(self) -> bool:
        """Return whether the clip is a part of its video, which may have other clips."""
        return self.start_seconds is not None or self.end_seconds is not None

    def row_digest(self) -> str:
        """Return a hash of all fields. Clips with the same digest have the same record under the same encoding."""
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
    """One planned shard: its clips in the order of their records."""

    split: Split
    shard_index: int
    clips: tuple[PlannedClip, ...]
    encoding: Encoding

    def fingerprint(self) -> str:
        """Return a hash of all that the shard's bytes depend on: its rows, the encoding and the encoder's version."""
        return shard_fingerprint([clip.row_digest() for clip in self.clips], self.encoding)


def shard_fingerprint(row_digests: Sequence[str], encoding: Encoding) -> str:
    """Return the fingerprint of a shard that holds these rows, in this order, under this encoding."""
    return json_digest(["shard", encoding.encoder_version, encoding.as_dict(), list(row_digests)])


@dataclass(frozen=True, slots=True)
class ShardAssignment:
    """Which shard each clip of one split goes to.

    `shards` has the row digests of every live shard in order, `num_shards` is the number of indices ever used,
    `added` are the new live shards, `superseded` those that are no longer live.
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
    """Assign the rows of one split, given as digests, to shards of at most `clips_per_shard` rows.

    A live shard keeps its index and its rows as long as all of these rows are present. A shard that lost a row is
    superseded, and its other rows are placed again. If there are more rows to place than such shards had room for, the
    emptiest shard that is not full is superseded too, so that it gets filled. Placed rows go into new indices, from
    `num_shards` (the number of indices ever used) on. Their order depends only on seed and digest.

    >>> assign_shards(["a", "b", "c"], {}, num_shards=0, clips_per_shard=2, seed=0).shards
    {0: ('c', 'a'), 1: ('b',)}

    Raises:
        ValueError: If a row is listed twice, or clips_per_shard is below 1.
    """
    if clips_per_shard < 1:
        raise ValueError(f"clips_per_shard is {clips_per_shard}; it must be at least 1")
    present = set(rows)
    if len(present) != len(rows):
        raise ValueError("a row is listed twice among the rows to place")
    intact = {i: tuple(members) for i, members in sorted(existing.items()) if members and present.issuperset(members)}
    to_place = present.difference(*intact.values()) if intact else present
    room = sum(max(clips_per_shard, len(members)) for i, members in existing.items() if i not in intact)
    not_full = [index for index, members in intact.items() if len(members) < clips_per_shard]
    if len(to_place) > room and not_full:
        to_place = to_place.union(intact.pop(min(not_full, key=lambda index: (len(intact[index]), -index))))
    ordered = sorted(to_place, key=lambda row: (seeded_hash(seed, row), row))
    first_new = max(num_shards, max(existing, default=-1) + 1)
    placed = {
        first_new + number: tuple(ordered[begin : begin + clips_per_shard])
        for number, begin in enumerate(range(0, len(ordered), clips_per_shard))
    }
    superseded = tuple(i for i, members in sorted(existing.items()) if members and i not in intact)
    return ShardAssignment(intact | placed, first_new + len(placed), tuple(placed), superseded)
