"""HMDB51: three official splits as a list a class, `brush_hair_test_split1.txt` with `name.avi 1` a line.

Behind each name 1 means training, 2 testing and 0 neither: each split uses 100 of a class's clips. The class is in the
list's name. Read so by torchvision's `datasets/hmdb51.py` and MMAction2's `tools/data/parse_file_list.py`.
"""

import re
from collections.abc import Iterator
from typing import Final

from video_assets.domain.clips import LeftOut
from video_assets.domain.errors import SettingsError
from video_assets.sources.annotations import LOSS, Dialect, Match, RowTable
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree
from video_assets.sources.videos import lost

_LIST: Final = r"(.+)_test_split(\d)\.txt"


def recognise(tree: SourceTree) -> Match | None:
    """Return the lists of the chosen split."""
    lists = tree.named(_LIST)
    if not lists:
        return None
    wanted = tree.settings.official_split
    chosen = [name for name in lists if name.endswith(f"{wanted}.txt")]
    if not chosen:
        raise SettingsError(
            f"manifest.official_split is {wanted}, but HMDB51 here has no list *_test_split{wanted}.txt"
        )
    others = tuple(name for name in lists if name not in chosen)
    return Match(tuple(chosen), f"lists are called CLASS_test_split{wanted}.txt", others)


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return the rows of each list; clips that the split does not use are left out."""
    return [RowTable(name, list(_rows(tree, name)), tree.exact, None, "line") for name in match.files]


def _rows(tree: SourceTree, name: str) -> Iterator[Row]:
    found = re.fullmatch(_LIST, name.rpartition("/")[2], re.IGNORECASE)
    label = found[1] if found else ""
    for line in tree.lines(name):
        path, _, use = line.strip().rpartition(" ")
        path = path.strip()
        row: dict[str, object] = {"path": path, "label": label}
        split = {"1": "train", "2": "test"}.get(use)
        stem = re.sub(r"\.avi$", "", path, flags=re.IGNORECASE)
        files = tree.videos.named(stem)
        if len(files) > 1:  # the same name under two classes: the list's own class is meant
            files = [file for file in files if file.path.split("/")[-2:-1] == [label]] or files
        if use == "0":
            unused = f"{name} uses it neither for training nor for testing"
            tree.left_out += [LeftOut(file.path, unused) for file in files]
            continue
        if split is None or len(files) != 1:
            row[LOSS] = _loss(path, use, [file.path for file in files])
        else:
            row |= {"path": files[0].path, "split": split}
        yield row


def _loss(path: str, use: str, files: list[str]) -> object:
    if use not in ("1", "2"):
        return lost("bad_row", f"behind {path} stands {use!r}, which is none of 0, 1 and 2").loss
    if files:
        return lost("ambiguous_file", f"{path} matches {len(files)} files: {', '.join(files[:5])}").loss
    return lost("not_found", f"there is no video {path}").loss


HMDB51: Final = Dialect("hmdb51", "HMDB51 lists", recognise, tables)
