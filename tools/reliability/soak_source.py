"""A source that never stands still: arrivals, deletions, renames, relabellings, other contents, copies, dead files."""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from video_assets_tests.pipeline.videos import write_video

LABELS = ("climb", "jump", "run", "swim", "walk")
FEWEST, MOST = 14, 36
"""Videos that a source holds; so that a long soak stays as large as a short one."""
_MOST_DEAD = 2


@dataclass(frozen=True, slots=True)
class Video:
    """What is in one file: its content is a number, -1 for one that no decoder opens."""

    label: str
    content: int
    group: str | None = None


@dataclass
class ChangingSource:
    """A folder per class, and what is in it. The same seed gives the same changes."""

    folder: Path
    rng: random.Random
    videos: dict[str, Video] = field(default_factory=dict[str, Video])
    events: Counter[str] = field(default_factory=Counter[str])
    next_number: int = 0

    def begin(self) -> None:
        """The first videos: of three classes."""
        for label in LABELS[:3]:
            for _ in range(5):
                self._write(label, self._new_name())

    def change(self) -> str:
        """One change; says which."""
        if len(self.videos) < FEWEST:
            happens = self.arrive
        elif len(self.videos) > MOST:
            happens = self.delete
        else:
            happens = self.rng.choices(list(_EVENTS), list(_EVENTS.values()))[0].__get__(self)
        happens()
        self.events[happens.__name__] += 1
        return happens.__name__

    def arrive(self) -> None:
        """One to four videos; half of the time as one group."""
        label = self.rng.choice(LABELS)
        group = self.next_number if self.rng.random() < 0.5 else None
        for _ in range(self.rng.randint(1, 4)):
            self._write(label, self._new_name(None if group is None else (label, group)))

    def delete(self) -> None:
        """One or two videos."""
        for path in self.rng.sample(sorted(self.videos), self.rng.randint(1, 2)):
            (self.folder / path).unlink()
            del self.videos[path]

    def rename(self) -> None:
        """A video gets another name; it may join a group by it."""
        path = self._any()
        groups = sorted({video.group for video in self.videos.values() if video.group})
        name = self._new_name()
        if groups and self.rng.random() < 0.3:
            label, _, number = self.rng.choice(groups).rpartition("_")
            name = self._new_name((label, int(number)))
        self._move(path, f"{self.videos[path].label}/{name}")

    def regroup(self) -> None:
        """Two videos, which may be in two splits, get names of one new group."""
        sound = sorted(path for path, video in self.videos.items() if video.content >= 0)
        paths, number = self.rng.sample(sound, 2), self._number()
        label = self.videos[paths[0]].label
        for path in paths:
            self._move(path, f"{self.videos[path].label}/{self._new_name((label, number))}")

    def relabel(self) -> None:
        """A video moves to another class."""
        path = self._any()
        label = self.rng.choice([label for label in LABELS if label != self.videos[path].label])
        self._move(path, f"{label}/{Path(path).name}")

    def change_content(self) -> None:
        """Another video stands under the same name."""
        path = self._any()
        self._write(self.videos[path].label, Path(path).name)

    def copy(self) -> None:
        """The same content a second time, in the same class."""
        path = self._any()
        target = f"{self.videos[path].label}/{self._new_name()}"
        shutil.copyfile(self.folder / path, self.folder / target)
        self.videos[target] = replace(self.videos[path], group=None)

    def die(self) -> None:
        """A file that no decoder opens arrives; or one that is there is replaced."""
        dead = [path for path, video in self.videos.items() if video.content < 0]
        if len(dead) >= _MOST_DEAD:
            self._write(self.videos[dead[0]].label, Path(dead[0]).name)
            return
        path = f"{self.rng.choice(LABELS)}/dead{self._number():05d}.mp4"
        self._put(path, b"\0\0\0\x20ftypisom" + self.rng.randbytes(200))
        self.videos[path] = Video(path.partition("/")[0], -1)

    def _any(self) -> str:
        return self.rng.choice(sorted(path for path, video in self.videos.items() if video.content >= 0))

    def _number(self) -> int:
        self.next_number += 1
        return self.next_number

    def _new_name(self, group: tuple[str, int] | None = None) -> str:
        number = self._number()
        return f"plain{number:05d}.mp4" if group is None else f"v_{group[0]}_g{group[1]:05d}_c{number:05d}.mp4"

    def _write(self, label: str, name: str) -> None:
        content = self._number()
        write_video(self.folder / label / name, content, num_frames=6)
        self.videos[f"{label}/{name}"] = Video(label, content, group_of(name))

    def _move(self, path: str, target: str) -> None:
        (self.folder / target).parent.mkdir(exist_ok=True)
        (self.folder / path).rename(self.folder / target)
        label, _, name = target.partition("/")
        self.videos[target] = replace(self.videos.pop(path), label=label, group=group_of(name))

    def _put(self, path: str, data: bytes) -> None:
        (self.folder / path).parent.mkdir(exist_ok=True)
        (self.folder / path).write_bytes(data)


def group_of(name: str) -> str | None:
    """What UCF101's names say.

    >>> group_of("v_run_g00007_c00012.mp4")
    'run_00007'
    """
    parts = name.split("_")
    return f"{parts[1]}_{parts[2][1:]}" if parts[0] == "v" else None


_EVENTS: dict[Callable[[ChangingSource], None], float] = {
    ChangingSource.arrive: 5,
    ChangingSource.delete: 3,
    ChangingSource.rename: 2,
    ChangingSource.relabel: 2,
    ChangingSource.change_content: 2,
    ChangingSource.copy: 1,
    ChangingSource.die: 1,
}
