"""The videos of a source by name: exact, or as people write names elsewhere."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from video_assets.domain.clips import ListedFile, Loss, LossReason, VideoLost
from video_assets.domain.splits import Split
from video_assets.domain.text import sequence_of
from video_assets.sources.file_names import VIDEO_SUFFIXES, split_of_folder, suffix_of, without_suffix
from video_assets.sources.listing import Listing
from video_assets.storage.addresses import is_remote, stat_file

_FORMS: Final[Sequence[Callable[[str], str]]] = (
    lambda name: name,
    lambda name: unicodedata.normalize("NFC", name),
    lambda name: unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()),
)
"""How names are compared, the strictest first: as bytes, as text, without regard to case."""
_QUESTIONS_BEFORE_LISTING: Final = 64


def _loosest(name: str) -> str:
    """The last of these forms; small letters are all that ASCII needs."""
    return name.lower() if name.isascii() else _FORMS[-1](name)


def lost(reason: LossReason, detail: str) -> VideoLost:
    """Return the loss of one row, to be raised."""
    return VideoLost(Loss(reason, detail))


@dataclass(slots=True)
class _Folder:
    """Files and folders directly in a folder, by their names in the loosest form."""

    files: dict[str, list[ListedFile]] = field(default_factory=lambda: defaultdict(list))
    stems: dict[str, list[ListedFile]] = field(default_factory=lambda: defaultdict(list))
    folders: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


class Videos:
    """The videos below a folder.

    They are listed all at once when something asks for all, before that one folder at a time: a table with ten rows
    must not cost the listing of a home directory. In a store, and where the listing is given, everything is known.
    """

    def __init__(
        self,
        directory: Path,
        list_all: Callable[[], Listing],
        *,
        follow_links: bool = False,
        known: Listing | None = None,
    ) -> None:
        self.directory = directory
        self.follow_links = follow_links
        self.num_followed_links = 0
        self.real_directory = directory if is_remote(directory) else directory.resolve()
        self.by_path: dict[str, ListedFile] = {}
        self._list_all = list_all
        self._listing = known
        self._folders: dict[str, _Folder | None] = {}
        self._stems: dict[str, list[ListedFile]] | None = None
        self._questions: dict[str, int] = defaultdict(int)
        self._left_out: set[str] = set()
        if known is None and is_remote(directory):
            self.listing()
        elif known is not None:
            self._know(known)

    @property
    def is_listed(self) -> bool:
        """Whether everything below the folder was listed."""
        return self._listing is not None

    def listing(self) -> Listing:
        """Return everything below the folder."""
        if self._listing is None:
            self._listing = self._list_all()
            self._folders.clear()
            self._know(self._listing)
        return self._listing

    def _know(self, listing: Listing) -> None:
        self.by_path.update((file.path, file) for file in listing.files)
        self._left_out.update(item.source.rstrip("/") for item in listing.left_out)

    # --- exact ---

    def exact(self, path: str) -> ListedFile:
        """Return the file of this very path.

        Raises:
            VideoLost: if there is none, or it lies elsewhere.
        """
        found = self.get(path)
        if found is None:
            found = self.by_path[path] = self._stat(path)
        return found

    def get(self, path: str) -> ListedFile | None:
        """Return the file of this very path, if it was listed."""
        found = self.by_path.get(path)
        if found is None and self._listing is None:
            self._list_if_often_asked(path.rpartition("/")[0])
            found = self.by_path.get(path)
        return found

    def may_be(self, path: str) -> bool:
        """Return whether there may be a file of this very path: not where a listing says that there is none."""
        if self._listing is None or path in self.by_path:
            return True
        while path:
            if path in self._left_out:
                return True
            path = path.rpartition("/")[0]
        return False

    def _list_if_often_asked(self, folder: str) -> None:
        """Many questions about one folder are cheaper as one listing of it."""
        self._questions[folder] += 1
        if self._questions[folder] == _QUESTIONS_BEFORE_LISTING:
            self._folder(folder)

    def _stat(self, path: str) -> ListedFile:
        full = self.directory / path
        if is_remote(full):
            try:
                return stat_file(full, path)
            except FileNotFoundError:
                raise lost("not_found", f"{path} cannot be found: there is no such object") from None
        try:
            real = full.resolve(strict=True)
            status = real.stat()
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "a circle of links"
            raise lost("not_found", f"{path} cannot be found: {reason}") from None
        if not real.is_relative_to(self.real_directory):
            if not self.follow_links:
                detail = f"{path} is a symbolic link out of the table's folder"
                raise lost("outside_source", f"{detail}; manifest.follow_links: true takes such files")
            self.num_followed_links += 1
        if not real.is_file():
            raise lost("not_found", f"{path} is not a file")
        return ListedFile(path, status.st_size, status.st_mtime_ns)

    # --- as people write names ---

    def like(self, path: str) -> list[ListedFile]:
        """Return the files that a path may mean: another form of Unicode, another case, an ending left out.

        Of these the ones that match most strictly; more than one if several match alike.
        """
        folder, _, name = path.rpartition("/")
        key = _loosest(name)
        found: list[ListedFile] = []
        for place in self._folders_like(folder):
            contents = self._folder(place)
            if contents is not None:
                found += contents.files.get(key, ())
                found += contents.stems.get(key, ())
        return found if len(found) < 2 else _strictest(path, found)

    def _folders_like(self, path: str) -> list[str]:
        if self._folder(path) is not None:
            return [path]
        parent, _, name = path.rpartition("/")
        if not path:
            return []
        found: list[str] = []
        for place in self._folders_like(parent):
            contents = self._folder(place)
            if contents is not None:
                found += [f"{place}/{other}" if place else other for other in contents.folders.get(_loosest(name), ())]
        return found

    def _folder(self, path: str) -> _Folder | None:
        if not self._folders and self._listing is not None:
            self._folders = dict(_folders_of(self._listing.files))
        if path not in self._folders and self._listing is None:
            self._folders[path] = self._list_folder(path)
        return self._folders.get(path)

    def _list_folder(self, path: str) -> _Folder | None:
        """One folder of a local source; None if there is none, or a link makes it lie elsewhere."""
        place = self.directory / path
        contents = _Folder()
        try:
            real = place.resolve(strict=True)
            if not self.follow_links and not real.is_relative_to(self.real_directory):
                return None
            with os.scandir(real) as entries:
                for entry in entries:
                    self._note(entry, path, contents)
        except (OSError, RuntimeError, ValueError):
            return None
        return contents

    def _note(self, entry: "os.DirEntry[str]", folder: str, contents: _Folder) -> None:
        key = _loosest(entry.name)
        if entry.is_dir():
            contents.folders[key].append(entry.name)
        elif entry.is_file() and suffix_of(entry.name) in VIDEO_SUFFIXES:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_symlink():
                try:
                    file = self._stat(path)
                except VideoLost:
                    return
            else:
                status = entry.stat()
                file = ListedFile(path, status.st_size, status.st_mtime_ns)
            self.by_path[path] = file
            contents.files[key].append(file)
            contents.stems[_loosest(without_suffix(entry.name))].append(file)

    def below(self, path: str) -> list[ListedFile]:
        """Return the files anywhere below whose paths end with this one, matched as `like` matches."""
        name = path.rpartition("/")[2]
        stems = self._by_stem()
        found = list(stems.get(_loosest(without_suffix(name)), ()))
        found += [file for file in stems.get(_loosest(name), ()) if without_suffix(name) != name]
        return _strictest(path, found, anywhere=True)

    def named(self, stem: str) -> list[ListedFile]:
        """Return the files anywhere below of this name, to the letter and without its ending.

        Names of videos on the web differ in the case of a letter, so another case is another video.
        """
        return [
            file
            for file in self._by_stem().get(_loosest(stem), ())
            if _stem(file.path) == stem or _FORMS[1](_stem(file.path)) == _FORMS[1](stem)
        ]

    def _by_stem(self) -> dict[str, list[ListedFile]]:
        if self._stems is None:
            self._stems = defaultdict(list)
            for file in self.listing().files:
                self._stems[_loosest(_stem(file.path))].append(file)
        return self._stems


def _stem(path: str) -> str:
    return without_suffix(path[path.rfind("/") + 1 :])


def _folders_of(files: Iterable[ListedFile]) -> dict[str, _Folder]:
    """What lies directly in each folder of a listing, folders without videos left out."""
    folders: dict[str, _Folder] = {"": _Folder()}
    for file in files:
        folder, _, name = file.path.rpartition("/")
        contents = folders.get(folder)
        if contents is None:
            contents = folders[folder] = _Folder()
            _note_folder(folder, folders)
        contents.files[_loosest(name)].append(file)
        contents.stems[_loosest(without_suffix(name))].append(file)
    return folders


def _note_folder(path: str, folders: dict[str, _Folder]) -> None:
    while path:
        parent, _, name = path.rpartition("/")
        is_new = parent not in folders
        names = folders.setdefault(parent, _Folder()).folders[_loosest(name)]
        if name not in names:
            names.append(name)
        if not is_new:
            return
        path = parent


def _strictest(path: str, files: Iterable[ListedFile], *, anywhere: bool = False) -> list[ListedFile]:
    """Those of the files that match a path, whole or as the end of theirs, in the strictest way that one matches."""
    unique = list(dict.fromkeys(files))
    for with_ending in (True, False):
        for form in _FORMS:
            wanted = form(path)
            found = [file for file in unique if _ends(form(_named(file.path, with_ending)), wanted, anywhere)]
            if found:
                return found
    return []


def _named(path: str, with_ending: bool) -> str:
    return path if with_ending else without_suffix(path)


def _ends(path: str, wanted: str, anywhere: bool) -> bool:
    return path == wanted or (anywhere and path.endswith(f"/{wanted}"))


def one_of(found: Sequence[ListedFile], name: str, split: Split | None) -> ListedFile:
    """Return the one file that a name means. Of several, the one in a folder that is called as the row's split.

    Raises:
        VideoLost: if there is none, or more than one.
    """
    if len(found) > 1 and split is not None:
        within = [file for file in found if split in map(split_of_folder, file.path.split("/")[:-1])]
        found = within if len(within) == 1 else found
    if len(found) > 1:
        named = sequence_of(sorted(file.path for file in found))
        raise lost("ambiguous_file", f"{name} matches {len(found)} files: {named}; write the whole path")
    if not found:
        raise lost("not_found", f"{name} cannot be found: no video of the source has this name")
    return found[0]
