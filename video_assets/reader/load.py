"""Read a dataset version for training, and describe it in the numbers that a trainer needs."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import SettingsError
from video_assets.domain.labels import split_labels
from video_assets.domain.splits import Split, split_named
from video_assets.domain.statistics import DatasetStatistics, Spread, class_weights
from video_assets.reader.windows import Segments, Views, Window
from video_assets.records.dataset_info import DatasetInfo, parse_dataset_info
from video_assets.storage.addresses import open_address
from video_assets.storage.files import read_if_there
from video_assets.storage.paths import VersionPaths, parse_version
from video_assets.storage.tables import INDEX, read_table

if TYPE_CHECKING:
    import tensorflow as tf

    from video_assets.reader.augmentation import Augmentation


def load_dataset(
    version_dir: str | Path,
    split: Split,
    *,
    seed: int | None = None,
    shuffle_buffer: int = 1024,
    first_epoch: int = 0,
    num_epochs: int | None = 1,
    start: int = 0,
    num_workers: int = 1,
    worker_index: int = 0,
    augmentation: "Augmentation | None" = None,
    window: Window | None = None,
    segments: Segments | None = None,
    num_crops: Literal[1, 3] | None = None,
    crop_px: int | None = None,
    with_audio: bool = False,
) -> "tf.data.Dataset":
    """Return the clips of one split, as dicts.

    `video` is uint8 [T, H, W, 3] RGB, `label` int64 [], `id` string []. `timestamps_us` int64 [T] says when the source
    shows these frames, in microseconds on its own time line. With several windows or crops, `video` is
    [V, T, H, W, 3] and `timestamps_us` [V, T]: each window with its crops, one after another.

    Where a clip may have several labels (`manifest.multi_label`), `label` is float32 [C]: 1 for each class that the
    clip has and 0 for the others, as `BinaryCrossentropy` expects it; clips of one and of many labels make one batch
    without padding. C and the order of the classes are those of `label.labels.txt` when this is called.

    A dataset with captions also gives `caption` string [], empty for a clip without one.

    Without options, each clip comes once, in stored order, which mixes the classes; the same files give the same order.
    What is read is what is committed when this is called; shards that are added later are not seen. The dataset knows
    the number of clips (`len(…)`).

    For training, shuffled anew in every epoch and without an end:

        clips = load_dataset("root/clips/1.0.0", "train", seed=1, num_epochs=None, augmentation=Augmentation())
        batches = clips.batch(8, drop_remainder=True)

    After a stop at step 250 (of batches of 8), `load_dataset(…, start=250 * 8)` with the same other options continues
    with clip 2000: the order is a function of the files, `seed` and the epoch, so nothing has to be saved. With 100
    clips, that is the beginning of epoch 20. Skipped clips of the first epoch are read but not decoded; skipped epochs
    are not read.

    A shard in a store is copied to this machine when it is read for the first time (to `VIDEO_ASSETS_CACHE`, else to
    the user's cache directory), because TensorFlow reads only local files.

    Args:
        version_dir: A version directory, such as `root/clips/1.0.0`, or `s3://bucket/root/clips/1.0.0`.
        split: `train` or `test`, or `val` where the dataset has one.
        seed: Shuffle by this seed; None keeps the stored order.
        shuffle_buffer: Encoded clips in the shuffle buffer, which is filled from 16 shards in turns. With a buffer as
            large as the split, every order is equally likely.
        first_epoch: The number of the first epoch; each epoch has its own order.
        num_epochs: How many epochs follow one another; None: no end.
        start: Clips to skip at the beginning, in this order; it may span epochs.
        num_workers: Workers that share each epoch. Each reads all files and decodes its own clips: of 7 clips, 3
            workers have 3, 2 and 2. `start` counts the worker's own clips.
        worker_index: Which worker this is, from 0.
        augmentation: Random changes, drawn anew for each clip in each epoch from `seed`; for each view by itself. Of a
            JPEG only the part that the random crop shows is decoded.
        window: Which frames to decode of each clip; by default all of them. Random windows depend only on the clip's
            id, the epoch and `seed` (0 if there is none): `StoredClips` draws the same ones.
        segments: Frames spread over the clip, instead of a window.
        num_crops: Square crops of each frame: 1 in the middle, or 3 along the longer side. None: whole frames.
        crop_px: Side of the crops; by default the short side of the frame. Given alone, it asks for one crop.
        with_audio: Also give the sound of each clip, mono, at the rate `plan.encoding.audio_sample_rate`: `audio`
            float32 [N] from -1 to 1, and `num_audio_samples` int64 [], which is N, and stays so when a batch is padded
            to its longest clip. A silent video has none: N is 0. `augmentation` does not change it.

    Raises:
        SettingsError: If there is no committed dataset, it lacks this split or the sound, or an option is out of range.
        FileDamaged: If its dataset_info.json is not what a commit writes.
    """
    import tensorflow as tf

    from video_assets.reader.frames import ViewDecoder
    from video_assets.reader.parsing import multi_hot, parse_record
    from video_assets.reader.stream import Epochs, Shuffle, StoredRecords, Worker, stream_records

    if augmentation is not None and seed is None:
        raise SettingsError("augmentation draws at random, so it needs a seed; give one, such as seed=1")
    committed = committed_shards(open_address(version_dir), split)
    encoding = committed.encoding
    if with_audio and not encoding.audio_sample_rate:
        raise SettingsError(
            f"{version_dir} holds no sound, so with_audio cannot give any; build it with "
            "plan.encoding.layout=sequence_example and plan.encoding.audio_sample_rate, such as 16000"
        )

    decoder = ViewDecoder(
        views=Views.chosen(
            window=window,
            segments=segments,
            num_crops=num_crops,
            crop_px=crop_px,
            short_side_px=encoding.resolution,
        ),
        image_format=encoding.image_format if encoding.stores_images else None,
        augmentation=augmentation,
        seed=seed or 0,
    )

    def to_clip(epoch: Any, record: Any) -> dict[str, Any]:
        parsed = parse_record(encoding.layout, record, multi_label=encoding.multi_label, with_audio=with_audio)
        label = multi_hot(parsed["label"], committed.num_classes) if encoding.multi_label else parsed["label"]
        clip = {"label": label, "id": parsed["id"], **decoder.decode(parsed, epoch)}
        if with_audio:
            clip |= {"audio": parsed["audio"], "num_audio_samples": tf.size(parsed["audio"], tf.int64)}
        if committed.has_captions:
            clip["caption"] = tf.strings.reduce_join(parsed["caption"])  # at most one; empty without one
        return clip

    pairs = stream_records(
        StoredRecords(
            files=[str(path) for path in committed.files],
            num_records=committed.num_clips,
            compression=encoding.compression,
        ),
        None if seed is None else Shuffle(seed=seed, buffer_size=shuffle_buffer),
        Worker(index=worker_index, num_workers=num_workers),
        Epochs(first_epoch=first_epoch, num_epochs=num_epochs, start=start),
    )
    return pairs.map(to_clip, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedSplit:
    """One split of a committed dataset: its shard files that hold records, in order, and how these were encoded.

    `num_classes` is 0 unless a clip may have several labels.
    """

    files: list[Path]
    num_clips: int
    encoding: Encoding
    has_captions: bool = False
    num_classes: int = 0


def committed_shards(version_dir: Path, split: str) -> CommittedSplit:
    """Return what one split of the committed dataset consists of.

    Raises:
        SettingsError: If there is no committed dataset, or it has no such split.
        FileDamaged: If its dataset_info.json is not what a commit writes.
    """
    if parse_version(version_dir.name) is None:
        raise SettingsError(f"{version_dir} is not a version directory, such as root/clips/1.0.0")
    paths = VersionPaths(version_dir, version_dir.parent.name, version_dir.name)
    try:
        known = split_named(split)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    data = read_if_there(paths.dataset_info)
    if data is None:
        raise SettingsError(f"{version_dir} holds no committed dataset (no dataset_info.json); build it first")
    info = parse_dataset_info(data, paths.dataset_info)
    paths = VersionPaths(version_dir, info.name, info.version)
    if known not in info.lengths:
        raise SettingsError(
            f"{version_dir} has no split {known}; it has {', '.join(info.lengths)} (splits.val_fraction asks for val)"
        )
    lengths = info.lengths[known]
    return CommittedSplit(
        files=[paths.shard(known, index) for index, length in enumerate(lengths) if length],
        num_clips=sum(lengths),
        encoding=info.encoding,
        has_captions=info.has_captions,
        num_classes=info.num_label_classes,
    )


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
