"""What a look at the set-up found."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

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
