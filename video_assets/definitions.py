"""The code location of one dataset, which the environment names: what `make ui` and this project's workspace load."""

import os

import dagster as dg

from video_assets.defs.automation import Automation
from video_assets.defs.video_dataset import build_video_dataset_defs
from video_assets.environment import Environment


def build_definitions() -> dg.Definitions:
    """Return one dataset's assets, checks and automation; source, root and name come from the environment."""
    environment = Environment.read(os.environ)
    dataset = build_video_dataset_defs(
        environment.dataset(),
        owners=["team:video_assets"],
        automation=Automation(
            sensors=environment.automation == "on", sensor_seconds=environment.sensor_seconds, prune_cron="0 4 * * *"
        ),
    )
    # Parallelism is the pool of decoding processes; a process for each step would pay for its imports.
    return dg.Definitions.merge(dataset, dg.Definitions(executor=dg.in_process_executor))


@dg.definitions
def defs() -> dg.Definitions:
    """Return the code location."""
    return build_definitions()
