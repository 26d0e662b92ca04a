"""What names say: which files are videos or annotations, and which files and folders are named after a split."""

import re
from typing import Final

from video_assets.domain.splits import Split, split_of_word

# fmt: off
# What FFmpeg's demuxers of videos say they read (their lists of extensions, libavformat of FFmpeg 8), without what it
# plays only with a size given by hand (.yuv, .rgb), without scripts and lists of other files (.avs, .ism), and without
# what is mostly sound or a still picture (.ogg, .heic).
_FROM_FFMPEG: Final = (
    ".264", ".265", ".266", ".3g2", ".3gp", ".apv", ".avc", ".avi", ".avif", ".avs2", ".avs3", ".bmv", ".cdg", ".cdxl",
    ".dav", ".dif", ".dv", ".evc", ".f4v", ".flm", ".flv", ".gif", ".h261", ".h264", ".h265", ".h266", ".h26l", ".hevc",
    ".ifv", ".imx", ".ipu", ".ismv", ".ivr", ".kux", ".lvf", ".m4v", ".mj2", ".mjpeg", ".mjpg", ".mk3d", ".mkv",
    ".mods", ".moflex", ".mov", ".mp4", ".mvi", ".mxg", ".nut", ".obu", ".pdv", ".psp", ".rcv", ".ser", ".sga", ".ty",
    ".ty+", ".usm", ".vc1", ".viv", ".vvc", ".webm", ".xmv", ".y4m", ".yop",
)
# Demuxers that list no extension because they look into the file: MPEG, ASF, RealMedia, Ogg, IVF, WTV, APNG and others.
_LOOKED_INTO: Final = (
    ".3gp2", ".3gpp", ".amv", ".apng", ".asf", ".av1", ".bik", ".cine", ".divx", ".dvr-ms", ".evo", ".ivf", ".m1v",
    ".m2p", ".m2t", ".m2ts", ".m2v", ".mpe", ".mpeg", ".mpegts", ".mpg", ".mpv", ".mts", ".mxf", ".nsv", ".ogm", ".ogv",
    ".qt", ".rm", ".rmvb", ".roq", ".smk", ".ts", ".vob", ".vro", ".webp", ".wmv", ".wtv", ".xvid",
)
# What cameras call their MP4, MPEG-2 and MPEG-TS files: GoPro, Insta360, JVC, Panasonic, set-top boxes.
_FROM_CAMERAS: Final = (".360", ".insv", ".lrv", ".mod", ".tod", ".tp", ".trp")
# fmt: on

VIDEO_SUFFIXES: Final = frozenset((*_FROM_FFMPEG, *_LOOKED_INTO, *_FROM_CAMERAS))

TABLE_SUFFIXES: Final = (".csv", ".tsv", ".txt", ".parquet", ".jsonl", ".ndjson")
ANNOTATION_SUFFIXES: Final = (*TABLE_SUFFIXES, ".json")


ARCHIVE_SUFFIXES: Final = frozenset((".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".rar", ".7z"))


def suffix_of(name: str) -> str:
    """Return the ending of a file's name in small letters, with its dot; empty for none.

    >>> suffix_of("run/a.b.MP4"), suffix_of("run.d/a")
    ('.mp4', '')
    """
    base = name[name.rfind("/") + 1 :]
    place = base.rfind(".")
    return base[place:].lower() if place > 0 else ""


def without_suffix(name: str) -> str:
    """Return a name without the ending of a video; other dots belong to the name.

    >>> without_suffix("a.b.mp4"), without_suffix("take 1.5")
    ('a.b', 'take 1.5')
    """
    suffix = suffix_of(name)
    return name[: -len(suffix)] if suffix in VIDEO_SUFFIXES else name


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
