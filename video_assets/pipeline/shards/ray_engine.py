"""Shards as tasks of a Ray cluster: each is decoded, written and read back on whichever node has a core free.

A task is one shard. Its node decodes it in processes of its own (as on one machine, a bad video costs one clip), writes
it to the storage that all nodes reach, and returns only the report. Ray gives a task that lost its node, or its worker,
to another one. Nodes need this package in the very versions of the driver, and neither Dagster nor TensorFlow.
"""

import functools
import logging
import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from video_assets.domain.errors import SettingsError, VideoAssetsError
from video_assets.domain.progress import Progress, silent
from video_assets.media.workers.pool import DecodingPool
from video_assets.pipeline.shards.contents import encoder_versions
from video_assets.pipeline.shards.stage import (
    ShardPlace,
    ShardReport,
    ShardTask,
    begin_encoding,
    build_here,
)
from video_assets.pipeline.shared_pools import JOB_MODULES
from video_assets.settings import Limits

MAX_RETRIES = 3
"""How often a shard is given to another worker: after the loss of one, or a failure that another may not have."""
_LOOK_SECONDS = 5.0


class _AttemptFailed(Exception):
    """A shard could not be written on one node; another one may be able to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayEngine:
    """A `ShardEngine` on a Ray cluster.

    `address` is that of a running cluster ("auto" or host:port of its head, which this process must be a node of, or
    ray://host:port); empty: one is started on this machine and ended with the run. A task takes `cpus_per_shard` cores,
    and as many decoding processes. Without a node for so long that a task waits for `patience_seconds`, it fails.
    """

    address: str = ""
    cpus_per_shard: int = 1
    patience_seconds: float = 300.0

    def __call__(self, tasks: Sequence[ShardTask], place: ShardPlace, progress: Progress) -> Iterator[ShardReport]:
        """Builds shards anywhere in the cluster; gives each report as soon as its shard is whole or has failed.

        Raises:
            SettingsError: if there is no Ray, no such cluster, or no node with enough cores.
        """
        ray = _import_ray()
        with ExitStack() as ending:
            ending.enter_context(_connection(ray, self.address))
            _refuse_small_nodes(ray, self.cpus_per_shard)
            build = ray.remote(_build_on_node).options(
                num_cpus=self.cpus_per_shard,
                scheduling_strategy="SPREAD",  # Ray's own choice leaves other nodes idle for seconds
                max_retries=MAX_RETRIES,
                retry_exceptions=[_AttemptFailed],
            )
            shared = ray.put((place, encoder_versions()))
            pending = {build.remote(task, shared, self.cpus_per_shard): task for task in tasks}
            ending.callback(_cancel, ray, pending)
            counter = begin_encoding(progress, tasks)
            for reference in _finished(ray, pending, self.patience_seconds):
                task = pending.pop(reference)
                report = _report(ray, reference, task)
                if not report.error:
                    counter(len(task.plan.clips), sum(task.sizes_bytes))
                yield report
            for task in pending.values():
                yield _failed(task, f"for {self.patience_seconds:g} s no Ray node lived; see `ray status`")


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody outside
    try:
        import ray
    except ModuleNotFoundError as error:
        raise SettingsError("the engine is ray, and Ray is not installed: pip install 'video_assets[ray]'") from error
    return ray


@contextmanager
def _connection(ray: Any, address: str) -> Generator[None, None, None]:
    """Joins the cluster, or starts one; a connection that was there before is used and left as it is."""
    if ray.is_initialized():
        yield
        return
    place = {"address": address} if address else {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
    try:
        ray.init(**place, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise SettingsError(f"no Ray cluster answers at {address or 'this machine'}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _refuse_small_nodes(ray: Any, cpus_per_shard: int) -> None:
    sizes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    if max(sizes, default=0) < cpus_per_shard:
        raise SettingsError(
            f"a shard takes {cpus_per_shard} cores and no node of the Ray cluster has more than {max(sizes, default=0)}"
        )


def _cancel(ray: Any, pending: dict[Any, ShardTask]) -> None:
    """Cancel what is left: a caller that stops listening, also through an error, wants no more work done."""
    for reference in pending:
        ray.cancel(reference, force=True)


def _finished(ray: Any, pending: dict[Any, ShardTask], patience_seconds: float) -> Iterator[Any]:
    """Tasks as they end; stops early where no node that lives could take one for as long as `patience_seconds`."""
    served = time.monotonic()
    while pending:
        ready, _ = ray.wait(list(pending), num_returns=1, timeout=_LOOK_SECONDS)
        if ready or any(node["Alive"] and node["Resources"].get("CPU", 0) for node in ray.nodes()):
            served = time.monotonic()
        elif time.monotonic() - served > patience_seconds:
            return
        yield from ready


def _report(ray: Any, reference: Any, task: ShardTask) -> ShardReport:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        reason = str(error.cause).removeprefix(f"{task.key}: ")
    except ray.exceptions.RayError as error:
        reason = f"Ray gave up after {MAX_RETRIES + 1} attempts: {str(error).strip().splitlines()[0]}"
    return _failed(task, reason)


def _failed(task: ShardTask, reason: str) -> ShardReport:
    return ShardReport(key=task.key, fingerprint=task.fingerprint, error=f"{task.key}: {reason}")


# --- On a node --------------------------------------------------------------------------------------------------------


@functools.cache
def _pool(num_workers: int, limits: Limits) -> DecodingPool:
    """Kept from one task of a Ray worker to its next; its processes end with that worker."""
    return DecodingPool(num_workers, limits, JOB_MODULES)


def _build_on_node(task: ShardTask, shared: tuple[ShardPlace, dict[str, str]], num_workers: int) -> ShardReport:
    place, wanted = shared
    if (found := encoder_versions()) != wanted:
        differing = ", ".join(f"{n} {found[n]} instead of {wanted[n]}" for n in wanted if found[n] != wanted[n])
        raise VideoAssetsError(
            f"a node of the Ray cluster has {differing}; install the same there, or bytes may differ"
        )
    pool = _pool(num_workers, place.limits)
    (report,) = build_here(lambda: nullcontext(pool), [task], place, silent)
    if report.error:
        raise _AttemptFailed(report.error)
    return report
