"""What a check found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["ERROR", "WARN"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOutcome:
    """One check's answer about one thing (a shard's partition key, or "" for the whole dataset).

    `severity` is that of a failure; only failures of severity ERROR make a dataset invalid. `facts` are
    numbers and short texts that a person wants to see.
    """

    name: str
    passed: bool
    description: str
    target: str = ""
    severity: Severity = "ERROR"
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    @property
    def makes_invalid(self) -> bool:
        """Whether the dataset must not be used."""
        return not self.passed and self.severity == "ERROR"
