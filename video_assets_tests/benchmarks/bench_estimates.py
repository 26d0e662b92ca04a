"""What `video-assets plan` predicts, against the build that follows it: bytes, seconds, seconds of a core.

    python -m video_assets_tests.benchmarks.bench_estimates [--rounds 1] [--clips 20 500] [--json PATH]

On the corpus's labelled clips and its long videos (without a corpus: the project's own sample), each at three settings,
and at the sizes of `--clips`. Each prediction is made just before its build, by the real commands. On a machine that
does other work meanwhile, the clock's seconds say little; those of a core are nearer to what a quiet one would show.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from video_assets.media.sample_dataset import write_sample
from video_assets_tests.benchmarks.clips_source import write_clips_source
from video_assets_tests.benchmarks.watching import Watched, run_watched
from video_assets_tests.corpus import corpus_files, corpus_path

ALLOWED = 0.25
SETTINGS: Mapping[str, Sequence[str]] = {
    "defaults": (),
    "172 px, quality 80": ("plan.encoding.resolution=172", "plan.encoding.jpeg_quality=80"),
    "5 frames a second": (
        "plan.encoding.sampling=fps",
        "plan.encoding.max_frames=50",
        "plan.encoding.resize=short_side",
    ),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure: what was predicted and what came."""

    predicted: float
    actual: float

    @property
    def error(self) -> float:
        """How far off the prediction was, as a share of what came."""
        return self.predicted / self.actual - 1

    def __str__(self) -> str:
        verdict = "" if abs(self.error) <= ALLOWED else " MISSED"
        return f"{self.predicted:8.1f} {self.actual:8.1f} {self.error:+7.1%}{verdict}"


def compare(source: Path, root: Path, settings: Sequence[str]) -> dict[str, Comparison]:
    """A prediction, and then the build itself."""
    plan = _run("plan", source, root, settings)
    built = _run("build", source, root, settings)
    predicted = json.loads(plan.stdout.splitlines()[-1])
    version_dir = Path(json.loads(built.stdout.splitlines()[-1])["version_dir"])
    num_bytes = sum(path.stat().st_size for path in version_dir.glob("*.tfrecord"))
    return {
        "MB": Comparison(predicted["estimated_bytes"] / 1e6, num_bytes / 1e6),
        "seconds": Comparison(predicted["estimated_minutes"] * 60, built.seconds),
        "core seconds": Comparison(predicted["estimated_core_minutes"] * 60, built.cpu_seconds),
    }


def _run(command: str, source: Path, root: Path, settings: Sequence[str]) -> Watched:
    arguments = [command, "--source", str(source), "--root", str(root), "--json"]
    arguments += [part for setting in settings for part in ("--set", setting)]
    return run_watched([sys.executable, "-m", "video_assets.cli", *arguments])


def write_sources(folder: Path, sizes: Sequence[int]) -> dict[str, Path]:
    """The sources to predict, by name."""
    corpus = corpus_path()
    if corpus is None:
        sources = {"sample": folder / "sample"}
        write_sample(sources["sample"])
    else:
        sources = {"labelled": corpus / "labelled", "long": folder / "long"}
        for number, name in enumerate(corpus_files("long/")):
            target = sources["long"] / f"class{number % 2}" / Path(name).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(corpus / name, target)
    for size in sizes:
        sources[f"{size} clips"] = folder / f"of{size}"
        clips = write_clips_source(sources[f"{size} clips"], size)
        for clip in clips[:: max(1, len(clips) // size)][size:] if len(clips) >= 2 * size else clips[size:]:
            clip.unlink()
    return sources


def measure(sizes: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Prints a line a figure; gives what goes into the JSON file."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as folder:
        sources = write_sources(Path(folder), sizes)
        print(f"{'':48} predicted   actual    error")
        for number in range(rounds):
            for name, source in sources.items():
                for words, settings in SETTINGS.items():
                    root = Path(folder) / f"root-{number}-{name}-{words}".replace(" ", "_").replace(",", "")
                    for figure, comparison in compare(source, root, settings).items():
                        print(f"{name:12} {words:20} {figure:14} {comparison}", flush=True)
                        values = {"predicted": comparison.predicted, "actual": comparison.actual}
                        found.append({"source": name, "settings": words, "figure": figure, **values})
                    shutil.rmtree(root)
    return found


def main() -> int:
    """Measures and prints; 1 if any figure of the first sources is off by more than a quarter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--clips", type=int, nargs="*", default=[], help="also builds of so many clips")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    found = measure(options.clips, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    missed = [entry for entry in found if abs(entry["predicted"] / entry["actual"] - 1) > ALLOWED]
    print(f"{len(found) - len(missed)} of {len(found)} within {ALLOWED:.0%}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
