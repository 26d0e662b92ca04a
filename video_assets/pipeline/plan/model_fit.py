"""How planned or stored clips fit the windows of MoViNet, and the recipes with which TF Model Garden trains it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.errors import BuildRefused, SettingsError
from video_assets.domain.model_windows import ModelMatch, ModelWindow, frames_to_read, match_models, nearest_model
from video_assets.pipeline.manifest.manifest_table import length_arrays, read_clip_lengths, stored_frames
from video_assets.pipeline.plan.plan_table import ReadPlan, plan_digest, read_plan
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.report.model_garden import NO_MODEL_GARDEN, GardenDataset, ModelInput, recipe_name, recipes
from video_assets.storage.addresses import is_store_address
from video_assets.storage.paths import DatasetPaths, commit_name
from video_assets.storage.tables import INDEX, read_table


@dataclass(frozen=True, slots=True)
class FitReport:
    """How the clips fit each model, and the recipe of each by its name; `nearest` has frames of the nearest size."""

    fits: tuple[ModelMatch, ...]
    recipes: Mapping[str, str]
    nearest: ModelWindow

    @property
    def yaml(self) -> str:
        """Return the recipe of the base model of the nearest size; empty if Model Garden cannot read the layout."""
        return self.recipes.get(recipe_name(self.nearest.model_id, is_stream=False), "")

    def recipe(self, model_id: str, *, is_stream: bool) -> str:
        """Return the recipe of a model, by default the nearest.

        Raises:
            SettingsError: If Model Garden cannot read the layout.
        """
        name = recipe_name(model_id or self.nearest.model_id, is_stream=is_stream)
        if name not in self.recipes:
            raise SettingsError(NO_MODEL_GARDEN)
        return self.recipes[name]


def plan_fit(paths: DatasetPaths, report: PlanReport, root: str = "") -> FitReport:
    """How the planned clips will fit; `root` is where the dataset will lie, if that is another place (a dry run)."""
    lengths = read_clip_lengths(paths).reindex(report.rows["clip_id"])
    frames = stored_frames(lengths, report.pinned.encoding)
    counts = report.rows["split"].value_counts()
    dataset = GardenDataset(
        root=root or str(paths.root),
        name=paths.name,
        version=report.pinned.version,
        encoding=report.pinned.encoding,
        num_classes=len(report.labels),
        num_examples={split: int(counts.get(split, 0)) for split in report.pinned.splits},
        folder="" if is_store_address(root or str(paths.root)) else _folder_to_be(report),
    )
    return fit_report(dataset, frames, lengths)


def _folder_to_be(report: PlanReport) -> str:
    """Return the folder of the commit of a plan."""
    plan = ReadPlan(report.pinned, report.rows, report.labels)
    return f"commits/{commit_name(plan_digest(plan, plan.fingerprints()))}"


def fit_report(dataset: GardenDataset, frames: NDArray[np.int64], lengths: pd.DataFrame) -> FitReport:
    """How clips of so many stored frames fit, (N,) int64, in the order of the rows of `clip_lengths`."""
    fits = match_models(dataset.encoding, frames, *length_arrays(lengths))
    inputs = [_model_input(fit, frames) for fit in fits]
    return FitReport(fits, recipes(dataset, inputs), nearest_model(dataset.encoding.resolution))


def _model_input(fit: ModelMatch, frames: NDArray[np.int64]) -> ModelInput:
    stride = fit.rate.stride
    return ModelInput(window=fit.window, num_frames=frames_to_read(frames, fit.window, stride), stride=stride)


def committed_fit(paths: DatasetPaths, root: str) -> FitReport:
    """How the clips of the committed dataset fit; recipes look for it in `root`.

    Raises:
        BuildRefused: If nothing is committed.
    """
    plan = read_plan(paths)
    version = paths.version(plan.pinned.version)
    if not version.dataset_info.exists():
        raise BuildRefused(f"no dataset {paths.name} is committed in {paths.root}; build it first: video-assets build")
    index = read_table(version.index, INDEX, ["clip_id", "split", "num_frames"])
    current = version.current_commit()
    folder = f"commits/{current}" if current else ""
    return fit_of_index(paths.name, plan, index, read_clip_lengths(paths), root, folder=folder)


def fit_of_index(
    name: str, plan: ReadPlan, index: pd.DataFrame, lengths: pd.DataFrame, root: str, *, folder: str
) -> FitReport:
    """How the clips of an index fit, of `clip_lengths`; clips of unknown length are left out.

    `name` is the dataset's, and `folder` that of the index's commit.
    """
    lengths = lengths.reindex(index["clip_id"])
    is_known = lengths["duration_us"].notna().to_numpy()
    counts = index["split"].value_counts()
    dataset = GardenDataset(
        root=root,
        name=name,
        version=plan.pinned.version,
        encoding=plan.pinned.encoding,
        num_classes=len(plan.labels),
        num_examples={split: int(counts.get(split, 0)) for split in plan.pinned.splits},
        folder=folder,
    )
    return fit_report(dataset, index["num_frames"].to_numpy(np.int64)[is_known], lengths[is_known])
