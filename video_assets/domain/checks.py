"""What a check found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

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
