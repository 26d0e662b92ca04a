"""The quarantine: each stage keeps its own rows, in an order that depends on nothing."""

from pathlib import Path

from video_assets.domain.clips import ListedFile, Loss, LostSource
from video_assets.storage.quarantine import quarantine_rows, read_quarantine, replace_stage
from video_assets.storage.tables import QUARANTINE

EMPTY = LostSource("b.mp4", Loss("empty_file", "the file has no bytes"), "run")
DEAD = LostSource("a.mp4", Loss("unreadable", "no known container"))


def rows(path: Path) -> list[tuple[str, str, str]]:
    frame = read_quarantine(path)
    return list(zip(frame["source"], frame["stage"], frame["reason"], strict=True))


def test_a_quarantine_that_is_not_there_is_empty(tmp_path: Path) -> None:
    frame = read_quarantine(tmp_path / "none.parquet")
    assert (len(frame), list(frame.columns)) == (0, QUARANTINE.names)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.parquet"
    replace_stage(path, "manifest", quarantine_rows([EMPTY, DEAD], {"b.mp4": ListedFile("b.mp4", 0, 123)}))
    assert read_quarantine(path).to_dict("records") == [
        {"source": "a.mp4", "clip_id": "a.mp4", "label": "", "stage": "manifest", "reason": "unreadable",
         "detail": "no known container", "size_bytes": -1, "mtime_ns": -1},
        {"source": "b.mp4", "clip_id": "b.mp4", "label": "run", "stage": "manifest", "reason": "empty_file",
         "detail": "the file has no bytes", "size_bytes": 0, "mtime_ns": 123},
    ]  # fmt: skip


def test_a_stage_replaces_its_own_rows_and_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.parquet"
    replace_stage(path, "manifest", quarantine_rows([EMPTY, DEAD]))
    replace_stage(path, "splits", quarantine_rows([LostSource("c.mp4", Loss("split_conflict", "…"))]))
    replace_stage(path, "manifest", quarantine_rows([DEAD]))
    assert rows(path) == [("a.mp4", "manifest", "unreadable"), ("c.mp4", "splits", "split_conflict")]
    replace_stage(path, "manifest", quarantine_rows([]))
    replace_stage(path, "splits", quarantine_rows([]))
    assert rows(path) == []


def test_the_order_of_stages_decides_nothing(tmp_path: Path) -> None:
    one, other = tmp_path / "one.parquet", tmp_path / "other.parquet"
    first, second = quarantine_rows([EMPTY, DEAD]), quarantine_rows([LostSource("ab.mp4", Loss("timeout", "…"))])
    replace_stage(one, "manifest", first)
    replace_stage(one, "shards", second)
    replace_stage(other, "shards", second)
    replace_stage(other, "manifest", first.iloc[::-1])
    assert one.read_bytes() == other.read_bytes()
    assert [source for source, _, _ in rows(one)] == ["a.mp4", "ab.mp4", "b.mp4"]
