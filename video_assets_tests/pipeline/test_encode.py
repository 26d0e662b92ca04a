"""One clip: the right frames under the right name, or a loss that says why."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from video_assets.domain.clips import VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.plan import PlannedClip
from video_assets.media.images import decode_image
from video_assets.pipeline.shards.encode import ClipJob, encode_clip, encode_spans
from video_assets.records.clip_record import ClipRecord
from video_assets.records.framing import read_records
from video_assets.records.layouts import layout_codec
from video_assets.storage.files import file_sha256
from video_assets_tests.pipeline.stages import LIMITS
from video_assets_tests.pipeline.videos import frame_number, write_video

ENCODING = Encoding(resolution=48, num_frames=5)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Twenty frames in two seconds."""
    return write_video(tmp_path / "run" / "a.mp4", seed=1)


def job_of(path: Path, encoding: Encoding = ENCODING, **clip: object) -> ClipJob:
    planned = PlannedClip(
        clip_id="run/a.mp4", path="run/a.mp4", content_hash=file_sha256(path), label="run", label_index=2
    )
    status = path.stat()
    return ClipJob(path, status.st_size, status.st_mtime_ns, replace(planned, **clip), encoding, LIMITS)


def record_of(job: ClipJob, tmp_path: Path) -> ClipRecord:
    file = tmp_path / "record"
    file.write_bytes(encode_clip(job).framed)
    with file.open("rb") as opened:
        (framed,) = read_records(opened)
    return layout_codec("tfds").decode_record(framed.data, ["jump", "walk", "run"])


def numbers(record: ClipRecord) -> list[int]:
    return [frame_number(decode_image(image)) for image in record.images]


def test_a_record_carries_its_name_its_label_and_the_frames_that_were_chosen(video: Path, tmp_path: Path) -> None:
    record = record_of(job_of(video), tmp_path)
    assert (record.clip_id, record.source, record.label, record.label_index) == ("run/a.mp4", "run/a.mp4", "run", 2)
    assert numbers(record) == [0, 4, 8, 12, 16]
    assert record.timestamps_us.tolist() == [0, 400_000, 800_000, 1_200_000, 1_600_000]
    assert decode_image(record.images[0]).shape == (48, 48, 3)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"num_frames": 20}, list(range(20))),
        ({"num_frames": 1}, [0]),
        ({"num_frames": 22}, [*range(20), 19, 19]),
        ({"num_frames": 22, "short_clip": "loop"}, [*range(20), 0, 1]),
        ({"sampling": "fps", "fps": 5}, list(range(0, 20, 2))),
        ({"sampling": "fps", "fps": 5, "max_frames": 3}, [0, 2, 4]),
        ({"sampling": "segments", "num_frames": 4}, [2, 7, 12, 17]),
        ({"sampling": "all"}, list(range(20))),
        ({"image_format": "png"}, [0, 4, 8, 12, 16]),
    ],
    ids=str,
)
def test_the_frames_are_those_of_the_sampling(
    video: Path, tmp_path: Path, change: dict[str, object], expected: list[int]
) -> None:
    assert numbers(record_of(job_of(video, ENCODING.replace(**change)), tmp_path)) == expected


def test_a_span_gives_frames_of_the_span_only(video: Path, tmp_path: Path) -> None:
    record = record_of(job_of(video, start_seconds=0.5, end_seconds=1.0), tmp_path)
    assert numbers(record) == [5, 6, 7, 8, 9]


def test_the_same_clip_gives_the_same_bytes(video: Path) -> None:
    assert encode_clip(job_of(video)).framed == encode_clip(job_of(video)).framed


def test_a_short_clip_is_lost_where_the_settings_say_so(video: Path) -> None:
    job = job_of(video, ENCODING.replace(num_frames=21, short_clip="quarantine"))
    with pytest.raises(VideoLost, match="too_short: the clip has 20 frames, 21 are asked for"):
        encode_clip(job)


def test_a_file_of_another_time_is_lost_as_changed(video: Path) -> None:
    job = job_of(video)
    os.utime(video, (1, 1))
    with pytest.raises(VideoLost, match="changed: the file changed after the manifest was made; materialize manifest"):
        encode_clip(job)


def test_a_file_of_another_size_is_lost_as_changed(video: Path) -> None:
    job = job_of(video)
    with pytest.raises(VideoLost, match="changed"):
        encode_clip(replace(job, size_bytes=job.size_bytes + 1))


def test_a_file_that_vanished_is_lost_as_missing(video: Path) -> None:
    job = job_of(video)
    video.unlink()
    with pytest.raises(VideoLost, match="missing_file: the file vanished after the manifest was made"):
        encode_clip(job)


@pytest.mark.parametrize("together", [True, False])
def test_frames_that_cannot_be_stored_are_the_loss_of_their_clip(
    video: Path, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise ValueError("a frame of 3x3 pixels cannot be stored as jpeg")

    monkeypatch.setattr("video_assets.media.images.encode_image", refuse)
    job = job_of(video)
    with pytest.raises(VideoLost, match="unreadable: Its frames cannot be stored: a frame of 3x3 pixels cannot be"):
        encode_spans([job, job]) if together else encode_clip(job)


def test_a_layout_that_does_not_exist_is_named(video: Path) -> None:
    from video_assets.domain.errors import SettingsError

    with pytest.raises(SettingsError, match=r"plan\.encoding\.layout is 'nonsense'; this version writes tfds"):
        encode_clip(job_of(video, ENCODING.model_copy(update={"layout": "nonsense"})))
