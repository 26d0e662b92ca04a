"""Which container formats are opened, and what FFmpeg is given to tell them apart: first bytes and a name."""

import io
import re
from typing import BinaryIO, Final

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,vvc,m4v,mjpeg,obu,av1,ivf,flv,live_flv,"
    "kux,asf,asf_o,ogg,mxf,yuv4mpegpipe,gif,apng,webp,webp_pipe,nut,rm,dv,h261,h263,dirac,vc1,vc1test,cavsvideo,avs2,"
    "avs3,evc,amv,wtv,gxf,lxf,nsv,nuv,pva,ty,dhav,film_cpk,flic,smk,bink,roq,swf,ivr,rpl,mtv,pmp,cine"
)
"""Formats that hold video in one file. Left out on purpose: whatever names other files or places (hls, dash, concat,
imf, sdp, rtsp, image2 sequences, lavfi, devices) and still pictures."""


class NamedBytes(io.BytesIO):
    """A small file's bytes; FFmpeg's guesses see its name as they see a large one's."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self.name = name


_STILL_NAMES: Final = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
_NEXT_PICTURE: Final = re.compile(rb"\xff\xd9\x00{0,64}\xff\xd8\xff")
_LOOKED_AT_BYTES: Final = 16 * 2**20


def evident_format(file: BinaryIO) -> str | None:
    """The demuxer that FFmpeg is certain to choose, by its full name; None: let FFmpeg ask all of them (65 us).

    Motion JPEG without a container is what FFmpeg takes for still pictures, which are refused: see `_is_motion_jpeg`.
    """
    head = file.read(256) or b""
    file.seek(0)
    if head[4:8] == b"ftyp":
        return "mov,mp4,m4a,3gp,3g2,mj2"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == b"\x1aE\xdf\xa3" and (b"\x82\x84webm" in head[:64] or b"\x82\x88matroska" in head[:64]):
        return "matroska,webm"
    if _is_motion_jpeg(file, head):
        return "mjpeg"
    return None


def _is_motion_jpeg(file: BinaryIO, head: bytes) -> bool:
    """Pictures in a row by the file's name, by two more behind the first one, or as cameras send them over HTTP.

    A photo may hold two pictures as well, the second for the other eye or for a brighter screen. FFmpeg's own demuxer
    of the HTTP kind (mpjpeg) takes the last boundary for an error; the one for a bare stream passes over all of them.
    """
    if head.lstrip()[:2] == b"--":
        return b"content-type: image/jpeg" in head.lower()
    name = str(getattr(file, "name", "")).lower()
    if head[:3] != b"\xff\xd8\xff" or name.endswith(_STILL_NAMES):
        return False
    if name.endswith((".mjpeg", ".mjpg")):
        return True
    begin = file.read(_LOOKED_AT_BYTES) or b""
    file.seek(0)
    return len(_NEXT_PICTURE.findall(begin)) >= 2
