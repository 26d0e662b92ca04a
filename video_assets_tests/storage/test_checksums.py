"""What is said of a version's files: read as written, nothing where it is damaged, and never nothing by a failure."""

import errno
import os
from pathlib import Path

import pytest

from video_assets.domain.errors import StorageFailed
from video_assets.storage.sidecars import Checksums, read_checksums, read_sidecar

CHECKSUMS = Checksums({"README.md": "a" * 64}, {"README.md": "b" * 64})


def test_checksums_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "checksums.json"
    assert read_checksums(path) is None
    path.write_bytes(CHECKSUMS.to_bytes())
    assert read_checksums(path) == CHECKSUMS
    path.write_bytes(CHECKSUMS.to_bytes().replace(b"aaa", b"aab"))
    assert read_checksums(path) is None


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EMFILE])
@pytest.mark.parametrize("read", [read_checksums, read_sidecar])
def test_a_file_that_cannot_be_read_now_is_named_and_not_taken_for_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: object, number: int
) -> None:
    def refuse(_path: Path) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    path = tmp_path / "some.json"
    assert callable(read)
    with pytest.raises(StorageFailed, match=rf"^{path} cannot be read: {os.strerror(number)}; "):
        read(path)
