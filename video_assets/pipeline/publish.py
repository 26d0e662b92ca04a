"""What readers open, swapped at a commit, and the checksums of all of it."""

import hashlib
from collections.abc import Iterable, Mapping

from video_assets.domain.errors import SettingsError
from video_assets.storage.addresses import ask_each
from video_assets.storage.checksums import ABSENT, Checksums, read_checksums
from video_assets.storage.files import file_sha256, sha256_if_there, write_if_changed
from video_assets.storage.paths import DatasetPaths, VersionPaths, parse_partition_key
from video_assets.storage.sidecars import Sidecar


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
