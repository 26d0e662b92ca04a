"""`dataset_info.json` is read as it was written, and named where it is not what a commit writes."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import FileDamaged
from video_assets.records.dataset_info import dataset_info_json, parse_dataset_info

ENCODING = Encoding(image_format="png", fps=12.5, audio_sample_rate=16_000)


def info_text(**changes: Any) -> str:
    said: dict[str, Any] = {
        "name": "clips",
        "version": "1.0.0",
        "description": "clips",
        "encoding": ENCODING.as_dict(),
        "plan_digest": "digest",
        "filepath_template": "{DATASET}",
        "shard_lengths": {"train": [4, 0, 3], "test": []},
        "num_bytes": {"train": 1, "test": 0},
        "notes": {"licence": "CC0"},
    }
    return dataset_info_json(**(said | changes))


def test_a_commit_is_read_as_it_was_written() -> None:
    info = parse_dataset_info(info_text(has_captions=True, num_label_classes=7).encode(), "dataset_info.json")
    assert (info.name, info.version, info.plan_digest, info.notes) == ("clips", "1.0.0", "digest", {"licence": "CC0"})
    assert info.lengths == {"train": [4, 0, 3], "test": []}
    assert (info.encoding, info.has_captions, info.num_label_classes) == (ENCODING, True, 7)


def test_what_a_commit_of_before_did_not_say_yet_is_empty() -> None:
    values = json.loads(info_text())
    values["configDescription"] = json.dumps({"encoding": Encoding().as_dict()})
    info = parse_dataset_info(json.dumps(values).encode(), "dataset_info.json")
    assert (info.plan_digest, info.notes, info.has_captions, info.num_label_classes) == ("", None, False, 0)


def described(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        values["configDescription"] = json.dumps(json.loads(values["configDescription"]) | changes)

    return change


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda values: values.pop("splits"), "splits: Field required"),
        (lambda values: values.update(name=7), "name: Input should be a valid string"),
        (lambda values: values["splits"][0].update(shardLengths=["4", "x"]), "invalid literal for int() with base 10"),
        (lambda values: values.update(configDescription="{"), "Invalid JSON"),
        (described(encoding={"resolution": "224"}), "resolution: Input should be a valid integer"),
        (described(encoding={"resolution": 224, "smell": 1}), "smell: Extra inputs are not permitted"),
        (described(encoding=None), "encoding: Input should be an object"),
    ],
)
def test_what_a_commit_does_not_write_is_named_with_the_remedy(change: Callable[[Any], None], fault: str) -> None:
    values = json.loads(info_text())
    change(values)
    told = f"^root/dataset_info.json is damaged: it is not what a commit writes \\({re.escape(fault)}.*\\); "
    with pytest.raises(
        FileDamaged, match=f"{told}run `video-assets repair`, or put a copy from a backup in its place$"
    ):
        parse_dataset_info(json.dumps(values).encode(), "root/dataset_info.json")


@pytest.mark.parametrize("data", [b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_bytes_of_any_kind_are_damage(data: bytes) -> None:
    with pytest.raises(FileDamaged, match=r"^dataset_info.json is damaged: "):
        parse_dataset_info(data, "dataset_info.json")
