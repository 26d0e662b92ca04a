"""`dataset_info.json`: what a commit says, for tensorflow-datasets and for this package.

Source: tensorflow-datasets 4.9, `core/dataset_info.py` and `core/splits.py`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from pydantic import TypeAdapter, ValidationError

from video_assets.domain.clips import SourceWarning
from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import DAMAGE_REMEDY, FileDamaged
from video_assets.domain.splits import Split
from video_assets.domain.statistics import DatasetStatistics


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
    citation: str = "",
    has_captions: bool = False,
    num_label_classes: int = 0,
    statistics: DatasetStatistics | None = None,
    warnings: Sequence[SourceWarning] = (),
) -> str:
    """Return the text of `dataset_info.json`, given the number of records of each shard by split (0: retired).

    `licence` becomes tensorflow-datasets' `builder.info.redistribution_info.license`, and `citation` its own. With
    `as_supervised=True` it gives pairs of video and label.

    The encoding, the digest of the committed plan, the commit's own `notes`, `statistics` and `warnings` are stored as
    JSON in `configDescription`, so that everything that a reader needs changes in one step. A dataset of several labels
    per clip also stores the length of a label vector, `num_label_classes`.
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
    if num_label_classes:
        described["num_classes"] = num_label_classes
    if statistics is not None:
        described["statistics"] = statistics.as_dict()
    if warnings:
        described["warnings"] = [asdict(warning) for warning in warnings]
    info = {
        "name": name,
        "version": version,
        "description": description,
        "configDescription": json.dumps(described, sort_keys=True),
        "fileFormat": "tfrecord",
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "video"}, {"featureKey": "label"}]}},
        "splits": splits,
        **({"citation": citation} if citation else {}),
        **({"redistributionInfo": {"license": licence}} if licence else {}),
    }
    return json.dumps(info, indent=1, ensure_ascii=False) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """What a commit said.

    `lengths` has the number of records of each shard by split, 0 for a retired one. `plan_digest` is empty, and `notes`
    and `statistics` are None, in files of versions that did not write them; `num_label_classes` is 0 where a clip has
    one label.
    """

    name: str
    version: str
    lengths: Mapping[str, Sequence[int]]
    encoding: Encoding
    plan_digest: str
    notes: Mapping[str, object] | None
    has_captions: bool
    num_label_classes: int
    statistics: DatasetStatistics | None = None
    warnings: Sequence[SourceWarning] = ()


def parse_dataset_info(data: bytes, file: object) -> DatasetInfo:
    """Return what `dataset_info_json` was given; `file` is named in the error.

    Raises:
        FileDamaged: If a commit would not write this.
    """
    try:
        info = _INFO.validate_json(data, strict=True, extra="ignore")
        described = _DESCRIBED.validate_json(info.configDescription, strict=True, extra="ignore")
        return DatasetInfo(
            name=info.name,
            version=info.version,
            lengths={split.name: [int(length) for length in split.shardLengths] for split in info.splits},
            encoding=_ENCODING.validate_json(json.dumps(described.encoding), strict=True, extra="forbid"),
            plan_digest=described.plan,
            notes=described.commit,
            has_captions=described.captions,
            num_label_classes=described.num_classes,
            statistics=described.statistics,
            warnings=described.warnings,
        )
    except ValueError as error:
        raise FileDamaged(
            f"{file} is damaged: it is not what a commit writes ({_fault(error)}); {DAMAGE_REMEDY}"
        ) from error


def _fault(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))


@dataclass(frozen=True, slots=True)
class _Split:
    name: str
    shardLengths: list[str]  # noqa: N815  (tensorflow-datasets' name)


@dataclass(frozen=True, slots=True)
class _Info:
    name: str
    version: str
    configDescription: str  # noqa: N815  (tensorflow-datasets' name)
    splits: list[_Split]


@dataclass(frozen=True, slots=True)
class _Described:
    encoding: dict[str, object]
    plan: str = ""
    commit: dict[str, object] | None = None
    captions: bool = False
    num_classes: int = 0
    statistics: DatasetStatistics | None = None
    warnings: list[SourceWarning] = field(default_factory=list[SourceWarning])


_INFO, _DESCRIBED, _ENCODING = TypeAdapter(_Info), TypeAdapter(_Described), TypeAdapter(Encoding)
