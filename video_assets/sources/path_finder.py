"""Paths as tables write them: the file that each means, or why it means none."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from video_assets.domain.clips import ListedFile, VideoLost
from video_assets.domain.splits import Split
from video_assets.sources.videos import Videos, lost, one_of

_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")


class PathFinder:
    """Finds the files of one table's rows.

    `bases` are the folders that its paths may be relative to, the first one first. With `anywhere` a path may also be
    the end of a file's path: a list of `class/name` where the files lie in `videos/class/name`.
    """

    def __init__(self, videos: Videos, bases: Sequence[str], *, anywhere: bool = False) -> None:
        self.anywhere = anywhere
        self._videos = videos
        self._bases = [f"{base}/" if base else "" for base in dict.fromkeys(bases)]
        self._places = {f"{place}/" for place in (str(videos.directory), str(videos.real_directory))}
        self._found: dict[tuple[str, Split | None], ListedFile] = {}

    def find(self, text: str, split: Split | None = None) -> ListedFile:
        """Return the file that a path means.

        Raises:
            VideoLost: if it means none, two, or one outside of the source.
        """
        if "" in self._bases[:1] and (found := self._videos.by_path.get(text)) is not None:
            return found
        key = (text, split if self.anywhere else None)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._find(text, split)
        return found

    def _find(self, text: str, split: Split | None) -> ListedFile:
        first_miss: VideoLost | None = None
        paths = list(dict.fromkeys(self._readings(text)))
        for path in paths:
            for base in self._bases:
                place = os.path.normpath(f"{base}{path}")
                if not self._videos.may_be(place):
                    continue
                try:
                    return self._videos.exact(place)
                except VideoLost as miss:
                    if miss.loss.reason != "not_found":
                        raise
                    first_miss = first_miss or miss
        for path in paths:
            for base in self._bases:
                if found := self._videos.like(os.path.normpath(f"{base}{path}")):
                    return one_of(found, text, split)
            if self.anywhere and (found := self._videos.below(path)):
                return one_of(found, text, split)
        raise first_miss or lost("not_found", f"{paths[0]} cannot be found: No such file or directory")

    def _readings(self, text: str) -> list[str]:
        """What a path can be: as it is written, with Windows' separators, without blanks around it."""
        plain = self._plain(text) if not _DRIVE.match(text) else ""
        others = [text.replace("\\", "/")] if "\\" in text else []
        if text != text.strip():
            others.append(text.strip().replace("\\", "/"))
        found = [plain] if plain else []
        return found + [self._plain(other) for other in others if other]

    def _plain(self, text: str) -> str:
        """The path in its plain form, as the key of its file; never one that could leave the folder."""
        if not text or "\0" in text:
            raise lost("bad_row", "the path is empty" if not text else "the path holds a zero byte")
        for place in self._places:
            if text.startswith(place):
                text = text[len(place) :].lstrip("/")
                break
        path = os.path.normpath(text)  # after which ".." stands at the beginning only
        is_elsewhere = path.startswith("/") or _DRIVE.match(path) or "://" in text
        if is_elsewhere or (not all(self._bases) and self._leaves(path)) or self._leaves_all(path):
            detail = f"the path {text} leads out of the table's folder; paths are relative to it"
            raise lost("outside_source", detail)
        return path

    def _leaves(self, path: str) -> bool:
        return path == ".." or path.startswith("../")

    def _leaves_all(self, path: str) -> bool:
        return all(self._leaves(os.path.normpath(f"{base}{path}")) for base in self._bases)


def relative_folder(path: str) -> str:
    """Return the folder of a file, as a base of paths; empty for the first level.

    >>> relative_folder("annotations/train.csv"), relative_folder("train.csv")
    ('annotations', '')
    """
    folder = str(Path(path).parent)
    return "" if folder == "." else folder
