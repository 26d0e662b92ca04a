"""Which clips must stay in one split: those of one group, and those of identical content."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def join_components(groups: Sequence[str | None], content_hashes: Sequence[str]) -> NDArray[np.int64]:
    """Component (N,) int64 of each clip: clips that share a group or a content, also through others, share it.

    Components are numbered by the first clip that belongs to each, from 0.

    >>> join_components(["a", "a", "b", None, None], ["h1", "h2", "h2", "h3", "h4"])
    array([0, 0, 0, 1, 2])
    """
    num_clips = len(content_hashes)
    parent = list(range(num_clips))

    def root_of(clip: int) -> int:
        while parent[clip] != clip:
            parent[clip] = parent[parent[clip]]
            clip = parent[clip]
        return clip

    for names in (groups, content_hashes):
        first_with: dict[str, int] = {}
        for clip, name in enumerate(names):
            if name is None:
                continue
            other = first_with.setdefault(name, clip)
            if other != clip:
                low, high = sorted((root_of(other), root_of(clip)))
                parent[high] = low
    roots = np.fromiter((root_of(clip) for clip in range(num_clips)), np.int64, num_clips)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def component_keys(
    components: NDArray[np.int64], groups: Sequence[str | None], content_hashes: Sequence[str]
) -> list[str]:
    """A name for each component that depends on its members only: its least group, or else its least content hash."""
    keys: list[str] = [""] * (int(components.max()) + 1 if len(components) else 0)
    for component, group, content_hash in zip(components.tolist(), groups, content_hashes, strict=True):
        candidate = f"0{group}" if group is not None else f"1{content_hash}"
        if not keys[component] or candidate < keys[component]:
            keys[component] = candidate
    return keys
