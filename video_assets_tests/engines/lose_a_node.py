"""Script: build a source on two Ray nodes, and kill one while it writes a shard. Prints what the build said, as JSON.

python -m video_assets_tests.engines.lose_a_node SOURCE ROOT [SETTING …]
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from video_assets.storage.files import writer_of
from video_assets_tests.engines.cluster import Node, ray_nodes
from video_assets_tests.waiting import wait_until

_PATIENCE_SECONDS = 600.0


def wait_for_writer(directory: Path, node: Node, build: "subprocess.Popen[str]") -> str:
    """Until a process of the node has a shard half written; gives the name of the half shard."""

    def half_shard() -> str | None:
        if build.poll() is not None:
            raise RuntimeError("the second node wrote no shard")
        writers = {path.name: writer_of(path) for path in directory.glob("*.tfrecord.tmp-*")}
        return next((name for name, writer in writers.items() if writer and node.owns(writer[1])), None)

    return wait_until(half_shard, seconds=_PATIENCE_SECONDS, what="a shard of the second node", every=0.002)


@contextlib.contextmanager
def build_that_lost_a_node(
    source: str, root: str, settings: Sequence[str], half_shards: Path
) -> Generator[dict[str, Any], None, None]:
    """Builds on two nodes, kills the second when it has a shard half written in that folder; gives what was said.

    The first node lives on until the block ends.
    """
    with ray_nodes([1, 1]) as (address, (_, second)):
        command = [sys.executable, "-m", "video_assets.cli", "build", "--source", source, "--root", root, "--json"]
        command += [part for setting in settings for part in ("--set", setting)]
        command += ["--engine", "ray", "--ray-address", address, "--workers", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as build:
            half = wait_for_writer(half_shards, second, build)
            second.kill()
            output = build.communicate()[0]
        yield {"half": half, "result": json.loads(output.splitlines()[-1])}


def main(source: str, root: str, *settings: str) -> int:
    """Builds, kills, waits."""
    with build_that_lost_a_node(source, root, settings, Path(root) / "clips" / "1.0.0") as said:
        print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
