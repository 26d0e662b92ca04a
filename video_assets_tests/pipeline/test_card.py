"""The card of a commit: drawn from what is stored, the same for the same dataset."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from video_assets.defs.metadata import of_check
from video_assets.domain.near_duplicates import SIGNATURE_BYTES
from video_assets.media.images import decode_image
from video_assets.pipeline.checks.dataset import DatasetAudit
from video_assets.pipeline.commit import committed_records as module
from video_assets.pipeline.commit.card_files import video_facts
from video_assets.pipeline.commit.changes import committed_licence
from video_assets.pipeline.commit.committed_records import motion_of, read_stored, sampled_clip
from video_assets.pipeline.upkeep.repair import repair_dataset
from video_assets.records.clip_record import ClipRecord
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline import damage
from video_assets_tests.pipeline.stages import Stages, audit_of, copied_source, steps_of
from video_assets_tests.pipeline.videos import write_class


@pytest.fixture
def stages(built: Built, tmp_path: Path) -> Stages:
    return Stages(copied_source(built.source, tmp_path), built.paths)


def grow(stages: Stages) -> None:
    stages.up_to_plan()
    write_class(stages.source, "run", range(5, 6))
    stages.up_to_plan()
    stages.shards()


def cards(stages: Stages) -> tuple[bytes, bytes]:
    version = stages.paths.version("1.0.0")
    return version.card_markdown.read_bytes(), version.card_html.read_bytes()


def test_the_page_shows_clips_of_each_class_from_what_is_stored(built_once: Built) -> None:
    page = built_once.version.card_html.read_text("utf-8")
    shown = re.findall(r'alt="4 frames of a clip of (\w+): ([^"]+)"', page)
    assert {label for label, _ in shown} == {"jump", "run", "walk"}
    index = pd.read_parquet(built_once.version.index).set_index("clip_id")["label"]
    assert all(index[clip_id] == label for label, clip_id in shown)
    assert page.count("data:image/jpeg;base64,") == len(shown) == 18


def test_a_card_that_was_lost_is_drawn_again_byte_by_byte(built: Built) -> None:
    stages = Stages(built.source, built.paths)
    before = cards(stages)
    built.version.card_html.unlink()
    built.version.card_markdown.unlink()
    stages.commit()
    assert cards(stages) == before


def test_pictures_are_not_drawn_again_where_nothing_changed(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a shard was read")

    monkeypatch.setattr(module, "read_parts", refuse)
    Stages(built.source, built.paths).commit()
    with pytest.raises(AssertionError, match="a shard was read"):
        Stages(built.source, built.paths).commit(licence="CC0")


def test_growth_is_told_in_clips_also_when_the_same_is_committed_again(stages: Stages) -> None:
    grow(stages)
    stages.commit()
    first = cards(stages)
    assert b"| added | 2 | run/" in first[0]
    stages.commit()
    assert cards(stages) == first


@pytest.mark.parametrize("name", ["index.parquet", "dataset_info.json", "README.md", "card.html"])
@pytest.mark.slow
def test_what_a_grown_dataset_says_of_its_commit_outlives_a_flipped_bit(stages: Stages, name: str) -> None:
    grow(stages)
    stages.commit(licence="CC0")
    path = stages.paths.version("1.0.0").directory / name
    before = path.read_bytes()
    damage.flip_byte(path, len(before) // 2)
    report = repair_dataset(steps_of(stages.paths), None)
    assert report.repaired == [path]
    assert path.read_bytes() == before


def test_the_licence_stands_in_the_card_and_where_readers_have_it_until_another_is_given(built: Built) -> None:
    stages = Stages(built.source, built.paths)
    assert committed_licence(built.paths, "1.0.0") == ""
    stages.commit(licence="CC BY 4.0 <b>")
    info = json.loads(built.version.dataset_info.read_text("utf-8"))
    assert info["redistributionInfo"] == {"license": "CC BY 4.0 <b>"}
    stages.commit()
    assert "Licence: CC BY 4\\.0 &lt;b&gt;\n" in built.version.card_markdown.read_text("utf-8")
    assert "<td>CC BY 4.0 &lt;b&gt;</td>" in built.version.card_html.read_text("utf-8")
    assert committed_licence(built.paths, "2.0.0") == "CC BY 4.0 <b>"


def test_stored_clips_are_read_by_their_places_alone(built_once: Built) -> None:
    sidecar = damage.known_of(built_once, "train-00001")
    wanted = [sidecar.clips[2], sidecar.clips[0]]
    labels = built_once.version.label_names.read_text("utf-8").split()
    records = list(read_stored(built_once.version, "tfds", labels, [("train-00001", clip) for clip in wanted]))
    assert [(r.clip_id, r.label) for r in records] == [(c.clip_id, c.label) for c in wanted]
    clip = sampled_clip(records[0], 3)
    assert clip.frames.shape == (3, 32, 32, 3)
    assert list(clip.times_us) == [records[0].timestamps_us[i] for i in (0, 2, 4)]


def test_a_place_that_holds_no_record_has_no_picture(built: Built) -> None:
    clip = damage.known_of(built, "train-00001").clips[1]
    damage.flip_byte(built.shard("train-00001"), clip.offset + 100)
    assert list(read_stored(built.version, "tfds", [], [("train-00001", clip)])) == []


def grey_record(*levels: int) -> ClipRecord:
    from video_assets.media.images import encode_image

    images = [encode_image(np.full((64, 64, 3), level, np.uint8), "png", 95) for level in levels]
    times = np.arange(len(levels), dtype=np.int64)
    return ClipRecord(clip_id="a", source="a", label="b", label_index=0, images=images, timestamps_us=times)


@pytest.mark.parametrize(
    ("levels", "motion"), [((10, 10, 10), 0.0), ((10, 20, 10), 10.0), ((0, 30), 30.0), ((5,), None)]
)
def test_motion_is_the_mean_change_of_brightness_between_neighbouring_frames(
    levels: tuple[int, ...], motion: float | None
) -> None:
    assert motion_of(grey_record(*levels)) == motion


def test_a_check_that_fails_for_a_frame_shows_it_beside_its_source(built: Built) -> None:
    damage.rewrite_shard(built, "train-00001", damage.with_swapped_frames)
    audit = audit_of(built.paths, "train-00001")
    outcome = audit.run("shard_matches_source")
    assert not outcome.passed
    [picture] = outcome.pictures
    assert picture.captions == ("stored", "its source")
    stored, source = (decode_image(image).astype(int) for image in picture.images)
    assert stored.shape == source.shape == (32, 32, 3)
    assert np.abs(stored - source).mean() > 1
    words = of_check(outcome, "look at both")["pictures"].value
    assert words.startswith("![")
    assert len(words) < 40_000


def test_a_check_that_passes_shows_its_worst_frame(built_once: Built) -> None:
    audit = audit_of(built_once.paths, "train-00001")
    outcome = audit.run("shard_matches_source")
    [picture] = outcome.pictures
    rounded = float(outcome.facts["worst_psnr_db"])  # to hundredths; the words have tenths of the same number
    assert picture.title.endswith(tuple(f"{rounded + half:.1f} dB" for half in (-0.005, 0.005)))


def test_clips_that_look_alike_are_shown_side_by_side(built: Built) -> None:
    signature = (bytes(range(108)) + b"\xff" * (SIGNATURE_BYTES - 108)).hex()
    for key in ("train-00000", "test-00000"):
        first, *others = (asdict(clip) for clip in damage.known_of(built, key).clips)
        damage.edit_sidecar(built, key, clips=[first | {"signature": signature}, *others])
    outcome = DatasetAudit(built.paths).run("no_leakage")
    [picture] = outcome.pictures
    assert sorted(picture.captions) == ["test", "train"]
    assert len(picture.images) == 2


def test_the_card_counts_the_videos_by_what_the_manifest_notes() -> None:
    clips = pd.DataFrame(
        {
            "clip_id": ["a", "b#t=1,2", "b#t=2,3", "c", "lost"],
            "path": ["a", "b", "b", "c", "lost"],
            "transfer": ["bt709", "smpte2084", "smpte2084", None, "bt709"],
            "field_order": ["interlaced", "progressive", "progressive", "progressive", "progressive"],
            "num_video_tracks": [1.0, 2.0, 2.0, float("nan"), 1.0],
            "readable_fraction": [1.0, 0.931, 0.931, 1.0, 0.2],
        }
    )
    assert video_facts(clips, clips["clip_id"][:4]) == {
        "transfer function": "bt709: 1, smpte2084: 1, not said: 1",
        "field order": "interlaced: 1, progressive: 2",
        "video tracks": "1: 1, 2: 1, not said: 1",
        "readable": "in full: 2, in part: 1, the least 93.1%",
    }
