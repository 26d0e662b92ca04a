"""What a committed dataset holds, in numbers that a trainer needs."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from video_assets.domain.errors import SettingsError
from video_assets.domain.labels import split_labels
from video_assets.domain.statistics import DatasetStatistics, Spread, class_weights
from video_assets.records.dataset_info import DatasetInfo, parse_dataset_info
from video_assets.storage.addresses import open_address
from video_assets.storage.files import read_if_there
from video_assets.storage.paths import VersionPaths
from video_assets.storage.schemas import INDEX
from video_assets.storage.tables import read_table


def describe(version_dir: str | Path) -> dict[str, Any]:
    """Return what a dataset holds, as plain values; neither TensorFlow nor a shard is opened.

    - `name`, `version`, `layout`, `encoding`: the dataset and how its clips were encoded.
    - `classes`: the names in the order of their indices. `multi_label`: whether a clip may have several.
    - `splits`: clips by split. `class_counts`: clips by split and class.
    - `class_weights`: by class, of train, for `model.fit(class_weight=…)` or a weighted loss: clips / (classes * clips
      of the class). With several labels per clip: clips without the label for each clip with it, as `pos_weight`.
    - `mean`, `std`: of red, green and blue, from 0 to 1, over the middle frames of up to 200 training clips, as
      `transforms.Normalize` takes them.
    - `frames`: stored frames per clip; `seconds`: length of the clips in their videos. Each has min, median, mean, max.

    `mean`, `std` and `seconds` are None for a dataset that was committed by version 0.1.

    Args:
        version_dir: A version directory, such as `root/clips/1.0.0`, or `s3://bucket/root/clips/1.0.0`.

    Raises:
        SettingsError: If there is no committed dataset.
        FileDamaged: If one of its files is not what a commit writes.
    """
    directory = open_address(version_dir)
    paths = VersionPaths(directory, directory.parent.name, directory.name)
    data = read_if_there(paths.dataset_info)
    if data is None:
        raise SettingsError(f"{version_dir} holds no committed dataset (no dataset_info.json); build it first")
    info = parse_dataset_info(data, paths.dataset_info)
    classes = paths.label_names.read_text("utf-8").splitlines()
    found = info.statistics or _from_index(paths, info, classes)
    return {
        "name": info.name,
        "version": info.version,
        "layout": info.encoding.layout,
        "encoding": info.encoding.as_dict(),
        "classes": classes,
        "multi_label": info.encoding.multi_label,
        "splits": {split: sum(lengths) for split, lengths in info.lengths.items()},
        "class_counts": {split: dict(counts) for split, counts in found.clips.items()},
        "class_weights": dict(found.class_weights),
        "mean": found.levels and list(found.levels.mean),
        "std": found.levels and list(found.levels.std),
        "frames": found.frames and asdict(found.frames),
        "seconds": found.seconds and asdict(found.seconds),
    }


def _from_index(paths: VersionPaths, info: DatasetInfo, classes: list[str]) -> DatasetStatistics:
    """Return what the index says, for datasets whose version did not gather statistics."""
    index = read_table(paths.index, INDEX, ["split", "label", "num_frames"])
    multi_label = info.encoding.multi_label
    counts: dict[str, dict[str, int]] = {}
    for split in info.lengths:
        labels = index.loc[index["split"] == split, "label"]
        found = Counter(name for label in labels for name in split_labels(str(label), multi_label=multi_label))
        counts[split] = {name: found[name] for name in classes}
    num_clips = sum(info.lengths.get("train", ()))
    return DatasetStatistics(
        clips=counts,
        class_weights=class_weights(counts.get("train", {}), num_clips, multi_label=multi_label),
        frames=Spread.of(index["num_frames"]),
        seconds=None,
        levels=None,
    )
