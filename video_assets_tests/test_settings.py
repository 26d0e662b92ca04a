"""Settings: their names, ranges and defaults, and what becomes of them in the stages."""

import pytest
from pydantic import BaseModel, ValidationError

from video_assets.domain.encoding import Encoding
from video_assets.settings import (
    DatasetSettings,
    EncodingSettings,
    ManifestSettings,
    PlanSettings,
    Settings,
    SplitSettings,
)

MODELS = [Settings, ManifestSettings, SplitSettings, PlanSettings, EncodingSettings, DatasetSettings]


def test_names_of_settings_are_pinned() -> None:
    """Pinned: scripts say them with --set and in run configs."""
    names = {name: list(model.model_fields) for name, model in zip(Settings.model_fields, MODELS[1:4], strict=False)}
    assert list(Settings.model_fields) == ["manifest", "splits", "plan", "dataset"]
    splitting = ["group_near_duplicates", "max_conflict_fraction"]
    assert names["splits"] == ["test_fraction", "val_fraction", "seed", *splitting]
    assert names["plan"] == ["encoding", "clips_per_shard", "shard_megabytes", "retry_lost", "new_version"]
    assert {"max_failed_fraction", "include", "group_pattern", "multi_label"} <= set(names["manifest"])
    assert set(DatasetSettings.model_fields) == {
        "citation",
        "history_days",
        "history_runs",
        "intended_use",
        "licence",
        "near_duplicates_are_errors",
        "retired_grace_minutes",
        "text_index",
    }
    assert [*EncodingSettings.model_fields, "multi_label", "encoder_version"] == list(Encoding.model_fields)


@pytest.mark.parametrize("model", MODELS)
def test_every_setting_has_a_description_and_a_default(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        assert field.description, name
        assert not field.is_required(), name


def test_limits_are_those_of_the_settings_in_the_units_in_which_they_are_checked() -> None:
    settings = ManifestSettings(max_file_megabytes=3, clip_memory_megabytes=512, max_table_megabytes=7, max_frames=9)
    assert settings.limits.max_file_bytes == 3_000_000
    assert settings.limits.memory_bytes == 512 * 2**20
    assert settings.limits.max_frames == 9
    assert settings.limits.clip_seconds == 120
    assert settings.max_table_bytes == 7_000_000


def test_the_commit_keeps_retired_files_for_a_while_by_default() -> None:
    assert DatasetSettings().retired_grace_minutes == 15


def test_settings_know_which_of_them_were_given() -> None:
    settings = Settings(plan=PlanSettings(encoding=EncodingSettings(fps=3)), splits=SplitSettings())
    assert settings.plan.encoding.model_fields_set == {"fps"}
    assert settings.splits.model_fields_set == set()
    assert settings.plan.encoding.replace(num_frames=2).model_fields_set == {"fps", "num_frames"}


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError, match="Instance is frozen"):
        SplitSettings().seed = 3


def test_what_the_layout_cannot_store_is_refused_whichever_step_it_was_given_to() -> None:
    movinets = PlanSettings(encoding=EncodingSettings(layout="movinets_helper"))
    Settings(plan=movinets)
    with pytest.raises(ValidationError, match=r"manifest\.multi_label is true, but a record of the layout movinets"):
        Settings(manifest=ManifestSettings(multi_label=True), plan=movinets)
    with pytest.raises(ValidationError, match=r"audio_sample_rate is 8000, but the layout tfds has no place for sound"):
        Settings(plan=PlanSettings(encoding=EncodingSettings(layout="tfds", audio_sample_rate=8000)))
    Settings(
        plan=PlanSettings(encoding=EncodingSettings(audio_sample_rate=8000))
    )  # the dataset may have another layout
