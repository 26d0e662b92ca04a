"""Shards that are no longer part of the dataset: their files stay for a while after the commit."""

import time
from collections.abc import Collection

from video_assets.storage.files import write_text
from video_assets.storage.paths import VersionPaths, parse_shard_file_name, partition_key


def remove_retired(version_paths: VersionPaths, live: Collection[str], grace_minutes: float) -> list[str]:
    """Removes shard files that the plan no longer holds, once they have been retired for long enough.

    The first commit without a shard replaces its sidecar by a marker, whose age counts. The marker goes last, and one
    whose file is gone already (the commit before was killed) goes now.
    """
    removed: list[str] = []
    for marker in version_paths.retired_markers():
        if not version_paths.shard(*marker).exists():
            version_paths.retired_marker(*marker).unlink()
    for path in sorted(version_paths.directory.iterdir()):
        parsed = parse_shard_file_name(path.name)
        if parsed is None or parsed[0] != version_paths.name or partition_key(*parsed[1:]) in live:
            continue
        marker = version_paths.retired_marker(*parsed[1:])
        version_paths.sidecar(*parsed[1:]).unlink(missing_ok=True)
        if not marker.exists():
            write_text(marker, "retired\n")
        # The age whichever way the clock went: a marker of the future must not stay until then.
        if abs(time.time() - marker.stat().st_mtime) >= grace_minutes * 60:
            version_paths.text_index(*parsed[1:]).unlink(missing_ok=True)
            path.unlink()
            marker.unlink()
            removed.append(partition_key(*parsed[1:]))
    return removed
