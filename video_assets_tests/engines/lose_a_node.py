"""Script: build a source on two Ray nodes, and kill one while it writes a shard. Prints what the build said, as JSON.

python -m video_assets_tests.engines.lose_a_node SOURCE ROOT [SETTING …]
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from video_assets_tests.engines.cluster import Node, ray_nodes

_TEMPORARY = re.compile(r"\.tfrecord\.tmp-(\d+)-")
_PATIENCE_SECONDS = 600.0


def wait_for_writer(directory: Path, node: Node, build: "subprocess.Popen[str]") -> str:
    """Until a process of the node has a shard half written; gives the name of the half shard."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while build.poll() is None and time.monotonic() < deadline:
        for path in directory.glob("*.tmp-*"):
            match = _TEMPORARY.search(path.name)
            if match and node.owns(int(match[1])):
                return path.name
        time.sleep(0.002)  # between two looks
    raise RuntimeError("the second node wrote no shard")


def main(source: str, root: str, *settings: str) -> int:
    """Builds, kills, waits."""
    with ray_nodes([1, 1]) as (address, (_, second)):
        command = [sys.executable, "-m", "video_assets.cli", "build", "--source", source, "--root", root, "--json"]
        command += [part for setting in settings for part in ("--set", setting)]
        command += ["--engine", "ray", "--ray-address", address, "--workers", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as build:
            half = wait_for_writer(Path(root) / "clips" / "1.0.0", second, build)
            second.kill()
            output = build.communicate()[0]
        print(json.dumps({"half": half, "result": json.loads(output.splitlines()[-1])}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
