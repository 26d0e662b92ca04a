"""Tags that tie a run to its dataset: datasets on one instance share asset names."""

from collections.abc import Iterable, Mapping

import dagster as dg

from video_assets.defs.instance import dagster_home
from video_assets.storage.addresses import place_name
from video_assets.storage.paths import DatasetPaths

DATASET_TAG = "video_assets/dataset"
"""On every run, also on those that somebody launched in the UI: the dataset's folder."""


def dataset_tags(paths: DatasetPaths) -> Mapping[str, str]:
    """The tag of this dataset's runs."""
    return {DATASET_TAG: place_name(paths.directory)}


def note_dataset(context: dg.OpExecutionContext | dg.AssetCheckExecutionContext, paths: DatasetPaths) -> None:
    """Puts the tag on a run that checks something, unless whoever launched it did."""
    if DATASET_TAG not in context.run.tags:
        context.instance.add_run_tags(context.run.run_id, dataset_tags(paths))


def runs_of_others(instance: dg.DagsterInstance, paths: DatasetPaths, run_ids: Iterable[str]) -> set[str]:
    """Those of these runs that were another dataset's. An instance in the dataset's own folder has none.

    (A dataset that was moved took its instance along, whose runs name the place before.)
    """
    wanted = sorted(set(run_ids))
    if not wanted or dagster_home(paths) == paths.dagster_home:
        return set()
    mine = dataset_tags(paths)[DATASET_TAG]
    runs = instance.get_runs(dg.RunsFilter(run_ids=wanted))
    return {run.run_id for run in runs if run.tags.get(DATASET_TAG, mine) != mine}


BUILD_TAG = "video_assets/build_of"
"""On the runs of the build command: the dataset's folder. Whoever holds its build lock alone works on them."""
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def end_dead_runs(instance: dg.DagsterInstance, paths: DatasetPaths) -> list[str]:
    """Marks unfinished runs of builds of this dataset as failed; gives their ids.

    To be called while holding the dataset's build lock, so that no build is at work on them.
    """
    runs = instance.get_runs(dg.RunsFilter(tags={BUILD_TAG: place_name(paths.directory)}, statuses=UNFINISHED))
    for run in runs:
        instance.report_run_failed(run, "the build that this run was part of ended without finishing it")
    return [run.run_id for run in runs]
