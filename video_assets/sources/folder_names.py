"""Folders and files that are named after a split."""

import re
from typing import Final

from video_assets.domain.splits import Split, split_of_word

_FILLERS: Final = frozenset(
    {"video", "videos", "clip", "clips", "data", "dataset", "set", "split", "list", "rgb", "raw", "files", "images"}
)
"""Words that stand beside a split's and add nothing: `videos_train`, `test-set`, `train_256`."""
_WORDS: Final = re.compile(r"[A-Za-z]+|\d+")


def split_of_folder(name: str) -> Split | None:
    """Return the split that a folder's name means, alone or beside words that add nothing; None if it means none.

    >>> split_of_folder("Valid"), split_of_folder("videos_train"), split_of_folder("test_256"), split_of_folder("tests")
    ('val', 'train', 'test', None)
    """
    words = _WORDS.findall(name)
    splits: set[Split] = {split for word in words if (split := split_of_word(word))}
    others = [word for word in words if not split_of_word(word) and not word.isdigit()]
    is_named = len(splits) == 1 and all(word.lower() in _FILLERS for word in others)
    return splits.pop() if is_named else None


def split_in_name(name: str) -> Split | None:
    """Return the split that a file's name contains as a word; None if it contains none, or two.

    >>> split_in_name("kinetics400_train_list_videos.txt"), split_in_name("trainlist01.txt"), split_in_name("a.csv")
    ('train', 'train', None)
    """
    base = re.sub(r"([a-z])([A-Z])", r"\1 \2", name[name.rfind("/") + 1 :])
    splits: set[Split] = set()
    for word in _WORDS.findall(base):
        for form in (word, re.sub(r"(?i)(list|set|split)$", "", word)):
            split = split_of_word(form)
            if split is not None:
                splits.add(split)
    return splits.pop() if len(splits) == 1 else None
