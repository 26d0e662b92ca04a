"""`make fuzz [ARGS="--seconds 1800"]`: every target for its share of the time, and the figures."""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NAMES = (
    "table_csv", "table_jsonl", "table_parquet", "sidecar", "pinned_settings", "json_depth", "names", "framing",
    "record_tfds", "record_sequence_example", "record_movinets_helper", "sample_table", "packets", "first_bytes",
    "labels", "decoding",
)  # fmt: skip
DECODING_SHARE = 6
"""Shares of the time that the decode path gets: a run of it takes milliseconds, of the others microseconds."""


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What became of one target."""

    name: str
    executions: int
    features: int
    said: str
    found: tuple[Path, ...]


def fuzz(seconds: dict[str, int], seed: int, folder: Path) -> Iterator[Fuzzed]:
    """The targets, each for so many seconds, as they are done."""
    turns = [f"{name}:{number}" for name, number in seconds.items()]
    command = [sys.executable, "-m", "tools.fuzzing.fuzz", str(folder), str(seed), *turns]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            name, code = line.split()
            yield _told(name, int(code), folder)


def _told(name: str, code: int, folder: Path) -> Fuzzed:
    log = (folder / f"{name}.log").read_text("utf-8", "replace")
    executions = re.search(r"stat::number_of_executed_units:\s+(\d+)", log)
    features = re.findall(r"\bft: (\d+)", log)
    return Fuzzed(
        name,
        int(executions[1]) if executions else 0,
        int(features[-1]) if features else 0,
        "" if code == 0 else f"it ended with {code}:\n{log[-3000:]}",
        tuple(sorted(path for path in folder.glob(f"{name}-*") if "-slow-unit-" not in path.name)),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="of all targets together; default: 300")
    parser.add_argument("--targets", default=",".join(NAMES), help="names with commas between; default: all")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    parser.add_argument("--folder", type=Path, help="keeps what was found from one call to the next; default: none")
    options = parser.parse_args(arguments)
    names = options.targets.split(",")
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    shares = {name: DECODING_SHARE if name == "decoding" else 1 for name in names}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return _fuzz_all(shares, options.seconds, options.seed, folder)


def _fuzz_all(shares: dict[str, int], seconds: int, seed: int, folder: Path) -> int:
    parts = {name: max(1, seconds * share // sum(shares.values())) for name, share in shares.items()}
    print(f"seed {seed}\n| target | seconds | executions | features | found |\n| --- | --- | --- | --- | --- |")
    results: list[Fuzzed] = []
    for result in fuzz(parts, seed, folder):
        results.append(result)
        found = ", ".join(path.name for path in result.found) or ("see below" if result.said else "nothing")
        figures = f"{parts[result.name]} | {result.executions} | {result.features}"
        print(f"| {result.name} | {figures} | {found} |", flush=True)
        for path in result.found:
            print(f"{path.name}: {path.read_bytes()[:2000]!r}")
        if result.said:
            print(result.said, flush=True)
    num_found = sum(bool(result.said or result.found) for result in results)
    total = sum(result.executions for result in results)
    print(f"{total} executions of {len(results)} targets; {num_found} targets with a finding")
    return 1 if num_found or len(results) < len(parts) else 0


if __name__ == "__main__":
    sys.exit(main())
