"""The `sequence_example` layout: records that TF Model Garden, DMVR and MediaSequence read.

Source: TF Model Garden 2.20, `official/vision/dataloaders/video_input.py` (`image/encoded`, `clip/label/index`); DMVR,
`builders.py` (`clip/label/text`, `image/timestamp`) and `modalities.py` (`caption/string`, `WAVEFORM/feature/floats`);
MediaPipe, `media_sequence.h` (the names of the context, and of a feature's sample rate and time).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_assets.records.clip_record import ClipRecord, FeatureReader, FeatureValue
from video_assets.records.messages import parse_sequence_example, serialize_sequence_example

_PNG_MAGIC = b"\x89PNG"


def encode_record(clip: ClipRecord) -> bytes:
    """Return the serialized `tf.train.SequenceExample` of one clip.

    `image/encoded` and `image/timestamp` have one step per frame. Readers want increasing times, so a repeated frame of
    a short clip is a microsecond later there; `timestamps_us`, in the context, has the true times. `clip/label/index`,
    `clip/label/text` and `clip/label/string` have one value per label, in the same order. Sound begins with the clip's
    span, which may be before its first stored frame: `WAVEFORM/feature/timestamp` says when.

    Raises:
        ValueError: If the clip has no frame.
    """
    if not len(clip.images):
        raise ValueError(f"{clip.clip_id} has no frame; a sequence needs one at least")
    names, path = [name.encode("utf-8") for name in clip.labels], clip.source.encode("utf-8")
    steps_us = increasing_times(clip.timestamps_us)
    context: dict[str, FeatureValue] = {
        "clip/label/index": clip.label_indices,
        "clip/label/text": names,
        "clip/label/string": names,
        "clip/start/timestamp": int(clip.timestamps_us[0]),
        "clip/end/timestamp": int(clip.timestamps_us[-1]),
        "example/id": clip.clip_id.encode("utf-8"),
        "video/filename": path.rpartition(b"/")[2],
        "clip/data_path": path,
        "image/format": b"png" if clip.images[0].startswith(_PNG_MAGIC) else b"jpeg",
        "image/height": clip.height_px,
        "image/width": clip.width_px,
        "image/channels": 3,
        "image/frame_rate": frame_rate(steps_us),
        "timestamps_us": clip.timestamps_us,
    }
    if clip.note:
        context["note"] = clip.note.encode("utf-8")
    if clip.caption:
        context["caption/string"] = clip.caption.encode("utf-8")
    lists: dict[str, list[Any]] = {
        "image/encoded": list(clip.images),
        "image/timestamp": [int(time) for time in steps_us],
    }
    if clip.audio is not None:  # one step, as DMVR expects it; empty for a silent video
        context["WAVEFORM/feature/sample_rate"] = float(clip.audio_sample_rate)
        context["WAVEFORM/feature/num_channels"] = 1
        context["WAVEFORM/feature/num_samples"] = len(clip.audio)
        lists["WAVEFORM/feature/floats"] = [clip.audio]
        lists["WAVEFORM/feature/timestamp"] = [clip.audio_start_us]
    return serialize_sequence_example(context, lists)


def increasing_times(times_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the times, each at least a microsecond after the one before.

    >>> increasing_times(np.array([0, 40, 40, 40]))
    array([ 0, 40, 41, 42])
    """
    order = np.arange(len(times_us))
    return np.maximum.accumulate(times_us - order) + order


def frame_rate(times_us: NDArray[np.int64]) -> float:
    """Return the stored frames per second over the whole clip; 0 for a single frame.

    >>> frame_rate(np.array([0, 100_000, 200_000]))
    10.0
    """
    if len(times_us) < 2:
        return 0.0
    return float((len(times_us) - 1) * 1e6 / (times_us[-1] - times_us[0]))


def _rate(context: FeatureReader) -> int:
    key = "WAVEFORM/feature/sample_rate"
    return int(context.floats(key)[0]) if key in context else 0


def _audio_start(lists: FeatureReader) -> int:
    key = "WAVEFORM/feature/timestamp"
    return lists.integer(key) if key in lists else 0  # records of earlier versions have none


def decode_record(data: bytes, labels: Sequence[str]) -> ClipRecord:
    """Return the clip of a record. Its label is empty if `labels` has no name for a stored index.

    Raises:
        ValueError: If a feature is missing or has another type.
    """
    context, lists = map(FeatureReader, parse_sequence_example(data))
    try:
        label, label_index, others = context.labels("clip/label/index", labels)
        return ClipRecord(
            clip_id=context.text("example/id"),
            source=context.text("clip/data_path"),
            label=label,
            label_index=label_index,
            other_label_indices=others,
            images=lists.images("image/encoded"),
            timestamps_us=context.integers("timestamps_us"),
            height_px=context.integer("image/height"),
            width_px=context.integer("image/width"),
            note=context.text_if_any("note"),
            caption=context.text_if_any("caption/string"),
            audio=lists.floats("WAVEFORM/feature/floats") if "WAVEFORM/feature/floats" in lists else None,
            audio_sample_rate=_rate(context),
            audio_start_us=_audio_start(lists),
        )
    except (KeyError, TypeError, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"not a record of the sequence_example layout: {error!r}") from error
