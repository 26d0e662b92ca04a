"""The order in which stored records reach training: epoch after epoch, each a pure function of its seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from video_assets.domain.encoding import Compression
from video_assets.domain.errors import SettingsError
from video_assets.reader.parsing import READ_BYTES
from video_assets.storage.addresses import is_store_address
from video_assets.storage.remote_files import cache_directory, local_copy

RANDOM: Any = tf.random
"""Typed as Any, because the type stubs lack its stateless functions."""
_SHARDS_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffle:
    """A shuffled order: shards in random order, 16 of them read in turns, and a buffer of `buffer_size` records."""

    seed: int
    buffer_size: int = 1024

    def __post_init__(self) -> None:
        """Refuse values that TensorFlow would refuse later, in the middle of an epoch."""
        if not -(2**63) <= self.seed < 2**63:
            raise SettingsError(f"seed is {self.seed}; it must fit 64 bits")
        if self.buffer_size < 1:
            raise SettingsError(f"shuffle_buffer is {self.buffer_size}; it must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One of `num_workers` that share each epoch: worker 1 of 3 has the clips 1, 4, 7, … of its order."""

    index: int = 0
    num_workers: int = 1

    def __post_init__(self) -> None:
        """Refuse an index that no worker has."""
        if self.num_workers < 1:
            raise SettingsError(f"num_workers is {self.num_workers}; it must be at least 1")
        if not 0 <= self.index < self.num_workers:
            raise SettingsError(f"worker_index is {self.index}; it must be from 0 to {self.num_workers - 1}")

    def share(self, num_clips: int) -> int:
        """Return how many of `num_clips` this worker has: of 7 clips, workers 0, 1 and 2 of 3 have 3, 2 and 2."""
        return len(range(self.index, num_clips, self.num_workers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Epochs:
    """Which part of the endless sequence of epochs is read: `num_epochs` of them, or all (None), from `start` on."""

    first_epoch: int
    num_epochs: int | None
    start: int

    def __post_init__(self) -> None:
        """Refuse negative values."""
        for name, least in (("first_epoch", 0), ("num_epochs", 1), ("start", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise SettingsError(f"{name} is {value}; it must be at least {least}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecords:
    """Shard files in order, the number of records in all of them, and their compression: "" or "GZIP"."""

    files: Sequence[str]
    num_records: int
    compression: Compression = ""


def stream_records(stored: StoredRecords, shuffle: Shuffle | None, worker: Worker, epochs: Epochs) -> Any:
    """Return a `tf.data.Dataset` of pairs: the epoch, int64 [], and a serialized record, string [].

    Epochs before `epochs.start` are not read. In its own epoch, the records before it are read, so that they can be
    shuffled, but not decoded: skipping costs only the reading of files.
    """
    share = worker.share(stored.num_records)
    stop = tf.int64.max if epochs.num_epochs is None else epochs.first_epoch + epochs.num_epochs
    epochs_before, num_skipped = divmod(epochs.start, max(1, share))
    first = epochs.first_epoch + epochs_before
    if not share or first >= stop:
        return _with_epoch(tf.data.Dataset.from_tensor_slices(tf.zeros([0], tf.string)), first)

    def of_epoch(epoch: Any) -> Any:
        records = _epoch_records(stored, shuffle, epoch)
        return _with_epoch(records.shard(worker.num_workers, worker.index), epoch)

    pairs = tf.data.Dataset.range(first, stop).flat_map(of_epoch).skip(num_skipped)
    num_left = tf.data.INFINITE_CARDINALITY if epochs.num_epochs is None else (stop - first) * share - num_skipped
    return pairs.apply(tf.data.experimental.assert_cardinality(num_left)).with_options(_division(worker))


def _division(worker: Worker) -> Any:
    """Return how `tf.distribute` divides the clips among its workers: not at all if they are divided already.

    By default it would divide the files, not find them inside the epochs, and fail at the first clip.
    """
    policy = tf.data.experimental.AutoShardPolicy
    options: Any = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = policy.DATA if worker.num_workers == 1 else policy.OFF
    return options


def epoch_seed(seed: int, epoch: Any) -> Any:
    """Return two int64 numbers, tensor [2], that depend only on the seed and the epoch."""
    return RANDOM.fold_in(tf.constant([seed, 0], tf.int64), tf.cast(epoch, tf.int64))


def _with_epoch(records: Any, epoch: Any) -> Any:
    return records.map(lambda record: (tf.cast(epoch, tf.int64), record))


def _epoch_records(stored: StoredRecords, shuffle: Shuffle | None, epoch: Any) -> Any:
    """Return the serialized records of one epoch, for all workers. A file is opened, or fetched, when it is needed."""

    def of_file(file: Any) -> Any:
        local = _copied(file) if is_stored_elsewhere else file
        return tf.data.TFRecordDataset(local, stored.compression, buffer_size=READ_BYTES)

    is_stored_elsewhere = any(map(is_store_address, stored.files))
    files = tf.constant(list(stored.files))
    if shuffle is None:
        return tf.data.Dataset.from_tensor_slices(files).flat_map(of_file)
    seeds = epoch_seed(shuffle.seed, epoch)
    shards = tf.data.Dataset.from_tensor_slices(RANDOM.experimental.stateless_shuffle(files, seeds))
    records = shards.interleave(of_file, cycle_length=min(_SHARDS_AT_ONCE, len(stored.files)), block_length=1)
    return _shuffled(records, shuffle.buffer_size, seeds)


def _copied(file: Any) -> Any:
    """Return the name of a local copy of a shard in a store, which is fetched when the tensor is evaluated."""

    def fetch(name: bytes) -> bytes:
        return str(local_copy(name.decode("utf-8"), cache_directory())).encode("utf-8")

    return tf.ensure_shape(tf.numpy_function(fetch, [file], tf.string), [])


def _shuffled(records: Any, buffer_size: int, seeds: Any) -> Any:
    """Shuffle as `records.shuffle` does, but only by these seeds: its order also depends on `tf.random.set_seed`."""
    shuffled = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(records),
        buffer_size=tf.constant(buffer_size, tf.int64),
        seed=seeds[0],
        seed2=seeds[1],
        output_types=[tf.string],
        output_shapes=[[]],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(shuffled, tf.TensorSpec([], tf.string))
