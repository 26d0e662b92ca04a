"""A real Ray cluster of nodes on this machine's loopback, in a network of its own, and processes to run in it.

Ray's servers listen on every address that they find. In a network namespace there is only loopback to find, and in a
process namespace of its own nothing outlives the test.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from video_assets_tests.waiting import wait_until

HEAD_PORT = 6380
_ALONE = ("unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")
_NODE = (
    "--node-ip-address=127.0.0.1",
    "--disable-usage-stats",
    "--min-worker-port=0",
    "--max-worker-port=0",
    "--block",
)
_START_SECONDS = 240.0


def why_no_cluster() -> str:
    """Empty, or why such a cluster cannot be made here."""
    if not all(map(shutil.which, ("unshare", "ip"))):
        return "needs unshare and ip (Debian: util-linux, iproute2)"
    if subprocess.run([*_ALONE, "true"], capture_output=True, check=False).returncode:
        return "needs the right to make namespaces"
    return ""


def run_alone(module: str, *arguments: str | Path, timeout: float = 800) -> subprocess.CompletedProcess[str]:
    """Runs a module as a script in a network and a process namespace of its own, where loopback is up."""
    return run_shell_alone('"$0" -m "$@"', sys.executable, module, *map(str, arguments), timeout=timeout)


def run_shell_alone(
    script: str, *arguments: str, timeout: float, environment: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs commands of a shell there, up to the first that fails."""
    # The shell stays: as the first process of its namespace it buries what a killed node leaves behind.
    command = [*_ALONE, "sh", "-ec", f"ip link set lo up\n{script}\nexit $?", *arguments]
    # As in a real cluster, nodes and drivers know each other by a token.
    ray = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    env = {**environment, **ray}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, env=env, cwd=cwd)


@dataclass(slots=True)
class Node:
    """One node of a cluster: a process and all that descends from it.

    Not a process group: Ray gives its workers groups of their own.
    """

    process: subprocess.Popen[bytes]
    log: Path

    def owns(self, pid: int) -> bool:
        """Whether a process is one of this node's."""
        try:
            return self.process.pid in {parent.pid for parent in psutil.Process(pid).parents()}
        except psutil.NoSuchProcess:
            return False

    def kill(self) -> None:
        """SIGKILL for all of it, as when a machine's power goes."""
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            root.suspend()  # nothing new is started meanwhile
            for process in [*root.children(recursive=True), root]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait()


def _start(folder: Path, number: int, cores: Sequence[int], *arguments: str) -> Node:
    kept_to = ["taskset", "--cpu-list", ",".join(map(str, cores))] if cores else []
    command = [*kept_to, Path(sys.executable).with_name("ray"), "start", *arguments, *_NODE]
    log = folder / f"node{number}.log"
    with log.open("wb") as output:
        return Node(subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True), log)


def _wait_for_port(node: Node, port: int) -> None:
    def answers() -> bool:
        if node.process.poll() is not None:
            raise RuntimeError(f"Ray did not start: {node.log.read_text('utf-8', 'replace')}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    wait_until(answers, seconds=_START_SECONDS, what=f"a Ray head that answers, see {node.log}", every=0.1)


_COUNT = """
import sys, time, ray
while True:
    try:
        ray.init(sys.argv[1], log_to_driver=False, logging_level="error")
        if sum(node["Alive"] for node in ray.nodes()) >= int(sys.argv[2]):
            break
        ray.shutdown()
    except (ConnectionError, RuntimeError):
        pass
    time.sleep(0.2)  # between two looks
"""


def _wait_for_nodes(address: str, num_nodes: int) -> None:
    """Until the head knows them all."""
    command = [sys.executable, "-c", _COUNT, address, str(num_nodes)]
    subprocess.run(command, check=True, capture_output=True, timeout=_START_SECONDS)


@contextlib.contextmanager
def ray_nodes(cpus: Sequence[int], *, keep_apart: bool = False) -> Generator[tuple[str, list[Node]], None, None]:
    """A cluster with a node for each number of cores; the first one is its head. Gives its address and its nodes.

    With `keep_apart` no node uses another core of this machine than those that are its own, as if it were alone.
    """
    # Not pytest's folder: Ray makes sockets in it, whose names may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    address = f"127.0.0.1:{HEAD_PORT}"
    nodes: list[Node] = []
    free = sorted(os.sched_getaffinity(0)) if keep_apart else []
    if keep_apart and len(free) < sum(cpus):
        raise RuntimeError(f"nodes of {sum(cpus)} cores in all cannot be kept apart on {len(free)}")
    cores = [free[sum(cpus[:number]) : sum(cpus[: number + 1])] for number in range(len(cpus))]
    try:
        head = ("--head", f"--port={HEAD_PORT}", "--include-dashboard=false", f"--temp-dir={folder / 'r'}")
        nodes.append(_start(folder, 0, cores[0], *head, f"--num-cpus={cpus[0]}"))
        _wait_for_port(nodes[0], HEAD_PORT)
        for number, num_cpus in enumerate(cpus[1:], start=1):
            nodes.append(_start(folder, number, cores[number], f"--address={address}", f"--num-cpus={num_cpus}"))
        _wait_for_nodes(address, len(cpus))
        yield address, nodes
    finally:
        for node in reversed(nodes):
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)
