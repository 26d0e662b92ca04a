"""Each check of the whole dataset passes on a right one, and fails on one that is damaged in just that way."""

from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from video_assets.domain.checks import CheckOutcome
from video_assets.domain.near_duplicates import SIGNATURE_BYTES
from video_assets.pipeline.checks.dataset import DATASET_CHECKS, DatasetAudit
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.storage.quarantine import quarantine_rows, replace_stage
from video_assets.storage.tables import MANIFEST, PLAN, SPLIT, write_table
from video_assets_tests.datasets import TEST_SHARDS, TRAIN_SHARDS, Built
from video_assets_tests.pipeline import damage
from video_assets_tests.pipeline.stages import ENCODING

KEY = "train-00001"


def audit(built: Built, **settings: Any) -> dict[str, CheckOutcome]:
    """All checks by name."""
    dataset = DatasetAudit(built.paths, **settings)
    return {name: dataset.run(name) for name in DATASET_CHECKS}


def failed(outcomes: dict[str, CheckOutcome]) -> set[str]:
    return {name for name, outcome in outcomes.items() if not outcome.passed}


def edit_clips(built: Built, key: str, **changes: Any) -> None:
    """Sets fields of a sidecar's first clip."""
    first, *others = (asdict(clip) for clip in damage.known_of(built, key).clips)
    damage.edit_sidecar(built, key, clips=[first | changes, *others])


def test_a_right_dataset_passes_every_check(built_once: Built) -> None:
    outcomes = audit(built_once)
    assert failed(outcomes) == set()
    assert outcomes["classes_covered"].facts["classes"] == 3
    assert outcomes["nothing_lost"].facts == {"stored": 24, "quarantined": 1, "lost_fraction": 0.04}


def test_a_group_in_both_splits_is_named_from_the_table_of_a_split(built: Built) -> None:
    train = pd.read_parquet(built.paths.split("train"))
    torn = train.iloc[[0]]
    damage.edit_table(built.paths.split("test"), SPLIT, lambda test: pd.concat([test, torn], ignore_index=True))
    damage.edit_table(built.paths.split("train"), SPLIT, lambda rows: rows.iloc[1:])
    outcome = audit(built)["no_leakage"]
    assert outcome.makes_invalid
    assert torn["clip_id"].iloc[0] in outcome.description
    assert "(test)" in outcome.description
    assert "(train)" in outcome.description


def test_a_group_in_both_splits_is_named_from_the_plan(built: Built) -> None:
    moved = read_plan(built.paths).rows.query("split == 'train'")["clip_id"].iloc[0]
    group = pd.read_parquet(built.paths.manifest).set_index("clip_id")["group"][moved]

    def move(plan: pd.DataFrame) -> pd.DataFrame:
        plan.loc[plan["clip_id"] == moved, ["split", "shard_index"]] = ["test", 1]
        return plan

    def untable(rows: pd.DataFrame) -> pd.DataFrame:
        return rows[rows["clip_id"] != moved]

    damage.edit_table(built.paths.plan, PLAN, move)
    damage.edit_table(built.paths.split("train"), SPLIT, untable)
    for key in TRAIN_SHARDS:
        clips = [asdict(clip) for clip in damage.known_of(built, key).clips if clip.clip_id != moved]
        damage.edit_sidecar(built, key, clips=clips)
    outcome = audit(built)["no_leakage"]
    assert outcome.makes_invalid
    assert outcome.description.startswith(f"1 group is in both splits; group {group}: ")
    assert f"{moved} (test)" in outcome.description


def test_a_clip_that_a_shard_holds_though_the_plan_has_it_in_the_other_split_is_named(built: Built) -> None:
    stray = damage.known_of(built, TRAIN_SHARDS[0]).clips[0]
    clips = [asdict(clip) for clip in damage.known_of(built, TEST_SHARDS[0]).clips]
    damage.edit_sidecar(built, TEST_SHARDS[0], clips=[*clips, asdict(stray)])
    outcome = audit(built)["no_leakage"]
    assert outcome.makes_invalid
    assert outcome.description.startswith(f"1 clip is in both splits; clip {stray.clip_id}: ")


def test_identical_content_in_two_splits_is_named(built: Built) -> None:
    content = damage.known_of(built, TRAIN_SHARDS[0]).clips[0]
    twin = damage.known_of(built, TEST_SHARDS[0]).clips[0]
    edit_clips(built, TEST_SHARDS[0], content_hash=content.content_hash)
    outcome = audit(built)["no_leakage"]
    assert outcome.makes_invalid
    assert outcome.description == (
        f"1 content is in both splits; content {content.content_hash}: "
        f"{', '.join(sorted([f'{content.clip_id} (train)', f'{twin.clip_id} (test)']))}"
    )


@pytest.mark.parametrize(("is_error", "severity"), [(False, "WARN"), (True, "ERROR")])
def test_clips_that_look_alike_in_two_splits_are_a_warning_and_by_setting_an_error(
    built: Built, is_error: bool, severity: str
) -> None:
    signature = (bytes(range(108)) + b"\xff" * (SIGNATURE_BYTES - 108)).hex()
    names = [damage.known_of(built, key).clips[0].clip_id for key in (TRAIN_SHARDS[0], TEST_SHARDS[1])]
    for key in (TRAIN_SHARDS[0], TEST_SHARDS[1]):
        edit_clips(built, key, signature=signature)
    outcome = audit(built, near_duplicates_are_errors=is_error)["no_leakage"]
    assert not outcome.passed
    assert outcome.severity == severity
    assert outcome.makes_invalid is is_error
    assert outcome.description == f"1 clip of train looks like clips of test: {names[0]} and {names[1]}"


def test_a_clip_that_looks_like_many_is_counted_once(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = (bytes(range(108)) + b"\xff" * (SIGNATURE_BYTES - 108)).hex()
    num_clips = {"train": 0, "test": 0}
    for key in (*TRAIN_SHARDS, *TEST_SHARDS):
        clips = [asdict(clip) | {"signature": signature} for clip in damage.known_of(built, key).clips]
        damage.edit_sidecar(built, key, clips=clips)
        num_clips[key.partition("-")[0]] += len(clips)
    num_train, num_test = num_clips["train"], num_clips["test"]
    num_pairs = num_train * num_test
    outcome = audit(built)["no_leakage"]
    assert outcome.description.startswith(f"{num_train} clips of train look like clips of test: ")
    assert outcome.description.endswith(f"; and {num_pairs - 10} more pairs")
    assert outcome.facts == {"near_duplicate_clips": num_train + num_test, "near_duplicate_pairs": num_pairs}
    monkeypatch.setattr("video_assets.pipeline.checks.dataset.MAX_PAIRS", num_pairs)
    description = audit(built)["no_leakage"].description
    assert description.startswith(f"at least {num_train} clips of train look like clips of test: ")
    assert description.endswith(f"; and at least {num_pairs - 10} more pairs")


def test_look_alikes_within_one_split_are_nobodys_business(built: Built) -> None:
    signature = (bytes(range(108)) + b"\xff" * (SIGNATURE_BYTES - 108)).hex()
    for key in TRAIN_SHARDS[:2]:
        edit_clips(built, key, signature=signature)
    assert audit(built)["no_leakage"].passed


def take_out_of_test(built: Built, label: str) -> None:
    """As if no clip of the class had ever been in test."""
    damage.edit_table(built.paths.split("test"), SPLIT, lambda rows: rows[rows["label"] != label])
    damage.edit_table(built.paths.plan, PLAN, lambda rows: rows[(rows["label"] != label) | (rows["split"] == "train")])
    for key in TEST_SHARDS:
        clips = [asdict(clip) for clip in damage.known_of(built, key).clips if clip.label != label]
        damage.edit_sidecar(built, key, clips=clips)


def test_a_class_that_is_in_one_split_though_it_has_several_groups_is_named(built: Built) -> None:
    take_out_of_test(built, "walk")
    outcome = audit(built)["classes_covered"]
    assert not outcome.passed
    assert outcome.severity == "WARN"
    assert outcome.description == "1 class with several groups is in one split only: walk (not in test)"


def test_a_class_of_one_group_cannot_be_in_both_splits_and_is_named(built: Built) -> None:
    def into_one_group(rows: pd.DataFrame) -> pd.DataFrame:
        is_train = rows["clip_id"].isin(pd.read_parquet(built.paths.split("train"))["clip_id"])
        rows.loc[(rows["label"] == "walk") & is_train, "group"] = "one"
        return rows

    damage.edit_table(built.paths.manifest, MANIFEST, into_one_group)
    damage.edit_table(
        built.paths.split("train"),
        SPLIT,
        lambda rows: rows.assign(group=rows["group"].where(rows["label"] != "walk", "one")),
    )
    take_out_of_test(built, "walk")
    outcome = audit(built)["classes_covered"]
    assert not outcome.passed
    assert outcome.severity == "WARN"
    assert outcome.description == "1 class has one group, so it is in one split only: walk"


def test_a_shard_under_other_settings_is_named_with_the_fields(
    built: Built,
    built_at_another_size: Built,
) -> None:
    built.sidecar(KEY).write_bytes(built_at_another_size.sidecar(KEY).read_bytes())
    outcome = audit(built)["one_encoding"]
    assert outcome.makes_invalid
    assert outcome.target == KEY
    assert outcome.description == f"{KEY} was written under other settings: resolution 24, pinned is 32"


def test_a_shard_with_a_planned_encoding_but_another_fingerprint_is_named(built: Built) -> None:
    damage.edit_sidecar(built, KEY, fingerprint="0" * 64)
    outcome = audit(built)["one_encoding"]
    assert outcome.makes_invalid
    assert outcome.description == (f"{KEY} was written under other settings: its fingerprint is not the planned one")


def test_an_encoding_that_was_changed_behind_the_plan_is_found_in_every_shard(built: Built) -> None:
    plan = read_plan(built.paths)
    plan.pinned.encoding = ENCODING.replace(jpeg_quality=50)
    write_table(built.paths.plan, plan.rows, PLAN, plan.pinned.as_notes())
    outcome = audit(built)["one_encoding"]
    assert outcome.makes_invalid
    assert "jpeg_quality 95, pinned is 50" in outcome.description


def test_a_planned_clip_that_is_neither_stored_nor_quarantined_is_named(built: Built) -> None:
    lost, *others = damage.known_of(built, KEY).clips
    damage.edit_sidecar(built, KEY, clips=[asdict(clip) for clip in others])
    outcome = audit(built)["nothing_lost"]
    assert outcome.makes_invalid
    assert outcome.description == f"{KEY}: planned clips are neither stored nor quarantined: {lost.clip_id}"


def loss_of(built: Built, key: str, **fields: str) -> dict[str, str]:
    clip = damage.known_of(built, key).clips[0]
    names = {"clip_id": clip.clip_id, "source": clip.source, "label": clip.label}
    return names | {"reason": "timeout", "detail": "it took too long"} | fields


def test_a_loss_without_a_reason_is_not_accepted(built: Built) -> None:
    loss = loss_of(built, KEY, reason="")
    clips = [asdict(clip) for clip in damage.known_of(built, KEY).clips[1:]]
    damage.edit_sidecar(built, KEY, clips=clips, losses=[loss])
    outcome = audit(built)["nothing_lost"]
    assert outcome.makes_invalid
    assert outcome.description == (f"{KEY}: planned clips are neither stored nor quarantined: a loss without a reason")


def test_a_loss_with_a_reason_counts_against_the_allowed_fraction(built: Built) -> None:
    loss = loss_of(built, KEY)
    clips = [asdict(clip) for clip in damage.known_of(built, KEY).clips[1:]]
    damage.edit_sidecar(built, KEY, clips=clips, losses=[loss])
    accepted = audit(built, max_failed_fraction=0.08)["nothing_lost"]
    assert accepted.passed
    assert accepted.description == "23 clips stored, 2 quarantined (8.0%, allowed 8.0%)"
    refused = audit(built, max_failed_fraction=0.079)["nothing_lost"]
    assert refused.makes_invalid
    assert refused.description == (
        "23 clips stored, 2 quarantined (8.0%, allowed 7.9%); "
        "the quarantine names each; raise manifest.max_failed_fraction to accept them"
    )


def test_losses_of_all_stages_count_together(built: Built) -> None:
    from video_assets.domain.clips import Loss, LostSource

    lost = [LostSource(f"run/{n}.mp4", Loss("split_conflict", "…"), "run") for n in range(3)]
    replace_stage(built.paths.quarantine, "splits", quarantine_rows(lost))
    outcome = audit(built)["nothing_lost"]
    assert not outcome.passed
    assert outcome.description.startswith("24 clips stored, 4 quarantined (14.3%, allowed 10.0%)")


def test_a_shard_without_a_sidecar_is_missing(built: Built) -> None:
    built.sidecar(KEY).unlink()
    outcomes = audit(built)
    assert failed(outcomes) == {"nothing_lost"}
    assert outcomes["nothing_lost"].description == f"1 planned shards are not there, or damaged: {KEY}"
