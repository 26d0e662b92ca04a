"""Single bits turned over in the files of a dataset: each must be found, and named right; and repaired."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from video_assets.pipeline.upkeep.repair import repair_dataset
from video_assets.pipeline.upkeep.verify import Damage, find_damage, stored_places
from video_assets.storage.files import file_sha256
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.stages import steps_of


@dataclass(frozen=True, slots=True)
class Flip:
    """One bit of one file, and the record and clip that it belongs to, of a shard."""

    path: Path
    byte: int
    bit: int
    place: tuple[int, str] | None = None

    def turn(self) -> None:
        """Turns the bit over; done twice, the file is as it was."""
        with self.path.open("r+b") as file:
            file.seek(self.byte)
            (value,) = file.read(1)
            file.seek(self.byte)
            file.write(bytes([value ^ 1 << self.bit]))

    def __str__(self) -> str:
        return f"bit {self.bit} of byte {self.byte} of {self.path.name}"


def files_at_risk(paths: DatasetPaths) -> list[Path]:
    """Every file of a dataset, whatever a build wrote, but for what no reader and no later build depends on.

    That is Dagster's own storage, the lock, what a sensor remembers between two looks, and the outcomes of checks: a
    damaged one counts as none, and the next build checks again.
    """
    return sorted(
        path
        for path in paths.directory.rglob("*")
        if path.is_file()
        and path.stat().st_size
        # What a commit's folder holds is read, and named, by the links beside the shards.
        and not {".dagster", ".lock", ".checks", "commits", "current"}.intersection(path.parts)
        and path != paths.arrivals
    )


def choose_flips(paths: DatasetPaths, num_flips: int, seed: int) -> Iterator[Flip]:
    """Flips that take turns among the files, each at a random bit; the files in a random order."""
    chosen = random.Random(seed)
    files = files_at_risk(paths)
    chosen.shuffle(files)
    for number in range(num_flips):
        path = files[number % len(files)]
        byte, bit = chosen.randrange(path.stat().st_size), chosen.randrange(8)
        yield Flip(path, byte, bit, _place(paths, path, byte))


def _place(paths: DatasetPaths, path: Path, byte: int) -> tuple[int, str] | None:
    if path.suffix != ".tfrecord":
        return None
    key = Damage(path, "").key
    places = stored_places(paths.version(path.parent.name), key)
    return next((place.record, place.clip_id) for place in places if place.offset <= byte < place.offset + place.length)


def misnamed(paths: DatasetPaths, flip: Flip) -> list[str]:
    """Turns a bit, looks, and turns it back; gives what was wrong about what was found."""
    flip.turn()
    try:
        found = find_damage(paths)
    finally:
        flip.turn()
    if not found:
        return [f"{flip} was not found"]
    wrong = [f"{flip} was taken for this: {item.sentence}" for item in found if item.path != flip.path]
    if flip.place is not None:
        named = [[(place.record, place.clip_id) for place in item.places] for item in found]
        wrong += [f"{flip} is in {flip.place}, named were {places}" for places in named if places != [flip.place]]
    return wrong


@dataclass(slots=True)
class FlipFigures:
    """What a campaign of flips found."""

    num_flips: int = 0
    num_files: int = 0
    faults: list[str] = field(default_factory=list[str])
    false_alarms: int = 0


def flip_campaign(paths: DatasetPaths, num_flips: int, seed: int) -> FlipFigures:
    """Many flips, one after another, and looks at the untouched dataset in between."""
    figures = FlipFigures(num_files=len(files_at_risk(paths)))
    for number, flip in enumerate(choose_flips(paths, num_flips, seed)):
        if number % 50 == 0:
            figures.false_alarms += len(find_damage(paths))
        figures.num_flips += 1
        figures.faults += misnamed(paths, flip)
    figures.false_alarms += len(find_damage(paths))
    return figures


def repair_campaign(paths: DatasetPaths, seed: int) -> tuple[int, list[str]]:
    """A flip in each file, one after another, each repaired; gives how many, and which did not come back as it was."""
    before = {path: file_sha256(path) for path in files_at_risk(paths)}
    faults: list[str] = []
    for flip in choose_flips(paths, len(before), seed):
        flip.turn()
        report = repair_dataset(steps_of(paths), None)
        if report.repaired != [flip.path] or {path: file_sha256(path) for path in files_at_risk(paths)} != before:
            faults.append(f"{flip} was not repaired: {report.failed}")
        if repair_dataset(steps_of(paths), None).damaged:
            faults.append(f"{flip} had to be repaired twice")
    return len(before), faults
