"""Which stream of a file is taken to be its video."""

import io

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.stream import Disposition

from video_assets.domain.losses import VideoLost
from video_assets.media.probe import probe_video
from video_assets_tests.media.making import numbered_picture, numbered_video


def add_picture(output: OutputContainer, *, is_cover: bool) -> None:
    """A stream of one motion JPEG frame."""
    stream = output.add_stream("mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
    if is_cover:
        stream.disposition = Disposition.attached_pic
    frame = av.VideoFrame.from_ndarray(numbered_picture(3), format="rgb24").reformat(width=64, height=64)
    frame.pts = 0
    output.mux([*stream.encode(frame), *stream.encode(None)])


def sound_with_a_picture(*, is_cover: bool) -> bytes:
    """A second of silence, and one picture beside it."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        sound = output.add_stream("aac", rate=44_100)
        add_picture(output, is_cover=is_cover)
        silence = AudioFrame.from_ndarray(np.zeros((1, 44_100), np.float32), format="fltp", layout="mono")
        silence.rate = 44_100
        output.mux([*sound.encode(silence), *sound.encode(None)])
    return file.getvalue()


def video_with_cover_art() -> bytes:
    """Five frames of H.264, and a picture."""
    file = io.BytesIO()
    with av.open(io.BytesIO(numbered_video(5)), "r") as source, av.open(file, "w", format="mp4") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        add_picture(output, is_cover=True)
        for packet in packets:
            packet.stream = stream
            output.mux(packet)
    return file.getvalue()


def test_sound_with_cover_art_is_no_video() -> None:
    with pytest.raises(VideoLost, match="Its only pictures are cover art, or those of chapters; ") as lost:
        probe_video(sound_with_a_picture(is_cover=True))
    assert lost.value.loss.reason == "no_video"


def test_sound_with_a_video_of_one_frame_is_a_video() -> None:
    assert probe_video(sound_with_a_picture(is_cover=False)).num_frames == 1


def test_cover_art_does_not_stand_in_for_a_video_that_cannot_be_decoded() -> None:
    video = video_with_cover_art()
    assert probe_video(video).num_frames == 5
    with pytest.raises(VideoLost, match="FFmpeg has no decoder for its video stream") as lost:
        probe_video(video.replace(b"avc1\x00", b"xyz1\x00"))
    assert lost.value.loss.reason == "unsupported_codec"
