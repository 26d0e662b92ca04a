"""Random access to the clips of a dataset, without TensorFlow: for PyTorch, grain and numpy."""

import io
import operator
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.encoding import Compression
from video_assets.domain.errors import DAMAGE_REMEDY, FileDamaged
from video_assets.domain.splits import Split
from video_assets.media.images import decode_image
from video_assets.reader.load import CommittedSplit, committed_shards
from video_assets.reader.windows import Segments, Views, Window, draw_for_clip
from video_assets.records.clip_record import ClipRecord
from video_assets.records.framing import FramingError, read_records
from video_assets.records.layouts import layout_codec
from video_assets.storage.addresses import ask_each, open_address
from video_assets.storage.paths import VersionPaths, parse_shard_file_name
from video_assets.storage.remote_files import cache_directory, local_copy
from video_assets.storage.sidecars import read_sidecar


class StoredClips:
    """The clips of one split in stored order: `len(clips)`, and `clips[i]` as a dict of numpy arrays.

    It is a `torch.utils.data.Dataset` and a grain `RandomAccessDataSource` as it is, and can be pickled for their
    workers. A clip has what `load_dataset` gives: `video` uint8 [T, H, W, 3] RGB, `label` int64, or float32 [C] for
    several labels, `id` str, `timestamps_us` int64 [T], and `caption` str if the dataset has any. With several windows
    or crops, `video` is [V, T, H, W, 3] and `timestamps_us` [V, T].

    What is read is what is committed when the object is made. Only the wanted frames are decoded. Frames that are
    stored as PNG or pixels are those of `load_dataset`, bit for bit. JPEG is decoded by the exact transform, where
    TensorFlow takes a faster one: of 20 videos, values differed by 0.7 on average and by more than 3 in 3 of 100.

    Random windows depend only on the clip's id, `seed` and `epoch`, and are those that `load_dataset` draws. Set
    `clips.epoch` before each epoch, or call `clips.read(index, epoch=…)`.

        clips = StoredClips("root/clips/1.0.0", "train", window=Window(num_frames=16, stride=2))
        for epoch in range(3):
            clips.epoch = epoch
            order = np.random.default_rng([1, epoch]).permutation(len(clips)).tolist()
            for batch in DataLoader(clips, batch_size=8, sampler=order, num_workers=2):
                …

    A shard in a store is copied to this machine when it is read for the first time, as `load_dataset` does.

    Args:
        version_dir: A version directory, such as `root/clips/1.0.0`, or `s3://bucket/root/clips/1.0.0`.
        split: `train` or `test`, or `val` where the dataset has one.
        window: Which frames to decode of each clip; by default all of them.
        segments: Frames spread over the clip, instead of a window.
        num_crops: Square crops of each frame: 1 in the middle, or 3 along the longer side. None: whole frames.
        crop_px: Side of the crops; by default the short side of the frame. Given alone, it asks for one crop.
        seed: What random windows are drawn from.
        epoch: The epoch that `clips[i]` draws for.

    Raises:
        SettingsError: If there is no committed dataset, it lacks this split, or an option is out of range.
        FileDamaged: If its dataset_info.json, or a shard without a sidecar, is not what was written.
    """

    def __init__(
        self,
        version_dir: str | Path,
        split: Split,
        *,
        window: Window | None = None,
        segments: Segments | None = None,
        num_crops: Literal[1, 3] | None = None,
        crop_px: int | None = None,
        seed: int = 0,
        epoch: int = 0,
    ) -> None:
        directory = open_address(version_dir)
        committed = committed_shards(directory, split)
        self._views = Views.chosen(
            window=window,
            segments=segments,
            num_crops=num_crops,
            crop_px=crop_px,
            short_side_px=committed.encoding.resolution,
        )
        self.seed = seed
        self.epoch = epoch
        self._files = [str(file) for file in committed.files]
        self._places = _record_places(directory, committed)
        self._committed = replace(committed, files=[])  # paths of a store hold a connection, which no pickle does
        self._local_files: dict[int, Path] = {}

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self._places)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        """Return one clip, with the windows of `self.epoch`."""
        return self.read(index, epoch=self.epoch)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield all clips in stored order."""
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        """Return where the clips are from and how many they are."""
        return f"StoredClips({len(self)} clips, {self._views})"

    def read(self, index: SupportsIndex, *, epoch: int) -> dict[str, Any]:
        """Return one clip, with the windows of an epoch; any number from 0 may be an epoch.

        Raises:
            IndexError: If there is no such clip.
            FileDamaged: If its record is not what was written.
        """
        record = self._read_record(range(len(self))[operator.index(index)])
        indices = self._frame_indices(record, epoch)
        views, times = self._views_of(record, indices), record.timestamps_us[indices]
        is_single = self._views.num_views == 1
        clip = {
            "video": views[0] if is_single else np.stack(views),
            "label": self._label(record),
            "id": record.clip_id,
            "timestamps_us": times[0] if is_single else np.repeat(times, self._views.num_crops or 1, axis=0),
        }
        return clip | ({"caption": record.caption} if self._committed.has_captions else {})

    def _read_record(self, index: int) -> ClipRecord:
        shard, offset, length = self._places[index].tolist()
        if shard not in self._local_files:
            self._local_files[shard] = local_copy(self._files[shard], cache_directory())
        with self._local_files[shard].open("rb") as file:
            file.seek(offset)
            data = file.read(length)
        encoding = self._committed.encoding
        try:
            (framed,) = read_records(io.BytesIO(data), encoding.compression)
            return layout_codec(encoding.layout).decode_record(framed.data, ())
        except ValueError as error:
            raise FileDamaged(
                f"{self._files[shard]} is damaged: clip {index}, at byte {offset}, is not what was written ({error}); "
                f"{DAMAGE_REMEDY}"
            ) from error

    def _frame_indices(self, record: ClipRecord, epoch: int) -> NDArray[np.int64]:
        """Return the places of the wanted frames, int64 [windows, T]."""
        chosen = self._views.frames
        if chosen is None:
            return np.arange(record.num_frames)[None]
        draws = draw_for_clip(record.clip_id.encode("utf-8"), self.seed, epoch, chosen.num_draws)
        return chosen.frame_indices(record.num_frames, draws, np)

    def _views_of(self, record: ClipRecord, indices: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
        """Return V times uint8 [T, H, W, 3]: each frame is decoded once, however many windows and crops show it."""
        wanted, places = np.unique(indices, return_inverse=True)
        if record.frames is None:
            frames = np.stack([decode_image(record.images[place]) for place in wanted])
        else:
            frames = record.frames[wanted]
        boxes = self._views.boxes(frames.shape[1], frames.shape[2], np)
        crops = [frames[:, top : top + rows, left : left + columns] for top, left, rows, columns in boxes]
        return [crop[of_window] for of_window in places.reshape(indices.shape) for crop in crops]

    def _label(self, record: ClipRecord) -> Any:
        if not self._committed.encoding.multi_label:
            return np.int64(record.label_index)
        label = np.zeros(self._committed.num_classes, np.float32)
        label[[index for index in record.label_indices if index < len(label)]] = 1
        return label


def _record_places(directory: Path, committed: CommittedSplit) -> NDArray[np.int64]:
    """Return shard, offset and length of each record, int64 [N, 3]; a shard is its place in `committed.files`.

    They stand in the shards' sidecars. A shard whose sidecar is missing, as in a copy of the shards alone, or as while
    a commit retires it, is read through instead.
    """

    def of_shard(file: Path) -> list[tuple[int, int]]:
        parsed = parse_shard_file_name(file.name)
        sidecar = None if parsed is None else read_sidecar(paths.sidecar(parsed[1], parsed[2]))
        if sidecar is not None:
            return [(clip.offset, clip.length) for clip in sidecar.clips]
        try:
            with local_copy(file, cache_directory()).open("rb") as records:
                return [(record.offset, record.length) for record in read_records(records, compression)]
        except FramingError as error:
            raise FileDamaged(f"{file} is damaged: {error}; {DAMAGE_REMEDY}") from error

    compression: Compression = committed.encoding.compression
    paths = VersionPaths(directory, directory.parent.name, directory.name)
    places = ask_each(directory, of_shard, committed.files)
    rows = [(shard, *place) for shard, of_file in enumerate(places) for place in of_file]
    if len(rows) != committed.num_clips:
        raise FileDamaged(
            f"{directory} is damaged: its shards hold {len(rows)} records, its dataset_info.json says "
            f"{committed.num_clips}; {DAMAGE_REMEDY}"
        )
    return np.array(rows, np.int64).reshape(-1, 3)
