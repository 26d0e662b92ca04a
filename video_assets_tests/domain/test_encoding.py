"""The settings that decide a record's bytes."""

import pytest
from pydantic import ValidationError

from video_assets.domain.encoding import ENCODER_VERSION, Encoding, changed_fields
from video_assets.domain.plan import shard_fingerprint
from video_assets.settings import EncodingSettings


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
    assert ENCODER_VERSION == 2


def test_the_encoders_version_is_no_setting_and_stands_apart() -> None:
    """A fingerprint depends on both, and what a person may set is the settings alone."""
    first = Encoding(encoder_version=1)
    assert first.as_dict() == Encoding().as_dict()
    assert first.settings == EncodingSettings() == Encoding().settings
    assert Encoding.of(EncodingSettings(), multi_label=False, encoder_version=1) == first
    assert shard_fingerprint(["a"], first) != shard_fingerprint(["a"], Encoding())


def test_an_encoding_is_what_its_dictionary_says() -> None:
    encoding = Encoding(sampling="fps", fps=7.5)
    assert Encoding.model_validate(encoding.as_dict()) == encoding


def test_every_field_that_differs_is_named_with_both_values() -> None:
    changed = changed_fields(Encoding(), Encoding(resolution=64, image_format="png"))
    assert changed == {"resolution": (224, 64), "image_format": ("jpeg", "png")}
    assert changed_fields(Encoding(), Encoding()) == {}


def test_an_encoding_is_made_of_its_settings_and_gives_them_back() -> None:
    settings = EncodingSettings(resolution=64, layout="sequence_example")
    encoding = Encoding.of(settings, multi_label=True)
    assert encoding == Encoding(resolution=64, layout="sequence_example", multi_label=True)
    assert encoding.settings == settings
    assert Encoding.of(encoding, multi_label=False) == Encoding.of(settings, multi_label=False)


def test_another_encoding_is_checked_like_any() -> None:
    assert Encoding(fps=2).replace(resolution=64) == Encoding(fps=2, resolution=64)
    with pytest.raises(ValidationError, match="greater than or equal to 8"):
        Encoding().replace(resolution=4)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Encoding().replace(size=64)


def test_sound_is_named_only_where_there_is_one() -> None:
    """So that fingerprints of datasets without it stay what they were before there was such a setting."""
    assert "audio_sample_rate" not in Encoding().as_dict()
    assert Encoding(audio_sample_rate=16_000).as_dict()["audio_sample_rate"] == 16_000
    assert changed_fields(Encoding(), Encoding(audio_sample_rate=16_000)) == {"audio_sample_rate": (0, 16_000)}
    assert changed_fields(Encoding(audio_sample_rate=16_000), Encoding()) == {"audio_sample_rate": (16_000, 0)}


def test_an_encoding_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError, match="Instance is frozen"):
        Encoding().resolution = 64
