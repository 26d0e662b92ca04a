"""Read a dataset version for training."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import SPLITS, Split
from video_assets.storage.paths import VersionPaths, parse_version

if TYPE_CHECKING:
    import tensorflow as tf


def load_dataset(version_dir: str | Path, split: Split) -> "tf.data.Dataset":
    """The clips of one split: dicts of `video` uint8 [T, H, W, 3] RGB, `label` int64 [], `id` string [].

    `version_dir` is a version directory, such as `root/clips/1.0.0`. Clips come in the order in which they
    are stored, which mixes the classes; the same files give the same order. What is read is what was
    committed when this was called; shards that a growth adds later are not seen.

    Raises:
        SettingsError: if there is no committed dataset, or it has no such split.
    """
    import tensorflow as tf

    from video_assets.reader.parsing import decode_images, parse_record

    files, encoding = committed_shards(Path(version_dir), split)

    def to_clip(record: Any) -> dict[str, Any]:
        parsed = parse_record(encoding.layout, record)
        return {"video": decode_images(parsed["images"]), "label": parsed["label"], "id": parsed["id"]}

    records = tf.data.TFRecordDataset([str(path) for path in files], buffer_size=1 << 20)
    return records.map(to_clip, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def committed_shards(version_dir: Path, split: str) -> tuple[list[Path], Encoding]:
    """Shard files of one split of the committed dataset, in order, and their encoding.

    Raises:
        SettingsError: if there is no committed dataset, or it has no such split.
    """
    if parse_version(version_dir.name) is None:
        raise SettingsError(f"{version_dir} is not a version directory, such as root/clips/1.0.0")
    paths = VersionPaths(version_dir, version_dir.parent.name, version_dir.name)
    if split not in SPLITS:
        raise SettingsError(f"the split is {split!r}; it must be one of {', '.join(SPLITS)}")
    if not paths.dataset_info.exists():
        raise SettingsError(f"{version_dir} holds no committed dataset (no dataset_info.json); build it first")
    info = json.loads(paths.dataset_info.read_text("utf-8"))
    paths = VersionPaths(version_dir, info["name"], info["version"])
    lengths = {entry["name"]: [int(n) for n in entry["shardLengths"]] for entry in info["splits"]}
    files = [
        paths.shard("train" if split == "train" else "test", index)
        for index, length in enumerate(lengths.get(split, []))
        if length
    ]
    return files, Encoding(**json.loads(info["configDescription"])["encoding"])
