"""docs/SETTINGS.md says what the settings are."""

import doctest

from tools import settings_table
from video_assets.settings import DatasetSettings, EncodingSettings, ManifestSettings, PlanSettings, SplitSettings
from video_assets.storage.tables import COLUMN_WORDS, TABLES

RUN = "run `python -m tools.settings_table`"


def test_the_page_is_what_the_settings_say() -> None:
    settings, columns = settings_table.PAGE.read_text("utf-8"), settings_table.TABLES_PAGE.read_text("utf-8")
    assert settings_table.with_tables(settings, settings_table.settings_tables()) == settings, RUN
    assert settings_table.with_tables(columns, settings_table.column_tables()) == columns, RUN


def test_every_column_has_words_and_no_others_have() -> None:
    columns = {field.name for schema, _ in TABLES.values() for field in schema}
    assert columns == set(COLUMN_WORDS)


def test_every_setting_has_a_row_with_default_range_and_words() -> None:
    page = settings_table.settings_tables()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    models = (ManifestSettings, SplitSettings, PlanSettings, EncodingSettings, DatasetSettings)
    assert len(rows) == sum(len(model.model_fields) for model in models) - 1  # plan.encoding is a group, no setting
    assert "| `plan.encoding.fps` | `5.0` | number above 0 to 1000 | Frames a second: sampling fps. |" in rows
    assert "| `splits.seed` | `0` | whole number | Another seed gives another, equally good split. |" in rows
    assert any(row.startswith("| `manifest.include` | none | list of text | ") for row in rows)
    assert any(row.startswith("| `plan.encoding.image_format` | `jpeg` | `jpeg` · `png` | ") for row in rows)
    assert str(ManifestSettings.model_fields["multi_label"].description) in page.replace("\\|", "|")


def test_what_docstrings_show_is_so() -> None:
    assert doctest.testmod(settings_table).failed == 0
