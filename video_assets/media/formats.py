"""Which container formats are opened, and what FFmpeg is given to tell them apart: first bytes and a name."""

import io
from typing import BinaryIO

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,vvc,m4v,mjpeg,obu,av1,ivf,flv,live_flv,"
    "kux,asf,asf_o,ogg,mxf,yuv4mpegpipe,gif,apng,webp,webp_pipe,nut,rm,dv,h261,h263,dirac,vc1,vc1test,cavsvideo,avs2,"
    "avs3,evc,amv,wtv,gxf,lxf,nsv,nuv,pva,ty,dhav,film_cpk,flic,smk,bink,roq,swf,ivr,rpl,mtv,pmp"
)
"""Formats that hold video in one file. Left out on purpose: whatever names other files or places (hls, dash, concat,
imf, sdp, rtsp, image2 sequences, lavfi, devices) and still pictures."""


class NamedBytes(io.BytesIO):
    """A small file's bytes; FFmpeg's guesses see its name as they see a large one's."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self.name = name


def evident_format(file: BinaryIO) -> str | None:
    """The demuxer that FFmpeg is certain to choose, by its full name; None: let FFmpeg ask all of them (65 us).

    Motion JPEG without a container begins as a still picture does, which is refused: there the name decides.
    """
    head = file.read(64) or b""
    file.seek(0)
    if head[4:8] == b"ftyp":
        return "mov,mp4,m4a,3gp,3g2,mj2"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == b"\x1aE\xdf\xa3" and (b"\x82\x84webm" in head or b"\x82\x88matroska" in head):
        return "matroska,webm"
    if head[:3] == b"\xff\xd8\xff" and str(getattr(file, "name", "")).lower().endswith((".mjpeg", ".mjpg")):
        return "mjpeg"
    return None
