"""The sequence_example layout, read by TensorFlow and by TF Model Garden itself."""

import hashlib
import os
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from video_assets.records.clip_record import ClipRecord
from video_assets.records.messages import parse_sequence_example, serialize_sequence_example
from video_assets.records.sequence_example import decode_record, encode_record, increasing_times

LABELS = ["jump", "run"]


def png(value: int) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", np.full((8, 12, 3), value, np.uint8))[1])


def record(**changes: Any) -> ClipRecord:
    """A clip of three frames, 40 ms apart, that begins before zero."""
    values: dict[str, Any] = {
        "clip_id": "run/a.mp4#t=1,2",
        "source": "run/a.mp4",
        "label": "run",
        "label_index": 1,
        "images": [png(value) for value in (10, 20, 30)],
        "timestamps_us": np.array([-7_000, 33_000, 73_000]),
        "height_px": 8,
        "width_px": 12,
    }
    return ClipRecord(**(values | changes))


def test_a_record_comes_back_as_it_was() -> None:
    back = decode_record(encode_record(record(note="plain decode")), LABELS)
    for name in ("clip_id", "source", "label", "label_index", "height_px", "width_px"):
        assert getattr(back, name) == getattr(record(), name)
    assert back.images == record().images
    assert back.timestamps_us.tolist() == [-7_000, 33_000, 73_000]
    assert back.note == "plain decode"


def test_caption_and_sound_come_back_as_they_were() -> None:
    sound = np.array([0.0, -0.5, 0.25], np.float32)
    sounding = record(caption="a man läuft", audio=sound, audio_sample_rate=16_000, audio_start_us=-9_000)
    back = decode_record(encode_record(sounding), LABELS)
    assert (back.caption, back.audio_sample_rate, back.audio_start_us) == ("a man läuft", 16_000, -9_000)
    assert back.audio is not None
    assert back.audio.tolist() == sound.tolist()
    none = decode_record(encode_record(record()), LABELS)
    assert (none.caption, none.audio, none.audio_sample_rate) == ("", None, 0)


def test_sound_is_one_step_of_a_list_with_its_rate_beside_it() -> None:
    context, lists = parse_sequence_example(
        encode_record(record(audio=np.zeros(0, np.float32), audio_sample_rate=8_000))
    )
    assert lists["WAVEFORM/feature/floats"] == pytest.approx([])
    assert lists["WAVEFORM/feature/timestamp"] == [0]
    assert context["WAVEFORM/feature/sample_rate"] == [8_000.0]
    assert (context["WAVEFORM/feature/num_samples"], context["WAVEFORM/feature/num_channels"]) == ([0], [1])


def test_the_context_has_every_key_that_readers_ask_for() -> None:
    context, lists = parse_sequence_example(encode_record(record()))
    assert context["clip/label/index"] == [1]
    assert context["clip/label/text"] == context["clip/label/string"] == [b"run"]
    assert context["clip/start/timestamp"] == [-7_000]
    assert context["clip/end/timestamp"] == [73_000]
    assert context["example/id"] == [b"run/a.mp4#t=1,2"]
    assert context["video/filename"] == [b"a.mp4"]
    assert context["clip/data_path"] == [b"run/a.mp4"]
    assert context["image/format"] == [b"png"]
    assert (context["image/height"], context["image/width"], context["image/channels"]) == ([8], [12], [3])
    assert list(lists["image/timestamp"]) == [-7_000, 33_000, 73_000]


def test_times_only_grow_where_a_short_clip_repeats_its_last_frame() -> None:
    clip = record(images=[png(1)] * 4, timestamps_us=np.array([0, 40_000, 40_000, 40_000]))
    data = encode_record(clip)
    _, lists = parse_sequence_example(data)
    assert list(lists["image/timestamp"]) == [0, 40_000, 40_001, 40_002]
    assert decode_record(data, LABELS).timestamps_us.tolist() == [0, 40_000, 40_000, 40_000]
    assert increasing_times(np.array([5, 5, 6, 6, 100])).tolist() == [5, 6, 7, 8, 100]


def test_a_clip_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match=r"run/a.mp4#t=1,2 has no frame; a sequence needs one at least"):
        encode_record(record(images=[], timestamps_us=np.array([], np.int64)))


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(ValueError, match="not a record of the sequence_example layout"):
        decode_record(serialize_sequence_example({"clip/label/index": b"1"}, {}), LABELS)


def test_the_bytes_are_those_that_tensorflow_writes(tensorflow: ModuleType) -> None:
    mine = encode_record(record())
    theirs = tensorflow.train.SequenceExample.FromString(mine)
    assert theirs.SerializeToString(deterministic=True) == mine
    assert theirs.context.feature["image/frame_rate"].float_list.value == [25.0]


def test_the_bytes_never_change() -> None:
    clip = record(images=[b"one", b"two", b"three"])  # pinned: shards that exist were written so
    assert hashlib.sha256(encode_record(clip)).hexdigest() == GOLDEN


def test_our_reader_gives_the_clip(tensorflow: ModuleType) -> None:
    from video_assets.reader.parsing import decode_images, parse_record

    parsed = parse_record("sequence_example", tensorflow.constant(encode_record(record())))
    assert decode_images(parsed["images"]).numpy()[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert parsed["label"].numpy() == 1
    assert parsed["id"].numpy() == b"run/a.mp4#t=1,2"
    assert parsed["timestamps_us"].numpy().tolist() == [-7_000, 33_000, 73_000]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_model_garden_decodes_and_parses_it(tensorflow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.environ.get("TF_USE_LEGACY_KERAS") != "1":
        monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    video_input = pytest.importorskip("official.vision.dataloaders.video_input")
    exp_cfg = pytest.importorskip("official.vision.configs.video_classification")
    data = encode_record(record(images=[png(value) for value in (10, 20, 30, 40)], timestamps_us=np.arange(4) * 40_000))
    decoded = video_input.Decoder().decode(tensorflow.constant(data))
    params = exp_cfg.kinetics600(is_training=False)
    params.feature_shape = (4, 8, 8, 3)
    params.num_classes = 2
    params.temporal_stride = 1
    params.min_image_size = 8
    params.num_test_clips = params.num_test_crops = 1
    features, label = video_input.Parser(params).parse_fn(False)(decoded)
    assert features["image"].shape == (4, 8, 8, 3)
    assert tensorflow.argmax(label).numpy() == 1
    shades = features["image"].numpy()[:, 4, 4, 0]
    assert list(shades) == sorted(shades)


GOLDEN = "d007a1c318b25cf46327c42a6e266be6932cc07b0530b686b33336a7760ba43b"


def test_a_clip_of_several_labels_has_a_value_for_each() -> None:
    data = encode_record(record(label="jump|run", label_index=0, other_label_indices=(1,)))
    context, _ = parse_sequence_example(data)
    assert context["clip/label/index"].tolist() == [0, 1]  # pyright: ignore[reportAttributeAccessIssue]
    assert context["clip/label/text"] == context["clip/label/string"] == [b"jump", b"run"]
    back = decode_record(data, ["jump", "run"])
    assert (back.label, back.label_index, back.other_label_indices) == ("jump|run", 0, (1,))
    assert decode_record(data, ["jump"]).label == ""
