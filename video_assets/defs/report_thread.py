"""Report a build to Dagster in a thread beside it: importing Dagster takes longer than many builds' decoding."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from video_assets.domain.checks import CheckOutcome
from video_assets.pipeline.commit.stage import CommitReport
from video_assets.pipeline.manifest.stage import ManifestReport
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.pipeline.shards.stage import ShardReport
from video_assets.pipeline.splits.stage import SplitReport
from video_assets.storage.paths import DatasetPaths

if TYPE_CHECKING:
    from video_assets.defs.report import InstanceReport


@dataclass
class ReportThread:
    """A `BuildListener` that passes everything on to an `InstanceReport` in one thread, in order.

    Nothing of Dagster is imported before `begin`. `finish` waits until all is reported, and raises what failed. Left by
    an exception, what was not reported yet is dropped: the next build reports shards that the instance does not know.
    `beside` has one thread.
    """

    paths: DatasetPaths
    beside: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "dagster"))
    _reported: list[Future[None]] = field(default_factory=list[Future[None]])
    _waiting: list[Callable[["InstanceReport"], None]] = field(default_factory=list[Callable[["InstanceReport"], None]])
    _has_begun: bool = False
    _report: "InstanceReport | None" = None
    _instance: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        # An interrupted command ends its process. Nothing is reported while Dagster is imported, which takes seconds.
        is_let_go = kind is not None and issubclass(kind, KeyboardInterrupt) and self._report is None
        self.beside.shutdown(wait=not is_let_go, cancel_futures=kind is not None)
        for opened in self._reported[:1]:
            opened.add_done_callback(lambda _: self._instance.close())

    def begin(self) -> None:
        """Import Dagster and open the instance, beside what the caller goes on with."""
        self._has_begun = True
        self._reported.append(self.beside.submit(self._open))
        for tell in self._waiting:
            self._pass_on(tell)
        self._waiting.clear()

    def planned(self, manifest: ManifestReport, splits: SplitReport, plan: PlanReport) -> None:
        """Pass on the first three reports."""
        self._pass_on(lambda report: report.planned(manifest, splits, plan))

    def shard(self, report: ShardReport, clips_per_second: float) -> None:
        """Pass on a shard."""
        self._pass_on(lambda to: to.shard(report, clips_per_second))

    def shard_checked(self, key: str, outcomes: Sequence[CheckOutcome], *, again: bool) -> None:
        """Pass on a shard's checks."""
        self._pass_on(lambda report: report.shard_checked(key, outcomes, again=again))

    def committed(self, report: CommitReport) -> None:
        """Pass on the commit."""
        self._pass_on(lambda to: to.committed(report))

    def finish(self) -> None:
        """Wait until all is reported.

        Raises:
            StorageFailed: if Dagster's storage could not be used.
        """
        if self._has_begun:
            self._pass_on(lambda report: report.finish())
        for done in self._reported:
            done.result()

    def _open(self) -> None:
        from video_assets.defs.instance import named_instance_failures, open_instance
        from video_assets.defs.report import InstanceReport

        with named_instance_failures(self.paths):
            instance = self._instance.enter_context(open_instance(self.paths))
            self._report = InstanceReport(self.paths, instance)

    def _pass_on(self, tell: Callable[["InstanceReport"], None]) -> None:
        if not self._has_begun:
            self._waiting.append(tell)
        else:
            self._reported.append(self.beside.submit(self._tell, tell))

    def _tell(self, tell: Callable[["InstanceReport"], None]) -> None:
        from video_assets.defs.instance import named_instance_failures

        if self._report is not None:  # else opening the instance failed, which `finish` raises
            with named_instance_failures(self.paths):
                tell(self._report)
