"""Script: build the planned shards of a root on two Ray nodes. Prints the reports, and what a node imported, as JSON.

python -m video_assets_tests.engines.build_on_ray ROOT
"""

import json
import logging
import sys
from functools import partial
from pathlib import Path

import ray

from video_assets.media.workers.pool import DecodingPool
from video_assets.pipeline.shards.pending import shards_to_build
from video_assets.pipeline.shards.ray_engine import RayEngine
from video_assets.pipeline.shards.stage import build_shards
from video_assets.settings import DEFAULT_LIMITS
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.engines.cluster import ray_nodes


@ray.remote(num_cpus=1)
def heavy_modules() -> list[str]:
    """Of a worker that built shards, if it is one that did."""
    return [name for name in ("dagster", "tensorflow") if name in sys.modules]


def main(root: str) -> int:
    """Builds all that is missing."""
    paths, limits = DatasetPaths(Path(root), "clips"), DEFAULT_LIMITS
    with ray_nodes([1, 1]) as (address, _):
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)  # the engine uses this connection
        keys = shards_to_build(paths)
        reports = list(build_shards(paths, keys, limits, partial(DecodingPool, 1), engine=RayEngine(address=address)))
        imported = sorted({name for names in ray.get([heavy_modules.remote() for _ in range(2)]) for name in names})
        ray.shutdown()
    print(json.dumps({"reports": [{"key": r.key, "error": r.error} for r in reports], "imported": imported}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
