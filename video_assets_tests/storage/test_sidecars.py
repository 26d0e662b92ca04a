"""Sidecars and checksums: read as they were written, and unknown where they are damaged."""

import errno
import json
import os
from pathlib import Path

import pytest

from video_assets.domain.errors import StorageFailed
from video_assets.storage.sidecars import Checksums, LostClip, Sidecar, StoredClip, read_checksums, read_sidecar

SIDECAR = Sidecar(
    shard="train-00000",
    fingerprint="f" * 64,
    sha256="a" * 64,
    bytes=123,
    records=1,
    encoding={"layout": "tfds", "fps": 5.0},
    clips=[
        StoredClip(
            clip_id="ü.mp4",
            source="ü.mp4",
            label="run",
            label_index=0,
            content_hash="c",
            offset=0,
            length=123,
            num_frames=10,
        )
    ],
    losses=[LostClip(clip_id="b.mp4", source="b.mp4", label="run", reason="timeout", detail="took too long")],
    versions={"av": "18.1"},
)


def test_a_sidecar_is_read_as_it_was_written(tmp_path: Path) -> None:
    SIDECAR.write(tmp_path / "s.json")
    assert read_sidecar(tmp_path / "s.json") == SIDECAR


def test_the_same_sidecar_has_the_same_bytes(tmp_path: Path) -> None:
    SIDECAR.write(tmp_path / "one.json")
    again = read_sidecar(tmp_path / "one.json")
    assert again is not None
    again.write(tmp_path / "other.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()


@pytest.mark.parametrize(
    "text",
    ["", "{", "{}", "[]", "null", "7", '"text"', '{"clips": null, "losses": null}', '{"clips": [], "losses": []}',
     '{"clips": [7], "losses": []}', '{"clips": [{"clip_id": "a"}], "losses": []}'],
)  # fmt: skip
def test_a_damaged_sidecar_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text)
    assert read_sidecar(tmp_path / "s.json") is None


def test_a_sidecar_that_is_not_there_or_is_no_text_says_nothing(tmp_path: Path) -> None:
    assert read_sidecar(tmp_path / "none.json") is None
    assert read_sidecar(tmp_path) is None
    (tmp_path / "s.json").write_bytes(b"\xff\x00")
    assert read_sidecar(tmp_path / "s.json") is None


def test_a_sidecar_of_another_version_says_nothing(tmp_path: Path) -> None:
    SIDECAR.write(tmp_path / "s.json")
    values = json.loads((tmp_path / "s.json").read_text("utf-8"))
    for changed in ({**values, "new_field": 1}, {k: v for k, v in values.items() if k != "sha256"}):
        (tmp_path / "s.json").write_text(json.dumps(changed))
        assert read_sidecar(tmp_path / "s.json") is None


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
    path.touch()
    assert callable(read)
    with pytest.raises(StorageFailed, match=rf"^{path} cannot be read: {os.strerror(number)}; "):
        read(path)
