"""Where progress is told: Dagster's event log, and the terminal when there is one."""

import sys

import dagster as dg
from pydantic import Field

from video_assets.domain.progress import Counter, LineProgress, Progress
from video_assets.report.terminal import TerminalProgress


class Reporting(dg.ConfigurableResource):
    """Tells how far a stage has come."""

    to_terminal: bool = Field(default=False, description="Also draw a bar, or write lines, on standard error.")

    def progress(self, context: dg.AssetExecutionContext) -> Progress:
        """Listeners for one step."""
        to_log = LineProgress(context.log.info)
        if not self.to_terminal:
            return to_log
        return _both(to_log, TerminalProgress(_StandardError()))


class _StandardError:
    """What `sys.stderr` is at the moment of writing."""

    def write(self, text: str) -> object:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def _both(first: Progress, second: Progress) -> Progress:
    def begin(phase: str, num_clips: int, num_bytes: int) -> Counter:
        counters = [listener(phase, num_clips, num_bytes) for listener in (first, second)]

        def count(clips: int, num_bytes_done: int) -> None:
            for counter in counters:
                counter(clips, num_bytes_done)

        return count

    return begin
