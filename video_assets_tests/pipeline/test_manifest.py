"""The manifest: what is opened, what is remembered, what is lost and why."""

import csv
import errno
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from video_assets.domain.clips import Loss, VideoLost
from video_assets.domain.errors import BuildRefused, FileDamaged, SettingsError
from video_assets.pipeline.classes import LABELS_NOTE, class_counts
from video_assets.pipeline.manifest import excluded as remembered_losses
from video_assets.pipeline.manifest import probing
from video_assets.pipeline.manifest.stage import build_manifest
from video_assets.pipeline.upkeep.repair import repair_dataset
from video_assets.pipeline.upkeep.verify import find_damage
from video_assets.settings import Limits, ManifestSettings
from video_assets.storage.files import read_lines
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.quarantine import accepted_losses, quarantined, read_quarantine
from video_assets.storage.tables import MANIFEST, QUARANTINE, read_noted_table, read_notes, write_table
from video_assets_tests.pipeline.stages import InThisProcess, Stages, copied_source, steps_of
from video_assets_tests.pipeline.videos import CLASSES, NUM_CLIPS, clip_path, write_video

FIRST = clip_path("jump", 1, 1)


@pytest.fixture
def stages(videos: Path, tmp_path: Path) -> Stages:
    return Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))


def opened(stages: Stages, **settings: Any) -> list[str]:
    """Materializes the manifest; gives the files that it opened."""
    pool = InThisProcess()
    report = stages.manifest(pool, **settings)
    assert report.num_files_probed == len(pool.jobs)
    return [job.file.path for job in pool.jobs]


def write_csv(path: Path, *rows: Mapping[str, object]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def touch(path: Path, seconds: int = 10) -> None:
    """Another time, the same content."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + seconds * 10**9))


def test_a_first_table_of_which_no_row_can_be_used_is_refused_with_its_first_reason(stages: Stages) -> None:
    path = Path("/elsewhere") / FIRST
    table = write_csv(stages.source / "labels.csv", {"path": str(path), "label": "jump"})
    with pytest.raises(BuildRefused, match=r"^1 of 1 clip \(100.0%\) cannot be used \(outside_source 1\)"):
        Stages(table, stages.paths).manifest()
    assert read_quarantine(stages.paths.quarantine)["source"].tolist() == [str(path)]


def test_spans_of_videos_that_are_cut_already_are_refused_with_what_to_do(stages: Stages) -> None:
    table = write_csv(stages.source / "labels.csv", {"path": FIRST, "label": "jump", "start": 307, "end": 317})
    with pytest.raises(BuildRefused, match=r"it starts at 307 s, .*manifest\.columns: \{start: \"\", end: \"\"\}"):
        Stages(table, stages.paths).manifest()
    assert len(Stages(table, stages.paths).manifest(columns={"start": "", "end": ""}).clips) == 1


def test_every_usable_clip_has_one_row_with_what_opening_it_told(stages: Stages) -> None:
    report = stages.manifest()
    clips = report.clips.set_index("clip_id")
    assert len(clips) == NUM_CLIPS
    assert class_counts(report.clips, multi_label=False) == dict.fromkeys(CLASSES, 8)
    first = clips.loc[FIRST]
    assert (first["label"], first["group"]) == ("jump", "jump_01")
    assert (first["width_px"], first["height_px"], first["num_frames"]) == (64, 48, 20)
    assert (first["duration_us"], first["codec"]) == (2_000_000, "h264")
    assert clips["content_hash"].nunique() == NUM_CLIPS
    assert read_lines(stages.paths.labels) == list(CLASSES)
    pd.testing.assert_frame_equal(pd.read_parquet(stages.paths.manifest), report.clips, check_dtype=False)


def test_a_broken_file_is_quarantined_with_a_reason_and_a_sentence(stages: Stages) -> None:
    report = stages.manifest()
    assert list(stages.quarantined()) == ["run/broken.mp4"]
    reason, sentence = stages.quarantined()["run/broken.mp4"]
    assert reason == "unreadable"
    assert sentence.startswith("No known video container could be read")
    assert report.failed_fraction == 1 / (NUM_CLIPS + 1)


def test_hidden_files_and_other_files_are_left_out_and_named(stages: Stages) -> None:
    report = stages.manifest()
    assert [(item.source, item.reason) for item in report.left_out] == [
        ("notes.txt", "not a video by its name"),
        ("run/.hidden.mp4", "hidden"),
    ]
    assert pd.read_parquet(stages.paths.left_out)["source"].tolist() == ["notes.txt", "run/.hidden.mp4"]


def test_a_second_look_opens_nothing_and_writes_the_same_bytes(stages: Stages) -> None:
    assert len(opened(stages)) == NUM_CLIPS + 1
    before = stages.paths.manifest.read_bytes()
    assert opened(stages) == []
    assert stages.paths.manifest.read_bytes() == before
    assert list(stages.quarantined()) == ["run/broken.mp4"]


def test_only_new_files_are_opened(stages: Stages) -> None:
    stages.manifest()
    new = clip_path("run", 9, 1)
    write_video(stages.source / new, seed=1)
    assert opened(stages) == [new]


def test_only_files_of_another_size_or_time_are_opened_again(stages: Stages) -> None:
    stages.manifest()
    touch(stages.source / FIRST)
    other = clip_path("walk", 2, 2)
    write_video(stages.source / other, seed=2, num_frames=25)
    assert opened(stages) == [FIRST, other]
    assert opened(stages) == []


def test_a_changed_file_has_its_new_content_and_the_others_their_old(stages: Stages) -> None:
    before = stages.manifest().clips.set_index("clip_id")["content_hash"]
    write_video(stages.source / FIRST, seed=2, num_frames=25)
    after = stages.manifest().clips.set_index("clip_id")
    assert after.loc[FIRST, "num_frames"] == 25
    assert list(after.index[after["content_hash"] != before]) == [FIRST]


def test_a_deleted_file_leaves_the_manifest(stages: Stages) -> None:
    stages.manifest()
    (stages.source / FIRST).unlink()
    assert FIRST not in set(stages.manifest().clips["clip_id"])


def test_a_mended_file_leaves_the_quarantine(stages: Stages) -> None:
    stages.manifest()
    write_video(stages.source / "run" / "broken.mp4", seed=3)
    assert opened(stages) == ["run/broken.mp4"]
    assert stages.quarantined() == {}


def test_a_loss_that_lies_in_the_file_is_remembered_with_its_sentence(stages: Stages) -> None:
    stages.manifest()
    before = stages.quarantined()
    assert opened(stages) == []
    assert stages.quarantined() == before


def test_a_loss_that_lies_in_the_machine_or_the_settings_is_tried_again(stages: Stages) -> None:
    (stages.source / "run" / "broken.mp4").unlink()
    size = (stages.source / FIRST).stat().st_size
    write_video(stages.source / FIRST, seed=2, num_frames=120)
    assert (stages.source / FIRST).stat().st_size > size
    opened(stages, max_frames=100)
    assert stages.quarantined()[FIRST][0] == "too_many_frames"
    assert opened(stages, max_frames=100) == [FIRST]
    assert opened(stages) == [FIRST]
    assert stages.quarantined() == {}


def test_a_file_that_the_system_would_not_read_is_tried_again(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Giving a file its rights back changes neither its size nor its time."""

    def forbidden(_: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    (stages.source / "run" / "broken.mp4").unlink()
    stages.manifest()
    new = clip_path("run", 9, 1)
    write_video(stages.source / new, seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(probing, "content_identity", forbidden)
        stages.manifest()
    assert stages.quarantined() == {new: ("read_failed", "the file cannot be read: Permission denied")}
    assert opened(stages) == [new]
    assert stages.quarantined() == {}


def test_another_decoder_is_asked_once_about_what_the_one_before_could_not_read(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stages.source / "run" / "nothing.mp4").touch()
    stages.manifest()
    monkeypatch.setattr(remembered_losses, "version", lambda _: "99.0")
    assert opened(stages) == ["run/broken.mp4"]  # an empty file has no video for any decoder
    assert opened(stages) == []
    stages.splits()
    assert opened(stages) == []


def test_a_quarantine_that_notes_no_decoder_is_asked_once(stages: Stages) -> None:
    """As earlier versions wrote it, which called a file unreadable that the system would not read."""
    stages.manifest()
    write_table(stages.paths.quarantine, read_quarantine(stages.paths.quarantine), QUARANTINE)
    assert opened(stages) == ["run/broken.mp4"]
    assert opened(stages) == []


@pytest.mark.parametrize(
    ("setting", "most", "reason"),
    [
        ("max_pixels", 100, "too_many_pixels"),
        ("max_frames", 19, "too_many_frames"),
        ("max_duration_seconds", 1, "too_long"),
    ],
)
def test_what_exceeds_a_limit_is_lost_by_the_name_of_the_limit(
    stages: Stages, setting: str, most: int, reason: str
) -> None:
    settings = ManifestSettings().replace(**{setting: most})
    with pytest.raises(BuildRefused, match=f"{reason} 2[45]"):
        build_manifest(stages.source, stages.paths, settings, InThisProcess())
    found = stages.quarantined()[FIRST]
    assert found[0] == reason
    assert str(most) in found[1]


def test_a_file_above_the_limit_is_lost_by_the_name_of_the_limit(stages: Stages) -> None:
    (stages.source / "run" / "broken.mp4").unlink()
    os.truncate(stages.source / FIRST, 1_000_001)
    stages.manifest(max_file_megabytes=1)
    reason, words = stages.quarantined()[FIRST]
    assert reason == "too_large"
    assert "1000000 are allowed (manifest.max_file_megabytes)" in words


def test_an_empty_file_is_lost_as_such(stages: Stages) -> None:
    (stages.source / "run" / "nothing.mp4").touch()
    stages.manifest()
    assert stages.quarantined()["run/nothing.mp4"] == ("empty_file", "the file has no bytes")


def test_the_same_content_under_two_labels_is_quarantined_under_both(stages: Stages) -> None:
    twin = stages.source / "walk" / "twin.mp4"
    shutil.copy(stages.source / FIRST, twin)
    report = stages.manifest(max_failed_fraction=0.2)
    sentence = f"the same content stands under 2 labels (jump: {FIRST}; walk: walk/twin.mp4)"
    assert stages.quarantined()[FIRST] == ("label_conflict", sentence)
    assert stages.quarantined()["walk/twin.mp4"] == ("label_conflict", sentence)
    assert not {FIRST, "walk/twin.mp4"} & set(report.clips["clip_id"])
    twin.unlink()
    assert FIRST in set(stages.manifest().clips["clip_id"])


def test_the_same_content_under_one_label_is_two_clips(stages: Stages) -> None:
    shutil.copy(stages.source / FIRST, stages.source / "jump" / "twin.mp4")
    clips = stages.manifest().clips.set_index("clip_id")["content_hash"]
    assert clips[FIRST] == clips["jump/twin.mp4"]


def test_more_lost_than_allowed_is_refused_by_name_after_the_quarantine_was_written(stages: Stages) -> None:
    with pytest.raises(BuildRefused) as refused:
        stages.manifest(max_failed_fraction=0.01)
    assert str(refused.value).startswith(
        "1 of 25 clips (4.0%) cannot be used (unreadable 1); at most 1.0% may fail. The first is run/broken.mp4: "
    )
    assert "raise manifest.max_failed_fraction" in str(refused.value)
    assert list(stages.quarantined()) == ["run/broken.mp4"]
    assert not stages.paths.manifest.exists()


def test_a_refused_manifest_leaves_the_one_before_it(stages: Stages) -> None:
    stages.manifest()
    before = stages.paths.manifest.read_bytes()
    for number in range(9):
        (stages.source / "run" / f"broken{number}.mp4").write_bytes(b"broken")
    with pytest.raises(BuildRefused):
        stages.manifest()
    assert stages.paths.manifest.read_bytes() == before
    assert len(stages.quarantined()) == 10


def test_what_a_refused_manifest_lost_is_told_apart_from_what_was_accepted(stages: Stages) -> None:
    stages.manifest()
    accepted = accepted_losses(stages.paths.quarantine)
    junk = [stages.source / "run" / f"junk{number}.mp4" for number in range(9)]
    for path in junk:
        path.write_bytes(b"junk")
    with pytest.raises(BuildRefused):
        stages.manifest()
    assert accepted_losses(stages.paths.quarantine).to_dict("records") == accepted.to_dict("records")
    told = [row["source"] for row in quarantined(stages.paths.quarantine)]
    assert told == ["run/broken.mp4", *(f"run/{path.name}" for path in junk)]
    for path in junk:
        path.unlink()
    stages.manifest()
    assert list(read_quarantine(stages.paths.quarantine)["stage"]) == ["manifest"]


def test_what_another_decoder_said_is_not_believed_after_a_refused_manifest_asked_again(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are still there, and the table's note names the decoder of now."""
    probe_video = probing.probe_video

    def cannot_read(video: Any, limits: Limits, encoder_version: int) -> Any:
        if Path(video.name).name == "unlucky.mp4":
            raise VideoLost(Loss("unreadable", "this decoder cannot"))
        return probe_video(video, limits, encoder_version)

    write_video(stages.source / "run" / "unlucky.mp4", seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(probing, "probe_video", cannot_read)
        stages.manifest()
    assert "run/unlucky.mp4" in stages.quarantined()
    monkeypatch.setattr(remembered_losses, "version", lambda _: "99.0")
    for number in range(9):
        (stages.source / "run" / f"junk{number}.mp4").write_bytes(b"junk")
    with pytest.raises(BuildRefused):
        stages.manifest()
    assert "run/unlucky.mp4" in set(stages.manifest(max_failed_fraction=0.5).clips["clip_id"])
    assert "run/unlucky.mp4" not in stages.quarantined()


def test_a_file_that_is_as_the_manifest_saw_it_has_settled_whoever_looked_when(stages: Stages) -> None:
    """A build took it in while no sensor looked; a look before that does not know of it."""
    stages.manifest()
    write_video(stages.source / "run" / "moving.mp4", seed=1)
    report = stages.manifest(only_settled=True)
    assert len(report.clips) == NUM_CLIPS
    assert not report.gone
    assert "run/moving.mp4" in {item.source for item in report.left_out}


def test_an_empty_source_is_refused_and_says_what_was_left_out(tmp_path: Path) -> None:
    source = tmp_path / "videos"
    source.mkdir()
    stages = Stages(source, DatasetPaths(tmp_path / "root", "clips"))
    with pytest.raises(BuildRefused, match="no videos in the source"):
        stages.manifest()
    (source / "notes.txt").write_text("not a video")
    with pytest.raises(BuildRefused, match=r"1 entries were left out, such as notes.txt: not a video by its name"):
        stages.manifest()


def test_a_table_without_rows_is_told_so(stages: Stages, tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("path,label\n")
    with pytest.raises(
        BuildRefused, match=r"no videos in the source .*clips.csv. The table has no rows; write one for"
    ):
        Stages(table, DatasetPaths(tmp_path / "other", "clips")).manifest()


def test_a_source_that_became_empty_does_not_mean_that_all_is_deleted(stages: Stages) -> None:
    stages.manifest()
    before = stages.paths.manifest.read_bytes()
    shutil.rmtree(stages.source)
    stages.source.mkdir()
    with pytest.raises(BuildRefused, match=f"The dataset knows {NUM_CLIPS} clips; an empty source does not mean"):
        stages.manifest()
    assert stages.paths.manifest.read_bytes() == before


def test_a_source_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    stages = Stages(tmp_path / "nowhere", DatasetPaths(tmp_path / "root", "clips"))
    with pytest.raises(SettingsError, match="nowhere is not there; mount its disk, or name a folder"):
        stages.manifest()


def test_nothing_usable_is_refused_whatever_may_fail(tmp_path: Path) -> None:
    (tmp_path / "videos" / "run").mkdir(parents=True)
    (tmp_path / "videos" / "run" / "a.mp4").write_bytes(b"broken")
    stages = Stages(tmp_path / "videos", DatasetPaths(tmp_path / "root", "clips"))
    with pytest.raises(BuildRefused, match=r"1 of 1 clip \(100.0%\) cannot be used"):
        stages.manifest(max_failed_fraction=1.0)


def test_a_video_that_cannot_be_looked_at_is_not_taken_for_deleted(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that may be listed and not entered, or a disk that fails: scandir gives names, and stat an error."""
    stages.manifest()
    before = stages.paths.manifest.read_bytes()
    scandir = os.scandir

    class Unseen:
        def __init__(self, entry: "os.DirEntry[str]") -> None:
            self.name, self.path = entry.name, entry.path
            self.is_dir, self.is_symlink = entry.is_dir, entry.is_symlink

        def stat(self) -> os.stat_result:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def without_rights(path: str) -> object:
        entries = scandir(path)
        return nullcontext([Unseen(entry) for entry in entries]) if path.endswith("jump") else entries

    monkeypatch.setattr(os, "scandir", without_rights)
    told = (
        f"of the source, {FIRST}: it cannot be looked at: Permission denied; the dataset knows 1 clip in it, "
        "not taken for deleted: make it readable, or remove it"
    )
    with pytest.raises(BuildRefused, match=f"^{re.escape(told)}$"):
        stages.manifest()
    assert stages.paths.manifest.read_bytes() == before


def test_label_numbers_never_change_when_classes_come_and_go(stages: Stages) -> None:
    stages.manifest()
    write_video(stages.source / "climb" / "a.mp4", seed=1)
    write_video(stages.source / "sit" / "a.mp4", seed=2)
    assert stages.manifest().labels == [*CLASSES, "climb", "sit"]
    shutil.rmtree(stages.source / "jump")
    assert stages.manifest().labels == [*CLASSES, "climb", "sit"]


@pytest.fixture
def grown(stages: Stages) -> Stages:
    """A dataset whose class climb came last, so that its labels are not sorted."""
    stages.manifest()
    write_video(stages.source / "climb" / "a.mp4", seed=1)
    assert stages.manifest().labels == [*CLASSES, "climb"]
    return stages


def refused_labels(stages: Stages) -> str:
    with pytest.raises(FileDamaged) as refused:
        stages.manifest()
    assert str(refused.value).endswith("run `video-assets repair`, or put a copy from a backup in its place")
    return str(refused.value)


def test_labels_that_were_lost_are_never_numbered_anew(grown: Stages) -> None:
    before = grown.paths.labels.read_bytes()
    grown.paths.labels.unlink()
    assert refused_labels(grown).startswith("labels.txt of clips, the numbers of its classes, is missing; ")
    assert [item.sentence for item in find_damage(grown.paths)] == ["labels.txt is missing"]
    with pytest.raises(BuildRefused, match="there is no plan"):  # all else that a repair would look at
        repair_dataset(steps_of(grown.paths), None)
    assert grown.paths.labels.read_bytes() == before
    assert grown.manifest().labels == [*CLASSES, "climb"]


@pytest.mark.parametrize("mask", [1, 0x80])
def test_no_flipped_bit_in_the_labels_makes_a_new_class(grown: Stages, mask: int) -> None:
    whole, manifest = grown.paths.labels.read_bytes(), grown.paths.manifest.read_bytes()
    for place in range(len(whole)):
        grown.paths.labels.write_bytes(bytes([*whole[:place], whole[place] ^ mask, *whole[place + 1 :]]))
        assert refused_labels(grown).startswith("labels.txt of clips is damaged: ")
    assert grown.paths.manifest.read_bytes() == manifest


def test_the_plan_is_not_made_with_damaged_labels_either(grown: Stages) -> None:
    grown.splits()
    grown.paths.labels.write_text("jump\nrun\nwajk\nclimb\n")
    with pytest.raises(FileDamaged, match=r"its classes are not those of manifest\.parquet"):
        grown.plan()


def test_a_build_that_was_killed_between_labels_and_manifest_goes_on_with_its_numbers(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    from video_assets.pipeline.manifest import stage as manifest

    def killed(path: Path, *_: Any) -> None:
        if path == stages.paths.manifest:
            raise KeyboardInterrupt

    stages.manifest()
    write_video(stages.source / "sit" / "a.mp4", seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "write_table", killed)
        with pytest.raises(KeyboardInterrupt):
            stages.manifest()
    assert read_lines(stages.paths.labels) == [*CLASSES, "sit"]
    write_video(stages.source / "climb" / "a.mp4", seed=2)
    assert stages.manifest().labels == [*CLASSES, "sit", "climb"]


def test_a_manifest_without_a_copy_of_the_labels_takes_the_file(grown: Stages) -> None:
    rows, notes = read_noted_table(grown.paths.manifest, MANIFEST)
    assert notes is not None
    write_table(grown.paths.manifest, rows, MANIFEST, {"source": notes["source"], "settings": notes["settings"]})
    assert grown.manifest().labels == [*CLASSES, "climb"]
    notes = read_notes(grown.paths.manifest)
    assert notes is not None
    assert LABELS_NOTE in notes


def test_spans_of_a_table_are_clips_that_share_one_opening(stages: Stages) -> None:
    table = write_csv(
        stages.source / "clips.csv",
        {"path": FIRST, "label": "up", "start": 0, "end": 1, "group": "g1"},
        {"path": FIRST, "label": "down", "start": 1, "end": 1.5, "group": "g1"},
        {"path": clip_path("run", 1, 1), "label": "up", "start": "", "end": "", "group": ""},
    )
    stages.source = table
    assert opened(stages) == [FIRST, clip_path("run", 1, 1)]
    clips = pd.read_parquet(stages.paths.manifest)
    assert clips["clip_id"].tolist() == [f"{FIRST}#t=0,1", f"{FIRST}#t=1,1.5", clip_path("run", 1, 1)]
    assert clips["group"].tolist() == ["g1", "g1", "run_01"]
    assert opened(stages) == []


def test_a_span_that_begins_after_the_end_is_lost_by_both_numbers(stages: Stages) -> None:
    table = write_csv(
        stages.source / "clips.csv",
        {"path": FIRST, "label": "up", "start": 0, "end": 1},
        {"path": FIRST, "label": "up", "start": 2.5, "end": 3},
    )
    stages.source = table
    stages.manifest(max_failed_fraction=0.5)
    assert stages.quarantined() == {f"{FIRST}#t=2.5,3": ("bad_span", "it starts at 2.5 s, the video ends at 2 s")}


def test_rows_of_a_table_that_cannot_be_used_are_lost_by_their_number(stages: Stages) -> None:
    table = write_csv(
        stages.source / "clips.csv",
        {"path": FIRST, "label": "up"},
        {"path": "nowhere.mp4", "label": "up"},
        {"path": "../outside.mp4", "label": "up"},
        {"path": FIRST, "label": ""},
    )
    stages.source = table
    stages.manifest(max_failed_fraction=0.9, max_missing_fraction=0.5)
    found = stages.quarantined()
    assert found["nowhere.mp4"][0] == "not_found"
    assert found["nowhere.mp4"][1].startswith("row 2 of clips.csv: ")
    assert found["../outside.mp4"][0] == "outside_source"
    assert found[FIRST] == ("bad_row", "row 4 of clips.csv: the label is empty")


def test_every_span_of_a_broken_file_is_lost_and_the_file_is_opened_once(stages: Stages) -> None:
    table = write_csv(
        stages.source / "clips.csv",
        {"path": FIRST, "label": "up"},
        {"path": "run/broken.mp4", "label": "up", "start": 0, "end": 1},
        {"path": "run/broken.mp4", "label": "up", "start": 1, "end": 2},
    )
    stages.source = table
    assert opened(stages, max_failed_fraction=0.9) == [FIRST, "run/broken.mp4"]
    assert set(stages.quarantined()) == {"run/broken.mp4#t=0,1", "run/broken.mp4#t=1,2"}
    assert opened(stages, max_failed_fraction=0.9) == []
    assert set(stages.quarantined()) == {"run/broken.mp4#t=0,1", "run/broken.mp4#t=1,2"}


def test_include_patterns_choose_files_and_name_the_others(stages: Stages) -> None:
    report = stages.manifest(include=("run/v_*", "walk/*"))
    assert set(report.clips["label"]) == {"run", "walk"}
    assert sum(item.reason == "matches none of manifest.include" for item in report.left_out) == 9


def test_the_manifest_does_not_depend_on_the_order_in_which_files_are_listed(stages: Stages, videos: Path) -> None:
    stages.manifest()
    reverse = Stages(stages.source.parent / "reverse", DatasetPaths(stages.source.parent / "root2", "clips"))
    for file in sorted((path for path in videos.rglob("*") if path.is_file()), reverse=True):
        target = reverse.source / file.relative_to(videos)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
    reverse.manifest()
    pd.testing.assert_frame_equal(pd.read_parquet(stages.paths.manifest), pd.read_parquet(reverse.paths.manifest))
