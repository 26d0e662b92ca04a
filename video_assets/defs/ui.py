"""`video-assets ui`: the Dagster UI and its daemon for one dataset, on this machine only."""

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import yaml

from video_assets.defs.instance import prepare_home
from video_assets.defs.resources import AUTOMATION_VARIABLE, NAME_VARIABLE, ROOT_VARIABLE, SOURCE_VARIABLE
from video_assets.storage.files import write_text
from video_assets.storage.paths import DatasetPaths

HOST = "127.0.0.1"
_WORKSPACE = {
    "load_from": [{"python_module": {"module_name": "video_assets.definitions", "location_name": "video_assets"}}]
}


def serve_ui(source: Path, paths: DatasetPaths, port: int) -> NoReturn:
    """Serves until it is interrupted."""
    home = prepare_home(paths)
    workspace = home / "workspace.yaml"
    write_text(workspace, yaml.safe_dump(_WORKSPACE))
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home.absolute()),
        SOURCE_VARIABLE: str(source.absolute()),
        ROOT_VARIABLE: str(paths.root),
        NAME_VARIABLE: paths.name,
        AUTOMATION_VARIABLE: os.environ.get(AUTOMATION_VARIABLE, "on"),
    }
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", HOST, "-p", str(port)]
    sys.stdout.write(f"Dagster UI of {paths.directory}: http://{HOST}:{port}\n")
    sys.stdout.flush()
    # A shell script's background jobs ignore interrupts, and `dagster dev` would then ignore being terminated as well.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # This process becomes the server, so that whoever ends it (a terminal, a service manager) ends the server, which
    # ends its own children.
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell, and no name that could be looked up
