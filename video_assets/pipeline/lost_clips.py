"""Clips of the manifest that cannot be used though their files can."""

import numpy as np
import pandas as pd

from video_assets.domain.clips import LostSource
from video_assets.domain.losses import Loss


def without_bad_spans(clips: pd.DataFrame) -> tuple[pd.DataFrame, list[LostSource]]:
    """Leaves out clips whose span begins after the end of their video."""
    durations = clips["duration_us"].astype("float64") / 1e6
    is_bad = (clips["start_seconds"] >= durations).to_numpy(dtype=bool, na_value=False)
    lost = [
        LostSource(
            row["clip_id"],
            Loss("bad_span", f"it starts at {row['start_seconds']:g} s, the video ends at {end:g} s"),
            row["label"],
        )
        for (_, row), end in zip(clips[is_bad].iterrows(), durations[is_bad], strict=True)
    ]
    return clips[~is_bad], lost


def without_conflicts(clips: pd.DataFrame, *, multi_label: bool) -> tuple[pd.DataFrame, list[LostSource]]:
    """Leaves out clips whose content stands under several labels: nobody can say which is right."""
    same = clips.groupby(["content_hash", "start_seconds", "end_seconds"], dropna=False, sort=False)
    is_conflict = (same["label"].transform("nunique") > 1).to_numpy(dtype=bool) if len(clips) else np.zeros(0, bool)
    lost: list[LostSource] = []
    what = "sets of labels" if multi_label else "labels"
    for _, rows in clips[is_conflict].groupby(["content_hash", "start_seconds", "end_seconds"], dropna=False):
        places = "; ".join(
            f"{label}: {clip_id}" for label, clip_id in sorted(zip(rows["label"], rows["clip_id"], strict=True))
        )
        detail = f"the same content stands under {rows['label'].nunique()} {what} ({places})"
        loss = Loss("label_conflict", detail)
        lost += [LostSource(c, loss, label) for c, label in zip(rows["clip_id"], rows["label"], strict=True)]
    return clips[~is_conflict], lost
