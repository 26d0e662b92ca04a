"""Datasets whose frames tell their own number and whose pixels tell their own place, so that readers can be checked."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.encoding import Encoding
from video_assets.domain.splits import Split
from video_assets.media.images import encode_images
from video_assets.records.clip_record import ClipRecord
from video_assets.records.dataset_info import dataset_info_json
from video_assets.records.framing import frame_record
from video_assets.records.layouts import layout_codec
from video_assets.storage.paths import FILEPATH_TEMPLATE, DatasetPaths, VersionPaths

HEIGHT, WIDTH = 32, 48
STEP_US = 40_000


def number_line(num_frames: int) -> NDArray[np.uint8]:
    """Frames (T, 32, 48, 3): red is the frame's number, green four times the column, blue four times the row."""
    video = np.zeros((num_frames, HEIGHT, WIDTH, 3), np.uint8)
    video[..., 0] = np.arange(num_frames)[:, None, None]
    video[..., 1] = 4 * np.arange(WIDTH)
    video[..., 2] = 4 * np.arange(HEIGHT)[:, None]
    return video


def numbers_of(video: NDArray[np.uint8]) -> Any:
    """The frames of a clip, or of each of its views, by number."""
    return video[..., 0, 0, 0].tolist()


def lines_record(clip_id: str, num_frames: int, encoding: Encoding) -> ClipRecord:
    """A clip whose frames are numbered, one every 40 ms from 0.1 s on."""
    frames = number_line(num_frames)
    images = encode_images(frames, encoding.image_format, 95) if encoding.stores_images else ()
    return ClipRecord(
        clip_id=clip_id,
        source=clip_id,
        label="run",
        label_index=len(clip_id) % 2,
        images=images,
        frames=None if encoding.stores_images else frames,
        timestamps_us=100_000 + STEP_US * np.arange(num_frames),
        height_px=HEIGHT,
        width_px=WIDTH,
    )


def write_lines(
    root: Path,
    lengths: Sequence[int],
    *,
    layout: Literal["tfds", "sequence_example", "movinets_helper"] = "tfds",
    image_format: Literal["jpeg", "png"] = "png",
    clips_per_shard: int = 100,
) -> VersionPaths:
    """A committed dataset whose split train has a numbered clip of each length: `0.mp4`, `1.mp4`, …"""
    encoding = Encoding(layout=layout, image_format=image_format, resolution=HEIGHT, resize="short_side")
    paths = DatasetPaths(root, "lines").version("1.0.0")
    paths.directory.mkdir(parents=True)
    records = [lines_record(f"{number}.mp4", length, encoding) for number, length in enumerate(lengths)]
    shards = [records[first : first + clips_per_shard] for first in range(0, len(records), clips_per_shard)]
    encode = layout_codec(layout).encode_record
    for index, of_shard in enumerate(shards):
        frames = [frame_record(encode(record), encoding.compression) for record in of_shard]
        paths.shard("train", index).write_bytes(b"".join(frames))
    shard_lengths: dict[Split, list[int]] = {"train": [len(of_shard) for of_shard in shards], "test": []}
    info = dataset_info_json(
        name="lines",
        version="1.0.0",
        description=json.dumps(list(lengths)),
        encoding=encoding.as_dict(),
        plan_digest="digest",
        filepath_template=FILEPATH_TEMPLATE,
        shard_lengths=shard_lengths,
        num_bytes=dict.fromkeys(shard_lengths, 1),
        notes={},
    )
    paths.dataset_info.write_text(info, "utf-8")
    return paths
