"""Real builds from manifest to commit, as a child process runs them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tools.reliability.faults import Fault, FaultyDisk, Journal, States
from video_assets.cli import main
from video_assets.media.workers.pool import DecodingPool
from video_assets.pipeline.build import Steps
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.pipeline.shards.encode import ClipJob, encode_clip
from video_assets.pipeline.shards.pending import shards_to_build
from video_assets.settings import (
    DEFAULT_LIMITS,
    DatasetSettings,
    EncodingSettings,
    ManifestSettings,
    PlanSettings,
    SplitSettings,
)
from video_assets.storage.files import AtomicFile, file_sha256
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.stages import InThisProcess

NAME = "clips"
LIMITS = DEFAULT_LIMITS
Encoded = Callable[[ClipJob], object]
"""What is told of a clip that is about to be encoded."""


@dataclass(frozen=True, slots=True)
class Build:
    """One build of a source into a root. With no workers, clips are decoded in the building process itself.

    A careless one writes files in place, so that it can be seen that the harness sees it.
    `by_command` runs `video-assets build`, Dagster and all, which decodes in two processes at least.
    """

    source: Path
    root: Path
    resolution: int = 32
    new_version: bool = False
    num_workers: int = 0
    by_command: bool = False
    is_careless: bool = False

    @property
    def paths(self) -> DatasetPaths:
        """Where the dataset lies."""
        return DatasetPaths(self.root, NAME)

    def at(self, root: Path) -> "Build":
        """The same build into another root."""
        return replace(self, root=root)


def run_build(build: Build, journal: Path, fault: Fault | None = None, states: Path | None = None) -> None:
    """Builds; notes every operation, every whole file, and every clip that is given out to be encoded.

    `states` is a folder for copies of the root before each operation.
    """
    notes = Journal(journal)
    base = build.root

    def renamed(path: Path) -> None:
        for file in _shown_by(path):
            notes.note(f"whole {file_sha256(file)} {file.relative_to(base)}")

    before: Callable[[int], object] = States(base, states, notes.note).take if states else lambda _: None
    FaultyDisk(base, notes, fault, renamed, before).install()
    if build.is_careless:
        _write_in_place()
    encoding: Encoded = lambda job: notes.note(f"encode {job.clip.clip_id}")  # noqa: E731
    if build.by_command:
        run_command(build, encoding)
    else:
        run_stages(build, encoding)


def _shown_by(path: Path) -> list[Path]:
    """The files that have their final content by a rename: a file, those of a folder, or those behind a link."""
    if not path.is_dir():
        return [path] if path.is_file() else []
    folder = path.parent if path.is_symlink() else path
    return [file for file in folder.rglob("*") if file.is_file()]


def run_command(build: Build, encoding: Encoded = lambda _: None) -> None:
    """`video-assets build`, in this process.

    Raises:
        SystemExit: with its exit code, if that is not 0.
    """
    _note_clips(encoding)
    settings = {
        "manifest.max_failed_fraction": 0.5,
        "splits.test_fraction": 0.3,
        "plan.clips_per_shard": 2,
        "plan.encoding.resolution": build.resolution,
        "plan.encoding.num_frames": 3,
        "plan.new_version": str(build.new_version).lower(),
        "dataset.retired_grace_minutes": 0.0,
    }
    arguments = ["build", "--source", str(build.source), "--root", str(build.root), "--workers", str(build.num_workers)]
    for name, value in settings.items():
        arguments += ["--set", f"{name}={value}"]
    code = main(arguments)
    if code:
        raise SystemExit(code)


def run_stages(build: Build, encoding: Encoded = lambda _: None) -> None:
    """The stages as the assets call them."""
    _note_clips(encoding)
    paths = build.paths
    make_pool: Any = partial(DecodingPool, build.num_workers, LIMITS) if build.num_workers else NotingHere(encoding)
    steps = Steps(paths=paths, pools_for=lambda *_: make_pool)
    steps.manifest(build.source, ManifestSettings(max_failed_fraction=0.5, max_removed_fraction=1.0))
    steps.splits(SplitSettings(test_fraction=0.3))
    chosen = EncodingSettings(resolution=build.resolution, num_frames=3)
    steps.plan(PlanSettings(encoding=chosen, clips_per_shard=2, new_version=build.new_version))
    reports = list(steps.shards(read_plan(paths), shards_to_build(paths)))
    errors = [report.error for report in reports if report.error]
    if errors:
        raise OSError("; ".join(errors))
    steps.commit(DatasetSettings(retired_grace_minutes=0.0))


def _note_clips(encoding: Encoded) -> None:
    """For the rest of this process's life: pools tell of each clip before it is encoded."""
    real = DecodingPool.map

    def noting(pool: DecodingPool, function: Callable[[Any], Any], jobs: Iterable[Any], **options: Any) -> Any:
        return real(pool, function, _watched(function, jobs, encoding), **options)

    setattr(DecodingPool, "map", noting)  # noqa: B010  (pyright knows that it is another function)


class NotingHere(InThisProcess):
    """Does the jobs right here, and tells of each clip before."""

    def __init__(self, encoding: Encoded) -> None:
        super().__init__()
        self._encoding = encoding

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any], **options: Any) -> Iterator[Any]:
        return super().map(function, _watched(function, jobs, self._encoding), **options)


def _watched(function: Callable[[Any], Any], jobs: Iterable[Any], encoding: Encoded) -> Iterator[Any]:
    for job in jobs:
        if function is encode_clip and job.stored is None:
            encoding(job)
        yield job


def _write_in_place() -> None:
    """For the rest of this process's life: no file is written beside."""
    real = AtomicFile.__init__

    def careless(file: AtomicFile, path: Path) -> None:
        real(file, path)
        path.unlink(missing_ok=True)
        file.temporary = path

    setattr(AtomicFile, "__init__", careless)  # noqa: B010
    setattr(AtomicFile, "__exit__", lambda file, *_: file._file.close())  # noqa: B010
