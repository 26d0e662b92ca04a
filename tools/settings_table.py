"""Write the tables of docs/SETTINGS.md and docs/TABLES.md from the code: `python -m tools.settings_table`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeGuard, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from video_assets.settings import Settings
from video_assets.storage.tables import COLUMN_WORDS, TABLES

_DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, TABLES_PAGE = _DOCS / "SETTINGS.md", _DOCS / "TABLES.md"
BEGIN = "<!-- The tables are written by `python -m tools.settings_table`. -->"
END = "<!-- End of the tables. -->"
_KINDS = {bool: "true or false", int: "whole number", float: "number", str: "text", type(None): "null"}
_BOUNDS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
_LARGEST_SHOWN = 2**53
"""A larger bound is one of the machine's, and tells a reader nothing."""


def main() -> None:
    """Rewrite the tables."""
    for page, tables in ((PAGE, settings_tables), (TABLES_PAGE, column_tables)):
        page.write_text(with_tables(page.read_text("utf-8"), tables()), "utf-8")


def with_tables(page: str, tables: str) -> str:
    """Return the page with today's tables between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def column_tables() -> str:
    """Return a heading and a table of columns for each table of a dataset."""
    parts: list[str] = []
    for file, (schema, row) in TABLES.items():
        rows = [f"| `{field.name}` | {field.type} | {COLUMN_WORDS[field.name]} |" for field in schema]
        head = "| column | type | holds |\n| --- | --- | --- |"
        parts.append(f"\n## `{file}`\n\n{row}\n\n{head}\n" + "\n".join(rows).replace("by |,", "by \\|,") + "\n")
    return "".join(parts)


def settings_tables() -> str:
    """Return a heading and a table for each step."""
    parts: list[str] = []
    for step, field in Settings.model_fields.items():
        model = field.annotation
        assert is_group(model)
        rows = "\n".join(_row(name, setting) for name, setting in _settings_of(model, step))
        head = "| setting | default | values | what it does |\n| --- | --- | --- | --- |"
        parts.append(f"\n## `{step}`\n\n{field.description}\n\n{head}\n{rows}\n")
    return "".join(parts)


def _settings_of(model: type[BaseModel], place: str) -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting below a place, groups opened, with its path."""
    for name, field in model.model_fields.items():
        if is_group(field.annotation):
            yield from _settings_of(field.annotation, f"{place}.{name}")
        else:
            yield f"{place}.{name}", field


def _row(name: str, field: FieldInfo) -> str:
    cells = (f"`{name}`", _default(field.default), _values(field), str(field.description))
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _default(value: object) -> str:
    if value in ("", [], {}, None):
        return "none"
    return str(value).lower() if isinstance(value, bool) else f"`{value}`"


def _values(field: FieldInfo) -> str:
    """Return what a setting takes, with its bounds."""
    bounds = [
        f"{word} {value}"
        for key, word in _BOUNDS.items()
        for rule in field.metadata
        if (value := getattr(rule, key, None)) is not None and abs(value) < _LARGEST_SHOWN
    ]
    return " ".join([kind(field.annotation), *bounds])


def kind(annotation: Any) -> str:
    """Return what a type is called.

    >>> kind(list[str]), kind(dict[str, int]), kind(str | None)
    ('list of text', 'mapping to whole number', 'text or null')
    """
    inner = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " · ".join(f"`{choice}`" for choice in inner)
    if get_origin(annotation) is list:
        return f"list of {kind(inner[0])}"
    if get_origin(annotation) is dict:
        return f"mapping to {kind(inner[1])}"
    return " or ".join(map(kind, inner)) if inner else _KINDS[annotation]


def is_group(annotation: Any) -> TypeGuard[type[BaseModel]]:
    """Return whether a setting is a group of others."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


if __name__ == "__main__":
    main()
