"""`video-assets ui`: the Dagster UI and its daemon for one dataset, on this machine only."""

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import yaml

from video_assets.defs.instance import prepare_home
from video_assets.environment import Environment, variable_name
from video_assets.storage.files import write_text
from video_assets.storage.paths import DatasetPaths

HOST = "127.0.0.1"
_WORKSPACE = {
    "load_from": [{"python_module": {"module_name": "video_assets.definitions", "location_name": "video_assets"}}]
}


def serve_ui(source: Path, paths: DatasetPaths, port: int, built_on: Environment) -> NoReturn:
    """Serves until it is interrupted."""
    home = prepare_home(paths)
    workspace = home / "workspace.yaml"
    write_text(workspace, yaml.safe_dump(_WORKSPACE))
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home.absolute()),
        **built_on.as_variables(),
        variable_name("source"): str(source.absolute()),
        variable_name("root"): str(paths.root),
        variable_name("name"): paths.name,
        variable_name("automation"): os.environ.get(variable_name("automation"), "on"),
    }
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", HOST, "-p", str(port)]
    sys.stdout.write(f"Dagster UI of {paths.directory}: http://{HOST}:{port}\n")
    sys.stdout.flush()
    # A shell script's background jobs ignore interrupts, and `dagster dev` would then ignore being terminated as well.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # This process becomes the server, so that whoever ends it (a terminal, a service manager) ends the server, which
    # ends its own children.
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell, and no name that could be looked up
