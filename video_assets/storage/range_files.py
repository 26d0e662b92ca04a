"""Objects in a store as files that are read by blocks."""

import io
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from video_assets.storage.object_facts import ObjectFacts

ReadRange = Callable[[int, int, ObjectFacts | None], tuple[bytes, ObjectFacts | None]]
"""Returns so many bytes from an offset, of an object that is still what its facts say, and its facts."""


class RangeFile(io.RawIOBase):
    """An object that is read block by block, of which the last used ones are kept. It fails if the object changes.

    Raises:
        FileNotFoundError: On construction without `facts`, if there is no such object.
    """

    def __init__(
        self, name: str, read: ReadRange, *, block_bytes: int, max_blocks: int, facts: ObjectFacts | None = None
    ) -> None:
        self.name = name
        self._read = read
        self._block_bytes = block_bytes
        self._max_blocks = max_blocks
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._place = 0
        self._facts = facts
        if facts is None:
            data, self._facts = read(0, block_bytes, None)
            self._blocks[0] = data

    @property
    def _size_bytes(self) -> int:
        return self._facts.st_size if self._facts is not None else 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer from the file's position, as far as its block reaches."""
        if self._place >= self._size_bytes:
            return 0
        number, offset = divmod(self._place, self._block_bytes)
        data = self._block(number)[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            offset = number * self._block_bytes
            self._blocks[number] = self._read(offset, self._block_bytes, self._facts)[0]
            if len(self._blocks) > self._max_blocks:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the file's position, without a request."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size_bytes}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        """Return the file's position."""
        return self._place
