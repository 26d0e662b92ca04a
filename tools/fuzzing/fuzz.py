"""Targets one after another, each until its time is over, in a fork of this process, which libFuzzer ends."""

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris as atheris_library

atheris: Any = atheris_library  # it has types for a part of itself

with atheris.instrument_imports(include=["video_assets"]):
    from tools.fuzzing import decoding, seeds, targets
    from video_assets_tests.pipeline.mutations import mutate

MOST_BYTES = 64 * 1024
SECONDS_FOR_ONE = 60
"""One input that takes longer in the parent is a finding; decoding has a limit of its own below it."""


def main(folder: str, seed: str, *turns: str) -> None:
    """Each turn is a target's name, ":" and seconds; it runs in a fork, since the imports above take far longer.

    In `folder` there are afterwards: corpus/NAME, seeds and inputs that led to something new; NAME.log, what libFuzzer
    and Python said; NAME-crash-… what broke a promise. Each turn that is over is a line on standard output.
    """
    for turn in turns:
        name, _, seconds = turn.partition(":")
        process = os.fork()
        if process == 0:
            _fuzz(Path(folder), name, seconds, seed)
        _, status = os.waitpid(process, 0)
        sys.stdout.write(f"{name} {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _fuzz(folder: Path, name: str, seconds: str, seed: str) -> None:
    corpus = folder / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate([*seeds.seeds(name), *seeds.real_seeds(name)]):
        (corpus / f"seed{number}").write_bytes(data)
    log = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={MOST_BYTES}",
        f"-timeout={SECONDS_FOR_ONE}",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        f"-artifact_prefix={folder}/{name}-",
        str(corpus),
    ]
    mutator = {"custom_mutator": break_as_disks_do} if name == "decoding" else {}
    atheris.Setup([sys.argv[0], *options], target_of(name), **mutator)
    atheris.Fuzz()  # which ends this process


def target_of(name: str) -> Callable[[bytes], None]:
    """The function that is called with each input."""
    if name != "decoding":
        return targets.TARGETS[name]
    return decoding.Decoding(atheris.instrument_func(decoding.branches_of()))


def break_as_disks_do(data: bytes, most_bytes: int, seed: int) -> bytes:
    """Half of the time boxes and bits as `mutations` breaks them, else libFuzzer's own way."""
    rng = random.Random(seed)
    if len(data) < 16 or rng.random() < 0.5:
        return bytes(atheris.Mutate(data, most_bytes))
    (mutant,) = mutate({"x.mp4": data}, 1, seed)
    return mutant.data[:most_bytes]


if __name__ == "__main__":
    main(*sys.argv[1:])
