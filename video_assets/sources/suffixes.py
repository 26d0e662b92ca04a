"""Names that are taken for videos, and for annotations, whatever the case of their letters."""

from typing import Final

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
