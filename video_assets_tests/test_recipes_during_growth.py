"""Recipes of the card and TRAINING.md, followed in a loop while a dataset changes: a read gives a committed state."""

import random
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import yaml

from video_assets.setting_types import Layout
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.stages import ENCODING, Stages
from video_assets_tests.pipeline.videos import write_video

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
LABELS = ("jump", "run")
NUM_STEPS = 30
State = frozenset[tuple[str, int]]
"""Every clip of train with the index of its label."""


class Growth:
    """A dataset whose source is changed at random, with every state that was committed."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.stages = Stages(folder / "videos", DatasetPaths(folder / "root", "clips"))
        self.encoding = ENCODING.replace(layout=layout, num_frames=2, resolution=16)
        self.random = random.Random(7)
        self.number = 0
        self.states: list[State] = []
        self.num_committed = 0
        for label in LABELS * 4:
            self.add(label)
        self.commit()

    @property
    def version(self) -> Path:
        return self.stages.paths.version("1.0.0").directory

    def add(self, label: str = "run") -> None:
        path = self.stages.source / label / f"{self.number:03d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, self.number, 6)
        self.number += 1

    def step(self) -> None:
        files = sorted(self.stages.source.rglob("*.mp4"))
        chosen = self.random.choice(files)
        other = self.stages.source / LABELS[chosen.parent.name == LABELS[0]] / chosen.name
        match self.random.choice(["add", "delete", "relabel", "rename"]):
            case "delete" if len(list(chosen.parent.iterdir())) > 3:
                chosen.unlink()
            case "relabel" if len(list(chosen.parent.iterdir())) > 3:
                shutil.move(chosen, other)
            case "rename":
                chosen.rename(chosen.with_stem(f"{chosen.stem}r"))
            case _:
                self.add(self.random.choice(LABELS))
        self.commit()

    def commit(self) -> None:
        self.stages.manifest(max_failed_fraction=1.0)
        self.stages.splits()
        self.stages.plan(self.encoding)
        self.stages.shards()
        plan = pd.read_parquet(self.stages.paths.plan)
        plan = plan[plan["split"] == "train"]
        # Before the commit: whoever reads just after it must find its state here.
        self.states.append(frozenset(zip(plan["clip_id"], plan["label_index"], strict=True)))
        self.stages.commit()
        self.num_committed += 1


Read = list[tuple[str, int]]
Recipe = Callable[[], Read]
TRAINING = (Path(__file__).parents[1] / "docs" / "TRAINING.md").read_text("utf-8")
_NOT_INSTALLED = "from torch.utils.data import DataLoader\n"  # and not needed to read clips


def records_of(files: list[str], layout: Layout, tf: ModuleType) -> Read:
    """The clips in some shards, with their labels."""
    found: Read = []
    names = ("id", "label") if layout == "movinets_helper" else ("example/id", "clip/label/index")
    compression = "GZIP" if layout == "movinets_helper" else ""
    for record in tf.data.TFRecordDataset(files, compression).as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        found.append((features[names[0]].bytes_list.value[0].decode(), features[names[1]].int64_list.value[0]))
    return found


def of_dataset(clips: Any) -> Read:
    return [(str(clip["id"].decode()), int(clip["label"])) for clip in clips.as_numpy_iterator()]


def training_recipes(growth: Growth, tf: ModuleType) -> list[Recipe]:
    """What follows each recipe of TRAINING.md that reads a dataset of this layout."""
    layout = growth.encoding.layout

    def names_of(*beginnings: str) -> dict[str, Any]:
        """Run the blocks of code that begin so, on the growing dataset."""
        names: dict[str, Any] = {"tf": tf}
        for block in re.findall(r"```python\n(.*?)```", TRAINING.replace(_NOT_INSTALLED, ""), re.DOTALL):
            if block.startswith(beginnings):
                code = re.sub(r"data/\w+/clips/1\.0\.0", str(growth.version), block)
                code = code.replace("data/datasets", str(growth.stages.paths.root)).replace(
                    "num_epochs=None", "num_epochs=1"
                )
                exec(re.split(r"\n\n\ndef batches|\nfiles = committed", code)[0], names)
        return names

    def keras() -> Read:
        return of_dataset(names_of("from video_assets.reader import Augmentation, load_dataset")["train"])

    def torch() -> Read:
        clips = names_of("import numpy as np\n\nfrom video_assets")["clips"]
        return [(clip["id"], int(clip["label"])) for clip in (clips[index] for index in range(len(clips)))]

    def tfds() -> Read:
        return of_dataset(names_of("import tensorflow_datasets as tfds")["train"])

    def committed() -> Read:
        files = names_of("import json")["committed_files"](str(growth.version), "train")
        return records_of(files, layout, tf)

    found: dict[Layout, list[Recipe]] = {
        "tfds": [keras, torch, tfds],
        "sequence_example": [keras, torch, committed],
        "movinets_helper": [keras, torch, committed],
    }
    return found[layout]


def recipes_of(growth: Growth, tf: ModuleType) -> list[Recipe]:
    """What follows each recipe of the card as it stands just then."""

    def card() -> str:
        text = (growth.version / "README.md").read_text("utf-8")
        return text.replace("path/to", str(growth.stages.paths.root))

    def by_code(number: int) -> Read:
        code = re.findall(r"```python\n(.*?)```", card(), re.DOTALL)[number]
        names: dict[str, Any] = {}
        exec(code, names)
        if "files" in names:
            return records_of(names["files"], growth.encoding.layout, tf)
        return of_dataset(names["train"])

    def by_pattern() -> Read:
        recipe = re.findall(r"```yaml\n(.*?)```", card(), re.DOTALL)[0]
        place = yaml.safe_load(recipe)["task"]["train_data"]["input_path"]
        return records_of(sorted(tf.io.gfile.glob(str(growth.stages.paths.root / place))), growth.encoding.layout, tf)

    num_codes = len(re.findall(r"```python\n", card()))
    found = [lambda number=number: by_code(number) for number in range(num_codes)]
    return [*found, by_pattern] if growth.encoding.layout == "sequence_example" else found


@pytest.mark.parametrize("layout", ["tfds", "sequence_example", "movinets_helper"])
@pytest.mark.usefixtures("tfds")
def test_each_read_by_a_recipe_gives_a_committed_state(layout: Layout, tmp_path: Path, tensorflow: ModuleType) -> None:
    growth = Growth(tmp_path, layout)
    recipes = [*recipes_of(growth, tensorflow), *training_recipes(growth, tensorflow)]
    seen: list[tuple[int, Read, int]] = []  # between commits of which numbers, what was read
    errors: list[BaseException] = []
    is_over = threading.Event()

    def follow() -> None:
        while not is_over.is_set():
            for recipe in recipes:
                latest = growth.num_committed - 1
                try:
                    read = recipe()
                    seen.append((latest, read, len(growth.states)))
                except Exception as error:  # noqa: BLE001  (whatever it is, the test names it)
                    errors.append(error)

    reader = threading.Thread(target=follow)
    reader.start()
    try:
        for _ in range(NUM_STEPS):
            growth.step()
    finally:
        is_over.set()
        reader.join()
    assert errors == []
    assert len(seen) > NUM_STEPS
    assert all(len(read) == len(set(read)) for _, read, _ in seen)
    others = [read for first, read, stop in seen if frozenset(read) not in growth.states[first:stop]]
    assert others == []  # none deleted, and no label that it had before the read began
