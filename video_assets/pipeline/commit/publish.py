"""Make a commit visible: all that readers open, in one step, with the checksums of all of it."""

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from video_assets.domain.errors import SettingsError
from video_assets.pipeline.dataset_state import committed_plan_digest
from video_assets.storage.addresses import ask_each, is_remote
from video_assets.storage.failures import named_failures
from video_assets.storage.files import (
    file_sha256,
    read_if_there,
    remove_tree,
    sha256_if_there,
    sync_directory,
    temporary_beside,
    write_bytes,
    write_if_changed,
    write_link,
)
from video_assets.storage.paths import DatasetPaths, VersionPaths, commit_name, parse_partition_key
from video_assets.storage.sidecars import ABSENT, Checksums, Sidecar, read_checksums

EARLIER = "earlier"
"""The commit that was there before commits had folders: its files stood in the version directory themselves."""


@dataclass(frozen=True, slots=True)
class CommitPlace:
    """Where a commit's files go: into the folder `commits/<name>`; or, without a name, to where they are read."""

    name: str
    is_new: bool

    @property
    def folder(self) -> str:
        """Return the folder, relative to the version directory; empty without one."""
        return f"commits/{self.name}" if self.name else ""


IN_PLACE = CommitPlace("", is_new=False)


def commit_place(paths: VersionPaths, plan_digest: str) -> CommitPlace:
    """Return where the commit of a plan goes.

    A commit has a folder of its own, named after its plan, so that one link makes all of it visible in one step. What
    was committed is written again in its place. Without links, in a store, files are replaced one by one.
    """
    current = paths.current_commit()
    if committed_plan_digest(paths) == plan_digest:
        return CommitPlace(current, is_new=False)
    if is_remote(paths.directory) or not (current or _has_links(paths.directory)):
        return IN_PLACE
    name = commit_name(plan_digest)
    return CommitPlace(f"{name}-again" if name == current else name, is_new=True)


def _has_links(directory: Path) -> bool:
    probe = temporary_beside(directory / "current")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.symlink_to("nothing")
    except OSError:
        return False
    probe.unlink()
    return True


def publish(
    paths: VersionPaths, contents: Mapping[str, bytes], sidecars: Mapping[str, Sidecar], place: CommitPlace = IN_PLACE
) -> bool:
    """Make files the committed ones, with the checksums of all; return whether `dataset_info.json` changed.

    `contents` has them by their paths in the version directory, the one that readers begin with last.
    """
    if not place.is_new:
        return _write_in_place(paths, contents, sidecars)
    _write_folder(paths, contents, sidecars, place.name)
    _link_names(paths, {Path(path).parts[0] for path in contents} | {paths.checksums.name})
    write_link(paths.current, Path("commits", place.name))
    return True


def _write_folder(
    paths: VersionPaths, contents: Mapping[str, bytes], sidecars: Mapping[str, Sidecar], name: str
) -> None:
    """Write a commit's folder, which nobody sees yet, with links to its shards: a pattern there matches no others."""
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in contents.items()}
    files = {**contents, paths.checksums.name: Checksums(_shard_checksums(paths, sidecars) | digests).to_bytes()}
    folder, temporary = paths.commit(name), temporary_beside(paths.commit(name))
    for path, data in files.items():
        write_bytes(temporary / path, data)
    with named_failures(folder):
        for key in sidecars:
            shard = paths.shard(*parse_partition_key(key)).name
            (temporary / shard).symlink_to(Path("..", "..", shard))
        sync_directory(temporary)
        remove_tree(folder)  # of a build that was killed before anybody saw it
        temporary.replace(folder)
        sync_directory(paths.commits)


def _link_names(paths: VersionPaths, names: Iterable[str]) -> None:
    """Let the names that readers open be links through the current commit. What they show does not change."""
    loose = [paths.directory / name for name in sorted(names) if not (paths.directory / name).is_symlink()]
    if any(path.exists() for path in loose) and not paths.current.is_symlink():
        _adopt(paths, [path for path in loose if path.exists()])
    for path in loose:
        if path.is_dir():  # a folder cannot be replaced by a link in one step
            aside = temporary_beside(path)
            path.replace(aside)
            write_link(path, Path(paths.current.name, path.name))
            remove_tree(aside)
        else:
            write_link(path, Path(paths.current.name, path.name))


def _adopt(paths: VersionPaths, present: Iterable[Path]) -> None:
    """Give the commit whose files are in the version directory itself a folder, and make it the current one."""
    if paths.current.exists():  # a copy of a dataset that was made without keeping links
        remove_tree(paths.current)
    temporary = temporary_beside(paths.commit(EARLIER))
    for path in present:
        if path.is_dir():
            shutil.copytree(path, temporary / path.name)
        else:
            temporary.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, temporary / path.name)
    remove_tree(paths.commit(EARLIER))
    temporary.replace(paths.commit(EARLIER))
    write_link(paths.current, Path("commits", EARLIER))


def _write_in_place(paths: VersionPaths, contents: Mapping[str, bytes], sidecars: Mapping[str, Sidecar]) -> bool:
    """Replace files, the last one of those given last; return whether that one changed.

    `checksums.json` is written twice: before, when it also allows what is there now, and after. So at no moment, also
    not after a kill, is a whole file taken for damaged.
    """
    wanted = {path: hashlib.sha256(data).hexdigest() for path, data in contents.items()}
    known = read_checksums(paths.checksums)
    places = {path: _behind_links(paths.directory / path) for path in wanted}
    checksums = _behind_links(paths.checksums)
    found = ask_each(paths.directory, sha256_if_there, places.values())
    now = {path: sha256 or ABSENT for path, sha256 in zip(places, found, strict=True)}
    # What is there now may be allowed only if it was right: a commit must not bless damage.
    before = {
        path: digest
        for path, digest in now.items()
        if digest != wanted[path] and (known is None or path not in known.files or known.allows(path, digest))
    }
    files = _shard_checksums(paths, sidecars) | wanted
    if before:
        write_if_changed(checksums, Checksums(files, before).to_bytes())
    *others, last = contents

    def write(path: str) -> bool:
        return now[path] != wanted[path] and write_if_changed(places[path], contents[path])

    ask_each(paths.directory, write, others)
    was_changed = write(last)
    write_if_changed(checksums, Checksums(files).to_bytes())
    return was_changed


def _behind_links(path: Path) -> Path:
    """Return the file that a path leads to: to write to a link would put a file in its place."""
    return path if is_remote(path) else path.resolve()


def write_text_indexes(paths: VersionPaths, indexes: Mapping[str, bytes]) -> None:
    """Write the text indexes of shards, which stay what they are as long as their shards do."""
    ask_each(paths.directory, lambda name: write_if_changed(paths.directory / name, indexes[name]), indexes)


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
    tables = paths.known_tables()
    for table, data in zip(tables, ask_each(paths.directory, read_if_there, tables), strict=True):
        if data is not None:
            yield str(copies / table.relative_to(paths.directory)), data
