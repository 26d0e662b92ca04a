"""The `tfds` layout: records and metadata that tensorflow-datasets opens as its own.

Source: tensorflow-datasets 4.9, `core/features/video_feature.py` (a `Video` is a bytes_list of encoded images),
`core/dataset_info.py` and `core/splits.py` (the JSON files).
"""

import json
from collections.abc import Mapping, Sequence

from video_assets.domain.splits import Split
from video_assets.records.features import read_images, read_integer, read_integers, read_text
from video_assets.records.messages import parse_example, serialize_example
from video_assets.records.values import ClipRecord, FeatureValue

_FEATURES = "tensorflow_datasets.core.features"


def encode_record(clip: ClipRecord) -> bytes:
    """The serialized `tf.train.Example` of one clip.

    `video` one encoded image a frame, `label` int64[1], `id` and `source` bytes[1], `timestamps_us` int64[T], and
    `caption` and `note` bytes[1] where there is one.
    """
    features: dict[str, FeatureValue] = {
        "video": list(clip.images),
        "label": clip.label_index,
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
    """The inverse of `encode_record`; `label` is empty where `labels` has no name for the stored index.

    Raises:
        ValueError: if a feature is missing or of another kind.
    """
    features = parse_example(data)
    try:
        label_index = read_integer(features, "label")
        return ClipRecord(
            clip_id=read_text(features, "id"),
            source=read_text(features, "source"),
            label=labels[label_index] if 0 <= label_index < len(labels) else "",
            label_index=label_index,
            images=read_images(features, "video"),
            timestamps_us=read_integers(features, "timestamps_us"),
            note=read_text(features, "note") if "note" in features else "",
            caption=read_text(features, "caption") if "caption" in features else "",
        )
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a record of the tfds layout: {error!r}") from error


def dataset_info_json(
    *,
    name: str,
    version: str,
    description: str,
    encoding: Mapping[str, object],
    plan_digest: str,
    filepath_template: str,
    shard_lengths: Mapping[Split, Sequence[int]],
    num_bytes: Mapping[Split, int],
    notes: Mapping[str, object],
    licence: str = "",
    has_captions: bool = False,
) -> str:
    """`dataset_info.json`: the shards that there are, by split, and how many records each holds (0: retired).

    `licence` stands where tensorflow-datasets has it: `builder.info.redistribution_info.license`.
    The encoding, the digest of the committed plan and what the commit says of itself (`notes`) go along as JSON in
    `configDescription`, so that all that a reader needs changes in one step.
    """
    splits = [
        {
            "name": split,
            "filepathTemplate": filepath_template,
            "shardLengths": [str(length) for length in lengths],
            "numBytes": str(num_bytes[split]),
        }
        for split, lengths in shard_lengths.items()
    ]
    described: dict[str, object] = {"encoding": encoding, "plan": plan_digest, "commit": notes}
    if has_captions:
        described["captions"] = True
    info = {
        "name": name,
        "version": version,
        "description": description,
        "configDescription": json.dumps(described, sort_keys=True),
        "fileFormat": "tfrecord",
        "splits": splits,
        **({"redistributionInfo": {"license": licence}} if licence else {}),
    }
    return json.dumps(info, indent=1, ensure_ascii=False) + "\n"


def features_json(*, image_format: str, num_classes: int, has_captions: bool = False) -> str:
    """`features.json`: types of the features that tensorflow-datasets decodes; it ignores the others in a record.

    `caption` is a sequence of texts, of one or none: a text alone has to be in every record.
    """
    video = {"dtype": "uint8", "encodingFormat": image_format, "shape": {"dimensions": ["-1", "-1", "-1", "3"]}}
    text = {"pythonClassName": f"{_FEATURES}.text_feature.Text", "text": {}}
    features: dict[str, object] = {
        "video": {"pythonClassName": f"{_FEATURES}.video_feature.Video", "video": video},
        "label": {
            "pythonClassName": f"{_FEATURES}.class_label_feature.ClassLabel",
            "classLabel": {"numClasses": str(num_classes)},
        },
        "id": text,
    }
    if has_captions:
        sequence = {"feature": text, "length": "-1"}
        features["caption"] = {"pythonClassName": f"{_FEATURES}.sequence_feature.Sequence", "sequence": sequence}
    root = {
        "pythonClassName": f"{_FEATURES}.features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }
    return json.dumps(root, indent=1) + "\n"
