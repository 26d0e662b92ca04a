"""What changed between two versions, in terms of clips."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import FileDamaged, SettingsError
from video_assets.pipeline.commit.changes import diff_versions
from video_assets.records.dataset_info import dataset_info_json
from video_assets.report.screens import diff_screen
from video_assets.report.terminal import as_text
from video_assets.storage.paths import FILEPATH_TEMPLATE
from video_assets.storage.tables import INDEX, write_table


def write_version(root: Path, version: str, clips: list[tuple[str, str, str, str]], **encoding: Any) -> Path:
    """A version directory with an index of (clip_id, split, label, content) and a commit."""
    directory = root / "clips" / version
    rows = [
        {"clip_id": clip_id, "split": split, "label": label, "content_hash": content, "shard": f"{split}-00000"}
        for clip_id, split, label, content in clips
    ]
    frame = pd.DataFrame(rows).reindex(columns=INDEX.names)
    write_table(directory / "index.parquet", frame, INDEX)
    info = dataset_info_json(
        name="clips",
        version=version,
        description="clips",
        encoding=Encoding(**encoding).as_dict(),
        plan_digest="p",
        filepath_template=FILEPATH_TEMPLATE,
        shard_lengths={},
        num_bytes={},
        notes={},
    )
    (directory / "dataset_info.json").write_text(info, "utf-8")
    return directory


def test_every_kind_of_change_is_told_apart(tmp_path: Path) -> None:
    before = write_version(
        tmp_path,
        "1.0.0",
        [
            ("a", "train", "run", "1"),
            ("b", "train", "run", "2"),
            ("c", "train", "run", "3"),
            ("d", "test", "run", "4"),
            ("e", "test", "jump", "5"),
            ("f", "test", "jump", "6"),
        ],
        resolution=64,
    )
    after = write_version(
        tmp_path,
        "2.0.0",
        [
            ("a", "train", "jump", "1"),
            ("b", "test", "run", "2"),
            ("c", "train", "run", "33"),
            ("d2", "test", "run", "4"),
            ("f", "test", "jump", "6"),
            ("g", "train", "run", "7"),
        ],
        resolution=64,
    )
    diff = diff_versions(before, after)
    assert diff.added == ["g"]
    assert diff.removed == ["e"]
    assert diff.renamed == [{"before": "d", "after": "d2"}]
    assert diff.relabelled == [{"clip_id": "a", "before": "run", "after": "jump"}]
    assert diff.moved == [{"clip_id": "b", "before": "train", "after": "test"}]
    assert diff.changed == ["c"]
    assert (diff.re_encoded, diff.unchanged) == (0, 1)


def test_another_encoding_re_encodes_every_clip_that_is_in_both(tmp_path: Path) -> None:
    clips = [("a", "train", "run", "1"), ("b", "test", "run", "2")]
    before = write_version(tmp_path, "1.0.0", clips, resolution=64, jpeg_quality=95)
    after = write_version(tmp_path, "2.0.0", clips, resolution=224, jpeg_quality=95)
    diff = diff_versions(before, after)
    assert (diff.re_encoded, diff.unchanged) == (2, 0)
    assert diff.encoding == {"resolution": [64, 224]}


def test_the_summary_names_clips_and_settings_within_eighty_columns(tmp_path: Path) -> None:
    from dataclasses import asdict

    before = write_version(tmp_path, "1.0.0", [("x" * 200, "train", "run", "1")], resolution=64)
    after = write_version(tmp_path, "2.0.0", [("b", "test", "run", "2")], resolution=224)
    lines = as_text(diff_screen(asdict(diff_versions(before, after)))).splitlines()
    assert max(map(len, lines)) <= 80
    assert "added           1" in lines
    assert "resolution  64      224" in lines


@pytest.mark.parametrize("name", ["1.0.0", "not-a-version"])
def test_a_folder_without_a_committed_dataset_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "clips" / name
    folder.mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"holds no committed dataset|is not a version directory"):
        diff_versions(folder, folder)


def test_a_version_whose_commit_is_damaged_is_named_with_the_remedy(tmp_path: Path) -> None:
    before = write_version(tmp_path, "1.0.0", [("a", "train", "run", "1")])
    after = write_version(tmp_path, "2.0.0", [("a", "train", "run", "1")])
    (after / "dataset_info.json").write_text('{"configDescription": null}')
    told = f"^{after}/dataset_info.json is damaged: it is not what a commit writes .*; run `video-assets repair`"
    with pytest.raises(FileDamaged, match=told):
        diff_versions(before, after)
