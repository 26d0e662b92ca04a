"""Open the videos of a first build while the rest of the program is still being loaded."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from video_assets.domain.limits import Limits
from video_assets.media.pool import num_cores
from video_assets.pipeline.jobs import open_pool
from video_assets.pipeline.probing import ProbeJob, probe_file
from video_assets.storage.addresses import is_remote, stat_file
from video_assets.storage.listing import VIDEO_SUFFIXES
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.sources import is_table

_MAX_AHEAD = 256
"""What two cores can open meanwhile; their results wait in memory."""


def probe_ahead(source: Path, paths: DatasetPaths, num_workers: int) -> None:
    """Begins to hash and probe videos of a folder, under the limits that are the defaults. Within `kept_pools`.

    It decides nothing: the manifest lists the source itself, and takes a result only if it would have asked for just
    that job, so a file that has changed since is opened again. A dataset that knows videos opens few; it needs no help.
    """
    if is_remote(source) or is_remote(paths.root) or is_table(source) or paths.manifest.exists():
        return
    source, limits = source.absolute(), Limits()
    with open_pool(num_workers or num_cores(), limits) as pool:
        pool.begin(probe_file, islice(_jobs(source, limits), _MAX_AHEAD))


def _jobs(source: Path, limits: Limits) -> Iterator[ProbeJob]:
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if name.startswith(".") or path.suffix.lower() not in VIDEO_SUFFIXES:
                continue
            try:
                file = stat_file(path, path.relative_to(source).as_posix())
            except OSError:  # the listing names it
                continue
            yield ProbeJob(source, file, limits)
