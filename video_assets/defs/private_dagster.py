"""What of Dagster is used although its documents do not name it. Nothing else may import from inside Dagster.

`AssetCheckEvaluationTargetMaterializationData`: without it an evaluation of a partition's check does not count as
current, and the UI shows the check as not yet run. Dagster makes it for checks that run as steps of their own partition
only; checks of a range, and those that the build command reports, must say it themselves. See dagster-io/dagster#27747.

The names of tags: `report_runless_asset_event` stores the tags of a materialization as they are. Runs write code
version and provenance under these names, and Dagster judges staleness by them.
"""

from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

__all__ = [
    "CODE_VERSION_TAG",
    "DATA_VERSION_IS_OURS_TAG",
    "DATA_VERSION_TAG",
    "INPUT_DATA_VERSION_TAG",
    "INPUT_EVENT_POINTER_TAG",
    "NO_EVENT",
    "NO_VERSION",
    "AssetCheckEvaluationTargetMaterializationData",
]

DATA_VERSION_TAG = "dagster/data_version"
DATA_VERSION_IS_OURS_TAG = "dagster/data_version_is_user_provided"
CODE_VERSION_TAG = "dagster/code_version"
INPUT_DATA_VERSION_TAG = "dagster/input_data_version"
INPUT_EVENT_POINTER_TAG = "dagster/input_event_pointer"
NO_VERSION, NO_EVENT = "INITIAL", "NULL"
"""Of an input that was never materialized."""
