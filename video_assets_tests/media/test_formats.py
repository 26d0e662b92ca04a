"""What a file's first bytes give away is what FFmpeg finds by asking every demuxer."""

import io
from pathlib import Path

import av
import pytest

from video_assets.domain.losses import VideoLost
from video_assets.media.formats import evident_format
from video_assets.media.probe import probe_video
from video_assets_tests.corpus import corpus_files, corpus_path
from video_assets_tests.media.making import numbered_video


def test_every_named_format_of_real_videos_is_ffmpegs_own_choice() -> None:
    root = corpus_path()
    if root is None:
        pytest.skip("no corpus")
    num_named = 0
    for name in corpus_files("labelled/", "formats/", "long/"):
        with (root / name).open("rb") as file:
            evident = evident_format(file)
            assert file.tell() == 0
            if evident is None:
                continue
            num_named += 1
            with av.open(file) as container:
                assert evident == container.format.name, name
    assert num_named > 50


@pytest.mark.parametrize(("name", "num_frames"), [("a.mjpeg", 5), ("A.MJPG", 5), ("a.jpeg", None)])
def test_pictures_in_a_row_are_a_video_by_their_name(name: str, num_frames: int | None, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(numbered_video(5, codec="mjpeg", container="mjpeg", pix_fmt="yuvj420p"))
    if num_frames is None:
        with pytest.raises(VideoLost, match="or a still picture"):
            probe_video(tmp_path / name)
    else:
        assert probe_video(tmp_path / name).num_frames == num_frames


@pytest.mark.parametrize("head", [b"", b"RIFF", b"RIFF\x00\x00\x00\x00WEBP", b"\x1aE\xdf\xa3\x93", b"#EXTM3U\nftyp"])
def test_what_is_not_evident_is_left_to_ffmpeg(head: bytes) -> None:
    assert evident_format(io.BytesIO(head)) is None
