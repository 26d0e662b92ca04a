"""Jobs: the plan, a chunk of shards, the commit, and the nightly verification."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from video_assets.defs.checks import dataset_evaluation, shard_evaluation
from video_assets.defs.failures import shown_as_failure
from video_assets.defs.resources import Dataset, Decoding
from video_assets.domain.checks import CheckOutcome
from video_assets.domain.splits import SPLITS, Split
from video_assets.pipeline.dataset_state import committed_lengths, committed_plan_digest
from video_assets.pipeline.plan.table import read_plan
from video_assets.pipeline.shards.pending import read_backlog, rotating_sample
from video_assets.storage.paths import parse_partition_key

PLAN_JOB, COMMIT_JOB, VERIFY_JOB = "plan_dataset", "commit_dataset", "verify_shards"
VERIFY_OP = "verify_sampled_shards"
_REMEDY = "The sensor missing_shards asks for them again; without it, materialize these partitions."
DAYS_PER_ROUND = 30
"""Every committed shard is verified once in so many nights."""


def shards_job_name(split: Split) -> str:
    """The job that encodes a chunk of one split's shards."""
    return f"encode_{split}_shards"


class VerifyConfig(dg.Config):
    """Which shards to verify."""

    day_number: int = 0
    """Shards take turns: in thirty days each of them comes once."""


@dg.op(name=VERIFY_OP, description="Checks the committed shards whose turn it is, as their asset checks do.")
def verify_shards_op(
    context: dg.OpExecutionContext, config: VerifyConfig, dataset: Dataset, decoding: Decoding
) -> Iterator[dg.AssetCheckEvaluation | dg.Output]:
    """Bit rot is found before a training run finds it."""
    with shown_as_failure():
        paths = dataset.paths()
        plan = read_plan(paths)
        lengths = committed_lengths(paths.version(plan.pinned.version))
        committed = [key for key in plan.fingerprints() if _is_committed(lengths, key)]
        chosen = rotating_sample(committed, day_number=config.day_number, num_days=DAYS_PER_ROUND)
        checker = dataset.steps(decoding).checker(plan)
        outcomes = [outcome for key in chosen for outcome in checker.check(key)]
        is_committed = read_backlog(paths).plan_digest == committed_plan_digest(paths.version(plan.pinned.version))
        of_dataset = dataset.steps(decoding).check_dataset() if is_committed else []
    for outcome in outcomes:
        asset = f"{parse_partition_key(outcome.target)[0]}_shards"
        context.log_event(shard_evaluation(context.instance, asset, outcome))  # pyright: ignore[reportArgumentType]  (it takes them)
    for outcome in of_dataset:  # a dataset with a damaged shard is not well, and shows it
        context.log_event(dataset_evaluation(context.instance, outcome))  # pyright: ignore[reportArgumentType]
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if failed:
        raise dg.Failure(description=_damage(failed), allow_retries=False)
    yield dg.Output(None, metadata={"shards_verified": len(chosen), "shards_committed": len(committed)})


def _is_committed(lengths: Mapping[str, Sequence[int]], key: str) -> bool:
    split, index = parse_partition_key(key)
    known = lengths.get(split, [])
    return index < len(known) and known[index] > 0


def _damage(failed: Sequence[CheckOutcome]) -> str:
    named = "; ".join(f"{outcome.target}: {outcome.description}" for outcome in failed[:5])
    keys = sorted({outcome.target for outcome in failed})
    return f"{len(keys)} committed shards are damaged: {named}. {_REMEDY}"


def dataset_jobs() -> list[Any]:
    """Jobs over the assets."""
    plan_assets = dg.AssetSelection.assets("manifest", *(f"{split}_split" for split in SPLITS), "plan")
    shards = [
        dg.define_asset_job(
            shards_job_name(split),
            selection=dg.AssetSelection.assets(f"{split}_shards"),
            description=f"Encodes a range of shards of {split}.",
        )
        for split in SPLITS
    ]
    return [
        dg.define_asset_job(PLAN_JOB, selection=plan_assets, description="Looks at the source and plans what is new."),
        *shards,
        dg.define_asset_job(
            COMMIT_JOB,
            selection=dg.AssetSelection.assets("dataset"),
            description="Makes the planned shards the dataset.",
        ),
    ]


@dg.job(name=VERIFY_JOB, description="Verifies a rotating sample of the committed shards.")
def verify_shards() -> None:
    """One step."""
    verify_shards_op()
