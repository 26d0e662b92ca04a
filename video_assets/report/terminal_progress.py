"""Progress on a terminal or in a log. Nothing heavy is imported: the first line is there at once."""

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from video_assets.domain.progress import Counter, LineProgress, progress_line
from video_assets.report.help_text import Terminal, has_colours, width_of

_BAR: Final = 20
_SMALLEST_BAR: Final = 5
_ERASE: Final = "\r\x1b[K"
_SHARES: Final = {"probing": 0.2, "encoding": 0.7, "checking": 0.1}
"""About how much of a build's time each phase takes. Another phase alone is all of a command."""


@dataclass(slots=True)
class TerminalProgress:
    """One bar for all phases of a command, drawn over itself; where no terminal is, a line every few seconds."""

    stream: Terminal
    every_seconds: float = 5.0
    bar: "ProgressBar | None" = None

    def begin(self, sentence: str) -> Self:
        """Say at once what is done: what follows may take seconds to say more."""
        if self.stream.isatty():
            self.bar = ProgressBar(self.stream)
            self.bar.say(sentence)
        else:
            self._say(sentence)
        return self

    def __call__(self, phase: str, num_clips: int, num_bytes: int) -> Counter:
        """Begin a phase."""
        if not self.stream.isatty():
            return LineProgress(self._say, self.every_seconds)(phase, num_clips, num_bytes)
        self.bar = self.bar or ProgressBar(self.stream)
        self.bar.begin(phase, num_clips, num_bytes)
        return self.bar.count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the bar: what comes next says how it ended."""
        if self.bar is not None:
            self.bar.erase()

    def _say(self, line: str) -> None:
        self.stream.write(f"{line}\n")
        self.stream.flush()


@dataclass(slots=True)
class ProgressBar:
    """One line that is overwritten. Not rich's: its thread would go on when a stage ends by an exception."""

    stream: Terminal
    phase: str = ""
    num_clips: int = 0
    num_bytes: int = 0
    done_before: float = 0.0
    begun: float = field(default_factory=time.monotonic)
    drawn: float = 0.0
    clips: int = 0
    bytes: int = 0

    def begin(self, phase: str, num_clips: int, num_bytes: int) -> None:
        """Begin a phase; the phases before it are done."""
        names = list(_SHARES)
        earlier = names[: names.index(phase)] if phase in names else []
        self.done_before = sum(_SHARES[name] for name in earlier)
        self.phase, self.num_clips, self.num_bytes = phase, num_clips, num_bytes
        self.clips, self.bytes, self.begun = 0, 0, time.monotonic()
        self.draw()

    def count(self, clips: int, num_bytes_done: int) -> None:
        """Count what was finished, and draw the bar again if that is due."""
        self.clips += clips
        self.bytes += num_bytes_done
        if self.clips >= self.num_clips or time.monotonic() - self.drawn >= 0.2:
            self.draw()

    @property
    def share(self) -> float:
        """How much of the whole command is done, 0 to 1."""
        return min(1.0, self.done_before + _SHARES.get(self.phase, 1.0) * self.clips / max(1, self.num_clips))

    def draw(self) -> None:
        """Draw the bar over itself; in a narrow terminal its end is cut."""
        self.drawn = time.monotonic()
        line = progress_line(
            self.phase, self.clips, self.num_clips, self.bytes, self.drawn - self.begun, num_bytes=self.num_bytes
        )
        room = width_of(self.stream) - 1
        if len(line) + len(" 100 %  ") + _SMALLEST_BAR > room:  # the count and the time left say most
            count, *_, left = line.split(", ")
            line = f"{count}, {left}" if left.endswith("left") else count
        width = max(_SMALLEST_BAR, min(_BAR, room - len(line) - len(" 100 %  ")))
        filled = round(width * self.share)
        done, rest = ("━", "─") if (getattr(self.stream, "encoding", "") or "").lower() == "utf-8" else ("#", ".")
        bar, gap = done * filled, rest * (width - filled)
        if has_colours(self.stream):
            bar, gap = f"\x1b[32m{bar}\x1b[0m", f"\x1b[2m{gap}\x1b[0m"
        text = f" {100 * self.share:3.0f} %  {line}"
        self._write(f"{bar}{gap}{text[: room - width]}")

    def say(self, sentence: str) -> None:
        """Write a sentence in the bar's place."""
        self._write(sentence[: width_of(self.stream) - 1])

    def erase(self) -> None:
        """Leave an empty line."""
        self._write("")

    def _write(self, text: str) -> None:
        self.stream.write(f"{_ERASE}{text}")
        self.stream.flush()
