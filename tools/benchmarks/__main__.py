"""All benchmarks: their own tables, one JSON file, and in the end one table of all ratios.

make bench ARGS="--json bench/today.json"
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.benchmarks import (
    bench_bookkeeping,
    bench_build,
    bench_decode,
    bench_reading,
    bench_scale,
    bench_spans,
    bench_whole,
    bench_windows,
)

_FEW_CLIPS, _MOST_CLIPS = (500, 2_000), (2_000, 100_000)


def _decoding(folder: Path) -> dict[str, Any]:
    file = folder / "decode.json"
    code = bench_decode.main(["--json", str(file)])
    return json.loads(file.read_text("utf-8"))["groups"] if code == 0 else {}


def ratios(report: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, float]]:
    """Yield the name and the value of every ratio of a report, where it stands in front of its name."""
    for name, value in report.items():
        if isinstance(value, Mapping):
            yield from ratios(value, f"{place}{name}: ")
        elif isinstance(value, list):
            parts = {str(number): part for number, part in enumerate(value) if isinstance(part, Mapping)}
            yield from ratios(parts, f"{place}{name} ")
        elif "ratio" in name and not name.endswith(", spread"):
            yield f"{place}{name}", value


def main() -> int:
    """Runs them one after another; nothing else should run meanwhile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--all",
        action="store_true",
        help="long videos, builds of 100,000 clips, and bookkeeping at 10,000 to 1,000,000",
    )
    parser.add_argument("--json", type=Path, help="the file of ratios; default: bench/<time>.json")
    bench_build.add_options(parser)
    options = parser.parse_args()
    file: Path = options.json or Path("bench") / f"{time.strftime('%Y-%m-%dT%H-%M-%S')}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"build": bench_build.measure(options), "decode": _decoding(file.parent)}
    report["cases"] = bench_decode.run_cases()
    report["whole"] = bench_whole.run(num_clips=168, rounds=3, with_long=options.all)
    report["spans"] = bench_spans.run([], rounds=3)
    report["reading"] = bench_reading.run(num_clips=200, rounds=7)
    report["windows"] = bench_windows.run(num_clips=49, rounds=7)
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as folder:
        report["scale"] = bench_scale.run(_MOST_CLIPS if options.all else _FEW_CLIPS, 100, Path(folder))
    if options.all:
        report["bookkeeping"] = bench_bookkeeping.measure_sizes(bench_bookkeeping.SIZES)
    file.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print("\nall ratios")
    for name, ratio in ratios(report):
        print(f"  {name:90} {ratio:8.2f}")
    print(f"\nWritten: {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
