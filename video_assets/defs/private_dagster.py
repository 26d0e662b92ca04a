"""What of Dagster is used although its documents do not name it. Nothing else may import from inside Dagster.

`AssetCheckEvaluationTargetMaterializationData`: without it an evaluation of a partition's check does not count as
current, and the UI shows the check as not yet run. Dagster makes it for checks that run as steps of their own partition
only; checks of a range, and those that the build command reports, must say it themselves. See dagster-io/dagster#27747.

The names of tags: `report_runless_asset_event` stores the tags of a materialization as they are. Runs write code
version and provenance under these names, and Dagster judges staleness by them.

`webserver_app`: Dagster's web server as an ASGI application, which its command makes and serves without a way to put
anything around it. A proxy before that command would leave the command's own port open to every web page, and its path
prefix is no secret: `/` leads there.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = [
    "CODE_VERSION_TAG",
    "DATA_VERSION_IS_OURS_TAG",
    "DATA_VERSION_TAG",
    "INPUT_DATA_VERSION_TAG",
    "INPUT_EVENT_POINTER_TAG",
    "NO_EVENT",
    "NO_VERSION",
    "AssetCheckEvaluationTargetMaterializationData",
    "webserver_app",
]

DATA_VERSION_TAG = "dagster/data_version"
DATA_VERSION_IS_OURS_TAG = "dagster/data_version_is_user_provided"
CODE_VERSION_TAG = "dagster/code_version"
INPUT_DATA_VERSION_TAG = "dagster/input_data_version"
INPUT_EVENT_POINTER_TAG = "dagster/input_event_pointer"
NO_VERSION, NO_EVENT = "INITIAL", "NULL"
"""Of an input that was never materialized."""


@contextmanager
def webserver_app(instance: dg.DagsterInstance, workspace: Path) -> "Generator[Starlette]":
    """Dagster's UI and API for the code locations of a workspace file, as an ASGI application."""
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context
    from dagster_webserver.version import __version__

    instance.optimize_for_webserver(
        statement_timeout=15_000, pool_recycle=3_600, max_overflow=20
    )  # as the command does
    with WorkspaceProcessContext(instance, WorkspaceFileTarget([str(workspace)]), version=__version__) as context:
        yield create_app_from_workspace_process_context(context, live_data_poll_rate=2000)
