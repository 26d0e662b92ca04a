"""`video-assets repair` as a command: one writer at a time, its decoding processes, and what it prints."""

import time
from functools import partial
from pathlib import Path
from typing import Any

from video_assets.media.kept_pools import kept_pools
from video_assets.media.pool import PoolMaker, num_cores
from video_assets.pipeline.jobs import open_pool
from video_assets.pipeline.repair import repair_dataset
from video_assets.pipeline.settings import SourceSettings
from video_assets.pipeline.writing import building
from video_assets.storage.paths import DatasetPaths


def run_repair(paths: DatasetPaths, source: Path | None, *, num_workers: int = 0) -> dict[str, Any]:
    """Repairs a dataset; gives the JSON object of `--json`.

    Raises:
        SettingsError: if there is no such dataset.
        LockHeld: if somebody else is writing it.
        BuildRefused: if nothing was planned yet.
    """
    paths.refuse_missing()
    begun = time.monotonic()

    def pools_for(settings: SourceSettings) -> PoolMaker:
        return partial(open_pool, num_workers or num_cores(), settings.limits)

    with building(paths, "video-assets repair"), kept_pools():
        report = repair_dataset(paths, source, pools_for)
    return {
        "directory": str(paths.directory),
        "damaged": [item.sentence for item in report.damaged],
        "repaired": [str(path.relative_to(paths.directory)) for path in report.repaired],
        "shards_rebuilt": report.shards_rebuilt,
        "not_repaired": [
            {"file": str(path.relative_to(paths.directory)), "reason": reason} for path, reason in report.failed.items()
        ],
        "seconds": round(time.monotonic() - begun, 3),
    }
