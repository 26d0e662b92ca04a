"""What checks compare, and how they report what they found."""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.hashing import seeded_hash

MAX_PSNR_DB = 99.0
_VALUES_AT_ONCE = 8192


def frame_mse(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the mean squared error of two frames (H, W, 3) uint8."""
    difference = (first.astype(np.float32) - second).ravel()
    return float(np.dot(difference, difference)) / difference.size


def psnr_from_mse(mse: float) -> float:
    """Return the peak signal-to-noise ratio of 8-bit frames in dB, at most 99.

    >>> round(psnr_from_mse(65.025), 6)
    30.0
    """
    return MAX_PSNR_DB if mse <= 0 else min(MAX_PSNR_DB, 10 * float(np.log10(255.0**2 / mse)))


def misplaced_frame(stored: NDArray[np.uint8], source: NDArray[np.uint8]) -> int | None:
    """Return the index of the first stored frame that is clearly nearer to another source frame than its own, or None.

    Both arrays are (T, H, W, 3) uint8; frame i of one belongs to frame i of the other. Frames that differ from each
    other by less than the loss of storing them cannot be told apart and are never reported.
    """
    errors = _errors_of_all_pairs(stored.reshape(len(stored), -1), source.reshape(len(source), -1))
    is_misplaced = (errors < 0.5 * errors.diagonal()[:, None] - 0.5).any(axis=1)
    return int(is_misplaced.argmax()) if is_misplaced.any() else None


def _errors_of_all_pairs(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return (N, N) mean squared errors of all pairs of rows (N, values), exact, part by part to save memory."""
    total = np.zeros((len(first), len(second)))
    for start in range(0, first.shape[1], _VALUES_AT_ONCE):
        a, b = (side[:, start : start + _VALUES_AT_ONCE].astype(np.float64) for side in (first, second))
        total += (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * (a @ b.T)
    return total / first.shape[1]


COMPARED_RECORDS = 3
"""Records of one shard that are compared with their source, at most."""
_COMPARED_SHARE = 0.04
"""Of the frames of a shard's clips. A comparison decodes every frame of a clip and takes about twice what encoding the
clip does, so that this is less than a tenth of encoding."""
MAX_FRAMES_COMPARED = 600
"""A video of more frames is not decoded whole for a comparison: of an hour, a clip may need a second."""
_FRAMES_PER_SPOT = 10
"""Of so many stored frames of a long video one is compared, which is a tenth of encoding it."""


def choose_sample(costs: Sequence[float], *, seed_text: str, max_records: int, max_cost: float) -> list[int]:
    """Return the indices of the records to check, ascending.

    They are at most `max_records` and cost at most `max_cost` together, but there is always one. Which records are
    preferred depends only on the seed text. If none fits the budget, it is one that costs no more than the mean.

    >>> choose_sample([1, 1, 1, 1], seed_text="x", max_records=2, max_cost=4.0)
    [0, 3]
    """
    if not costs:
        return []
    budget = max_cost
    chosen: list[int] = []
    preferred = sorted(range(len(costs)), key=lambda i: seeded_hash(i, seed_text))
    for index in preferred:
        if len(chosen) < max_records and costs[index] <= budget:
            chosen.append(index)
            budget -= costs[index]
    mean = sum(costs) / len(costs)
    return sorted(chosen) or [next((i for i in preferred if costs[i] <= mean), preferred[0])]


@dataclass(frozen=True)
class ShardSample:
    """Which records of a shard the checks look at, and which frames of a long video. Chance depends on the seed text.

    `num_frames` and `num_pixels` are those of each record's video. `max_records` of None means every record. The
    records `always` are compared whatever is drawn.
    """

    seed_text: str
    num_frames: Sequence[int]
    num_pixels: Sequence[int]
    max_records: int | None = COMPARED_RECORDS
    always: Set[int] = frozenset()

    @cached_property
    def decoded(self) -> Set[int]:
        """The records that are decoded."""
        return self._drawn([1.0] * len(self.num_frames), max_cost=math.inf)

    @cached_property
    def compared(self) -> Set[int]:
        """The records that are compared with their source."""
        videos = zip(self.num_frames, self.num_pixels, strict=True)
        costs = [float(min(frames, MAX_FRAMES_COMPARED) * pixels) for frames, pixels in videos]
        return self.always | self._drawn(costs, max_cost=_COMPARED_SHARE * sum(costs))

    def spots(self, index: int, num_stored: int) -> tuple[int, ...]:
        """Return the stored frames of a record that are compared, if its video is long: a tenth, at least one.

        Of another one there are none: all its frames are compared with a decode of the whole video.
        """
        if self.num_frames[index] <= MAX_FRAMES_COMPARED:
            return ()
        if self.max_records is None:
            return tuple(range(num_stored))
        most, seed = max(1, num_stored // _FRAMES_PER_SPOT), f"{self.seed_text} {index}"
        return tuple(choose_sample([1.0] * num_stored, seed_text=seed, max_records=most, max_cost=math.inf))

    def _drawn(self, costs: Sequence[float], *, max_cost: float) -> Set[int]:
        if self.max_records is None:
            return frozenset(range(len(costs)))
        drawn = choose_sample(costs, seed_text=self.seed_text, max_records=self.max_records, max_cost=max_cost)
        return frozenset(drawn)


Severity = Literal["ERROR", "WARN"]


def makes_invalid(*, passed: bool, severity: str) -> bool:
    """Return whether this outcome makes the dataset invalid: a failure of severity ERROR does, a warning does not.

    >>> makes_invalid(passed=False, severity="ERROR"), makes_invalid(passed=False, severity="WARN")
    (True, False)
    """
    return not passed and severity == "ERROR"


@dataclass(frozen=True, slots=True)
class CheckPicture:
    """Encoded images (JPEG or PNG) to show side by side, each with a caption, under one title."""

    title: str
    images: Sequence[bytes]
    captions: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOutcome:
    """The outcome of one check of one thing: a shard, by its partition key, or the whole dataset, "".

    `severity` is that of a failure; only failures of severity ERROR make a dataset invalid. `facts` are numbers and
    short texts to show to people, `pictures` the frames that the outcome is about. `named` has one row for each thing
    of which the description names the first ones.
    """

    name: str
    passed: bool
    description: str
    target: str = ""
    severity: Severity = "ERROR"
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    pictures: Sequence[CheckPicture] = ()
    named: Sequence[Mapping[str, str]] = ()

    @property
    def makes_invalid(self) -> bool:
        """Return whether this outcome makes the dataset invalid."""
        return makes_invalid(passed=self.passed, severity=self.severity)


State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `video-assets doctor` looked at: what it found, and what to do about it."""

    check: str
    state: State
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(check, "ok", found)


def problem(check: str, found: str, remedy: str) -> Finding:
    """Return a finding that would make a build or the UI fail."""
    return Finding(check, "problem", found, remedy)


def warning(check: str, found: str, remedy: str) -> Finding:
    """Return a finding that works, but not as it should."""
    return Finding(check, "warning", found, remedy)


def is_sound(findings: Iterable[Finding]) -> bool:
    """Return whether none of the findings is a problem."""
    return all(finding.state != "problem" for finding in findings)
