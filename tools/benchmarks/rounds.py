"""Ways to do the same work that take turns, and the ratios between them that are promised.

All ways take turns, round by round, over the same files in the cache, so that another load on the machine hits all of
them. A ratio is that of one round, and the median of the rounds is what counts.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.benchmarks.bench_build import Figure, as_json, build, print_report, verdict
from tools.benchmarks.clips_source import write_clips_source

Way = Callable[[], Iterable[Any]]
"""What makes clips, to be iterated once."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A way's measurement, divided by another's, is at least or at most `target`."""

    name: str
    way: str
    other: str
    target: float
    at_most: bool = False

    @property
    def key(self) -> str:
        """The name of its figure."""
        return f"{self.name}, ratio"

    def verdict(self, ratio: float) -> str:
        """The target, and whether it is met."""
        return verdict("<=" if self.at_most else ">=", self.target, ratio)


def take_turns(
    ways: Mapping[str, Way], measure: Callable[[Way], float], rounds: int, *, unit: str, promises: Sequence[Promise]
) -> dict[str, Figure]:
    """Figures of each way, and of the promises whose ways are here."""
    for way in ways.values():  # once for the cache, and for what TensorFlow does the first time
        measure(way)
    runs = [{name: measure(way) for name, way in ways.items()} for _ in range(rounds)]
    figures = {f"{name}, {unit}": Figure.of([run[name] for run in runs]) for name in ways}
    for promise in promises:
        if promise.way in ways:
            figures[promise.key] = Figure.of([run[promise.way] / run[promise.other] for run in runs])
    return figures


def show(figures: Mapping[str, Figure], promises: Sequence[Promise]) -> None:
    """A line a figure; ratios with their target."""
    targets = {promise.key: promise for promise in promises}
    for name, figure in figures.items():
        verdict = targets[name].verdict(figure.median) if name in targets else ""
        print(f"  {name:52} {figure!s:26} {verdict}".rstrip())


def with_dataset(
    num_clips: int,
    settings: Sequence[str],
    measure: Callable[[Path, Path], dict[str, Figure]],
    promises: Sequence[Promise],
) -> dict[str, Any]:
    """Build a dataset of so many clips, measure, print the figures; `measure` gets its version directory and source."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as folder:
        source = Path(folder) / "source"
        write_clips_source(source, num_clips)
        built = build(source, Path(folder) / "root", settings=settings)
        figures = measure(Path(json.loads(built.stdout.splitlines()[-1])["version_dir"]), source)
    show(figures, promises)
    return as_json(figures)


def run_as_program(text: str | None, run: Callable[[int, int], dict[str, Any]], *, num_clips: int, rounds: int) -> int:
    """Measure, print a table, and one JSON object as the last line; the numbers are defaults of the options."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=num_clips)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", type=Path, help="also write the JSON here")
    options = parser.parse_args()
    print_report(run(options.clips, options.rounds), options.json)
    return 0
