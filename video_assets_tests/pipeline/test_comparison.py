"""A stored record against its source: what is right passes under every setting, what is wrong is named."""

from dataclasses import replace
from pathlib import Path

import pytest

from video_assets.domain.clips import VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import choose_timestamps
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.images import decode_image, encode_images
from video_assets.pipeline.checks import comparison
from video_assets.pipeline.checks.comparison import SourceComparison, compare_with_source
from video_assets_tests.pipeline.stages import LIMITS
from video_assets_tests.pipeline.videos import clip_path, frame_number, write_video

JPEG = Encoding(resolution=48, num_frames=5)


def stored(path: Path, encoding: Encoding) -> SourceComparison:
    """A record of the whole video, as the shard stage stores it."""
    decoded = decode_clip(
        path,
        lambda timeline: choose_timestamps(timeline, encoding).tolist(),
        FrameSize(encoding.resize, encoding.resolution),
        LIMITS,
    )
    images = tuple(encode_images(decoded.frames, encoding.image_format, encoding.jpeg_quality))
    return SourceComparison(path, images, tuple(decoded.timestamps_us.tolist()), True, encoding, LIMITS)


@pytest.fixture(scope="module")
def video(videos: Path) -> Path:
    return videos / clip_path("run", 1, 1)


@pytest.mark.parametrize(
    "encoding",
    [
        JPEG,
        JPEG.replace(image_format="png"),
        JPEG.replace(jpeg_quality=30),
        JPEG.replace(resize="short_side"),
        JPEG.replace(resize="center_crop"),
        JPEG.replace(sampling="fps", fps=3),
        JPEG.replace(sampling="fps", fps=25),
        JPEG.replace(num_frames=20),
        JPEG.replace(num_frames=30),
        JPEG.replace(num_frames=30, short_clip="loop"),
    ],
    ids=lambda e: f"{e.image_format}-{e.jpeg_quality}-{e.resize}-{e.sampling}-{e.num_frames}-{e.fps:g}-{e.short_clip}",
)
def test_what_the_shard_stage_stores_passes(video: Path, encoding: Encoding) -> None:
    result = compare_with_source(stored(video, encoding))
    assert result.fault == ""
    assert result.psnr_db > (45 if encoding.image_format == "png" else 20)


def test_the_frames_are_those_that_are_meant(video: Path) -> None:
    job = stored(video, JPEG)
    assert [frame_number(decode_image(image)) for image in job.images] == [0, 4, 8, 12, 16]
    assert job.timestamps_us == (0, 400_000, 800_000, 1_200_000, 1_600_000)


def test_a_frame_of_another_moment_is_named(video: Path) -> None:
    job = stored(video, JPEG)
    wrong = replace(job, images=(*job.images[:3], job.images[4], job.images[4]))
    assert compare_with_source(wrong).fault.startswith("frame 3 is ")


def test_frames_of_another_video_are_named(video: Path, videos: Path) -> None:
    job = stored(video, JPEG)
    assert compare_with_source(replace(job, path=videos / clip_path("walk", 2, 1))).fault.startswith("frame 0 is ")


def test_times_that_go_backwards_are_named(video: Path) -> None:
    job = stored(video, JPEG)
    assert compare_with_source(replace(job, timestamps_us=job.timestamps_us[::-1])).fault == "its times go backwards"


def test_a_frame_may_stand_twice_only_if_the_source_has_too_few(video: Path, tmp_path: Path) -> None:
    job = stored(video, JPEG)
    twice = replace(
        job, images=(*job.images[:4], job.images[3]), timestamps_us=(*job.timestamps_us[:4], job.timestamps_us[3])
    )
    assert compare_with_source(twice).fault == "1 frame stands twice, though its source has 20"
    short = write_video(tmp_path / "short.mp4", 1, num_frames=3)
    assert compare_with_source(stored(short, JPEG)).fault == ""


def test_frames_of_another_size_are_named(video: Path) -> None:
    job = stored(video, JPEG)
    other = stored(video, JPEG.replace(resolution=40))
    assert compare_with_source(replace(job, images=other.images)).fault == (
        "its frames are (5, 40, 40, 3), its source gives (5, 48, 48, 3)"
    )


def test_an_image_that_does_not_decode_is_a_fault(video: Path) -> None:
    job = stored(video, JPEG)
    wrong = replace(job, images=(b"\xff\xd8\xff\xe0", *job.images[1:]))
    assert compare_with_source(wrong).fault.startswith("its frames cannot be decoded: 4 bytes beginning with")


def test_a_source_that_cannot_be_decoded_is_a_loss(video: Path, videos: Path) -> None:
    with pytest.raises(VideoLost, match="unreadable"):
        compare_with_source(replace(stored(video, JPEG), path=videos / "run" / "broken.mp4"))


def test_of_a_long_video_only_the_chosen_frames_are_looked_for(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(stored(video, JPEG), spots=(1, 3))
    with monkeypatch.context() as without:
        without.delattr(comparison, "decode_frames_sequentially")  # it is not called
        result = compare_with_source(job)
    assert result.fault == ""
    assert result.frame_index in job.spots
    assert len(result.side_by_side("x", job.timestamps_us)) == 1


def test_a_long_video_is_decoded_whole_where_a_chosen_frame_differs(video: Path) -> None:
    job = stored(video, JPEG)
    wrong = replace(job, images=(*job.images[:3], job.images[4], job.images[4]), spots=(3,))
    assert compare_with_source(wrong).fault.startswith("frame 3 is ")
    late = replace(job, timestamps_us=(*job.timestamps_us[:4], job.timestamps_us[4] + 1), spots=(4,))
    assert compare_with_source(late).fault == "its times are not times at which its source shows a frame"
