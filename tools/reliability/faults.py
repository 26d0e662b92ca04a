"""Faults at the boundary to the file system: at the operation of a given number, in a process of its own."""

import hashlib
import io
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

TEMPORARY = ".tmp-"
_WRITING = frozenset("wxa+")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the operation with this number, counted from 0.

    "kill" kills the process group before the operation; "tear" lets half of a write reach the file and kills then (any
    other operation is done, and then killed); "fail" raises an OSError instead of the operation, at this one and at all
    that come after it and would need space ("open", "write", "flush", "fsync", "mkdir"), as a full disk does.
    """

    number: int
    kind: Literal["kill", "tear", "fail"] = "kill"
    error: int = 0


class Journal:
    """A file outside of the dataset in which a child notes what it does; a line survives the death of its writer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, line: str) -> None:
        """Appends a line at once."""
        os.write(self._descriptor, line.encode("utf-8", "backslashreplace") + b"\n")


def noted(path: Path, kind: str) -> list[str]:
    """What stands after a word at the beginning of a journal's lines."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [line[len(kind) + 1 :] for line in lines if line.startswith(f"{kind} ")]


class FaultyDisk:
    """Counts what this process does to the files below a folder, and does to it what the fault says.

    `renamed` is called with each path that has just been given its final content, `before` with the number of each
    operation before it is done.
    """

    def __init__(
        self,
        directory: Path,
        journal: Journal,
        fault: Fault | None,
        renamed: Callable[[Path], object] = lambda _: None,
        before: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._directory = os.path.realpath(directory)
        self._journal = journal
        self._fault = fault
        self._renamed = renamed
        self._before = before
        self._number = 0
        self._is_full = False
        self._inside = False

    def install(self) -> None:
        """For the rest of this process's life."""
        for name in ("unlink", "remove", "rmdir"):
            self._patch(name, self._on_removal)
        self._patch("mkdir", self._on_mkdir)
        self._patch("fsync", self._on_fsync)
        self._patch("symlink", self._on_symlink)
        for name in ("replace", "rename"):
            self._patch(name, self._on_rename)
        real_open = io.open
        opened: Any = lambda file, mode="r", *args, **kwargs: self._on_open(real_open, file, mode, *args, **kwargs)  # noqa: E731
        io.open = opened

    def _patch(self, name: str, handler: Callable[..., Any]) -> None:
        real = getattr(os, name)
        setattr(os, name, lambda *args, **kwargs: handler(real, *args, **kwargs))

    def _is_mine(self, path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        place = os.path.realpath(os.path.dirname(os.path.abspath(os.fsdecode(path))))  # noqa: PTH100, PTH120
        inside = place == self._directory or place.startswith(self._directory + "/")
        return inside and "/.dagster" not in place

    def operation(self, name: str, path: object, act: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        """Does it, unless the fault wants something else."""
        number, fault = self._number, self._fault
        self._number += 1
        self._before(number)
        where = os.fsdecode(path) if isinstance(path, bytes | os.PathLike) else str(path)
        self._journal.note(
            f"operation {number} {name} {os.path.relpath(where, self._directory).partition(TEMPORARY)[0]}"
        )
        if fault is not None and number == fault.number:
            self._strike(fault, act, half)
        if self._is_full and name not in ("rename", "unlink"):
            raise OSError(fault.error if fault else 0, os.strerror(fault.error if fault else 0), where)
        return act()

    def _strike(self, fault: Fault, act: Callable[[], Any], half: Callable[[], Any] | None) -> None:
        if fault.kind == "fail":
            self._is_full = True
            return
        if fault.kind == "tear":
            (half or act)()
        os.killpg(os.getpgrp(), signal.SIGKILL)
        signal.pause()

    def _on_removal(self, real: Callable[..., Any], path: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._is_mine(path) or not os.path.lexists(path):
            return real(path, *args, **kwargs)
        return self.operation("unlink", path, lambda: real(path, *args, **kwargs))

    def _on_mkdir(self, real: Callable[..., Any], path: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._is_mine(path) or os.path.lexists(path):
            return real(path, *args, **kwargs)
        return self.operation("mkdir", path, lambda: real(path, *args, **kwargs))

    def _on_symlink(self, real: Callable[..., Any], source: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._is_mine(target):
            return real(source, target, *args, **kwargs)
        return self.operation("symlink", target, lambda: real(source, target, *args, **kwargs))

    def _on_fsync(self, real: Callable[..., Any], descriptor: Any) -> Any:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        path = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
        if path != self._directory and not self._is_mine(path):
            return real(descriptor)
        return self.operation("fsync", path, lambda: real(descriptor))

    def _on_rename(self, real: Callable[..., Any], source: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._is_mine(target):
            return real(source, target, *args, **kwargs)
        result = self.operation("rename", target, lambda: real(source, target, *args, **kwargs))
        self._renamed(Path(os.fsdecode(target)))
        return result

    def _on_open(self, real: Callable[..., Any], file: Any, mode: str, *args: Any, **kwargs: Any) -> Any:
        if not _WRITING.intersection(mode) or not self._is_mine(file):
            return real(file, mode, *args, **kwargs)
        opened = self.operation("open", file, lambda: real(file, mode, *args, **kwargs))
        return _WatchedFile(self, opened, file)


class States:
    """Copies a root before each operation of a build."""

    def __init__(self, root: Path, folder: Path, note: Callable[[str], None]) -> None:
        self._root, self._folder, self._note = root, folder, note

    def take(self, number: int) -> None:
        """Copy the root as it is before this operation, if no copy has the same files."""
        name = _digest(self._root)
        if not (self._folder / name).exists():
            shutil.copytree(self._root, self._folder / name, symlinks=True)
        self._note(f"state {number} {name}")


def _digest(root: Path) -> str:
    """Return a hash of all files and links but temporary ones."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if TEMPORARY in str(path):
            continue
        digest.update(str(path.relative_to(root)).encode())
        if path.is_symlink():
            digest.update(str(path.readlink()).encode())
        elif path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


class _WatchedFile:
    """A file opened for writing, whose writes and flushes count."""

    def __init__(self, disk: FaultyDisk, file: Any, path: object) -> None:
        self._disk, self._file, self._path = disk, file, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_WatchedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: Any) -> int:
        return self._disk.operation("write", self._path, lambda: self._file.write(data), lambda: self._half(data))

    def _half(self, data: Any) -> None:
        self._file.write(data[: len(data) // 2])
        self._file.flush()

    def flush(self) -> None:
        self._disk.operation("flush", self._path, self._file.flush)
