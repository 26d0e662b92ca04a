"""The Dagster instance: DAGSTER_HOME where it is set, else one kept with the dataset."""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import yaml
from sqlalchemy.exc import SQLAlchemyError  # what Dagster lets through when its storage fails

from video_assets.domain.errors import StorageFailed
from video_assets.storage.failures import named_failures, open_files_remedy
from video_assets.storage.files import write_text
from video_assets.storage.paths import DatasetPaths

_PLACES = ("storage", "local_artifact_storage", "compute_logs")
"""Keys of the project's dagster.yaml that say where things lie: a DAGSTER_HOME has its own place for them."""


def dagster_home(paths: DatasetPaths) -> Path:
    """The instance's folder."""
    given = os.environ.get("DAGSTER_HOME")
    return Path(given) if given else paths.dagster_home


def prepare_home(paths: DatasetPaths) -> Path:
    """The instance's folder, made and configured if it is the dataset's own."""
    home = dagster_home(paths)
    with named_failures(home):
        home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        write_text(config, yaml.safe_dump(_instance_config()))
    return home


def _instance_config() -> dict[str, object]:
    package = Path(__file__).resolve().parents[1]
    # A wheel has the file inside; a clone has it where `dagster dev` looks for it.
    given = next(path for place in (package, package.parent) if (path := place / "dagster.yaml").exists())
    return {key: value for key, value in yaml.safe_load(given.read_text("utf-8")).items() if key not in _PLACES}


def open_instance(paths: DatasetPaths) -> dg.DagsterInstance:
    """The instance, ready to run."""
    return dg.DagsterInstance.from_config(str(prepare_home(paths)))


@contextmanager
def named_instance_failures(paths: DatasetPaths) -> Generator[None]:
    """Turn a failure of Dagster's storage into one sentence.

    Raises:
        StorageFailed: naming the place, the reason and what to do.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        if "unable to open database" in reason:  # all that SQLite says, also when too many files are open
            reason = f"{reason} ({open_files_remedy()} if that is too few)"
        raise StorageFailed(
            f"Dagster's storage in {dagster_home(paths)} cannot be used: {reason}; make room there, see that it may be "
            "written, name another place in DAGSTER_HOME, or build with --no-dagster. What is finished is kept, and "
            "the same build tells Dagster the rest"
        ) from error
