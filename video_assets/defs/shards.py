"""The shards of a split: one partition each."""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import dagster as dg

from video_assets.defs import metadata
from video_assets.defs.assets import CODE_VERSION, CONVERSION, GROUP, OWNERS
from video_assets.defs.failures import shown_as_failure, tried_again
from video_assets.defs.metadata import shard_sheet
from video_assets.defs.reporting import Reporting
from video_assets.defs.resources import Dataset, Decoding, Engine
from video_assets.domain.progress import after_first
from video_assets.domain.splits import Split
from video_assets.domain.text import sequence_of
from video_assets.pipeline.noted_settings import manifest_settings
from video_assets.pipeline.plan.table import live_shards, read_plan
from video_assets.pipeline.shards.pending import SHARDS_PER_RUN
from video_assets.pipeline.shards.stage import ShardReport, build_shards
from video_assets.pipeline.write_locks import writing_shards
from video_assets.reader.kernels import kernels_meanwhile
from video_assets.report.escape import shown
from video_assets.storage.paths import VersionPaths

DATA_VERSION_TAG = "dagster/data_version"
_RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)
"""What may pass (a full disk, a lost mount) is tried again; finished shards are not. A bad video never raises."""


def shards_asset(
    split: Split, partitions: dg.DynamicPartitionsDefinition, shards_per_run: int = SHARDS_PER_RUN
) -> dg.AssetsDefinition:
    """The shards of one split."""

    @dg.asset(
        name=f"{split}_shards",
        deps=["plan"],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(shards_per_run),
        description=f"TFRecord shards of {split}, one partition each. A shard whose file already has the planned "
        "fingerprint is left as it is; one that fails does not stop the others."
        + (" No partitions unless splits.val_fraction, or a table, asks for val." if split == "val" else ""),
        group_name=GROUP,
        kinds={"tfrecord", "pyav"},
        owners=OWNERS,
        tags=CONVERSION,
        code_version=CODE_VERSION,
        pool="video_shards",
    )
    def shards(
        context: dg.AssetExecutionContext, dataset: Dataset, decoding: Decoding, engine: Engine, reporting: Reporting
    ) -> Iterator[dg.MaterializeResult]:
        """Converts the planned clips of the selected shards."""
        with tried_again(context, _RETRIES):
            yield from _converted(context, split, dataset, decoding, engine, reporting)

    return shards


def _converted(
    context: dg.AssetExecutionContext,
    split: Split,
    dataset: Dataset,
    decoding: Decoding,
    engine: Engine,
    reporting: Reporting,
) -> Iterator[dg.MaterializeResult]:
    begun = time.monotonic()
    done: list[ShardReport] = []
    failed: list[ShardReport] = []
    with (
        shown_as_failure(),
        writing_shards(paths := dataset.paths(), f"{split}_shards"),
        kernels_meanwhile() as begin_loading,
    ):
        limits = manifest_settings(paths).limits
        plan = read_plan(paths)
        selected, planned = set(context.partition_keys), set(live_shards(plan.rows))
        keys = sorted(selected & planned)
        if superseded := sorted(selected - planned):
            context.log.info("left out, for a newer plan has put others in their place: %s", sequence_of(superseded))
        # The checks of this run need it. Not before the first clip is there: decoding processes start before that.
        progress = after_first(begin_loading, reporting.progress(context))
        make_pool, shard_engine = decoding.make_pool(limits), engine.shard_engine()
        for report in build_shards(paths, keys, limits, make_pool, progress, plan, engine=shard_engine):
            if report.error:
                context.log.error(shown(report.error))
                failed.append(report)
                continue
            # At once, so that a run that fails or is killed later keeps what it finished.
            context.log_event(_materialization(context, report))
            done.append(report)
    rate = _clips_per_second(done, time.monotonic() - begun)
    pictured = partial(_pictured, context, paths.version(plan.pinned.version), plan.labels, rate)
    if failed:
        for report in done:
            context.log_event(pictured(report))
        raise dg.Failure(
            description=f"{len(failed)} of {len(keys)} shards failed; the others are stored. "
            + "; ".join(shown(report.error) for report in failed[:5]),
            metadata={"failed": [report.key for report in failed]},
        )
    yield dg.MaterializeResult()
    # Dagster has just written an event of its own for each key, with one data version for all of them.
    for report in done:
        context.log_event(pictured(report))


def _clips_per_second(done: Sequence[ShardReport], seconds: float) -> float:
    encoded = sum(report.sidecar.records for report in done if report.sidecar and not report.was_reused)
    return round(encoded / seconds, 2)


def _pictured(
    context: dg.AssetExecutionContext, paths: VersionPaths, labels: list[str], rate: float, report: ShardReport
) -> dg.AssetMaterialization:
    """The shard's last event of the run, which is the one that is shown; only this one has its picture."""
    sheet = shard_sheet(report, paths, labels)
    return _materialization(context, report, {"run_clips_per_second": rate, **sheet})


def _materialization(
    context: dg.AssetExecutionContext, report: ShardReport, more: Mapping[str, Any] | None = None
) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key=context.asset_key,
        partition=report.key,
        metadata={**metadata.of_shard(report), **(more or {})},
        tags={DATA_VERSION_TAG: report.fingerprint},
    )
