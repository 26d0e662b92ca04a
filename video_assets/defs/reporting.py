"""Where progress is told: Dagster's event log, and the terminal when there is one."""

import sys

import dagster as dg
from pydantic import Field

from video_assets.domain.progress import Counter, LineProgress, Progress
from video_assets.report.terminal import TerminalProgress


class Reporting(dg.ConfigurableResource):
    """Tells how far a stage has come."""

    terminal: int = Field(
        default=-1,
        description="File descriptor to draw a bar on, or write lines to; -1: none. Standard error will not do: "
        "while a step runs, Dagster has it go to a file.",
    )

    def progress(self, context: dg.AssetExecutionContext) -> Progress:
        """Listeners for one step."""
        to_log = LineProgress(context.log.info)
        if self.terminal < 0:
            return to_log
        stream = open(self.terminal, "w", encoding=sys.stderr.encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115  (for the run)
        return _both(to_log, TerminalProgress(stream))


def _both(first: Progress, second: Progress) -> Progress:
    def begin(phase: str, num_clips: int, num_bytes: int) -> Counter:
        counters = [listener(phase, num_clips, num_bytes) for listener in (first, second)]

        def count(clips: int, num_bytes_done: int) -> None:
            for counter in counters:
                counter(clips, num_bytes_done)

        return count

    return begin
