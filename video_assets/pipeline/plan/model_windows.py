"""How planned or stored clips fit the windows of MoViNet, and the settings with which TF Model Garden reads them."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.encoding import Encoding
from video_assets.domain.model_windows import ModelFit, frames_to_read, model_fits, nearest_model
from video_assets.domain.sampling import num_stored_frames
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.report.recipes import GardenDataset, model_garden_yaml
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.schemas import MANIFEST
from video_assets.storage.tables import read_table

_COLUMNS = ("clip_id", "start_seconds", "end_seconds", "duration_us", "num_frames")


@dataclass(frozen=True, slots=True)
class FitReport:
    """How the clips fit each model; the block for the model whose frames are of the nearest size, or empty."""

    fits: tuple[ModelFit, ...]
    yaml: str


def clip_lengths(paths: DatasetPaths) -> pd.DataFrame:
    """Of every clip of the manifest, by its id: `duration_us` and `num_frames`, of its span where it has one."""
    clips = read_table(paths.manifest, MANIFEST, _COLUMNS).set_index("clip_id")
    whole_us = clips["duration_us"].to_numpy(np.float64)
    start_us = clips["start_seconds"].fillna(0.0).to_numpy(np.float64) * 1e6
    end_us = np.minimum(clips["end_seconds"].to_numpy(np.float64) * 1e6, whole_us)
    end_us = np.where(np.isnan(end_us), whole_us, end_us)
    span_us = np.clip(end_us - start_us, 1, whole_us)
    frames = np.maximum(1, np.rint(clips["num_frames"].to_numpy(np.float64) * span_us / np.maximum(1, whole_us)))
    lengths = {"duration_us": span_us.astype(np.int64), "num_frames": frames.astype(np.int64)}
    return pd.DataFrame(lengths, index=clips.index)


def stored_frames(lengths: pd.DataFrame, encoding: Encoding) -> NDArray[np.int64]:
    """Return how many frames are stored of clips of these `clip_lengths`, (N,) int64."""
    return num_stored_frames(encoding, *_arrays(lengths))


def plan_fit(paths: DatasetPaths, report: PlanReport, root: str = "") -> FitReport:
    """How the planned clips will fit; `root` is where the dataset will lie, if that is another place (a dry run)."""
    lengths = clip_lengths(paths).reindex(report.rows["clip_id"])
    frames = stored_frames(lengths, report.pinned.encoding)
    counts = report.rows["split"].value_counts()
    dataset = GardenDataset(
        root=root or str(paths.root),
        name=paths.name,
        version=report.pinned.version,
        encoding=report.pinned.encoding,
        num_classes=len(report.labels),
        num_examples={split: int(counts.get(split, 0)) for split in report.pinned.splits},
        num_frames=0,
    )
    return fit_report(dataset, frames, lengths)


def fit_report(dataset: GardenDataset, frames: NDArray[np.int64], lengths: pd.DataFrame) -> FitReport:
    """How clips of so many stored frames fit, (N,) int64, in the order of the rows of `clip_lengths`."""
    window = nearest_model(dataset.encoding.resolution)
    dataset = replace(dataset, num_frames=frames_to_read(frames, window))
    return FitReport(model_fits(dataset.encoding, frames, *_arrays(lengths)), model_garden_yaml(dataset, window))


def _arrays(lengths: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return lengths["duration_us"].to_numpy(np.int64), lengths["num_frames"].to_numpy(np.int64)
