"""The code location: what the UI, the daemon and Dagster's commands load. All of it is listed in `defs.location`."""

import dagster as dg

from video_assets.defs.location import build_definitions


@dg.definitions
def defs() -> dg.Definitions:
    """One dataset's assets, checks and automation; source, root and name come from the environment."""
    return build_definitions()
