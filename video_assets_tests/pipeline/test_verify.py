"""Each check of a shard passes on a right one, and fails on one that is damaged in just that way."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from video_assets.domain import checks
from video_assets.domain.checks import CheckOutcome
from video_assets.domain.clips import Loss, VideoLost
from video_assets.domain.errors import BuildRefused
from video_assets.media.workers.pool import DecodingPool
from video_assets.pipeline.checks import comparison, shard
from video_assets.pipeline.checks.dataset import one_of_each_codec
from video_assets.pipeline.checks.shard import SHARD_CHECKS, ShardAudit, read_ahead
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.records.clip_record import ClipRecord
from video_assets.storage.tables import MANIFEST, PLAN, read_noted_table, read_table, write_table
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline import damage
from video_assets_tests.pipeline.stages import LIMITS, InThisProcess, audit_of

KEY = "train-00001"


def audit(built: Built, key: str = KEY, max_records: int | None = None) -> dict[str, CheckOutcome]:
    """All checks of a shard by name."""
    audited = audit_of(built.paths, key, max_records)
    return {name: audited.run(name) for name in SHARD_CHECKS}


def failed(outcomes: dict[str, CheckOutcome]) -> set[str]:
    return {name for name, outcome in outcomes.items() if not outcome.passed}


def planned_ids(built: Built, key: str = KEY) -> list[str]:
    return [clip.clip_id for clip in damage.known_of(built, key).clips]


def test_a_right_shard_passes_every_check(built_once: Built) -> None:
    outcomes = audit(built_once)
    assert failed(outcomes) == set()
    assert outcomes["shard_is_complete"].facts["records"] == 4
    assert outcomes["shard_is_complete"].facts["lost"] == 0
    assert outcomes["shard_decodes"].facts["records_decoded"] == 4
    assert outcomes["shard_matches_source"].facts["records_compared"] == 4
    assert float(outcomes["shard_matches_source"].facts["worst_psnr_db"]) > 30
    assert {outcome.target for outcome in outcomes.values()} == {KEY}


def test_a_sample_looks_at_few_records_but_never_at_none(built_once: Built) -> None:
    outcomes = audit(built_once, max_records=3)
    assert failed(outcomes) == set()
    assert outcomes["shard_decodes"].facts["records_decoded"] == 3
    # What may be decoded again of four videos is less than one of them: one is taken.
    assert outcomes["shard_matches_source"].facts["records_compared"] == 1


def test_a_clip_of_each_codec_is_compared_whatever_is_drawn(built: Built) -> None:
    manifest = read_table(built.paths.manifest, MANIFEST)
    ids = planned_ids(built)
    manifest["codec"] = ["vp9" if clip_id in ids[1:3] else "h264" for clip_id in manifest["clip_id"]]
    write_table(built.paths.manifest, manifest, MANIFEST, read_noted_table(built.paths.manifest, MANIFEST)[1] or {})
    plan = read_plan(built.paths)
    always = one_of_each_codec(built.paths, plan)
    assert len(always) == 2
    assert len(always & set(ids[1:3])) == 1
    pool = InThisProcess()
    drawn = audit_of(built.paths, KEY, 1, always, pool).run("shard_matches_source")
    assert drawn.passed
    compared = {str(job.path) for job in pool.jobs}
    assert {str(built.source / name) for name in always & set(ids)} <= compared


def test_a_long_video_is_compared_in_part_and_one_that_takes_too_long_is_a_warning(
    built_once: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "MAX_FRAMES_COMPARED", 10)
    sampled, every = InThisProcess(), InThisProcess()
    assert audit_of(built_once.paths, KEY, 3, pool=sampled).run("shard_matches_source").passed
    assert [len(job.spots) for job in sampled.jobs] == [1]
    assert audit_of(built_once.paths, KEY, None, pool=every).run("shard_matches_source").passed
    assert [job.spots for job in every.jobs] == [tuple(range(len(j.timestamps_us))) for j in every.jobs]

    def too_long(job: object) -> None:
        raise VideoLost(Loss("timeout", "decoding was stopped after 120 s, the limit for one clip"))

    monkeypatch.setattr(comparison, "compare_with_source", too_long)
    outcome = audit_of(built_once.paths, KEY, 3).run("shard_matches_source")
    assert (outcome.passed, outcome.severity) == (False, "WARN")
    assert "cannot be decoded again: decoding was stopped after 120 s" in outcome.description


def test_of_a_file_that_was_changed_every_record_is_looked_at(built: Built) -> None:
    damage.rewrite_shard(built, KEY, damage.with_swapped_frames)
    damage.edit_sidecar(built, KEY, sha256="0" * 64)
    outcomes = audit(built, max_records=1)
    assert failed(outcomes) == {"shard_is_complete", "shard_matches_source"}


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_flipped_byte_anywhere_is_found_and_its_record_named(built: Built, place: str) -> None:
    size = built.shard(KEY).stat().st_size
    clips = damage.known_of(built, KEY).clips
    offset, number = {"first": (0, 0), "middle": (clips[2].offset + 500, 2), "last": (size - 1, 3)}[place]
    damage.flip_byte(built.shard(KEY), offset)
    outcomes = audit(built)
    assert "shard_is_complete" in failed(outcomes)
    assert outcomes["shard_is_complete"].description.startswith(
        f"record {number} of clips-{KEY}.tfrecord cannot be read"
    )


def test_a_flipped_byte_is_found_by_the_hash_even_where_checksums_were_made_to_fit(built: Built) -> None:
    sha256 = damage.known_of(built, KEY).sha256
    damage.rewrite_shard(built, KEY, lambda records: [replace(records[0], note="x"), *records[1:]])
    damage.edit_sidecar(built, KEY, sha256=sha256)
    outcome = audit(built)["shard_is_complete"]
    assert not outcome.passed
    assert (
        outcome.description == f"the SHA-256 of clips-{KEY}.tfrecord is not that of its sidecar; the file was changed"
    )


def test_a_truncated_shard_is_found(built: Built) -> None:
    data = built.shard(KEY).read_bytes()
    built.shard(KEY).write_bytes(data[:-1])
    outcomes = audit(built)
    assert failed(outcomes) == set(SHARD_CHECKS)
    assert "record 3 of" in outcomes["shard_is_complete"].description


Change = Callable[[list[ClipRecord]], list[ClipRecord]]


@pytest.mark.parametrize(
    ("change", "failing", "sentence"),
    [
        pytest.param(
            damage.with_another_label,
            {"shard_is_complete", "shard_decodes"},
            "record 0 of clips-train-00001.tfrecord, clip {0}, has the label",
            id="wrong label",
        ),
        pytest.param(
            damage.without_the_second,
            {"shard_is_complete"},
            "record 1 of clips-train-00001.tfrecord is the clip {2}, planned is {1}",
            id="missing record",
        ),
        pytest.param(
            lambda records: records[:-1],
            {"shard_is_complete"},
            "clips-train-00001.tfrecord holds 3 records, planned are 4; {3} is missing",
            id="missing last record",
        ),
        pytest.param(
            lambda records: [*records, records[0]],
            {"shard_is_complete"},
            "clips-train-00001.tfrecord holds more than the 4 records that are planned",
            id="one record too many",
        ),
        pytest.param(
            damage.in_another_order,
            {"shard_is_complete"},
            "record 0 of clips-train-00001.tfrecord is the clip {1}, planned is {0}",
            id="records in another order",
        ),
        pytest.param(
            damage.with_swapped_frames,
            {"shard_matches_source"},
            "clip {0}: frame 1 is",
            id="frames in wrong order",
        ),
        pytest.param(
            damage.with_swapped_frames_and_times,
            {"shard_matches_source"},
            "clip {0}: its times go backwards",
            id="frames and times in wrong order",
        ),
        pytest.param(
            damage.with_a_repeated_frame,
            {"shard_matches_source"},
            "clip {0}: 1 frame stands twice, though its source has 20",
            id="a frame twice",
        ),
        pytest.param(
            damage.with_times_between_frames,
            {"shard_matches_source"},
            "clip {0}: its times are not times at which its source shows a frame",
            id="wrong times",
        ),
        pytest.param(
            damage.with_a_missing_frame,
            {"shard_is_complete", "shard_decodes"},
            "clip {0}, has 4 frames and 4 times, written were 5",
            id="a frame missing",
        ),
        pytest.param(
            damage.with_a_broken_image,
            {"shard_decodes", "shard_matches_source"},
            "record 0 of clips-train-00001.tfrecord, clip {0}, does not decode",
            id="a broken image",
        ),
    ],
)
def test_a_rewritten_record_is_found_though_checksums_and_sidecar_agree(
    built: Built, change: Change, failing: set[str], sentence: str
) -> None:
    names = planned_ids(built)
    damage.rewrite_shard(built, KEY, change)
    outcomes = audit(built)
    assert failed(outcomes) == failing
    words = [outcome.description for outcome in outcomes.values() if not outcome.passed]
    assert any(sentence.format(*names) in description for description in words), words
    assert all(outcome.makes_invalid for outcome in outcomes.values() if not outcome.passed)


def test_a_wrong_label_names_the_label_that_is_planned(built: Built) -> None:
    label = damage.known_of(built, KEY).clips[0].label
    index = damage.known_of(built, KEY).clips[0].label_index
    damage.rewrite_shard(built, KEY, damage.with_another_label)
    description = audit(built)["shard_is_complete"].description
    assert f"has the label {(index + 1) % 3}, planned is {index} ({label})" in description


def test_frames_of_another_clip_under_the_right_name_are_found(built: Built) -> None:
    damage.rewrite_shard(built, KEY, lambda records: [replace(records[0], images=records[1].images), *records[1:]])
    outcomes = audit(built)
    assert failed(outcomes) == {"shard_matches_source"}
    assert "frame 0 is" in outcomes["shard_matches_source"].description
    assert "dB from its source" in outcomes["shard_matches_source"].description


def test_frames_stored_at_a_lower_quality_than_asked_for_are_found(built: Built) -> None:
    from video_assets.media.images import decode_image, encode_images

    def worse(records: list[ClipRecord]) -> list[ClipRecord]:
        return [
            replace(r, images=encode_images(np.stack([decode_image(i) for i in r.images]), "jpeg", 30)) for r in records
        ]

    damage.rewrite_shard(built, KEY, worse)
    outcomes = audit(built)
    assert failed(outcomes) == {"shard_matches_source"}
    assert "are possible" in outcomes["shard_matches_source"].description


def test_a_shard_under_other_settings_fails(built: Built, built_at_another_size: Built) -> None:
    shutil.copy2(built_at_another_size.shard(KEY), built.shard(KEY))
    shutil.copy2(built_at_another_size.sidecar(KEY), built.sidecar(KEY))
    outcomes = audit(built)
    assert failed(outcomes) == set(SHARD_CHECKS)
    assert outcomes["shard_is_complete"].description == (
        f"{KEY} was written for another plan or under other settings; materialize it again"
    )
    assert "decodes to uint8 (5, 24, 24, 3); planned are frames of 32 pixels" in outcomes["shard_decodes"].description


def test_a_shard_that_is_not_there_fails_every_check_by_name(built: Built) -> None:
    built.shard(KEY).unlink()
    outcomes = audit(built)
    assert failed(outcomes) == set(SHARD_CHECKS)
    assert {outcome.description for outcome in outcomes.values()} == {
        f"clips-{KEY}.tfrecord is not there; materialize {KEY}"
    }


def test_a_record_without_frames_fails_and_breaks_nothing(built: Built) -> None:
    damage.rewrite_shard(
        built, KEY, lambda records: [replace(r, images=[], timestamps_us=r.timestamps_us[:0]) for r in records]
    )
    assert failed(audit(built)) == set(SHARD_CHECKS)


def test_frames_of_several_sizes_in_one_record_fail_and_break_nothing(
    built: Built, built_at_another_size: Built
) -> None:
    other = damage.records_of(built_at_another_size, KEY)
    damage.rewrite_shard(
        built,
        KEY,
        lambda records: [replace(records[0], images=[*records[0].images[:4], other[0].images[4]]), *records[1:]],
    )
    assert failed(audit(built)) == {"shard_decodes", "shard_matches_source"}


def test_a_record_that_is_no_example_fails_and_breaks_nothing(built: Built) -> None:
    from video_assets.records.framing import frame_record

    built.shard(KEY).write_bytes(frame_record(b"not an example"))
    assert failed(audit(built)) == set(SHARD_CHECKS)


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"clips": 1}'])
def test_a_sidecar_that_cannot_be_read_fails_every_check(built: Built, content: str) -> None:
    built.sidecar(KEY).write_text(content)
    outcomes = audit(built)
    assert failed(outcomes) == set(SHARD_CHECKS)
    assert outcomes["shard_is_complete"].description == (f"{KEY} has no readable sidecar; materialize the shard again")


def test_a_shard_of_an_older_plan_is_not_complete(built: Built) -> None:
    first = planned_ids(built)[0]

    def relabel(plan: pd.DataFrame) -> pd.DataFrame:
        plan.loc[plan["clip_id"] == first, "row_digest"] = "0" * 64
        plan.loc[plan["clip_id"] == first, "content_hash"] = "0" * 64
        return plan

    damage.edit_table(built.paths.plan, PLAN, relabel)
    assert failed(audit(built)) == {"shard_is_complete"}


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (
            Loss("crashed", "the decoding process ended twice: killed by SIGSEGV"),
            (
                'the decoding process ended twice: killed by SIGSEGV. If python -c "import tensorflow" fails too, '
                "install it again: pip install --force-reinstall tensorflow"
            ),
        ),
        (Loss("out_of_memory", "…"), "memory ran out. Give it more, or end what else takes it"),
        (Loss("timeout", "…"), "it took over an hour. See whether the disk answers"),
    ],
    ids=["crashed", "out_of_memory", "timeout"],
)
def test_a_process_that_does_not_read_fails_the_checks_and_blames_no_shard(
    built_once: Built, monkeypatch: pytest.MonkeyPatch, loss: Loss, told: str
) -> None:
    def give_up(_: object) -> None:
        raise VideoLost(loss)

    monkeypatch.setattr(shard, "read_shard", give_up)
    outcomes = audit(built_once)
    assert failed(outcomes) == set(SHARD_CHECKS)
    assert {outcome.description for outcome in outcomes.values()} == {
        f"nobody could read it, for the process that reads by TensorFlow gave up: {told}"
    }
    assert all(outcome.facts == {shard.NOT_READ: loss.reason} for outcome in outcomes.values())


def test_without_tensorflow_nothing_is_checked_and_no_shard_is_blamed(
    built_once: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    words = "no shard can be checked, for TensorFlow cannot be imported: .*Install it again: pip install"
    with pytest.raises(BuildRefused, match=words):
        audit(built_once)


def test_no_more_shards_are_read_ahead_than_there_are_processes(
    built_once: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard, "read_shard", repr)
    plan, begun = read_plan(built_once.paths), 0

    def audits() -> Iterator[ShardAudit]:
        nonlocal begun
        while begun < 19:
            begun += 1
            yield ShardAudit(built_once.paths, plan, KEY, LIMITS, lambda *_: InThisProcess())

    ahead = [
        begun - number for number, _ in enumerate(read_ahead(audits(), lambda *_: lambda: DecodingPool(1)), start=1)
    ]
    assert ahead == [1] * 18 + [0]


def test_a_source_that_is_gone_is_a_warning_that_says_so(built: Built, tmp_path: Path) -> None:
    shard = audit_of(built.paths, KEY, None)
    shard.plan.pinned.source = str(tmp_path / "nowhere")
    outcome = shard.run("shard_matches_source")
    assert (outcome.passed, outcome.makes_invalid) == (False, False)
    assert outcome.description.startswith(f"the source {tmp_path}/nowhere is not there, so nothing could be compared")
