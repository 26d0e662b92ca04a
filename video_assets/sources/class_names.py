"""Files that give classes their numbers: a name a line, numbers with names, or JSON."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from video_assets.domain.errors import SettingsError
from video_assets.domain.labels import clean_label
from video_assets.sources.text_lines import encoding_of

_LARGEST: Final = 64 << 20
_NUMBER_FIRST: Final = re.compile(r"(\d+)[\s,;:]+(.+)")
_NUMBER_LAST: Final = re.compile(r"(.+?)[\s,;]+(\d+)")
_HEADER_WORDS: Final = frozenset({"id", "name", "label", "class", "key", "index", "class_id", "label_id", "action"})


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names of classes by their numbers, and the file that says so. Numbers may begin at 0 or 1, or have holes."""

    source: str
    by_number: dict[int, str]

    @property
    def order(self) -> tuple[str, ...]:
        """Names in the order of their numbers."""
        return tuple(self.by_number[number] for number in sorted(self.by_number))

    def name_of(self, label: str) -> str | None:
        """Return the name of the class that a label is: by its number, or by itself; None if it is none."""
        if label.isascii() and label.isdigit():
            name = self.by_number.get(int(label))
            if name is not None:
                return name
        return label if label in self.by_number.values() else None


def parse_class_names(text: str, source: str) -> ClassNames:
    """Return the classes that a text lists.

    JSON: a list of names, or an object of names and numbers, either way round. Otherwise a class a line: its name, or
    a number and a name separated by a blank, comma, semicolon or colon, either way round.

    Raises:
        SettingsError: if it lists none, a number twice, or a name twice.
    """
    stripped = text.lstrip("\ufeff").strip()
    if stripped.startswith(("[", "{")):
        pairs = _pairs_of_json(stripped, source)
    else:
        pairs = _pairs_of_lines([line.strip() for line in stripped.splitlines() if line.strip()])
    by_number: dict[int, str] = {}
    for number, name in pairs:
        label = clean_label(name)
        if number in by_number:
            raise SettingsError(f"{source} gives the number {number} to {by_number[number]} and to {label}")
        by_number[number] = label
    if not by_number:
        raise SettingsError(f"{source} lists no class; write one a line, or a JSON object of names and numbers")
    if len(set(by_number.values())) < len(by_number):
        names = list(by_number.values())
        twice = next(name for name in names if names.count(name) > 1)
        raise SettingsError(f"{source} lists the class {twice} twice")
    return ClassNames(source, by_number)


def _pairs_of_json(text: str, source: str) -> list[tuple[int, str]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{source} is not JSON: {error}") from None
    if isinstance(value, list):
        names = cast("list[object]", value)
        return [(number, str(name)) for number, name in enumerate(names)]
    items = cast("dict[str, object]", value).items()
    try:
        if all(key.strip().isdigit() for key, _ in items):
            return [(int(key), str(name)) for key, name in items]
        return [(int(str(number)), name.strip('"')) for name, number in items]
    except ValueError:
        raise SettingsError(f"{source} must map names of classes to numbers, or numbers to names") from None


def _pairs_of_lines(lines: Sequence[str]) -> list[tuple[int, str]]:
    for pattern, number_group, name_group in ((_NUMBER_FIRST, 1, 2), (_NUMBER_LAST, 2, 1)):
        matches = [pattern.fullmatch(line) for line in lines]
        if lines and matches[0] is None and _is_header(lines[0]):
            matches = matches[1:]
        if matches and all(matches):
            found = [(int(match[number_group]), match[name_group]) for match in matches if match]
            if len({number for number, _ in found}) == len(found):
                return [(number, name.strip().strip('"')) for number, name in found]
    return list(enumerate(lines))


def _is_header(line: str) -> bool:
    words = {word.strip().lower() for word in re.split(r"[,;\s]+", line) if word.strip()}
    return bool(words) and words <= _HEADER_WORDS


def read_class_names(path: Path, source: str) -> ClassNames:
    """Return the classes that a file lists; `source` is what it is called in errors.

    Raises:
        SettingsError: if it is not there, cannot be read or understood.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST)
        text = data.decode(encoding_of(data[:4]))
    except FileNotFoundError:
        raise SettingsError(f"{source}: the file of class names is not there") from None
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"{source}: the file of class names cannot be read: {error}") from None
    return parse_class_names(text, source)
