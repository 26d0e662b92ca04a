"""Compare what `video-assets plan` forecasts with the build that follows: bytes, seconds, seconds of a core.

    python -m tools.benchmarks.bench_estimates [SOURCE …] [--json PATH]

Without a source: the project's own sample, and the corpus's labelled clips where there is a corpus. Each forecast is
made just before its build, by the real commands, at three settings. While a machine does other work, seconds by the
clock say little; those of a core come nearer to what a quiet machine would show.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.benchmarks.watching import Watched, run_watched
from video_assets.media.sample_dataset import write_sample
from video_assets_tests.corpus import corpus_path

SETTINGS: Mapping[str, Sequence[str]] = {
    "defaults": (),
    "172 px, quality 80": ("plan.encoding.resolution=172", "plan.encoding.jpeg_quality=80"),
    "5 frames a second": (
        "plan.encoding.sampling=fps",
        "plan.encoding.max_frames=50",
        "plan.encoding.resize=short_side",
        "plan.clips_per_shard=10",
    ),
}
ALLOWED = {"MB": 0.1, "seconds": 0.3, "core seconds": 0.3}
"""How far off a forecast may be, as a share of what came."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure: what was forecast and what came."""

    source: str
    settings: str
    figure: str
    forecast: float
    actual: float

    @property
    def is_near(self) -> bool:
        """Whether the forecast is as near as is promised."""
        return abs(self.forecast / self.actual - 1) <= ALLOWED[self.figure]

    def __str__(self) -> str:
        error = f"{self.forecast / self.actual - 1:+7.1%}{'' if self.is_near else ' MISSED'}"
        return f"{self.source:12} {self.settings:20} {self.figure:14} {self.forecast:8.1f} {self.actual:8.1f} {error}"


def compare(source: Path, root: Path, settings: str) -> list[Comparison]:
    """Forecast a build, and do it."""
    planned = _result(_run("plan", source, root, SETTINGS[settings]))
    build = _run("build", source, root, SETTINGS[settings])
    num_bytes = sum(path.stat().st_size for path in Path(_result(build)["version_dir"]).glob("*.tfrecord"))
    figures = {
        "MB": (planned["estimated_bytes"] / 1e6, num_bytes / 1e6),
        "seconds": (planned["estimated_minutes"] * 60, build.seconds),
        "core seconds": (planned["estimated_core_minutes"] * 60, build.cpu_seconds),
    }
    return [Comparison(source.name, settings, name, forecast, actual) for name, (forecast, actual) in figures.items()]


def _run(command: str, source: Path, root: Path, settings: Sequence[str]) -> Watched:
    arguments = [command, "--source", str(source), "--root", str(root), "--json"]
    arguments += [part for setting in settings for part in ("--set", setting)]
    return run_watched([sys.executable, "-m", "video_assets.cli", *arguments])


def _result(done: Watched) -> dict[str, Any]:
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    """Measure and print; return 1 if any forecast is farther off than it may be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, nargs="*", metavar="SOURCE")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    found: list[Comparison] = []
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as folder:
        print(f"{'':48} forecast   actual    error")
        for number, source in enumerate(options.sources or _usual_sources(Path(folder))):
            for settings in SETTINGS:
                root = Path(folder) / f"root-{number}-{len(found)}"
                found += compare(source, root, settings)
                print(*found[-3:], sep="\n", flush=True)
    if options.json:
        values = [{name: getattr(one, name) for name in one.__slots__} for one in found]
        options.json.write_text(json.dumps(values, indent=1), encoding="utf-8")
    return 0 if all(one.is_near for one in found) else 1


def _usual_sources(folder: Path) -> list[Path]:
    write_sample(folder / "sample")
    corpus = corpus_path()
    return [folder / "sample", *([] if corpus is None else [corpus / "labelled"])]


if __name__ == "__main__":
    sys.exit(main())
