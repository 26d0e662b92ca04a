"""Pack and unpack golden datasets, run commands on them, and say what a dataset gives to its readers."""

import contextlib
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

FOLDER = Path(__file__).parent
NAME = "clips"
VERSION = "1.0.0"
_NOT_PACKED = (".dagster", ".lock")
_WHOLE_SECOND = 1_700_000_000
"""The time of every packed file. A dataset knows its videos by size and time, so both must survive the archive."""


@dataclass(frozen=True)
class Golden:
    """An unpacked golden dataset. `facts` are what `expected.json` says about it."""

    name: str
    folder: Path
    facts: Mapping[str, Any]

    @property
    def source(self) -> Path:
        """What `--source` is given: a folder of videos, or a table."""
        return self.folder / self.facts["source"]

    @property
    def root(self) -> Path:
        """What `--root` is given."""
        return self.folder / "root"

    @property
    def version_dir(self) -> Path:
        """What readers open."""
        return version_dir(self.root)


@dataclass(frozen=True)
class Done:
    """How a command ended. `result` is the object that `--json` prints."""

    code: int
    result: dict[str, Any]


def version_dir(root: Path) -> Path:
    """Return the only version directory of a golden dataset."""
    return root / NAME / VERSION


def expected() -> dict[str, dict[str, Any]]:
    """Return what is known about every golden dataset, by its name."""
    return json.loads((FOLDER / "expected.json").read_text("utf-8"))


def set_times(folder: Path) -> None:
    """Give every file below a folder the same whole second, as an archive can keep it."""
    for path in folder.rglob("*"):
        os.utime(path, (_WHOLE_SECOND, _WHOLE_SECOND))


def pack(folder: Path, archive: Path) -> None:
    """Write the files below a folder into an archive that depends only on their names and bytes."""
    with tarfile.open(archive, "w:xz", format=tarfile.USTAR_FORMAT, preset=9) as packed:
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if path.is_file() and not set(parts) & set(_NOT_PACKED):
                entry = tarfile.TarInfo("/".join(parts))
                entry.size, entry.mtime, entry.mode = path.stat().st_size, _WHOLE_SECOND, 0o644
                packed.addfile(entry, io.BytesIO(path.read_bytes()))


def unpack(name: str, folder: Path) -> Golden:
    """Unpack a golden dataset with its videos into a new folder."""
    with tarfile.open(FOLDER / f"{name}.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return Golden(name, folder, expected()[name])


def run(*arguments: str | Path) -> Done:
    """Run a command in this process. It sees no setting from the environment, and leaves none there."""
    from video_assets.cli import main

    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("VIDEO_ASSETS_", "DAGSTER_"))}
    out = io.StringIO()
    # Standard error stays: absl's log handler closes a stream that is not sys.stderr any more when Dagster sets up
    # logging, and if TensorFlow was imported by an earlier test, that stream is pytest's own.
    with patch.dict(os.environ, inherited, clear=True), contextlib.redirect_stdout(out):
        code = main([*map(str, arguments), "--json"])
    return Done(code, json.loads(out.getvalue().splitlines()[-1]))


def build(source: Path, root: Path, settings: Sequence[str] = ()) -> Done:
    """Build or grow a dataset by the command."""
    assignments = [part for setting in settings for part in ("--set", setting)]
    return run("build", "--source", source, "--root", root, "--workers", "2", *assignments)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def live_shards(root: Path) -> dict[str, int]:
    """Return the shard files that the commit names, with their numbers of records; retired shards are no part of it."""
    info = json.loads((version_dir(root) / "dataset_info.json").read_text("utf-8"))
    return {
        f"{NAME}-{split['name']}-{index:05d}.tfrecord": int(length)
        for split in info["splits"]
        for index, length in enumerate(split["shardLengths"])
        if int(length)
    }


def shard_digests(root: Path) -> dict[str, str]:
    """Return the SHA-256 of every shard file that the commit names."""
    return {name: sha256_of(version_dir(root) / name) for name in live_shards(root)}


def read_clips(root: Path, splits: Iterable[str], *, with_audio: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Return what `load_dataset` gives, clip by clip in stored order, with digests in place of pixels and samples."""
    from video_assets.reader import load_dataset

    found: dict[str, list[dict[str, Any]]] = {}
    for split in splits:
        clips: Any = load_dataset(version_dir(root), split, with_audio=with_audio)  # pyright: ignore[reportArgumentType]
        found[split] = [_described(clip) for clip in clips.as_numpy_iterator()]
    return found


def _described(clip: Mapping[str, Any]) -> dict[str, Any]:
    video = clip["video"]
    described = {
        "id": clip["id"].decode(),
        "label": clip["label"].tolist(),
        "shape": "x".join(map(str, video.shape)),
        "pixels": _digest(video),
    }
    if "caption" in clip:
        described["caption"] = clip["caption"].decode()
    if "audio" in clip:
        described |= {"samples": int(clip["num_audio_samples"]), "audio": _digest(clip["audio"])}
    return described


def _digest(array: Any) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]
