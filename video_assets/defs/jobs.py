"""Jobs: the whole build, the plan, a chunk of shards, the commit, the nightly verification, and the pruning."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg

from video_assets.defs.asset_checks import dataset_evaluation, shard_evaluation
from video_assets.defs.graph import BUILD_JOB, COMMIT_JOB, PLAN_JOB, PRUNE_JOB, VERIFY_JOB, DatasetGraph
from video_assets.defs.prune import prune
from video_assets.defs.step_failures import errors_as_failures
from video_assets.domain.checks import CheckOutcome
from video_assets.domain.splits import SPLITS, Split
from video_assets.pipeline.dataset_state import committed_plan_digest, committed_records
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.pipeline.shards.pending import read_backlog, rotating_sample
from video_assets.storage.paths import parse_partition_key

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


def verify_job(graph: DatasetGraph) -> dg.JobDefinition:
    """Return the job that verifies some committed shards, so that bit rot is found before a training run finds it."""

    @dg.op(
        name=graph.name(VERIFY_OP),
        description="Checks the committed shards whose turn it is, as their asset checks do.",
        required_resource_keys=graph.needs("dataset", "decoding"),
    )
    def verify_sampled_shards(
        context: dg.OpExecutionContext, config: VerifyConfig
    ) -> Iterator[dg.AssetCheckEvaluation | dg.Output]:
        with errors_as_failures():
            steps = graph.dataset_of(context).steps(graph.decoding_of(context))
            plan = read_plan(steps.paths)
            records = committed_records(steps.paths.version(plan.pinned.version))
            committed = [key for key in plan.fingerprints() if records.get(key)]
            chosen = rotating_sample(committed, day_number=config.day_number, num_days=DAYS_PER_ROUND)
            checker = steps.checker(plan)
            outcomes = [outcome for of_shard in checker.check(chosen) for outcome in of_shard]
            is_committed = read_backlog(steps.paths).plan_digest == committed_plan_digest(
                steps.paths.version(plan.pinned.version)
            )
            of_dataset = steps.check_dataset() if is_committed else []
        for outcome in outcomes:
            asset = graph.shards_key(parse_partition_key(outcome.target)[0])
            context.log_event(shard_evaluation(context.instance, asset, outcome))  # pyright: ignore[reportArgumentType]  (it takes them)
        for outcome in of_dataset:  # a dataset with a damaged shard is not well, and shows it
            context.log_event(dataset_evaluation(context.instance, graph.key("dataset"), outcome))  # pyright: ignore[reportArgumentType]
        failed = [outcome for outcome in outcomes if not outcome.passed]
        if failed:
            raise dg.Failure(description=_damage(failed), allow_retries=False)
        yield dg.Output(None, metadata={"shards_verified": len(chosen), "shards_committed": len(committed)})

    @dg.job(
        name=graph.name(VERIFY_JOB),
        description="Verifies a rotating sample of the committed shards.",
        tags=graph.run_tags,
        executor_def=dg.in_process_executor,
    )
    def verify_shards() -> None:
        verify_sampled_shards()

    return verify_shards


def prune_job(graph: DatasetGraph) -> dg.JobDefinition:
    """Return the job that prunes Dagster's history of the dataset."""

    @dg.op(
        name=graph.name("prune_old_runs"),
        description="Deletes old finished runs of the dataset with their events and logs, as dataset.history_runs and "
        "dataset.history_days say; what holds the newest event of an asset, a partition or a check stays.",
        required_resource_keys=graph.needs("dataset"),
    )
    def prune_old_runs(context: dg.OpExecutionContext) -> dg.Output[None]:
        with errors_as_failures():
            paths = graph.dataset_of(context).paths()
            report = prune(context.instance, graph, paths, graph.settings_of({}, paths).dataset)
        return dg.Output(None, metadata=asdict(report))

    @dg.job(
        name=graph.name(PRUNE_JOB),
        description="Prunes Dagster's history of the dataset.",
        tags=graph.run_tags,
        executor_def=dg.in_process_executor,
    )
    def prune_history() -> None:
        prune_old_runs()

    return prune_history


def _damage(failed: Sequence[CheckOutcome]) -> str:
    named = "; ".join(f"{outcome.target}: {outcome.description}" for outcome in failed[:5])
    keys = sorted({outcome.target for outcome in failed})
    return f"{len(keys)} committed shards are damaged: {named}. {_REMEDY}"


def dataset_jobs(graph: DatasetGraph) -> list[Any]:
    """Return the jobs over the dataset's assets.

    Each runs its steps in one process: parallelism is the pool of decoding processes, and a process for each step
    would pay for its imports.
    """
    planning = [graph.key("manifest"), *graph.split_keys, graph.key("plan")]
    dataset = graph.key("dataset")
    selections: dict[str, tuple[Sequence[dg.AssetKey], str]] = {
        BUILD_JOB: ([*planning, dataset], "Builds or grows the dataset in one run: plan, shards, checks and commit."),
        PLAN_JOB: (planning, "Looks at the source and plans what is new."),
        **{
            shards_job_name(split): ([graph.shards_key(split)], f"Encodes a range of shards of {split}.")
            for split in SPLITS
        },
        COMMIT_JOB: ([dataset], "Makes the planned shards the dataset."),
    }
    return [
        dg.define_asset_job(
            graph.name(job),
            selection=dg.AssetSelection.assets(*keys),
            description=description,
            tags=graph.run_tags,
            executor_def=dg.in_process_executor,
        )
        for job, (keys, description) in selections.items()
    ]
