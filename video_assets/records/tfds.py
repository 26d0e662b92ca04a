"""The `tfds` layout: records and metadata that tensorflow-datasets opens as its own.

Source: tensorflow-datasets 4.9, `core/features/video_feature.py` (a `Video` is a bytes_list of encoded images).
"""

import json
from collections.abc import Mapping, Sequence

from video_assets.records.clip_record import ClipRecord, FeatureReader, FeatureValue
from video_assets.records.messages import parse_example, serialize_example

_FEATURES = "tensorflow_datasets.core.features"


def encode_record(clip: ClipRecord) -> bytes:
    """Return the serialized `tf.train.Example` of one clip.

    `video` has one encoded image per frame; `label` is int64[1], or int64[N] for a clip of several labels; `id` and
    `source` are bytes[1], `timestamps_us` is int64[T]; `caption` and `note` are bytes[1] where the clip has them.
    """
    features: dict[str, FeatureValue] = {
        "video": list(clip.images),
        "label": clip.label_indices,
        "id": clip.clip_id.encode("utf-8"),
        "source": clip.source.encode("utf-8"),
        "timestamps_us": clip.timestamps_us,
    }
    if clip.caption:
        features["caption"] = clip.caption.encode("utf-8")
    if clip.note:
        features["note"] = clip.note.encode("utf-8")
    return serialize_example(features)


def decode_record(data: bytes, labels: Sequence[str]) -> ClipRecord:
    """Return the clip of a record. Its label is empty if `labels` has no name for a stored index.

    Raises:
        ValueError: If a feature is missing or has another type.
    """
    features = FeatureReader(parse_example(data))
    try:
        label, label_index, others = features.labels("label", labels)
        return ClipRecord(
            clip_id=features.text("id"),
            source=features.text("source"),
            label=label,
            label_index=label_index,
            other_label_indices=others,
            images=features.images("video"),
            timestamps_us=features.integers("timestamps_us"),
            note=features.text_if_any("note"),
            caption=features.text_if_any("caption"),
        )
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a record of the tfds layout: {error!r}") from error


def features_json(*, image_format: str, num_classes: int, has_captions: bool = False, multi_label: bool = False) -> str:
    """Return `features.json`: the types of the features that tensorflow-datasets decodes. It ignores a record's others.

    `caption` is a sequence of at most one text, because a feature that is not a sequence must be in every record. With
    `multi_label` the label is a sequence of classes; their names are in the same file.
    """
    video = {"dtype": "uint8", "encodingFormat": image_format, "shape": {"dimensions": ["-1", "-1", "-1", "3"]}}
    text = {"pythonClassName": f"{_FEATURES}.text_feature.Text", "text": {}}
    label = {
        "pythonClassName": f"{_FEATURES}.class_label_feature.ClassLabel",
        "classLabel": {"numClasses": str(num_classes)},
    }
    features: dict[str, object] = {
        "video": {"pythonClassName": f"{_FEATURES}.video_feature.Video", "video": video},
        "label": _sequence_of(label) if multi_label else label,
        "id": text,
    }
    if has_captions:
        features["caption"] = _sequence_of(text)
    root = {
        "pythonClassName": f"{_FEATURES}.features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }
    return json.dumps(root, indent=1) + "\n"


def _sequence_of(feature: Mapping[str, object]) -> dict[str, object]:
    return {
        "pythonClassName": f"{_FEATURES}.sequence_feature.Sequence",
        "sequence": {"feature": feature, "length": "-1"},
    }
