"""Texts of anybody as lines: their encoding, rows that go on over several lines, and bytes that are no text."""

import codecs
import io
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, Self

_LONGEST_ROW: Final = 1 << 20
"""Characters of a row of text, which quotes may let go on over several lines."""
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(first: bytes) -> str:
    """Return the encoding that the first bytes of a text tell: UTF-8 unless a mark, or every second zero, says other.

    >>> encoding_of("path".encode("utf-16")), encoding_of(b"path")
    ('utf-16', 'utf-8-sig')
    """
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return encoding
    if len(first) >= 4 and first[0] and first[2] and not first[1] and not first[3]:
        return "utf-16-le"
    if len(first) >= 4 and first[1] and first[3] and not first[0] and not first[2]:
        return "utf-16-be"
    return "utf-8-sig"


def separator_line(line: str) -> str:
    r"""Return the separator that a line names as spreadsheet programs do; empty for any other line.

    >>> separator_line("sep=;\r\n"), separator_line("path;label")
    (';', '')
    """
    text = line.strip("\ufeff\r\n")
    return text[4] if len(text) == 5 and text.lower().startswith("sep=") else ""


class TextLines(Iterator[str]):
    """Lines of a text file with their ends; how many characters each has is told to `count`, which may refuse more."""

    def __init__(self, file: BinaryIO, count: Callable[[int], None], newline: str) -> None:
        encoding = encoding_of(file.read(4))
        file.seek(0)
        # What is not UTF-8 becomes surrogates, which no text of a clip may have: it costs its row.
        errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
        self._text = io.TextIOWrapper(file, encoding=encoding, errors=errors, newline=newline)
        self._count = count
        self._characters_of_row = 0
        self._again = ""
        self._num_undecoded = 0
        self._first_error: UnicodeDecodeError | None = None
        self.number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def begin_row(self) -> None:
        """What is read from now on is another row."""
        self._characters_of_row = 0

    def peek(self) -> str:
        """Return the next line, which is still to come."""
        self._again = self._again or self._text.readline(_LONGEST_ROW)
        self._look_at(self._again)
        self.refuse_other_encoding()
        return self._again

    def refuse_other_encoding(self) -> None:
        """Raise the error of the first line that is not in UTF-8, if there was one.

        Raises:
            UnicodeDecodeError: That error.
        """
        if self._first_error is not None:
            raise self._first_error

    def _look_at(self, line: str) -> None:
        if line.isascii():
            return
        try:
            line.encode("utf-8")
        except UnicodeEncodeError:
            self._num_undecoded += 1
            try:
                line.encode("utf-8", "surrogateescape").decode("utf-8")
            except UnicodeDecodeError as error:
                self._first_error = self._first_error or error

    def __next__(self) -> str:
        line, self._again = self._again or self._text.readline(_LONGEST_ROW), ""
        if not line:
            if 2 * self._num_undecoded >= max(1, self.number):  # not a bad cell or two, but another encoding
                self.refuse_other_encoding()
            raise StopIteration
        self.number += 1
        self._look_at(line)
        self._characters_of_row += len(line)
        self._count(len(line))
        if self._characters_of_row >= _LONGEST_ROW:
            raise ValueError(f"line {self.number}: a row of more than {_LONGEST_ROW} characters")
        return line
