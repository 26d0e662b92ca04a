"""The movinets_helper layout: the very message that its own writer makes, read as its own reader reads it."""

import hashlib
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from video_assets.domain.clips import VideoLost
from video_assets.records.clip_record import ClipRecord
from video_assets.records.messages import serialize_example, serialize_tensor
from video_assets.records.video_tensor import decode_record, encode_record, video_features

LABELS = ["jump", "run"]
FRAMES = np.arange(3 * 4 * 6 * 3, dtype=np.uint8).reshape(3, 4, 6, 3)
SIZES = ("n_frames", "width", "height", "n_channels")


def record(**changes: Any) -> ClipRecord:
    """Three frames, 4 pixels high and 6 wide."""
    values: dict[str, Any] = {
        "clip_id": "run/ü.mp4#t=1,2",
        "source": "run/ü.mp4",
        "label": "run",
        "label_index": 1,
        "frames": FRAMES,
        "timestamps_us": np.array([-7_000, 33_000, 73_000]),
        "height_px": 4,
        "width_px": 6,
    }
    return ClipRecord(**(values | changes))


def test_a_record_comes_back_as_it_was() -> None:
    back = decode_record(encode_record(record(note="plain decode")), LABELS)
    for name in ("clip_id", "source", "label", "label_index", "height_px", "width_px", "num_frames"):
        assert getattr(back, name) == getattr(record(), name)
    assert back.frames is not None and back.frames.dtype == np.uint8
    assert (back.frames == FRAMES).all()
    assert back.timestamps_us.tolist() == [-7_000, 33_000, 73_000]
    assert (back.note, list(back.images)) == ("plain decode", [])
    assert decode_record(encode_record(record()), []).label == ""


def original_specification(tf: Any) -> dict[str, Any]:
    """What the reader of movinets_helper parses by."""
    return {name: tf.io.FixedLenFeature([], tf.int64) for name in ("label", *SIZES)} | {
        "video": tf.io.FixedLenFeature([], tf.string)
    }


def test_its_own_reader_gives_the_frames_of_a_video_that_is_not_square(tensorflow: ModuleType) -> None:
    tf = tensorflow
    parsed = tf.io.parse_single_example(encode_record(record()), original_specification(tf))
    assert {name: int(parsed[name]) for name in ("label", *SIZES)} == {
        "label": 1, "n_frames": 3, "width": 4, "height": 6, "n_channels": 3,
    }  # fmt: skip
    video = tf.reshape(tf.io.parse_tensor(parsed["video"], tf.float32), [parsed[name] for name in SIZES])
    assert video.dtype == tf.float32
    assert (video.numpy() == FRAMES).all()


def test_the_features_of_its_own_writer_are_the_same_bytes(tensorflow: ModuleType) -> None:
    tf = tensorflow
    video = FRAMES.astype(np.float32) + 0.25
    numbers = dict(zip(("label", *SIZES), (1, *video.shape), strict=True))
    feature = {name: tf.train.Feature(int64_list=tf.train.Int64List(value=[n])) for name, n in numbers.items()}
    tensor = tf.io.serialize_tensor(video).numpy()
    feature["video"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[tensor]))
    theirs = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)
    assert serialize_example(video_features(1, video)) == theirs


def test_our_reader_gives_the_clip(tensorflow: ModuleType) -> None:
    from video_assets.reader.parsing import decode_images, parse_record

    parsed = parse_record("movinets_helper", tensorflow.constant(encode_record(record())))
    frames = decode_images(parsed["images"]).numpy()
    assert frames.dtype == np.uint8
    assert (frames == FRAMES).all()
    assert (parsed["label"].numpy(), parsed["id"].numpy().decode()) == (1, "run/ü.mp4#t=1,2")
    assert parsed["source"].numpy().decode() == "run/ü.mp4"
    assert parsed["timestamps_us"].numpy().tolist() == [-7_000, 33_000, 73_000]


def test_the_bytes_never_change() -> None:
    """Pinned, before compression: shards that exist were written so."""
    assert hashlib.sha256(encode_record(record())).hexdigest() == GOLDEN


def test_a_clip_of_images_is_refused() -> None:
    with pytest.raises(ValueError, match=r"run/ü\.mp4#t=1,2 carries images; this layout stores frames"):
        encode_record(record(frames=None, images=[b"image"]))


def test_a_clip_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a video is \(T, H, W, C\), this one is \(0, 4, 6, 3\)"):
        encode_record(record(frames=FRAMES[:0]))


def test_frames_that_no_record_can_hold_are_a_loss_before_memory_is_asked_for() -> None:
    huge = np.broadcast_to(np.uint8(0), (4000, 224, 224, 3))
    with pytest.raises(VideoLost, match="too_large: 4000 frames are 2408448000 bytes as float32, a record holds less"):
        encode_record(record(frames=huge))


WHOLE: dict[str, Any] = {
    **video_features(1, FRAMES.astype(np.float32)),
    "id": b"a",
    "source": b"a",
    "timestamps_us": np.array([0, 1, 2]),
}


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_missing_feature_is_named(name: str) -> None:
    data = serialize_example({key: value for key, value in WHOLE.items() if key != name})
    with pytest.raises(ValueError, match=rf"^not a record of the movinets_helper layout: KeyError\('{name}'\)$"):
        decode_record(data, LABELS)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("label", b"7", "label holds no integers"),
        ("video", 7, "video holds no images"),
        ("video", b"\xff", "1 bytes are not a serialized tensor"),
        ("video", b"", "a tensor of type number 0 is not float32, which is 1"),
        ("width", 6, r"video is \(3, 4, 6, 3\); n_frames, width, height and n_channels say \(3, 6, 6, 3\)"),
        ("video", serialize_tensor(FRAMES.astype(np.float32) + 0.5), "pixels that are not whole numbers from 0 to 255"),
        ("video", serialize_tensor(FRAMES.astype(np.float32) * 2), "pixels that are not whole numbers from 0 to 255"),
        ("video", serialize_tensor(FRAMES * np.float32("nan")), "pixels that are not whole numbers from 0 to 255"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_a_feature_of_another_kind_is_named(name: str, value: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        decode_record(serialize_example({**WHOLE, name: value}), LABELS)


GOLDEN = "11f165db71560878b13f6823bcb9d87997e94e9a970a531b2af0c8b296a8f553"
