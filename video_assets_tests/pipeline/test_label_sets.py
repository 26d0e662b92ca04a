"""Several labels a clip, from a table to every file that tells of them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import BuildRefused, SettingsError
from video_assets.pipeline.checks.dataset import DatasetAudit
from video_assets.pipeline.commit.changes import diff_versions
from video_assets.pipeline.plan.model_fit import plan_fit
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.pipeline.upkeep.repair import repair_dataset
from video_assets.pipeline.upkeep.verify import find_damage
from video_assets.reader import load_dataset
from video_assets.storage.files import read_lines
from video_assets.storage.paths import DatasetPaths, partition_key
from video_assets_tests.datasets import Built
from video_assets_tests.label_sets import GROUPS, NAMES, as_written, label_sets, write_labels
from video_assets_tests.pipeline import damage
from video_assets_tests.pipeline.stages import (
    ENCODING,
    Stages,
    audit_of,
    copied_source,
    steps_of,
)
from video_assets_tests.pipeline.videos import write_video

SETS = label_sets()
RUN, JUMP = "run/v_run_g01_c01.mp4", "jump/v_jump_g01_c02.mp4"


@pytest.fixture
def stages(labelled: Path, tmp_path: Path) -> Stages:
    """The dataset up to its shards' plan, on a copy of the table and its videos."""
    folder = copied_source(labelled.parent, tmp_path)
    made = Stages(folder / "clips.csv", DatasetPaths(tmp_path / "root", "clips"))
    made.manifest(multi_label=True, group_pattern=GROUPS)
    made.splits()
    return made


def copied(built: Built, tmp_path: Path) -> Built:
    shutil.copytree(built.paths.root, tmp_path / "copy", ignore=shutil.ignore_patterns(".dagster"))
    return Built(built.source, DatasetPaths(tmp_path / "copy", "clips"))


def ids_of(version_dir: Path) -> dict[str, Any]:
    clips: list[Any] = [c for split in ("train", "test") for c in load_dataset(version_dir, split).as_numpy_iterator()]
    return {clip["id"].decode(): clip["label"] for clip in clips}


@pytest.mark.slow
def test_every_table_has_one_row_a_clip_with_its_sorted_labels(label_sets_built: Built) -> None:
    paths, version = label_sets_built.paths, label_sets_built.version
    cells = {clip_id: "|".join(sorted(labels)) for clip_id, labels in SETS.items()}
    splits = pd.concat([pd.read_parquet(paths.split(split)) for split in ("train", "test")])
    for table in (pd.read_parquet(paths.manifest), splits, pd.read_parquet(paths.plan), pd.read_parquet(version.index)):
        assert dict(zip(table["clip_id"], table["label"], strict=True)) == cells
        assert len(table) == len(cells)
    assert read_lines(paths.labels) == read_lines(version.label_names) == NAMES
    index = pd.read_parquet(version.index).set_index("clip_id")
    for clip_id, labels in SETS.items():
        assert index["label_indices"][clip_id].tolist() == [NAMES.index(name) for name in sorted(labels)]
        assert index["label_index"][clip_id] == index["label_indices"][clip_id][0]
    assert json.loads(paths.encoding.read_text())["encoding"]["multi_label"] is True
    assert find_damage(paths) == []


def test_each_class_is_in_both_splits_near_its_target(label_sets_built: Built) -> None:
    """6 of 24 clips are for test; groups of six clips each hold clips of all classes."""
    rows = pd.read_parquet(label_sets_built.version.index)
    counts = {
        name: {
            split: sum(name in SETS[clip_id] for clip_id in rows.loc[rows["split"] == split, "clip_id"])
            for split in ("train", "test")
        }
        for name in NAMES
    }
    assert counts == {
        "fast": {"train": 9, "test": 3},
        "jump": {"train": 6, "test": 2},
        "outdoor": counts["outdoor"],
        "run": {"train": 6, "test": 2},
        "walk": {"train": 6, "test": 2},
    }
    assert counts["outdoor"] in ({"train": 7, "test": 2}, {"train": 6, "test": 3})
    outcome = DatasetAudit(label_sets_built.paths).classes_covered()
    assert (outcome.passed, outcome.description) == (True, "all 5 classes are in both splits")


@pytest.mark.slow
def test_both_layouts_give_the_same_clips_with_the_same_vectors(
    tensorflow: ModuleType, label_sets_built: Built, label_sets_as_sequences: Built
) -> None:
    for split in ("train", "test"):
        one, other = (
            load_dataset(built.version.directory, split, seed=5)
            for built in (label_sets_built, label_sets_as_sequences)
        )
        assert one.element_spec == other.element_spec
        spec: Any = one.element_spec
        assert spec["label"] == tensorflow.TensorSpec([5], tensorflow.float32)
        pairs: Any = zip(one.as_numpy_iterator(), other.as_numpy_iterator(), strict=True)
        num_clips = 0
        for first, second in pairs:
            expected = [float(name in SETS[first["id"].decode()]) for name in NAMES]
            assert first["id"] == second["id"]
            assert first["label"].tolist() == second["label"].tolist() == expected
            assert (first["video"] == second["video"]).all()
            num_clips += 1
        assert num_clips == len(load_dataset(label_sets_built.version.directory, split)) > 0


def test_a_model_of_one_output_a_class_trains_from_the_vectors(tensorflow: Any, label_sets_built: Built) -> None:
    """It learns the eighteen clips by heart; from label numbers instead of vectors it could not begin."""
    keras = tensorflow.keras
    keras.utils.set_random_seed(1)
    clips = load_dataset(label_sets_built.version.directory, "train")
    batches = clips.map(lambda clip: (tensorflow.ensure_shape(clip["video"], [5, 32, 32, 3]), clip["label"])).batch(6)
    model = keras.Sequential([keras.Input([5, 32, 32, 3]), keras.layers.Rescaling(1 / 128, offset=-1),
                              keras.layers.Flatten(), keras.layers.Dense(5, activation="sigmoid")])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.002), "binary_crossentropy", metrics=[keras.metrics.AUC(multi_label=True)])
    learned = model.fit(batches.cache(), epochs=40, shuffle=False, verbose=0).history
    assert learned["loss"][-1] < learned["loss"][0] / 4
    assert learned["auc"][-1] > 0.98


def test_the_card_counts_and_shows_a_clip_under_each_of_its_labels(label_sets_built: Built) -> None:
    text = label_sets_built.version.card_markdown.read_text("utf-8")
    page = label_sets_built.version.card_html.read_text("utf-8")
    for card in (text, page):
        assert "A clip may have several labels; it counts for each of them." in card
        assert "label holds the index of each of a clip's labels." in card.replace("&#39;", "'").replace("\\", "")
    assert "24 labelled clips of 5 classes" in text
    assert "| 0 | fast | 9 | 3 |" in text
    assert "is_multilabel: true" in text
    assert "5 more classes" not in page and "more classes have no picture" not in page
    outdoor = page.split("<bdi>outdoor</bdi>")[1].split("</section>")[0]
    pictured = {clip_id for clip_id in SETS if f"<bdi>{clip_id}</bdi>" in outdoor}
    assert 0 < len(pictured) <= 6
    assert all("outdoor" in SETS[clip_id] for clip_id in pictured)


def test_the_block_for_model_garden_says_so(stages: Stages) -> None:
    task = yaml.safe_load(plan_fit(stages.paths, stages.plan()).yaml)["task"]
    assert task["train_data"]["is_multilabel"] is task["validation_data"]["is_multilabel"] is True
    assert task["train_data"]["num_classes"] == 5


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ((), "has the label 3, planned is 2, 3 (outdoor|run)"),
        ((0,), "has the labels 0, 3, planned is 2, 3 (outdoor|run)"),
        ((2, 2), "has the labels 2, 2, 3, planned is 2, 3 (outdoor|run)"),
    ],
)
def test_a_record_with_other_labels_than_planned_is_found(
    label_sets_as_sequences: Built, tmp_path: Path, others: tuple[int, ...], told: str
) -> None:
    built = copied(label_sets_as_sequences, tmp_path)
    clip_id = "run/v_run_g01_c02.mp4"
    key = str(pd.read_parquet(built.version.index).set_index("clip_id")["shard"][clip_id])

    def relabelled(records: Any) -> Any:
        return [replace(r, label_index=3, other_label_indices=others) if r.clip_id == clip_id else r for r in records]

    damage.rewrite_shard(built, key, relabelled)
    audit = audit_of(built.paths, key, None)
    found = [audit.run(name) for name in ("shard_is_complete", "shard_decodes")]
    assert [outcome.passed for outcome in found] == [False, False]
    assert told in found[0].description


@pytest.mark.slow
def test_a_clip_that_gets_one_more_label_supersedes_its_own_shard(tensorflow: ModuleType, stages: Stages) -> None:
    before = stages.plan()
    stages.shards()
    stages.commit()
    split_of, files = stages.split_of(), {p.name for p in stages.paths.version("1.0.0").directory.glob("*.tfrecord")}
    write_labels(stages.source, {i: as_written(s | ({"fast"} if i == JUMP else set())) for i, s in SETS.items()})
    stages.manifest(multi_label=True, group_pattern=GROUPS)
    stages.splits()
    assert stages.split_of() == split_of
    after = stages.plan()
    own = before.rows.set_index("clip_id").loc[JUMP]
    key = partition_key(own["split"], own["shard_index"])
    assert key in after.superseded
    assert key in before.shards
    assert key not in after.shards
    assert len(after.superseded) <= 2  # its own, and the last one if that was not full
    stages.shards()
    version_dir = Path(stages.commit(retired_grace_minutes=1e9).version_dir)
    assert files <= {path.name for path in version_dir.glob("*.tfrecord")}
    assert ids_of(version_dir)[JUMP].tolist() == [1, 1, 0, 0, 0]
    card = (version_dir / "README.md").read_text("utf-8").replace("\\", "")
    assert f"| relabelled | 1 | {JUMP}: jump → fast|jump |" in card


def test_the_same_labels_in_another_order_change_nothing(stages: Stages) -> None:
    before = stages.plan()
    write_labels(stages.source, {clip_id: "|".join(sorted(labels)) for clip_id, labels in SETS.items()})
    stages.manifest(multi_label=True, group_pattern=GROUPS)
    stages.splits()
    after = stages.plan()
    assert (after.added, after.superseded, after.shards) == ([], [], before.shards)
    assert after.rows["row_digest"].tolist() == before.rows["row_digest"].tolist()


@pytest.mark.slow
def test_a_new_class_gets_the_next_index_and_makes_vectors_longer(tensorflow: ModuleType, stages: Stages) -> None:
    stages.plan()
    stages.shards()
    old = ids_of(Path(stages.commit().version_dir))
    write_video(stages.source.parent / "new.mp4", seed=9)
    cells = {clip_id: as_written(labels) for clip_id, labels in SETS.items()}
    write_labels(stages.source, cells | {"new.mp4": "crawl|run"})
    stages.manifest(multi_label=True, group_pattern=GROUPS)
    stages.splits()
    stages.plan()
    stages.shards()
    new = ids_of(Path(stages.commit().version_dir))
    assert read_lines(stages.paths.labels) == [*NAMES, "crawl"]
    assert new.pop("new.mp4").tolist() == [0, 0, 0, 1, 0, 1]
    assert {clip_id: vector.tolist() for clip_id, vector in new.items()} == {
        clip_id: [*vector.tolist(), 0.0] for clip_id, vector in old.items()
    }


def test_cells_that_say_nothing_between_bars_are_quarantined_by_row(stages: Stages) -> None:
    cells = {clip_id: as_written(labels) for clip_id, labels in SETS.items()}
    write_labels(stages.source, cells | {RUN: "run||fast", JUMP: "jump|"})
    stages.manifest(multi_label=True, group_pattern=GROUPS)
    assert {source: why for source, why in stages.quarantined().items() if source in (RUN, JUMP)} == {
        JUMP: (
            "bad_row",
            "row 2 of clips.csv: the labels are 'jump|'; each part between | must name a class",
        ),
        RUN: (
            "bad_row",
            "row 9 of clips.csv: the labels are 'run||fast'; each part between | must name a class",
        ),
    }


def test_one_content_under_two_sets_of_labels_is_a_conflict(stages: Stages) -> None:
    cells = {clip_id: as_written(labels) for clip_id, labels in SETS.items()}
    shutil.copy(stages.source.parent / JUMP, stages.source.parent / "copy.mp4")
    write_labels(stages.source, cells | {"copy.mp4": "jump|high"})
    stages.manifest(multi_label=True, group_pattern=GROUPS)
    reason, detail = stages.quarantined()["copy.mp4"]
    assert reason == "label_conflict"
    assert detail == f"the same content stands under 2 sets of labels (high|jump: copy.mp4; jump: {JUMP})"
    assert "high" not in read_lines(stages.paths.labels)


def test_a_folder_may_name_several_classes(tmp_path: Path) -> None:
    for number, folder in enumerate(("run|jump", "run", "jump||run")):
        write_video(tmp_path / "videos" / folder / f"{number}.mp4", seed=number)
    stages = Stages(tmp_path / "videos", DatasetPaths(tmp_path / "root", "clips"))
    report = stages.manifest(multi_label=True, max_failed_fraction=0.5)
    assert report.clips.set_index("clip_id")["label"].to_dict() == {"run/1.mp4": "run", "run|jump/0.mp4": "jump|run"}
    assert stages.quarantined()["jump||run/2.mp4"] == (
        "no_label",
        "of the class folder's name, the labels are 'jump||run'; each part between | must name a class; rename it",
    )


def test_without_the_setting_a_bar_is_a_character_of_a_class_name(tensorflow: Any, tmp_path: Path) -> None:
    for number in range(4):
        write_video(tmp_path / "videos" / "run|jump" / f"{number}.mp4", seed=number)
    stages = Stages(tmp_path / "videos", DatasetPaths(tmp_path / "root", "clips"))
    version_dir = Path(stages.everything().version_dir)
    assert read_lines(stages.paths.labels) == ["run|jump"]
    assert set(ids_of(version_dir).values()) == {0}
    for file in (stages.paths.encoding, version_dir / "features.json", version_dir / "dataset_info.json"):
        assert "multi" not in file.read_text("utf-8") and "num_classes" not in file.read_text("utf-8")
    assert "label_indices" not in pd.read_parquet(version_dir / "index.parquet")


def test_the_layout_of_one_label_a_record_is_refused(stages: Stages) -> None:
    told = (
        "manifest.multi_label is true, but a record of the layout movinets_helper has one label; "
        "set plan.encoding.layout to tfds or sequence_example, or manifest.multi_label to false"
    )
    with pytest.raises(SettingsError, match=told):
        stages.plan(ENCODING.replace(layout="movinets_helper"))


def test_label_sets_never_become_class_names(stages: Stages) -> None:
    stages.plan()
    with pytest.raises(BuildRefused, match=r"the clips of clips have several labels, but manifest\.multi"):
        stages.manifest(group_pattern=GROUPS)
    assert read_lines(stages.paths.labels) == NAMES


@pytest.mark.slow
def test_a_dataset_of_single_labels_gets_several_in_a_new_version(
    tensorflow: Any, labelled: Path, tmp_path: Path
) -> None:
    folder = copied_source(labelled.parent, tmp_path)
    table = write_labels(folder / "clips.csv", {clip_id: clip_id.partition("/")[0] for clip_id in SETS})
    stages = Stages(table, DatasetPaths(tmp_path / "root", "clips"))
    stages.manifest(group_pattern=GROUPS)
    stages.splits()
    stages.plan()
    stages.shards()
    old = Path(stages.commit().version_dir)
    split_of = stages.split_of()
    write_labels(table, {clip_id: as_written(labels) for clip_id, labels in SETS.items()})
    stages.manifest(multi_label=True, group_pattern=GROUPS)
    stages.splits()
    told = r"another encoding \(multi_label False → True\)\. Set these fields of manifest and plan\.encoding back, or"
    with pytest.raises(BuildRefused, match=told):
        stages.plan()
    stages.plan(new_version=True)
    stages.shards()
    new = Path(stages.commit().version_dir)
    assert stages.split_of() == split_of
    assert (old.name, new.name) == ("1.0.0", "2.0.0")
    assert read_lines(stages.paths.labels) == ["jump", "run", "walk", "fast", "outdoor"]
    assert ids_of(old)[RUN] == 1
    assert ids_of(new)[RUN].tolist() == [0, 1, 0, 1, 1]
    diff = diff_versions(old, new)
    assert diff.encoding == {"multi_label": [False, True]}
    assert {"clip_id": RUN, "before": "run", "after": "fast|outdoor|run"} in diff.relabelled


def test_a_class_that_labels_txt_lost_is_named(stages: Stages) -> None:
    stages.plan()
    stages.paths.labels.write_text("fast\njump\n")
    with pytest.raises(BuildRefused, match=r"labels\.txt does not name the class '\w+' of .*repair"):
        read_plan(stages.paths).shard("train", 0)


def test_damage_is_repaired_byte_for_byte(label_sets_as_sequences: Built, tmp_path: Path) -> None:
    built = copied(label_sets_as_sequences, tmp_path)
    files = [
        built.paths.labels,
        built.paths.plan,
        built.version.index,
        built.shard("train-00001"),
        built.version.label_names,
    ]
    for file in files:
        before = file.read_bytes()
        damage.flip_byte(file, len(before) // 2)
        report = repair_dataset(steps_of(built.paths), None)
        assert (report.repaired, report.failed) == ([file], {})
        assert file.read_bytes() == before


def test_a_setting_that_says_nothing_is_not_in_the_encoding() -> None:
    """So that fingerprints of datasets without it stay what they were."""
    assert "multi_label" not in Encoding().as_dict()
    assert np.array_equal(list(Encoding(multi_label=True).as_dict())[-1:], ["multi_label"])
