"""Swap what readers open, with the checksums of all of it; remove retired shards later."""

import hashlib
import time
from collections.abc import Collection, Iterable, Mapping

from video_assets.domain.errors import SettingsError
from video_assets.storage.addresses import ask_each
from video_assets.storage.files import file_sha256, sha256_if_there, write_if_changed, write_text
from video_assets.storage.paths import (
    DatasetPaths,
    VersionPaths,
    parse_partition_key,
    parse_shard_file_name,
    partition_key,
)
from video_assets.storage.sidecars import ABSENT, Checksums, Sidecar, read_checksums


def publish(paths: VersionPaths, contents: Mapping[str, bytes], sidecars: Mapping[str, Sidecar]) -> bool:
    """Writes files of a version in the order given, the one that readers begin with last; says if that one changed.

    `contents` has them by their paths in the version directory. `checksums.json` is written twice: before, when it
    also allows what is there now, and after. So at no moment, also not after a kill, is a whole file taken for damaged.
    """
    wanted = {path: hashlib.sha256(data).hexdigest() for path, data in contents.items()}
    known = read_checksums(paths.checksums)
    places = {path: paths.directory / path for path in wanted}
    now = {path: sha256_if_there(place) or ABSENT for path, place in places.items()}
    # What is there now may be allowed only if it was right: a commit must not bless damage.
    before = {
        path: digest
        for path, digest in now.items()
        if digest != wanted[path] and (known is None or path not in known.files or known.allows(path, digest))
    }
    files = _shard_checksums(paths, sidecars) | wanted
    if before:
        write_if_changed(paths.checksums, Checksums(files, before).to_bytes())
    was_changed = [write_if_changed(paths.directory / path, data) for path, data in contents.items()]
    write_if_changed(paths.checksums, Checksums(files).to_bytes())
    return was_changed[-1]


def _shard_checksums(paths: VersionPaths, sidecars: Mapping[str, Sidecar]) -> dict[str, str]:
    # Listed once: in a store, where each listing is of everything, once for each shard is hours.
    names = {path.name for path in paths.directory.iterdir()}
    places = {key: parse_partition_key(key) for key in sidecars}
    beside = [paths.sidecar(*place) for place in places.values()]
    beside += [index for place in places.values() if (index := paths.text_index(*place)).name in names]
    digests = ask_each(paths.directory, file_sha256, beside)
    found = {paths.shard(*places[key]).name: sidecar.sha256 for key, sidecar in sidecars.items()}
    found |= {str(path.relative_to(paths.directory)): sha for path, sha in zip(beside, digests, strict=True)}
    return found


def text_indexes(paths: VersionPaths, sidecars: Mapping[str, Sidecar], *, is_asked_for: bool) -> dict[str, bytes]:
    """A text index of each shard, if they are asked for or the dataset has any; by their paths in the directory.

    A line `offset size` for each record, framing included; source: what DALI's `tfrecord2idx` and the `tfrecord2idx` of
    PyTorch's tfrecord package write.

    Raises:
        SettingsError: if they are asked for in a layout whose shards are compressed: these readers cannot seek in them.
    """
    layouts = {str(sidecar.encoding["layout"]) for sidecar in sidecars.values()}
    if "movinets_helper" in layouts:
        if is_asked_for:
            raise SettingsError(
                "dataset.text_index is true, but plan.encoding.layout is movinets_helper, whose shards are GZIP: DALI "
                "and PyTorch read uncompressed ones only. Set it to false (index.parquet has every record's place), or "
                "choose the layout tfds or sequence_example."
            )
        return {}
    if not is_asked_for and not any(paths.directory.glob("*.idx")):
        return {}
    return {
        paths.text_index(*parse_partition_key(key)).name: b"".join(
            b"%d %d\n" % (clip.offset, clip.length) for clip in sidecar.clips
        )
        for key, sidecar in sidecars.items()
    }


def copied_tables(paths: DatasetPaths, version_paths: VersionPaths) -> Iterable[tuple[str, bytes]]:
    """The dataset's tables as they are now, by the places of their copies in the version directory.

    Plans, splits and labels depend on all that was planned before: no source could give them back.
    """
    copies = version_paths.tables.relative_to(version_paths.directory)
    for table in paths.tables():
        yield str(copies / table.relative_to(paths.directory)), table.read_bytes()


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
