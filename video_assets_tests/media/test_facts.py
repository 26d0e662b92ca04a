"""What a video is like that a model may not expect, is a column of the manifest and a warning."""

import io
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from av.video.stream import VideoStream
from numpy.typing import NDArray

from video_assets.domain.clips import VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.geometry import FrameSize
from video_assets.domain.near_duplicates import motions_of_signatures
from video_assets.media.images import clip_signature
from video_assets.media.probe import probe_video
from video_assets.pipeline.dataset_warnings import manifest_warnings, stored_warnings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.media.making import decode_frames, numbered_picture, numbered_video
from video_assets_tests.media.open.test_tracks import MOVING, SECOND, video_of_tracks
from video_assets_tests.pipeline.stages import Stages


def marked_video(
    mark: Callable[[VideoStream], None], picture: Callable[[int], NDArray[np.uint8]] = numbered_picture, **options: str
) -> bytes:
    """Encode ten frames into an mp4 whose header says something of its pictures."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        mark(stream)
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def transfer_of(number: int) -> Callable[[VideoStream], None]:
    def mark(stream: VideoStream) -> None:
        stream.codec_context.color_trc = number

    return mark


def interlaced_video(picture: Callable[[int], NDArray[np.uint8]] = numbered_picture) -> bytes:
    return marked_video(lambda _: None, picture, **{"x264-params": "tff=1"})


def woven(number: int) -> NDArray[np.uint8]:
    """A bar at two moments: where it was at first in the even lines, and later in the odd ones."""
    picture = np.full((64, 128, 3), 40, np.uint8)
    picture[::2, 8 * number : 8 * number + 16] = 200
    picture[1::2, 8 * number + 20 : 8 * number + 36] = 200
    return picture


def test_deinterlaced_frames_show_one_moment_and_others_are_as_before() -> None:
    size = FrameSize("short_side", 64)
    one_moment = replace(size, deinterlace=True)
    video = interlaced_video(woven)
    first, later = (slice(18, 30), slice(38, 50))  # columns of the bar in the third frame, at both moments
    combed = decode_frames(video, [80_000], size).frames[0, 8:-8].astype(int)
    assert np.abs(np.diff(combed[:, first], axis=0)).mean() > 100
    alone = decode_frames(video, [80_000], one_moment).frames
    among_others = decode_frames(video, [0, 80_000, 200_000], one_moment).frames[1:2]
    for picture in (*alone.astype(int), *among_others.astype(int)):
        assert np.abs(np.diff(picture[:, first], axis=0)).mean() < 10
        assert {picture[:, first].mean() > 180, picture[:, later].mean() > 180} == {True, False}
    plain = numbered_video(5)
    assert (decode_frames(plain, [0], one_moment).frames == decode_frames(plain, [0], size).frames).all()


def test_a_video_that_contradicts_itself_is_named() -> None:
    rows = pd.DataFrame(
        {"path": ["a.mp4", "b.mp4"], "contradiction": ["it lasts 1 s, and 2 s", ""], "readable_fraction": 1.0}
    ).assign(transfer="", field_order="progressive", num_video_tracks=1.0, gap_us=0.0)
    (warning,) = manifest_warnings(rows)
    assert (warning.code, warning.source) == ("contradiction", "a.mp4")
    assert warning.detail == "a.mp4 contradicts itself: it lasts 1 s, and 2 s; one of the two is damaged"


def test_an_encoding_that_does_away_with_it_is_not_warned_of_it() -> None:
    rows = pd.DataFrame(
        {"path": ["a.mp4"], "transfer": ["smpte2084"], "field_order": ["interlaced"], "num_video_tracks": [1.0]}
    ).assign(readable_fraction=1.0, gap_us=0.0, contradiction="")
    assert {warning.code for warning in manifest_warnings(rows)} == {"hdr", "interlaced"}
    assert {warning.code for warning in manifest_warnings(rows, Encoding(hdr="tonemap"))} == {"interlaced"}
    assert {warning.code for warning in manifest_warnings(rows, Encoding(deinterlace=True))} == {"hdr"}


def test_a_video_says_its_transfer_its_fields_and_its_tracks() -> None:
    for number, name in ((1, "bt709"), (16, "smpte2084"), (18, "arib-std-b67"), (2, "")):
        assert probe_video(marked_video(transfer_of(number))).transfer == name
    assert probe_video(numbered_video(5)).field_order == "progressive"
    assert probe_video(interlaced_video()).field_order == "interlaced"
    assert probe_video(video_of_tracks("matroska", [(2, 2, SECOND), MOVING])).num_video_tracks == 2


def test_the_manifest_has_them_and_they_are_said_aloud(tmp_path: Path) -> None:
    folder = tmp_path / "videos" / "run"
    folder.mkdir(parents=True)
    (folder / "plain.mp4").write_bytes(numbered_video(10))
    (folder / "hdr.mp4").write_bytes(marked_video(transfer_of(16)))
    (folder / "fields.mp4").write_bytes(interlaced_video())
    (folder / "photo.mp4").write_bytes(video_of_tracks("mp4", [(2, 2, SECOND), MOVING]))
    stages = Stages(tmp_path / "videos", DatasetPaths(tmp_path / "root", "clips"))
    clips = stages.manifest().clips.set_index("path")
    assert clips.loc["run/hdr.mp4", "transfer"] == "smpte2084"
    assert clips.loc["run/fields.mp4", "field_order"] == "interlaced"
    assert clips.loc["run/photo.mp4", "num_video_tracks"] == 2
    said = {(warning.code, warning.source): warning.detail for warning in manifest_warnings(clips.reset_index())}
    assert set(said) == {
        ("hdr", "run/hdr.mp4"),
        ("interlaced", "run/fields.mp4"),
        ("several_tracks", "run/photo.mp4"),
    }
    assert said["hdr", "run/hdr.mp4"] == (
        "run/hdr.mp4 is HDR (PQ); its frames are stored without tone mapping and look flat "
        "(plan.encoding.hdr=tonemap maps them)"
    )


def test_a_manifest_without_these_columns_says_nothing_of_them() -> None:
    rows = pd.DataFrame(
        {
            "path": ["a.mp4"],
            "transfer": [None],
            "field_order": [None],
            "num_video_tracks": [np.nan],
            "readable_fraction": [np.nan],
            "gap_us": [np.nan],
            "contradiction": [None],
        }
    )
    assert manifest_warnings(rows) == []


def frames(*values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack(values)


def test_black_and_still_clips_are_told_from_moving_ones() -> None:
    pictures = [numbered_picture(number) for number in (0, 60, 120, 180, 240)]
    black, one = np.zeros_like(pictures[0]), pictures[3]
    noise = np.random.default_rng(0).normal(0, 2, (5, *one.shape))
    dark = np.clip(noise + 8, 0, 255).astype(np.uint8)
    faint = np.clip(noise / 4 + one, 0, 255).astype(np.uint8)
    clips = (frames(*[black] * 5), dark, frames(*[one] * 5), faint, frames(*pictures))
    found = motions_of_signatures(map(clip_signature, clips))
    assert found == ["black", "black", "still", "still", "moving"]
    assert motions_of_signatures([]) == []


def test_black_and_still_clips_are_named_with_their_share() -> None:
    one = numbered_picture(3)
    clips = {"a": frames(one, one, one), "b": frames(*[np.zeros_like(one)] * 3), "c": frames(one, one[::-1], one)}
    index = pd.DataFrame({"clip_id": list(clips), "signature": [clip_signature(clip) for clip in clips.values()]})
    assert [(warning.code, warning.source, warning.detail) for warning in stored_warnings(index)] == [
        ("black", "b", "the frames of b are black, or of one colour; 1 of 3 clips (33.3%)"),
        ("still", "a", "the frames of a do not move: they are one picture; 1 of 3 clips (33.3%)"),
    ]


def test_an_animated_webp_is_refused_with_a_reason_that_says_so() -> None:
    header = b"RIFF" + (100).to_bytes(4, "little") + b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes([2])
    with pytest.raises(VideoLost, match="unsupported_codec: It is an animated WebP, which FFmpeg cannot decode"):
        probe_video(header + bytes(80))
