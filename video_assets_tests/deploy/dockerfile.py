"""A Dockerfile's instructions, and its first stage carried out in a plain folder where there is no Docker.

python -m video_assets_tests.deploy.dockerfile FOLDER

What images and users are for is left out, and named: FROM and useradd. Places such as /opt are put below FOLDER.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DOCKERFILE = PROJECT / "deploy" / "kubernetes" / "Dockerfile"
_PLACES = re.compile(r"(?<![\w.])/(opt|source)(?=/|\b)")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its word in capitals, and the rest of its line."""

    word: str
    text: str


def read_dockerfile(file: Path = DOCKERFILE) -> list[list[Instruction]]:
    """Stages, each beginning with its FROM; an ARG before the first one is left out."""
    text = re.sub(r"\\\n", "", file.read_text("utf-8"))
    stages: list[list[Instruction]] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word.upper() == "FROM":
            stages.append([])
        if stages:
            stages[-1].append(Instruction(word.upper(), rest.strip()))
    return stages


def carry_out(instructions: Iterable[Instruction], folder: Path) -> dict[str, str]:
    """Does what they say below a folder; gives the environment that they leave.

    Raises:
        CalledProcessError: if a RUN line fails.
    """
    environment = dict(os.environ)
    place = folder
    for instruction in instructions:
        text = _PLACES.sub(lambda match: f"{folder}/{match[1]}", instruction.text)
        print(f"{instruction.word} {instruction.text[:100]}", file=sys.stderr, flush=True)
        if instruction.word == "ENV":
            environment |= dict(pair.split("=", 1) for pair in text.split())
        elif instruction.word == "WORKDIR":
            place = Path(text)
            place.mkdir(parents=True, exist_ok=True)
        elif instruction.word == "COPY":
            _copy(text.split()[:-1], place / text.split()[-1])
        elif instruction.word == "RUN":
            subprocess.run(["sh", "-c", text], cwd=place, env=environment, check=True)
    return environment


def _copy(names: Iterable[str], target: Path) -> None:
    for name in names:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def main(place: str) -> int:
    """Carries out the first stage, and asks the programs of what it made for their versions."""
    folder = Path(place).absolute()
    folder.mkdir(parents=True)
    os.environ.pop("PYTHONPATH", None)
    carry_out(read_dockerfile()[0], folder)
    programs = folder / "opt" / "video-assets" / "bin"
    for command in (["dagster", "--version"], ["ray", "--version"], ["video-assets", "sample", folder / "sample"]):
        subprocess.run([programs / command[0], *map(str, command[1:])], cwd=folder, check=True)
    build = ["build", "--source", folder / "sample", "--root", folder / "root", "--set", "plan.clips_per_shard=16"]
    return subprocess.run([programs / "video-assets", *map(str, build)], cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
