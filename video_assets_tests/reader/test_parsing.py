"""Records as TensorFlow reads them: for the checks as numpy values, and what is wrong with those that it refuses."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from video_assets.domain.errors import SettingsError
from video_assets.reader.parsing import ReadingError, decode_frames, parsed_records
from video_assets.reader.shard_reading import FrameFacts, ShardReading, ShardToRead, read_shard
from video_assets.records.clip_record import ClipRecord
from video_assets.records.framing import frame_record
from video_assets.records.layouts import layout_codec
from video_assets.records.messages import parse_example, serialize_example
from video_assets.setting_types import Layout

LAYOUTS: tuple[Layout, ...] = get_args(Layout)


def image(value: int, side_px: int = 8) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", np.full((side_px, side_px + 4, 3), value, np.uint8))[1])


def clip_of(layout: Layout, num_frames: int = 3, clip_id: str = "run/ä.mp4#t=1,2") -> ClipRecord:
    """A clip of so many frames."""
    frames = np.arange(num_frames * 8 * 12 * 3, dtype=np.uint8).reshape(num_frames, 8, 12, 3)
    return ClipRecord(
        clip_id=clip_id,
        source="run/ä.mp4",
        label="run",
        label_index=1,
        images=[image(10 * number) for number in range(num_frames)],
        frames=frames if layout == "movinets_helper" else None,
        timestamps_us=np.arange(num_frames, dtype=np.int64) * 40_000 - 7_000,
        height_px=8,
        width_px=12,
    )


def record(layout: Layout, num_frames: int = 3, clip_id: str = "run/ä.mp4#t=1,2") -> bytes:
    """A serialized clip of so many frames."""
    return layout_codec(layout).encode_record(clip_of(layout, num_frames, clip_id))


def read(folder: Path, layout: Layout, *records: bytes) -> list[tuple[int, dict[str, Any]]]:
    """What is read of a file of these records."""
    file = folder / "some.tfrecord"
    file.write_bytes(b"".join(frame_record(serialized) for serialized in records))
    return list(parsed_records(file, layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("num_frames", [1, 3])
def test_a_record_is_read_as_it_was_encoded(tmp_path: Path, layout: Layout, num_frames: int) -> None:
    ((index, found),) = read(tmp_path, layout, record(layout, num_frames))
    assert (index, found["id"].decode(), found["source"].decode()) == (0, "run/ä.mp4#t=1,2", "run/ä.mp4")
    assert found["label"].dtype == found["timestamps_us"].dtype == np.int64
    assert int(found["label"]) == 1
    np.testing.assert_array_equal(found["timestamps_us"], np.arange(num_frames) * 40_000 - 7_000)
    frames = decode_frames(found["images"])
    assert frames.dtype == np.uint8
    assert frames.shape == (num_frames, 8, 12, 3)
    if layout == "movinets_helper":
        np.testing.assert_array_equal(frames.ravel(), np.arange(frames.size).astype(np.uint8))
    else:
        np.testing.assert_array_equal(frames, [np.full((8, 12, 3), 10 * number) for number in range(num_frames)])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "damaged", [b"\x0fno message", b"\xff\xff", b""], ids=["no message", "no text", "without its features"]
)
def test_what_is_no_record_is_refused_by_its_index(tmp_path: Path, layout: Layout, damaged: bytes) -> None:
    with pytest.raises(ReadingError) as found:
        read(tmp_path, layout, record(layout), record(layout), damaged)
    assert found.value.record_index == 2
    assert not any(text in str(found.value) for text in ("[Op:", "{{", "Iterator::", "MapDataset", "\n"))


def test_an_error_is_in_tensorflows_words_alone(tmp_path: Path) -> None:
    with pytest.raises(ReadingError, match=r"^Feature: id \(data type: string\) is required but could not be found\.$"):
        read(tmp_path, "tfds", b"")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_of_a_shard_all_facts_come_and_the_frames_of_some(tmp_path: Path, layout: Layout) -> None:
    records = [record(layout, number, clip_id=f"run/{number}.mp4") for number in range(1, 6)]
    reading = reading_of(shard_of(tmp_path, layout, *records, decoded={1, 3}, whole={2}))
    assert [facts.clip_id for facts in reading.records] == [f"run/{number}.mp4" for number in range(1, 6)]
    assert [(facts.num_images, facts.num_times) for facts in reading.records] == [(n, n) for n in range(1, 6)]
    assert {tuple(facts.labels) for facts in reading.records} == {(1,)}
    assert reading.decoded == {1: FrameFacts("uint8", (2, 8, 12, 3)), 3: FrameFacts("uint8", (4, 8, 12, 3))}
    (whole,) = reading.whole.values()
    assert whole.timestamps_us == (-7_000, 33_000, 73_000)
    assert len(whole.images) == 3
    assert (reading.error, reading.unreadable_index) == ("", None)


def test_a_shard_is_read_until_the_record_that_is_damaged(tmp_path: Path) -> None:
    records = [record("tfds", clip_id=f"run/{number}.mp4") for number in range(5)]
    shard = shard_of(tmp_path, "tfds", *records, decoded={0, 4}, whole=set())
    shard.file.write_bytes(shard.file.read_bytes()[:-1])
    reading = reading_of(shard)
    assert (len(reading.records), set(reading.decoded), reading.unreadable_index) == (4, {0}, 4)
    assert reading.error


def test_frames_that_do_not_decode_are_a_fact_of_their_record(tmp_path: Path) -> None:
    clip = replace(clip_of("tfds", 2), images=[b"no image"] * 2)
    reading = reading_of(shard_of(tmp_path, "tfds", layout_codec("tfds").encode_record(clip), decoded={0}, whole={0}))
    assert reading.decoded[0].error
    assert reading.whole[0].images == (b"no image", b"no image")


def reading_of(shard: ShardToRead) -> ShardReading:
    """What is read of a shard that is there."""
    reading = read_shard(shard)
    assert reading is not None
    return reading


def shard_of(folder: Path, layout: Layout, *records: bytes, decoded: set[int], whole: set[int]) -> ShardToRead:
    """A shard of these records, to be read."""
    file = folder / "shard.tfrecord"
    file.write_bytes(b"".join(frame_record(serialized) for serialized in records))
    return ShardToRead(file, layout, "", multi_label=False, decoded=decoded, whole=whole)


def test_records_come_in_order_until_the_damaged_one(tmp_path: Path) -> None:
    framed = [frame_record(record("tfds")) for _ in range(3)]
    file = tmp_path / "some.tfrecord"
    for damaged in (framed[0] + framed[1][:12] + b"x" * (len(framed[1]) - 12) + framed[2], framed[0] + framed[1][:-1]):
        file.write_bytes(damaged)
        records = parsed_records(file, "tfds")
        assert next(records)[0] == 0
        with pytest.raises(ReadingError) as found:
            next(records)
        assert found.value.record_index == 1


def test_compressed_records_come_in_order_until_the_damaged_one(tmp_path: Path) -> None:
    framed = [frame_record(record("movinets_helper"), "GZIP") for _ in range(3)]
    file = tmp_path / "some.tfrecord"
    file.write_bytes(b"".join(framed))
    assert [index for index, _ in parsed_records(file, "movinets_helper", "GZIP")] == [0, 1, 2]
    file.write_bytes(framed[0] + framed[1][:12] + b"x" * (len(framed[1]) - 12))
    with pytest.raises(ReadingError):
        list(parsed_records(file, "movinets_helper", "GZIP"))
    file.write_bytes(b"")
    assert list(parsed_records(file, "movinets_helper", "GZIP")) == []


@pytest.mark.parametrize(("key", "size"), [("n_frames", 4), ("height", 8), ("n_channels", 1)])
def test_sizes_that_are_not_those_of_the_tensor_are_refused(tmp_path: Path, key: str, size: int) -> None:
    features = {name: value for name, value in parse_example(record("movinets_helper")).items() if name != key}
    with pytest.raises(ReadingError, match="Input to reshape is a tensor with 864 values"):
        read(tmp_path, "movinets_helper", serialize_example({**features, key: size}))


def test_images_that_are_none_and_frames_of_two_sizes_are_errors() -> None:
    with pytest.raises(ReadingError, match=r"^Unknown image file format\."):
        decode_frames([b"no image"])
    with pytest.raises(ReadingError):
        decode_frames([image(1), image(1, side_px=9)])
    with pytest.raises(ReadingError):
        decode_frames(np.zeros([0], "S1"))


def test_a_layout_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'another' cannot be read"):
        read(tmp_path, "another", b"")  # pyright: ignore[reportArgumentType]  (that is the test)
