"""The kernels called directly say what TensorFlow's public functions say, and load no more than they need."""

import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import get_args

import numpy as np
import pytest

from video_assets.domain.errors import SettingsError
from video_assets.reader import kernels
from video_assets.records.framing import frame_record
from video_assets.records.layouts import layout_codec
from video_assets.records.values import ClipRecord
from video_assets.settings import Layout

LAYOUTS: tuple[Layout, ...] = get_args(Layout)


def image(value: int, side_px: int = 8) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", np.full((side_px, side_px + 4, 3), value, np.uint8))[1])


def record(layout: Layout, num_frames: int = 3) -> bytes:
    """A serialized clip of so many frames."""
    frames = np.arange(num_frames * 8 * 12 * 3, dtype=np.uint8).reshape(num_frames, 8, 12, 3)
    clip = ClipRecord(
        clip_id="run/ä.mp4#t=1,2",
        source="run/ä.mp4",
        label="run",
        label_index=1,
        images=[image(10 * number) for number in range(num_frames)],
        frames=frames if layout == "movinets_helper" else None,
        timestamps_us=np.arange(num_frames, dtype=np.int64) * 40_000 - 7_000,
        height_px=8,
        width_px=12,
    )
    return layout_codec(layout).encode_record(clip)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("num_frames", [1, 3])
def test_a_record_is_what_the_public_parser_says(tensorflow: ModuleType, layout: Layout, num_frames: int) -> None:
    from video_assets.reader import parsing

    serialized = record(layout, num_frames)
    wanted = parsing.parse_record(layout, tensorflow.constant(serialized))
    found = kernels.parse_record(layout, serialized)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value.numpy())
        assert np.asarray(found[name]).dtype == np.asarray(value.numpy()).dtype
    np.testing.assert_array_equal(
        kernels.decode_images(found["images"]), parsing.decode_images(wanted["images"]).numpy()
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("damaged", [b"\x0fno message", b""], ids=["no message", "without its features"])
def test_what_the_public_parser_refuses_is_refused(tensorflow: ModuleType, layout: Layout, damaged: bytes) -> None:
    from video_assets.reader import parsing

    with pytest.raises(tensorflow.errors.OpError) as wanted:
        parsing.parse_record(layout, tensorflow.constant(damaged))
    with pytest.raises(kernels.ReadingError) as found:
        kernels.parse_record(layout, damaged)
    assert type(found.value.__cause__) is type(wanted.value)
    assert "[Op:" not in str(found.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bytes_that_are_no_text_are_refused_though_tensorflow_cannot_say_them(layout: Layout) -> None:
    with pytest.raises(kernels.ReadingError):
        kernels.parse_record(layout, b"\xff\xff")


def test_records_of_a_file_come_in_order_until_the_damaged_one(tmp_path: Path) -> None:
    framed = [frame_record(text) for text in (b"first", b"second", b"third")]
    file = tmp_path / "some.tfrecord"
    file.write_bytes(b"".join(framed))
    assert list(kernels.read_records(file)) == [b"first", b"second", b"third"]
    for damaged in (framed[0] + b"x" * len(framed[1]) + framed[2], framed[0] + framed[1][:-1]):
        file.write_bytes(damaged)
        records = kernels.read_records(file)
        assert next(records) == b"first"
        with pytest.raises(kernels.ReadingError):
            next(records)


def test_compressed_records_of_a_file_come_in_order_until_the_damaged_one(tmp_path: Path) -> None:
    framed = [frame_record(text, "GZIP") for text in (b"first", b"second", b"third")]
    file = tmp_path / "some.tfrecord"
    file.write_bytes(b"".join(framed))
    assert list(kernels.read_records(file, "GZIP")) == [b"first", b"second", b"third"]
    file.write_bytes(framed[0] + framed[1][:12] + b"x" * (len(framed[1]) - 12))
    with pytest.raises(kernels.ReadingError):
        list(kernels.read_records(file, "GZIP"))
    file.write_bytes(b"")
    assert list(kernels.read_records(file, "GZIP")) == []


@pytest.mark.parametrize(("key", "size"), [("n_frames", 4), ("height", 8), ("n_channels", 1)])
def test_sizes_that_are_not_those_of_the_tensor_are_refused(key: str, size: int) -> None:
    from video_assets.records.messages import parse_example, serialize_example

    features = {name: value for name, value in parse_example(record("movinets_helper")).items() if name != key}
    with pytest.raises(kernels.ReadingError, match=r"its video is a tensor \(3, 8, 12, 3\), its sizes say"):
        kernels.parse_record("movinets_helper", serialize_example({**features, key: size}))


def test_images_that_are_none_and_frames_of_two_sizes_are_errors() -> None:
    with pytest.raises(kernels.ReadingError):
        kernels.decode_images([b"no image"])
    with pytest.raises(ValueError):
        kernels.decode_images([image(1), image(1, side_px=9)])
    with pytest.raises(ValueError):
        kernels.decode_images([])


def test_a_layout_that_is_not_known_is_named() -> None:
    with pytest.raises(SettingsError, match="'another' cannot be read"):
        kernels.parse_record("another", b"")  # pyright: ignore[reportArgumentType]  (that is the test)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_public_names_do_as_well_where_the_parts_are_laid_out_otherwise(
    monkeypatch: pytest.MonkeyPatch, layout: Layout, tmp_path: Path
) -> None:
    def moved() -> kernels.Kernels:
        raise ImportError("no module named tensorflow.python.ops.gen_parsing_ops")

    wanted = kernels.parse_record(layout, record(layout))
    (tmp_path / "one.tfrecord").write_bytes(frame_record(record(layout)))
    caches = (kernels._loaded, kernels._arguments)
    monkeypatch.setattr(kernels, "_from_parts", moved)
    for cache in caches:
        cache.cache_clear()
    try:
        assert list(kernels.read_records(tmp_path / "one.tfrecord")) == [record(layout)]
        found = kernels.parse_record(layout, record(layout))
        assert kernels.decode_images(found["images"]).shape == (3, 8, 12, 3)
    finally:
        for cache in caches:
            cache.cache_clear()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.slow
def test_nothing_but_the_kernels_is_loaded_and_all_of_tensorflow_can_be_later(tmp_path: Path) -> None:
    for layout in LAYOUTS:
        (tmp_path / layout).write_bytes(frame_record(record(layout)))
    program = textwrap.dedent(f"""
        import contextlib, pathlib, sys
        from video_assets.reader import kernels

        kernels.kernels()
        loaded = {{name for name in sys.modules if name.startswith(("tensorflow", "keras"))}}
        assert "tensorflow" not in loaded and "keras" not in loaded, "its __init__ has run"
        assert len(loaded) < 500, len(loaded)
        for layout in {LAYOUTS}:
            for record in kernels.read_records(pathlib.Path({str(tmp_path)!r}) / layout):
                kernels.decode_images(kernels.parse_record(layout, record)["images"])
            with contextlib.suppress(kernels.ReadingError):
                kernels.parse_record(layout, b"damaged")
                raise SystemExit("a damaged record was parsed")
        with contextlib.suppress(kernels.ReadingError):
            kernels.decode_images([b"damaged"])
            raise SystemExit("a damaged image was decoded")
        assert {{name for name in sys.modules if name.startswith(("tensorflow", "keras"))}} == loaded

        import tensorflow as tf
        from video_assets.reader.parsing import decode_images, parse_record
        files = tf.data.TFRecordDataset([str(pathlib.Path({str(tmp_path)!r}) / "tfds")])
        (frames,) = files.map(lambda raw: decode_images(parse_record("tfds", raw)["images"]))
        assert frames.shape == (3, 8, 12, 3)
        assert tf.keras.layers.Dense(2)(tf.zeros([1, 3])).shape == (1, 2)
        print("both work")
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[-2:] == ["both work", ""], done.stderr
