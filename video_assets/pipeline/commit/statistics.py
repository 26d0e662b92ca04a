"""What a trainer needs to know of what is committed."""

from itertools import islice

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.statistics import DatasetStatistics, Spread, channel_levels, class_weights
from video_assets.pipeline.commit.card import class_rows
from video_assets.pipeline.commit.committed import Committed, middle_frame_sums, of_each, places_by_content
from video_assets.pipeline.dataset_state import whole_commit
from video_assets.pipeline.plan.model_windows import clip_lengths
from video_assets.storage.paths import parse_partition_key

_MAX_CLIPS = 200


def commit_statistics(committed: Committed) -> DatasetStatistics | None:
    """The statistics of a commit. The same plan says what it said before, which may be nothing.

    So committing again changes no byte, also of datasets whose version did not gather any.
    """
    known = whole_commit(committed.version_paths)
    if known is not None and known.plan_digest == committed.notes.plan:
        return known.statistics
    index, plan = committed.index, committed.plan
    rows = class_rows(index, plan)
    counts = {split: {row.label: row.clips.get(split, 0) for row in rows} for split in committed.records}
    seconds = clip_lengths(committed.paths).reindex(index["clip_id"])["duration_us"].dropna() / 1e6
    return DatasetStatistics(
        clips=counts,
        class_weights=class_weights(
            counts["train"], committed.records["train"], multi_label=plan.pinned.encoding.multi_label
        ),
        frames=Spread.of(index["num_frames"]),
        seconds=Spread.of(seconds),
        levels=channel_levels(_frame_sums(committed)),
    )


def _frame_sums(committed: Committed) -> list[NDArray[np.float64]]:
    """Of the middle frame of up to 200 training clips: reading them costs a fraction of a second, whatever the size."""
    train = (place for place in places_by_content(committed.sidecars) if parse_partition_key(place[0])[0] == "train")
    return of_each(committed, islice(train, _MAX_CLIPS), middle_frame_sums)
