"""Names of a dataset's files, made and parsed only here."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import SPLITS, Split, split_named
from video_assets.storage.addresses import is_remote, state_directory

FIRST_VERSION = "1.0.0"
FILEPATH_TEMPLATE = "{DATASET}-{SPLIT}-{SHARD_INDEX}.{FILEFORMAT}"
"""The same rule as `shard_file_name`, for tensorflow-datasets."""
_SPLIT = "|".join(SPLITS)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
# Strict, so that each name has one spelling: "00.1.0", "train-000007" and digits of other scripts do not match.
_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
_INDEX = r"(?:[0-9]{5}|[1-9][0-9]{5,17})"
_VERSION = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})")
_PARTITION_KEY = re.compile(rf"({_SPLIT})-({_INDEX})")
_COMMIT = re.compile(r"[0-9a-z-]+")
_SHARD_FILE = re.compile(rf"(?P<name>[a-z][a-z0-9_]*)-(?P<split>{_SPLIT})-(?P<index>{_INDEX})\.tfrecord")


def partition_key(split: Split, shard_index: int) -> str:
    """Return the Dagster partition key of a shard.

    >>> partition_key("train", 7)
    'train-00007'
    """
    return f"{split}-{shard_index:05d}"


def parse_partition_key(key: str) -> tuple[Split, int]:
    """Return split and index of a partition key.

    Raises:
        SettingsError: If it is not a partition key.
    """
    match = _PARTITION_KEY.fullmatch(key)
    if match is None:
        raise SettingsError(f"{key!r} is not a shard; shards are named like {partition_key('train', 7)!r}")
    return split_named(match[1]), int(match[2])


def keys_of_split(keys: Iterable[str], split: Split) -> list[str]:
    """Return the partition keys that belong to a split, in their order.

    Raises:
        SettingsError: If one of them is not a partition key.
    """
    return [key for key in keys if parse_partition_key(key)[0] == split]


def shard_file_name(dataset_name: str, split: Split, shard_index: int) -> str:
    """Return a shard's file name.

    >>> shard_file_name("clips", "test", 3)
    'clips-test-00003.tfrecord'
    """
    return f"{dataset_name}-{partition_key(split, shard_index)}.tfrecord"


def parse_shard_file_name(file_name: str) -> tuple[str, Split, int] | None:
    """Return dataset name, split and index of a shard's file name, or None if it is not one."""
    match = _SHARD_FILE.fullmatch(file_name)
    if match is None:
        return None
    return match["name"], split_named(match["split"]), int(match["index"])


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Return the three numbers of a version directory's name, or None if it is not one."""
    match = _VERSION.fullmatch(text)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


def commit_name(plan_digest: str) -> str:
    """Return the name of the folder of a plan's commit."""
    return plan_digest[:16]


def next_version(version: str) -> str:
    """Return the version after this one for a dataset whose records change: the first number goes up.

    >>> next_version("1.0.0")
    '2.0.0'
    """
    numbers = parse_version(version)
    if numbers is None:
        raise SettingsError(f"{version!r} is not a version; versions look like {FIRST_VERSION}")
    return f"{numbers[0] + 1}.0.0"


def refuse_name(name: str) -> None:
    """Refuse a dataset's name that tensorflow-datasets would not accept.

    Raises:
        SettingsError: If it would not.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"the dataset's name is {name!r}; it must begin with a small letter and hold only "
            "small letters, digits and underscores (tensorflow-datasets' rule)"
        )


@dataclass(frozen=True, slots=True)
class DatasetPaths:
    """The paths of one dataset.

    Raises:
        SettingsError: On construction, if tensorflow-datasets would not accept the name.
    """

    root: Path
    name: str
    committed: str = ""
    """A version, of whose commit the tables are; empty: the tables as they are now."""

    def __post_init__(self) -> None:
        refuse_name(self.name)

    @property
    def directory(self) -> Path:
        """Return the directory that holds everything."""
        return self.root / self.name

    def refuse_missing(self) -> None:
        """Refuse to go on if the dataset does not exist.

        Raises:
            SettingsError: If it does not.
        """
        if not self.directory.is_dir():
            raise SettingsError(f"there is no dataset {self.name} in {self.root}; build it first, or name another root")

    @property
    def manifest(self) -> Path:
        """One row per clip."""
        return self._tables / "manifest.parquet"

    @property
    def left_out(self) -> Path:
        """One row per file of the source that is not used as a video."""
        return self._tables / "left_out.parquet"

    @property
    def arrivals(self) -> Path:
        """What the new-videos sensor saw in the source last."""
        return self.directory / "arrivals.parquet"

    @property
    def quarantine(self) -> Path:
        """One row per clip that could not be used."""
        return self._tables / "quarantine.parquet"

    @property
    def labels(self) -> Path:
        """One class per line, in index order."""
        return self._tables / "labels.txt"

    def split(self, split: Split) -> Path:
        """Return the table of one split's clips."""
        return self._tables / "splits" / f"{split}.parquet"

    @property
    def split_history(self) -> Path:
        """The split of every group and content ever seen."""
        return self._tables / "splits" / "history.parquet"

    @property
    def plan(self) -> Path:
        """One row per planned clip."""
        return self._tables / "plan.parquet"

    @property
    def _tables(self) -> Path:
        return self.version(self.committed).tables if self.committed else self.directory

    def tables(self) -> list[Path]:
        """Return every existing table and list of the dataset, without the sensor's memory."""
        return [path for path in self.known_tables() if path.exists()]

    def known_tables(self) -> list[Path]:
        """Return where every table and list of the dataset is, if it is there."""
        known = [self.manifest, self.labels, self.left_out, self.quarantine, self.plan, self.encoding]
        known += [self.split_history, *(self.split(split) for split in SPLITS)]
        return sorted(known)

    @property
    def encoding(self) -> Path:
        """The pinned encoding, and what else the plan fixes."""
        return self._tables / "encoding.json"

    @property
    def dagster_home(self) -> Path:
        """The Dagster instance of this dataset if DAGSTER_HOME is not set; always on this machine."""
        return state_directory(self.directory) / "dagster" if is_remote(self.root) else self.directory / ".dagster"

    @property
    def scratch(self) -> "DatasetPaths":
        """Where a repair writes shards before it moves them into place."""
        return DatasetPaths(self.directory / ".repair", self.name)

    def check_record(self, version: str, target: str) -> Path:
        """Return where the last outcomes of the checks of a shard (its partition key), or of the "dataset", are."""
        return self.directory / ".checks" / version / f"{target}.json"

    @property
    def build_lock(self) -> Path:
        """Held alone by a build from beginning to end, shared by stages that run on their own."""
        return self.directory / ".lock" / "build"

    @property
    def tables_lock(self) -> Path:
        """Held by each stage that writes tables or metadata."""
        return self.directory / ".lock" / "tables"

    def version(self, version: str) -> "VersionPaths":
        """Return the paths of one version directory."""
        return VersionPaths(self.directory / version, self.name, version)

    def versions(self) -> list[str]:
        """Return the versions that exist on disk, oldest first."""
        with suppress(FileNotFoundError, NotADirectoryError):
            # By its name first: whether something is a folder is two requests to a store.
            named = [(numbers, entry) for entry in self.directory.iterdir() if (numbers := parse_version(entry.name))]
            return [entry.name for _, entry in sorted(named, key=lambda pair: pair[0]) if entry.is_dir()]
        return []


@dataclass(frozen=True, slots=True)
class VersionPaths:
    """The paths of one version: the directory that readers open."""

    directory: Path
    name: str
    version: str

    def shard(self, split: Split, shard_index: int) -> Path:
        """Return a shard's TFRecord file."""
        return self.directory / shard_file_name(self.name, split, shard_index)

    def text_index(self, split: Split, shard_index: int) -> Path:
        """Return the text file that gives a shard's records as lines of offset and size."""
        return self.directory / f"{self.name}-{partition_key(split, shard_index)}.idx"

    def sidecar(self, split: Split, shard_index: int) -> Path:
        """Return the file with what is known about a shard."""
        return self.directory / "shards" / f"{partition_key(split, shard_index)}.json"

    def sidecars(self) -> list[tuple[Split, int]]:
        """Return the shards that have a sidecar; other files in that folder are ignored."""
        return self._shards_by_suffix(".json")

    def retired_marker(self, split: Split, shard_index: int) -> Path:
        """Return the file that replaces the sidecar of a shard that left the dataset, as long as the shard exists."""
        return self.directory / "shards" / f"{partition_key(split, shard_index)}.retired"

    def retired_markers(self) -> list[tuple[Split, int]]:
        """Return the shards that have such a marker."""
        return self._shards_by_suffix(".retired")

    def _shards_by_suffix(self, suffix: str) -> list[tuple[Split, int]]:
        names = sorted(path.stem for path in (self.directory / "shards").glob(f"*{suffix}"))
        return [parse_partition_key(name) for name in names if _PARTITION_KEY.fullmatch(name)]

    @property
    def commits(self) -> Path:
        """One folder per commit, with all that the commit says; on this machine only, not in a store."""
        return self.directory / "commits"

    @property
    def current(self) -> Path:
        """The link to the folder of the commit that readers see. Files beside it are links through it."""
        return self.directory / "current"

    def commit(self, name: str) -> Path:
        """Return the folder of a commit."""
        return self.commits / name

    def commit_marker(self, name: str) -> Path:
        """Return the file that says that a later commit replaced this one."""
        return self.commits / f"{name}.retired"

    def current_commit(self) -> str:
        """Return the name of the commit that readers see; empty without links."""
        return self.current.readlink().name if not is_remote(self.directory) and self.current.is_symlink() else ""

    def commit_names(self) -> list[str]:
        """Return the commits whose folders are there."""
        if is_remote(self.directory) or not self.commits.is_dir():
            return []
        return sorted(path.name for path in self.commits.iterdir() if path.is_dir() and _COMMIT.fullmatch(path.name))

    def retired_commits(self) -> list[str]:
        """Return the commits that have a marker."""
        return sorted(path.stem for path in self.commits.glob("*.retired") if path.stem != self.current_commit())

    @property
    def failed_checks(self) -> Path:
        """The folder with an empty file for each shard, and for "dataset", whose last checks make it invalid."""
        return self.directory.parent / ".checks" / self.version / "failed"

    @property
    def dataset_info(self) -> Path:
        """The commit: the dataset is what this file lists."""
        return self.directory / "dataset_info.json"

    @property
    def features(self) -> Path:
        """The types of a record's features, for tensorflow-datasets."""
        return self.directory / "features.json"

    @property
    def label_names(self) -> Path:
        """Class names, for tensorflow-datasets."""
        return self.directory / "label.labels.txt"

    @property
    def checksums(self) -> Path:
        """The SHA-256 of every other file of the version."""
        return self.directory / "checksums.json"

    @property
    def tables(self) -> Path:
        """The dataset's tables as of the commit."""
        return self.directory / "tables"

    @property
    def index(self) -> Path:
        """One row per record."""
        return self.directory / "index.parquet"

    @property
    def card_markdown(self) -> Path:
        """The dataset card as Markdown."""
        return self.directory / "README.md"

    @property
    def card_html(self) -> Path:
        """The dataset card with pictures."""
        return self.directory / "card.html"
