"""A video can read nothing but its own bytes: playlists, scripts and references to other files are not followed."""

import contextlib
import ctypes
import errno
import io
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
import pytest

from video_assets.domain.clips import VideoLost
from video_assets.domain.geometry import FrameSize
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.decode.sequential import decode_frames_sequentially
from video_assets.media.open import video
from video_assets.media.probe import probe_video
from video_assets_tests.media.making import numbered_video

SIZE = FrameSize("stretch", 32)


class LoopbackServer:
    """Counts connections."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.num_connections = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.num_connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(timeout=5)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    running = LoopbackServer()
    yield running
    running.close()


class OpenWatch:
    """Sees every opening of one file, by FFmpeg's C code too (inotify)."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._descriptor, os.fsencode(path), 0x20) >= 0  # IN_OPEN

    def was_opened(self) -> bool:
        try:
            return bool(os.read(self._descriptor, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.mp4"
    path.write_bytes(numbered_video(5))
    return path


@pytest.fixture
def watch(secret: Path) -> Iterator[OpenWatch]:
    if sys.platform != "linux":
        pytest.skip("needs inotify to see what FFmpeg opens")
    watching = OpenWatch(secret)
    secret.read_bytes()
    assert watching.was_opened(), "the watch itself must work"
    yield watching
    watching.close()


def playlists(target: str) -> dict[str, bytes]:
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S" '
        'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
        '<Period><AdaptationSet mimeType="video/mp4">'
        f'<Representation id="1" bandwidth="1000"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period>'
        "</MPD>"
    )
    smil = f'<?xml version="1.0"?><smil><body><video src="{target}"/></body></smil>'
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n".encode(),
        "hls with a key": (
            f'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:1,\n{target}\n'
            "#EXT-X-ENDLIST\n"
        ).encode(),
        "hls with a map": (
            f'#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI="{target}"\n#EXTINF:1,\n{target}\n'
            "#EXT-X-ENDLIST\n"
        ).encode(),
        "concat script": f"ffconcat version 1.0\nfile '{target}'\nduration 1\n".encode(),
        "dash": dash.encode(),
        "smil": smil.encode(),
        "sdp": (
            f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=x:{target}\n"
        ).encode(),
        "url shortcut": f"[InternetShortcut]\nURL={target}\n".encode(),
        "asx": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>'.encode(),
        "rtsp reference movie": f"rtsptext\n{target}\n".encode(),
    }


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def movie_with_outside_data(reference: bytes, kind: bytes = b"url ") -> bytes:
    """Make a good movie whose data reference says that its samples are in another file."""
    movie = numbered_video(5)  # its moov lies behind the samples, so that growing it moves none
    inside = box(b"url ", b"\x00\x00\x00\x01")
    assert movie.count(inside) == 1
    outside = box(kind, b"\x00\x00\x00\x00" + reference)
    growth = len(outside) - len(inside)
    place = movie.index(inside)
    changed = bytearray(movie[:place] + outside + movie[place + len(inside) :])
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        start = changed.index(parent) - 4
        (size,) = struct.unpack_from(">I", changed, start)
        struct.pack_into(">I", changed, start, size + growth)
    return bytes(changed)


def alias(path: str) -> bytes:
    """A QuickTime alias record (as FFmpeg's mov demuxer reads it) that names `path` absolutely."""
    name = path.encode()
    record = b"\x00" * 10 + bytes([4]) + b"disk".ljust(27, b"\x00") + b"\x00" * 12
    record += bytes([len(Path(path).name)]) + Path(path).name.encode().ljust(63, b"\x00") + b"\x00" * 16
    record += struct.pack(">HH", 1, 1) + b"\x00" * 16
    record += (
        struct.pack(">HH", 2, len(name)) + name + (b"\x00" if len(name) % 2 else b"") + struct.pack(">HH", 0xFFFF, 0)
    )
    return record


def look_at(video: bytes) -> list[object]:
    """Run everything that opens videos on this one, and return the results or loss reasons."""
    came: list[object] = []
    for look in (
        lambda: probe_video(video),
        lambda: decode_clip(video, lambda timeline: [timeline.start_us], SIZE),
        lambda: decode_frames_sequentially(video, [0], SIZE),
    ):
        try:
            came.append(look())
        except VideoLost as lost:
            came.append(lost.loss.reason)
    return came


@pytest.mark.parametrize("name", playlists("x"))
def test_nothing_that_names_other_places_is_a_video(
    name: str, server: LoopbackServer, secret: Path, watch: OpenWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(secret.parent)
    for target in (
        f"http://127.0.0.1:{server.port}/video.ts",
        str(secret),
        secret.name,
        f"file:{secret}",
        f"concat:{secret}|{secret}",
        f"subfile,,start,0,end,0,,:{secret}",
        f"crypto:http://127.0.0.1:{server.port}/x",
        f"tcp://127.0.0.1:{server.port}",
    ):
        assert look_at(playlists(target)[name]) == ["unreadable"] * 3
    assert server.num_connections == 0
    assert not watch.was_opened()


def test_a_playlist_beside_its_segment_does_not_read_it(secret: Path, watch: OpenWatch) -> None:
    path = secret.with_name("list.m3u8")
    path.write_bytes(playlists(secret.name)["hls"])
    with pytest.raises(VideoLost) as lost:
        probe_video(path)
    assert lost.value.loss.reason == "unreadable"
    assert lost.value.loss.detail == "It is not a video file, but something that names other files, or a still picture."
    assert not watch.was_opened()


def test_a_movie_does_not_fetch_samples_from_elsewhere(
    server: LoopbackServer, secret: Path, watch: OpenWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(secret.parent)
    for reference in (f"http://127.0.0.1:{server.port}/x\x00".encode(), f"file://{secret}\x00".encode()):
        look_at(movie_with_outside_data(reference))
    for name in (str(secret), f"/{secret.name}"):
        look_at(movie_with_outside_data(alias(name), kind=b"alis"))
    path = secret.with_name("beside.mov")
    path.write_bytes(movie_with_outside_data(alias(str(secret)), kind=b"alis"))
    with contextlib.suppress(VideoLost):
        probe_video(path)
    assert server.num_connections == 0
    assert not watch.was_opened()


def test_the_alias_of_these_tests_would_be_followed_where_it_is_allowed(secret: Path, watch: OpenWatch) -> None:
    """Without this, the test above would prove nothing."""
    path = secret.with_name("beside.mov")
    path.write_bytes(movie_with_outside_data(alias(str(secret)), kind=b"alis"))
    with (
        contextlib.suppress(av.error.FFmpegError),
        av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}),
    ):
        pass
    assert watch.was_opened()


def test_a_pipe_or_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(VideoLost) as lost:
            probe_video(path)
        assert (lost.value.loss.reason, lost.value.loss.detail) == ("unreadable", "It is not a regular file.")


def test_a_missing_and_an_empty_file_have_their_own_reasons(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    for name, reason in (("absent.mp4", "missing_file"), ("empty.mp4", "empty_file")):
        with pytest.raises(VideoLost) as lost:
            probe_video(tmp_path / name)
        assert lost.value.loss.reason == reason


@pytest.mark.parametrize(
    ("number", "small", "reason"),
    [(errno.EIO, True, "read_failed"), (errno.EIO, False, "read_failed"), (errno.EINVAL, False, "unreadable")],
)
def test_a_disk_that_fails_is_no_fault_of_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str, *, small: bool
) -> None:
    """EINVAL comes from seeking to an impossible position, which the video named."""

    class Failing(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(number, os.strerror(number))

    path = tmp_path / "a.mp4"
    path.write_bytes(numbered_video(5))
    monkeypatch.setattr(video.io, "FileIO", Failing)
    monkeypatch.setattr(video, "SMALL_FILE_BYTES", 1 << 20 if small else 0)
    with pytest.raises(VideoLost) as lost:
        probe_video(path)
    assert lost.value.loss.reason == reason
    assert lost.value.loss.detail.endswith(f": {os.strerror(number)}.")


def test_a_still_picture_is_not_a_video(tmp_path: Path) -> None:
    import cv2
    import numpy as np

    done, encoded = cv2.imencode(".jpg", np.zeros((32, 32, 3), dtype=np.uint8))
    assert done
    assert look_at(encoded.tobytes()) == ["unreadable"] * 3
