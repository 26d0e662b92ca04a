"""The `movinets_helper` layout: records whose video is one float32 tensor, in GZIP files.

Source: plaguss/movinets_helper, `writer.py` (`serialize_example`) and its reader: the features and their types. There
`width` is the tensor's second dimension and `height` its third, so `width` holds the height of a frame.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.clips import Loss, VideoLost
from video_assets.records.clip_record import ClipRecord, FeatureReader, FeatureValue
from video_assets.records.messages import (
    parse_example,
    parse_tensor,
    serialize_example,
    serialize_tensor,
)

_MAX_TENSOR_BYTES = (1 << 31) - (1 << 20)
"""A protobuf message, and so a record, is smaller than 2 GiB; the rest is for the other features."""


def video_features(label_index: int, video: NDArray[np.float32]) -> dict[str, FeatureValue]:
    """Return the features that the layout's own reader needs, for a video (T, H, W, C) float32.

    Raises:
        ValueError: If the video has another number of dimensions or no frame.
    """
    if video.ndim != 4 or 0 in video.shape:
        raise ValueError(f"a video is (T, H, W, C), this one is {video.shape}")
    num_frames, height_px, width_px, num_channels = video.shape
    return {
        "label": label_index,
        "n_frames": num_frames,
        "width": height_px,
        "height": width_px,
        "n_channels": num_channels,
        "video": serialize_tensor(video),
    }


def encode_record(clip: ClipRecord) -> bytes:
    """Return the serialized `tf.train.Example` of one clip, not compressed yet.

    `label`, `n_frames`, `width` (the height), `height` (the width) and `n_channels` int64[1]; `video` bytes[1], a
    serialized float32 tensor (T, H, W, 3), RGB 0..255; `id`, `source` bytes[1], `timestamps_us` int64[T] and `note` as
    in the layout tfds, which the layout's own reader ignores.

    Raises:
        ValueError: If the clip has no frames.
        VideoLost: `too_large` if the frames exceed what a record can hold.
    """
    if clip.frames is None:
        raise ValueError(f"{clip.clip_id} carries images; this layout stores frames")
    if clip.frames.size * 4 > _MAX_TENSOR_BYTES:
        detail = (
            f"{len(clip.frames)} frames are {clip.frames.size * 4} bytes as float32, a record holds less than 2 GiB"
        )
        raise VideoLost(Loss("too_large", f"{detail}; lower plan.encoding.max_frames, num_frames or resolution"))
    features = video_features(clip.label_index, clip.frames.astype(np.float32))
    features |= {
        "id": clip.clip_id.encode("utf-8"),
        "source": clip.source.encode("utf-8"),
        "timestamps_us": clip.timestamps_us,
    }
    if clip.note:
        features["note"] = clip.note.encode("utf-8")
    return serialize_example(features)


def decode_record(data: bytes, labels: Sequence[str]) -> ClipRecord:
    """Return the clip of a record. Its label is empty if `labels` has no name for the stored index.

    Raises:
        ValueError: If a feature is missing or has another type, or a pixel is not a whole number from 0 to 255.
    """
    features = FeatureReader(parse_example(data))
    try:
        label_index = features.integer("label")
        frames = _read_frames(features)
        return ClipRecord(
            clip_id=features.text("id"),
            source=features.text("source"),
            label=labels[label_index] if 0 <= label_index < len(labels) else "",
            label_index=label_index,
            frames=frames,
            timestamps_us=features.integers("timestamps_us"),
            height_px=frames.shape[1],
            width_px=frames.shape[2],
            note=features.text_if_any("note"),
        )
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a record of the movinets_helper layout: {error!r}") from error


def _read_frames(features: FeatureReader) -> NDArray[np.uint8]:
    video = features.images("video")
    values = parse_tensor(video[0] if len(video) == 1 else b"")
    shape = tuple(features.integer(name) for name in ("n_frames", "width", "height", "n_channels"))
    if values.shape != shape:
        raise TypeError(f"video is {values.shape}; n_frames, width, height and n_channels say {shape}")
    with np.errstate(invalid="ignore"):  # NaN is refused below: it equals nothing
        frames = np.clip(values, 0, 255).astype(np.uint8)
    if not np.array_equal(frames, values):
        raise TypeError("video holds pixels that are not whole numbers from 0 to 255")
    return frames
