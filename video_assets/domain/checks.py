"""What checks look at, and what they found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.hashing import seeded_hash

MAX_PSNR_DB = 99.0


def frame_mse(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Mean squared error of two frames (H, W, 3) uint8."""
    difference = first.astype(np.int32) - second.astype(np.int32)
    return float(np.mean(difference * difference))


def psnr_from_mse(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of 8-bit frames, at most 99.

    >>> round(psnr_from_mse(65.025), 6)
    30.0
    """
    return MAX_PSNR_DB if mse <= 0 else min(MAX_PSNR_DB, 10 * float(np.log10(255.0**2 / mse)))


def misplaced_frame(stored: NDArray[np.uint8], source: NDArray[np.uint8]) -> int | None:
    """Index of the first stored frame that is clearly nearer to another frame of the same clip than to its own.

    Both are (T, H, W, 3) uint8, frame i of one belonging to frame i of the other. Frames that differ from each
    other by no more than the loss of storing them say nothing.
    """
    for index, frame in enumerate(stored):
        own = frame_mse(frame, source[index])
        for other in range(len(source)):
            if other != index and frame_mse(frame, source[other]) < 0.5 * own - 0.5:
                return index
    return None


MIN_SOURCE_COST = 2e8
"""Pixels of all frames of the videos that may always be decoded again to look at a shard: about a second's work."""
COMPARED_RECORDS = 3
"""Records of a shard that are looked at closely, at most."""


def compared_cost(costs: Sequence[float]) -> float:
    """How much of its clips' costs (pixels of all frames) may be spent on comparing a shard with its source."""
    return max(MIN_SOURCE_COST, 0.05 * sum(costs))


def choose_sample(costs: Sequence[float], *, seed_text: str, max_records: int, max_cost: float) -> list[int]:
    """Indices of the records to look at, ascending.

    They are at most `max_records`, and cost together at most `max_cost`; but never none. The order of
    preference hangs on the seed text alone. If nothing fits the budget, the cheapest is taken.

    >>> choose_sample([1, 1, 1, 1], seed_text="x", max_records=2, max_cost=4.0)
    [0, 3]
    """
    if not costs:
        return []
    budget = max_cost
    chosen: list[int] = []
    for index in sorted(range(len(costs)), key=lambda i: seeded_hash(i, seed_text)):
        if len(chosen) < max_records and costs[index] <= budget:
            chosen.append(index)
            budget -= costs[index]
    return sorted(chosen) or [min(range(len(costs)), key=lambda i: (costs[i], i))]


Severity = Literal["ERROR", "WARN"]


def makes_invalid(*, passed: bool, severity: str) -> bool:
    """Whether a check's answer says that the dataset must not be used: failures of severity ERROR do, warnings do not.

    >>> makes_invalid(passed=False, severity="ERROR"), makes_invalid(passed=False, severity="WARN")
    (True, False)
    """
    return not passed and severity == "ERROR"


@dataclass(frozen=True, slots=True)
class CheckPicture:
    """Encoded images (JPEG or PNG) to look at side by side, each with a caption, and what they show."""

    words: str
    images: Sequence[bytes]
    captions: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOutcome:
    """One check's answer about one thing (a shard's partition key, or "" for the whole dataset).

    `severity` is that of a failure; only failures of severity ERROR make a dataset invalid. `facts` are
    numbers and short texts that a person wants to see, `pictures` what the answer is about.
    """

    name: str
    passed: bool
    description: str
    target: str = ""
    severity: Severity = "ERROR"
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    pictures: Sequence[CheckPicture] = ()

    @property
    def makes_invalid(self) -> bool:
        """Whether the dataset must not be used."""
        return makes_invalid(passed=self.passed, severity=self.severity)


State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found, and what to do if it has to be mended."""

    check: str
    state: State
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", found)


def problem(check: str, found: str, remedy: str) -> Finding:
    """A build, or the UI, would fail."""
    return Finding(check, "problem", found, remedy)


def warning(check: str, found: str, remedy: str) -> Finding:
    """It works, but not as it should."""
    return Finding(check, "warning", found, remedy)


def is_sound(findings: Iterable[Finding]) -> bool:
    """Whether nothing has to be mended."""
    return all(finding.state != "problem" for finding in findings)
