"""What is disturbed, and what it gives undisturbed.

* first: a first build.
* growth: a new class arrives, a video is changed and one is gone: labels grow, shards are superseded, others opened,
  and files of retired ones removed by the very commit (no grace).
* new_version: the same arrivals and another encoding, so that the next version is built beside the one before.
"""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from tools.reliability.builds import Build, run_build
from tools.reliability.children import Child
from tools.reliability.faults import noted
from tools.reliability.invariants import files_of
from video_assets_tests.pipeline.videos import write_video

Kind = Literal["first", "growth", "new_version"]
KINDS: tuple[Kind, ...] = ("first", "growth", "new_version")


@dataclass(frozen=True)
class Scenario:
    """A build that will be disturbed, and what it gives undisturbed.

    `whole` holds, for each file, the SHA-256 of every content that it has under its final name in an undisturbed
    build, with what it had before.
    """

    kind: Kind
    folder: Path
    build: Build
    base: Path | None
    final: dict[str, str] = field(default_factory=dict)
    whole: dict[str, set[str]] = field(default_factory=dict)
    operations: list[str] = field(default_factory=list)
    num_encoded: int = 0

    def root(self, name: str) -> Path:
        """A root in which the build can begin: empty, or with the generation before."""
        root = self.folder / name
        if self.base is not None:
            shutil.copytree(self.base, root, symlinks=True)
        else:
            root.mkdir(parents=True)
        return root


def prepare(kind: Kind, folder: Path, num_groups: int = 2, *, by_command: bool = False) -> Scenario:
    """Makes the source, the generation before, and the undisturbed build."""
    source, base = folder / "videos", None
    folder.mkdir(parents=True, exist_ok=True)
    write_first_source(source, num_groups)
    build = Build(source, folder / "undisturbed", num_workers=2 if by_command else 0, by_command=by_command)
    if kind != "first":
        base = folder / "before"
        base.mkdir()
        Child(folder / "before.log", run_build, replace(build, root=base), folder / "before.journal").finish()
        grow_source(source)
    if kind == "new_version":
        build = replace(build, resolution=24, new_version=True)
    scenario = Scenario(kind, folder, build, base)
    root, journal = scenario.root("undisturbed"), folder / "undisturbed.journal"
    before = files_of(root)
    Child(folder / "undisturbed.log", run_build, build, journal).finish()
    whole = {path: {digest} for path, digest in before.items()}
    for line in noted(journal, "whole"):
        digest, _, path = line.partition(" ")
        whole.setdefault(path, set()).add(digest)
    return replace(
        scenario,
        final=files_of(root),
        whole=whole,
        operations=noted(journal, "operation"),
        num_encoded=len(noted(journal, "encode")),
    )


def write_first_source(source: Path, num_groups: int) -> None:
    """Two classes of `num_groups` groups of two clips, and a file that is no video."""
    for number, label in enumerate(("jump", "run")):
        for group in range(num_groups):
            for clip in range(2):
                write_video(
                    source / label / f"v_{label}_g{group:02d}_c{clip:02d}.mp4", 100 * number + 10 * group + clip, 6
                )
    (source / "run" / "broken.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(range(256)))


def grow_source(source: Path) -> None:
    """A class arrives; one video is changed, and one is taken away."""
    for clip in range(3):
        write_video(source / "walk" / f"v_walk_g00_c{clip:02d}.mp4", 700 + clip, 6)
    write_video(source / "jump" / "v_jump_g00_c00.mp4", 900, 7)
    (source / "run" / "v_run_g01_c01.mp4").unlink()
