"""Look with every reader at what a kill before each operation of a build would leave.

A killed process leaves what it wrote, and nothing else. So one build is enough: before each operation the whole root is
copied, unless a copy with the same files exists. Then every reader looks at every copy.
"""

import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tools.reliability.builds import NAME, run_build
from tools.reliability.children import Child
from tools.reliability.faults import noted
from tools.reliability.invariants import Seen, mixed_commits, seen_by_readers, told_as_damage
from tools.reliability.scenarios import Scenario
from video_assets.domain.errors import SettingsError, VideoAssetsError
from video_assets.pipeline.dataset_state import committed_plan_digest
from video_assets.pipeline.plan.plan_table import plan_digest, read_plan
from video_assets.pipeline.upkeep.status import dataset_status
from video_assets.storage.paths import DatasetPaths

Ids = frozenset[str]


@dataclass(frozen=True, slots=True)
class Looks:
    """What the looks at one scenario found. `num_points` counts operations, `num_states` those that differ."""

    num_points: int
    num_states: int
    num_reads: int
    faults: tuple[str, ...]


def look_at_operations(scenario: Scenario, step: int = 1) -> Looks:
    """Build once, and look with every reader at what was there before each operation, and at the end.

    Of the states that differ, every `step`th is looked at.
    """
    root, journal, folder = scenario.root("watched"), scenario.folder / "watched.journal", scenario.folder / "states"
    journal.unlink(missing_ok=True)
    before = seen_by_readers(root)
    build = scenario.build.at(root)
    Child(scenario.folder / "watched.log", run_build, build, journal, None, folder).finish(600)
    after = seen_by_readers(root)
    allowed = {name: [seen[name] for seen in (before, after) if name in seen] for name in {*before, *after}}
    points = [line.split() for line in noted(journal, "state")]
    names = list(dict.fromkeys(name for _, name in points))[::step]
    num_reads, faults = 0, list[str]()
    for done, name in enumerate(names, 1):
        number = next(number for number, other in points if other == name)
        try:
            found = list(_look(folder / name, allowed))
        except (OSError, ValueError, AssertionError, VideoAssetsError) as error:  # a reader that fails saw no commit
            found = [f"{type(error).__name__}: {error}"]
        num_reads += sum(sentence is None for sentence in found)
        faults += [f"before operation {number}: {sentence}" for sentence in found if sentence is not None]
        print(f"{scenario.kind}: {done} of {len(names)} states, {len(faults)} faults", file=sys.stderr, flush=True)
    return Looks(len(points), len(names), num_reads, tuple(faults))


def _look(root: Path, allowed: Mapping[str, list[Seen]]) -> Iterator[str | None]:
    """Yield None for each reader that sees a whole commit, and a sentence for what is wrong."""
    paths = DatasetPaths(root, NAME)
    yield from (f"damage: {sentence}" for sentence in told_as_damage(root))
    yield from mixed_commits(root)
    for version, seen in seen_by_readers(root).items():
        if seen not in allowed[version]:
            yield f"{version} is neither the old commit nor the new one"
        for reader, read in _readers(paths, version).items():
            found = read()
            expected = {split: ids for split, ids in seen.items() if ids and split in found}
            yield None if expected == {split: ids for split, ids in found.items() if ids} else f"{reader} sees {found}"
    yield from _untrue_status(paths)


def _readers(paths: DatasetPaths, version: str) -> dict[str, Callable[[], Mapping[str, Ids]]]:
    files = paths.version(version)
    splits = ("train", "test")

    def by_index() -> Mapping[str, Ids]:
        index = pd.read_parquet(files.index)
        return {split: frozenset(index.loc[index["split"] == split, "clip_id"]) for split in splits}

    def by_stored_clips() -> Mapping[str, Ids]:
        from video_assets.reader import StoredClips

        return {s: frozenset(str(clip["id"]) for clip in StoredClips(files.directory, s)) for s in splits}

    def by_load_dataset() -> Mapping[str, Ids]:
        from video_assets.reader import load_dataset

        return {s: _ids(load_dataset(files.directory, s)) for s in splits}

    def by_tfds() -> Mapping[str, Ids]:
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(str(files.directory))
        return {s: _ids(builder.as_dataset(split=s)) for s in splits}

    def by_recipe(code: str) -> Mapping[str, Ids]:
        names: dict[str, Any] = {}
        with redirect_stdout(io.StringIO()):  # one of them prints
            exec(code, names)
        return {"train": _ids(names["train"])}

    card = files.card_markdown.read_text("utf-8").replace("path/to", str(paths.root))
    recipes = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    return {
        "the index": by_index,
        "StoredClips": by_stored_clips,
        "load_dataset": by_load_dataset,
        "tensorflow-datasets": by_tfds,
        **{f"recipe {number} of the card": lambda code=code: by_recipe(code) for number, code in enumerate(recipes)},
    }


def _ids(clips: Any) -> Ids:
    return frozenset(clip["id"].decode() for clip in clips.as_numpy_iterator())


def _untrue_status(paths: DatasetPaths) -> Iterator[str | None]:
    """Yield what `status` says otherwise than it is; None if all is true."""
    try:
        status = dataset_status(paths)
    except SettingsError:
        yield None if not paths.manifest.exists() else "status knows no dataset"
        return
    if not paths.plan.exists():
        yield "status is valid without a plan" if status["is_valid"] else None
        return
    plan = read_plan(paths)
    version = plan.pinned.version
    seen = seen_by_readers(paths.root).get(version)
    counts = {split: item["records"] for split, item in status["splits"].items() if item["records"]}
    if counts != {split: len(ids) for split, ids in (seen or {}).items() if ids}:
        yield f"status counts {counts}"
    is_current = committed_plan_digest(paths.version(version)) == plan_digest(plan, plan.fingerprints())
    if status["is_valid"] and seen is None:
        yield "status is valid without a commit"
    if seen is not None and not is_current and not (status["unfinished"] or status["shards_missing"]):
        yield "status does not tell of the plan that is not committed"
    if is_current and status["unfinished"]:
        yield f"status calls a finished commit unfinished: {status['unfinished']}"
    yield None
