"""The settings that decide a record's bytes."""

import dataclasses

import pytest

from video_assets.domain.encoding import ENCODER_VERSION, Encoding, changed_fields


def test_the_defaults_are_pinned() -> None:
    """Pinned: a plan made with defaults must not ask for a new version after an upgrade."""
    assert Encoding().as_dict() == {
        "layout": "tfds",
        "sampling": "uniform",
        "num_frames": 10,
        "fps": 5.0,
        "max_frames": 300,
        "resolution": 224,
        "resize": "stretch",
        "image_format": "jpeg",
        "jpeg_quality": 95,
        "short_clip": "repeat_last",
    }
    assert ENCODER_VERSION == 1


def test_an_encoding_is_what_its_dictionary_says() -> None:
    encoding = Encoding(sampling="fps", fps=7.5)
    assert Encoding(**encoding.as_dict()) == encoding  # pyright: ignore[reportArgumentType]


def test_every_field_that_differs_is_named_with_both_values() -> None:
    changed = changed_fields(Encoding(), Encoding(resolution=64, image_format="png"))
    assert changed == {"resolution": (224, 64), "image_format": ("jpeg", "png")}
    assert changed_fields(Encoding(), Encoding()) == {}


def test_sound_is_named_only_where_there_is_one() -> None:
    """So that fingerprints of datasets without it stay what they were before there was such a setting."""
    assert "audio_sample_rate" not in Encoding().as_dict()
    assert Encoding(audio_sample_rate=16_000).as_dict()["audio_sample_rate"] == 16_000
    assert changed_fields(Encoding(), Encoding(audio_sample_rate=16_000)) == {"audio_sample_rate": (0, 16_000)}
    assert changed_fields(Encoding(audio_sample_rate=16_000), Encoding()) == {"audio_sample_rate": (16_000, 0)}


def test_an_encoding_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Encoding().resolution = 64  # pyright: ignore[reportAttributeAccessIssue]
