"""Runs of builds that were killed: nobody else ends them, and sensors would wait for them for ever."""

import dagster as dg

from video_assets.storage.addresses import place_name
from video_assets.storage.paths import DatasetPaths

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
