"""Records that superseded shards hold: new shards copy them, so that only new and changed clips are decoded."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from video_assets.domain.plan import PlannedClip
from video_assets.pipeline.plan.plan_table import ReadPlan, live_shards
from video_assets.pipeline.shards.copying import StoredRecord
from video_assets.storage.paths import VersionPaths, partition_key
from video_assets.storage.sidecars import StoredClip, read_sidecar

_Frames = tuple[str, str, str]
"""What a clip's frames depend on, besides the encoding: its content, its span, and the ending of its file's name."""


def _frames(clip: PlannedClip | StoredClip) -> _Frames:
    path = clip.path if isinstance(clip, PlannedClip) else clip.source
    # An id is the path and the span: two clips of one content and span differ in what stands before the span only.
    return clip.content_hash, clip.clip_id.removeprefix(path), PurePosixPath(path).suffix.lower()


def stored_records(paths: VersionPaths, plan: ReadPlan, clips: Iterable[PlannedClip]) -> dict[str, StoredRecord]:
    """Return the records of superseded shards that hold the frames of these clips, by the ids of the clips.

    A record stays its clip's as long as that is planned with this content. A record whose clip left serves one other
    clip of the same content and span: the one that was renamed.
    """
    live, encoding = set(live_shards(plan.rows)), plan.pinned.encoding.as_dict()
    found: defaultdict[_Frames, dict[str, StoredRecord]] = defaultdict(dict)
    for place in paths.sidecars():
        sidecar = read_sidecar(paths.sidecar(*place)) if partition_key(*place) not in live else None
        if sidecar is not None and sidecar.encoding == encoding:
            for clip in sidecar.clips:
                found[_frames(clip)][clip.clip_id] = StoredRecord(paths.shard(*place), clip, sidecar.versions)
    if not found:
        return {}
    staying = set(zip(plan.rows["clip_id"], plan.rows["content_hash"], strict=True))
    chosen: dict[str, StoredRecord] = {}
    for clip in clips:
        same = found.get(_frames(clip), {})
        free = (clip_id for clip_id in sorted(same) if (clip_id, clip.content_hash) not in staying)
        key = clip.clip_id if clip.clip_id in same else next(free, None)
        if key is not None:
            chosen[clip.clip_id] = same.pop(key)
    return chosen


def joined_versions(several: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return which versions of each software took part.

    >>> joined_versions([{"av": "18.1.0"}, {"av": "18.0.0"}, {"av": "18.1.0"}])
    {'av': '18.0.0, 18.1.0'}
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for versions in several:
        for name, version in versions.items():
            found[name].update(version.split(", "))
    return {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}
