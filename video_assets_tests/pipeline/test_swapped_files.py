"""A file that is swapped after it was hashed: its clip is lost as changed, or what was hashed is stored."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from video_assets.domain.clips import VideoLost
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.pipeline.shards.stage import ShardReport
from video_assets.storage import remote_files
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.remote_files import locate_video, refuse_other_content
from video_assets.storage.sidecars import LostClip
from video_assets_tests.pipeline.stages import Stages, copied_source
from video_assets_tests.pipeline.videos import clip_path

FIRST, OTHER = clip_path("jump", 1, 1), clip_path("run", 2, 1)


def put_in_place(file: Path, content: bytes) -> None:
    """Another file of the same size and times, in one step."""
    status = file.stat()
    beside = file.with_name("beside")
    beside.write_bytes(content)
    os.utime(beside, ns=(status.st_atime_ns, status.st_mtime_ns))
    beside.replace(file)


def another_file(file: Path) -> None:
    put_in_place(file, file.read_bytes()[:-1] + b"\1")


def written_over(file: Path) -> None:
    status, content = file.stat(), file.read_bytes()
    file.write_bytes(content[:-1] + b"\1")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def link_out_of_the_source(file: Path) -> None:
    outside = file.parents[2] / "outside.mp4"
    shutil.copy2(file, outside)
    file.unlink()
    file.symlink_to(outside)


def folder_that_links_out_of_the_source(file: Path) -> None:
    folder, outside = file.parent, file.parents[2] / "outside"
    shutil.copytree(folder, outside)
    shutil.rmtree(folder)
    folder.symlink_to(outside)


SWAPS = [another_file, written_over, link_out_of_the_source, folder_that_links_out_of_the_source]


@pytest.mark.parametrize("whole_bytes", [remote_files.WHOLE_BYTES, 0], ids=["small", "large"])
@pytest.mark.parametrize("swap", SWAPS, ids=lambda swap: swap.__name__)
def test_a_file_that_is_swapped_before_it_is_encoded_loses_its_clip(
    swap: Callable[[Path], None], whole_bytes: int, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_files, "WHOLE_BYTES", whole_bytes)
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    stages.up_to_plan()
    status = (stages.source / FIRST).stat()
    swap(stages.source / FIRST)
    swapped = (stages.source / FIRST).stat()
    assert (swapped.st_size, swapped.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    stages.shards()
    lost = {loss.clip_id: loss.reason for report in stages.shards(stages_keys(stages)) for loss in losses(report)}
    assert lost[FIRST] == "changed"
    in_folder = {path for path in lost if path.startswith("jump/")}
    assert set(lost) == ({FIRST} if swap is not folder_that_links_out_of_the_source else in_folder)


def stages_keys(stages: Stages) -> list[str]:
    return list(read_plan(stages.paths).fingerprints())


def losses(report: ShardReport) -> Sequence[LostClip]:
    assert report.sidecar is not None
    return report.sidecar.losses


def test_a_link_within_the_source_and_followed_links_are_opened(videos: Path, tmp_path: Path) -> None:
    source = copied_source(videos, tmp_path)
    (source / "jump" / "linked.mp4").symlink_to(source / OTHER)
    assert locate_video(source / "jump" / "linked.mp4", source).content == (source / OTHER).read_bytes()
    outside = tmp_path / "outside.mp4"
    shutil.copy2(source / OTHER, outside)
    (source / "jump" / "out.mp4").symlink_to(outside)
    assert locate_video(source / "jump" / "out.mp4").content == outside.read_bytes()
    with pytest.raises(VideoLost, match="a link out of the source"):
        locate_video(source / "jump" / "out.mp4", source)


def test_a_large_file_that_is_swapped_while_it_is_read_is_noticed(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_files, "WHOLE_BYTES", 0)
    source = copied_source(videos, tmp_path)
    for swap in (another_file, written_over):
        video = locate_video(source / FIRST, source)
        swap(source / FIRST)
        with pytest.raises(VideoLost, match="another file was put in its place"):
            video.open()


def test_a_large_file_is_hashed_again_only_if_it_was_touched(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_files, "WHOLE_BYTES", 0)
    video = locate_video(copied_source(videos, tmp_path) / FIRST)
    refuse_other_content(video, "0" * 64, hashed_ns=video.changed_ns)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(VideoLost, match="not those that were hashed"):
        refuse_other_content(video, "0" * 64, hashed_ns=video.changed_ns - 1)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_pipe_is_no_video_and_blocks_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoLost, match="put in its place"):
        locate_video(tmp_path / "pipe.mp4")
