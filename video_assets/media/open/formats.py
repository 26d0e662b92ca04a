"""List the container formats that are opened, and detect the usual ones from their first bytes."""

import io
import re
from typing import BinaryIO, Final

from video_assets.media.open.losses import lose

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,vvc,m4v,mjpeg,obu,av1,ivf,flv,live_flv,"
    "kux,asf,asf_o,ogg,mxf,yuv4mpegpipe,gif,apng,webp,webp_pipe,nut,rm,dv,h261,h263,dirac,vc1,vc1test,cavsvideo,avs2,"
    "avs3,evc,amv,wtv,gxf,lxf,nsv,nuv,pva,ty,dhav,film_cpk,flic,smk,bink,roq,swf,ivr,rpl,mtv,pmp,cine"
)
"""Formats that hold a video in one file. Formats that name other files or places (hls, dash, concat, imf, sdp, rtsp,
image2 sequences, lavfi, devices) are left out on purpose, and so are still pictures."""

BARE_WITH_RATE: Final = frozenset({"h264", "hevc", "vvc", "mpegvideo"})
"""Bare streams whose codec header may have a frame rate, which FFmpeg's decoder tells."""

BARE_STREAMS: Final = BARE_WITH_RATE | {
    "m4v", "cavsvideo", "avs2", "avs3", "evc", "vc1", "dirac", "h261", "h263", "obu"
}  # fmt: skip
"""Formats that are a codec's bytes alone. FFmpeg's demuxers give them 25 frames a second, whatever they say."""


MP4: Final = "mov,mp4,m4a,3gp,3g2,mj2"
"""FFmpeg's name of the format of mp4, mov and 3gp."""


class NamedBytes(io.BytesIO):
    """The bytes of a small file, with its name, which FFmpeg uses to guess the format."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self.name = name


_STILL_NAMES: Final = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
_NEXT_JPEG: Final = re.compile(rb"\xff\xd9\x00{0,64}\xff\xd8\xff")
_WEBP_ANIMATION: Final = 2  # a flag of the header VP8X
_SEARCHED_BYTES: Final = 16 * 2**20


def detect_format(file: BinaryIO) -> str | None:
    """Return the full name of the demuxer that FFmpeg would choose; None lets FFmpeg try all of them (65 us).

    Motion JPEG without a container is named here because FFmpeg takes it for still pictures, which are refused.
    """
    head = file.read(256) or b""
    file.seek(0)
    if head[4:8] == b"ftyp":
        return MP4
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == b"\x1aE\xdf\xa3" and (b"\x82\x84webm" in head[:64] or b"\x82\x88matroska" in head[:64]):
        return "matroska,webm"
    if _is_motion_jpeg(file, head):
        return "mjpeg"
    return None


def refuse_animated_webp(file: BinaryIO) -> None:
    """Refuse an animated WebP by name: FFmpeg says no more than that a packet does not decode.

    Raises:
        VideoLost: unsupported_codec.
    """
    head = file.read(32) or b""
    file.seek(0)
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20:21] and head[20] & _WEBP_ANIMATION:
        lose("unsupported_codec", "It is an animated WebP, which FFmpeg cannot decode; convert it, to mp4 for one.")


def _is_motion_jpeg(file: BinaryIO, head: bytes) -> bool:
    """Return whether a file holds JPEG pictures in a row, by its name, its content or the headers of a camera."""
    # FFmpeg's demuxer for HTTP cameras (mpjpeg) fails at the last boundary; the one for bare streams skips boundaries.
    if head.lstrip()[:2] == b"--":
        return b"content-type: image/jpeg" in head.lower()
    name = str(getattr(file, "name", "")).lower()
    if head[:3] != b"\xff\xd8\xff" or name.endswith(_STILL_NAMES):
        return False
    if name.endswith((".mjpeg", ".mjpg")):
        return True
    begin = file.read(_SEARCHED_BYTES) or b""
    file.seek(0)
    # One more picture is not enough: a photo may hold a second one, for the other eye or a brighter screen.
    return len(_NEXT_JPEG.findall(begin)) >= 2
