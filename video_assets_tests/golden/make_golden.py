"""Make the golden datasets: `python -m video_assets_tests.golden.make_golden`.

The archives beside this file were made by it with the first edition of the package. Tests read them to show that later
versions still read, check, grow and repair datasets that exist, and still write the same bytes for the same settings.
So do not run this again to make a failing test pass: that would remove what the test compares with. Run it only to add
a case, and name that case as the argument; the others stay as they are.

Each archive holds `videos/`, small videos made here, and `root/`, the dataset that `video-assets build` made from them.
`expected.json` says how it was built and what its readers get.
"""

import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from video_assets_tests.golden.archives import (
    FOLDER,
    NAME,
    build,
    live_shards,
    pack,
    read_clips,
    run,
    set_times,
    shard_digests,
)
from video_assets_tests.media.decode.test_audio import write as write_sounding
from video_assets_tests.media.making import numbered_video
from video_assets_tests.pipeline.videos import clip_path, write_video

_SMALL = ("plan.clips_per_shard=4",)
_PLACE = Path(tempfile.gettempdir()) / "video_assets_golden"
"""A dataset remembers where its source was, so the place must be one that every machine could have."""


@dataclass(frozen=True)
class Case:
    """How a golden dataset is made.

    `write_videos` fills the folder `videos`; `arrives_later` are paths below it that a second build adds.
    """

    write_videos: Callable[[Path], None]
    settings: Sequence[str]
    source: str = "videos"
    arrives_later: list[str] = field(default_factory=list)


def _write_rows(table: Path, *rows: Sequence[str]) -> None:
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _write(path: Path, video: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(video)


_LATER = [clip_path(label, group, clip) for label in ("run", "walk") for group in (5, 6) for clip in (1, 2)]


def _write_growing(videos: Path) -> None:
    """Two classes of four groups, named as UCF101 names them; two more groups of each arrive later."""
    for seed, path in enumerate(clip_path(c, g, k) for c in ("run", "walk") for g in range(1, 5) for k in (1, 2)):
        write_video(videos / path, seed, num_frames=8)
    for seed, path in enumerate(_LATER, start=100):
        write_video(videos / path, seed, num_frames=8)


def _write_spans(videos: Path) -> None:
    """Spans of three videos in three containers, and whole videos, with captions, groups and official splits."""
    _write(videos / "a.mp4", numbered_video(60, rate=10))
    _write(videos / "b.mkv", numbered_video(45, rate=15, container="matroska", options={"g": "10"}))
    _write(videos / "c.mov", numbered_video(30, rate=10, container="mov", options={"bf": "0"}))
    for seed in range(6):
        write_video(videos / "whole" / f"{seed}.mp4", seed, num_frames=10)
    _write_rows(
        videos / "clips.csv",
        ("path", "label", "start", "end", "split", "group", "caption"),
        ("a.mp4", "open", "0", "1.5", "train", "kitchen", "a hand opens a drawer"),
        ("a.mp4", "close", "1.5", "3", "train", "kitchen", "and closes it, läuft"),
        ("a.mp4", "open", "4", "", "train", "kitchen", ""),
        ("b.mkv", "open", "0.5", "1.7", "test", "garden", 'a gate, "half" open'),
        ("b.mkv", "close", "1.2", "2.9", "test", "garden", ""),
        ("c.mov", "open", "", "1", "val", "street", "a door"),
        ("c.mov", "close", "2.05", "2.15", "val", "street", "two\nlines"),
        *((f"whole/{n}.mp4", "open" if n % 2 else "close", "", "", "", f"room {n // 2}", "") for n in range(6)),
    )


def _write_mixed(videos: Path) -> None:
    """Clips in other containers and codecs: irregular times, one that lies on its side, one with few frames."""
    for number, label in enumerate(("left", "right") * 3):
        write_video(videos / label / f"{number}.mp4", 200 + number, num_frames=6)
    irregular = [0, 40, 120, 160, 360, 400, 440, 700]
    _write(videos / "left" / "irregular.mkv", numbered_video(8, container="matroska", times=irregular))
    _write(videos / "right" / "vp9.webm", numbered_video(6, codec="libvpx-vp9", container="webm"))
    _write(videos / "left" / "one_frame.mp4", numbered_video(1))
    with tempfile.TemporaryDirectory() as sample:
        # The only source of a video that is stored lying on its side.
        subprocess.run([Path(sys.executable).with_name("video-assets"), "sample", sample], check=True)
        shutil.copy(Path(sample) / "MoveUp" / "v_MoveUp_g03_c01.mp4", videos / "right" / "turned.mp4")


def _write_labelled(videos: Path) -> None:
    """Clips of one label and of several, written as people write them."""
    cells = ("run", "run|outdoor", "walk", "outdoor | walk|outdoor", "jump|run", "jump")
    paths = [f"{number:02d}.mp4" for number in range(18)]
    for seed, path in enumerate(paths, start=300):
        write_video(videos / path, seed, num_frames=6)
    rows = ((path, cells[number % 6], f"g{number // 3}") for number, path in enumerate(paths))
    _write_rows(videos / "clips.csv", ("path", "label", "group"), *rows)


def _write_sounding(videos: Path) -> None:
    """Spans of two videos of rising tones, one of uncompressed sound, and silent videos."""
    videos.mkdir(parents=True)
    write_sounding(videos / "tones.mov", "pcm_s16le", seconds=3)
    write_sounding(videos / "late.mp4", "aac", seconds=3, audio_start=0.3)
    for seed in range(2):
        write_video(videos / f"silent{seed}.mp4", 400 + seed, num_frames=6)
    _write_rows(
        videos / "clips.csv",
        ("path", "label", "start", "end", "split"),
        ("tones.mov", "low", "0", "0.5", "train"),
        ("tones.mov", "high", "2.25", "3", "train"),
        ("late.mp4", "low", "0", "0.6", "test"),
        ("late.mp4", "high", "1.9", "2.4", "test"),
        ("silent0.mp4", "low", "", "", "train"),
        ("silent1.mp4", "high", "", "", "test"),
    )


def _write_partly_broken(videos: Path) -> None:
    """Clips whose names tell who is in them; one that is broken, and drafts that no pattern includes."""
    for number in range(12):
        label = ("clap", "wave")[number % 2]
        path = videos / label / f"clip_subject{number // 2}_{number}.mp4"
        write_video(path, 500 + number, num_frames=6)
    whole = (videos / "clap" / "clip_subject0_0.mp4").read_bytes()
    _write(videos / "wave" / "clip_subject2_cut.mp4", whole[: len(whole) // 3])
    _write(videos / "wave" / "draft_subject2.mp4", whole)


CASES = {
    "tfds_growth": Case(
        _write_growing,
        (
            "plan.clips_per_shard=5",  # so that the first build leaves shards unfilled, and the second supersedes them
            "plan.encoding.resolution=32",
            "plan.encoding.num_frames=3",
            "splits.test_fraction=0.25",
        ),
        arrives_later=_LATER,
    ),
    "spans": Case(
        _write_spans,
        (
            *_SMALL,
            "plan.encoding.layout=sequence_example",
            "plan.encoding.sampling=fps",
            "plan.encoding.fps=4",
            "plan.encoding.max_frames=5",
            "plan.encoding.resolution=24",
            "plan.encoding.resize=short_side",
            "splits.val_fraction=0.2",
        ),
        source="videos/clips.csv",
    ),
    "movinets_helper": Case(
        _write_mixed,
        (
            *_SMALL,
            "plan.encoding.layout=movinets_helper",
            "plan.encoding.sampling=segments",
            "plan.encoding.num_frames=3",
            "plan.encoding.resolution=16",
            "plan.encoding.resize=center_crop",
            "plan.encoding.short_clip=loop",
        ),
    ),
    "multi_label": Case(
        _write_labelled,
        (
            *_SMALL,
            "manifest.multi_label=true",
            "plan.encoding.resolution=24",
            "plan.encoding.num_frames=2",
            "plan.encoding.jpeg_quality=80",
        ),
        source="videos/clips.csv",
    ),
    "sound": Case(
        _write_sounding,
        (
            *_SMALL,
            "plan.encoding.layout=sequence_example",
            "plan.encoding.audio_sample_rate=8000",
            "plan.encoding.sampling=all",
            "plan.encoding.max_frames=4",
            "plan.encoding.resolution=24",
        ),
        source="videos/clips.csv",
    ),
    "quarantine": Case(
        _write_partly_broken,
        (
            "plan.clips_per_shard=3",
            r"manifest.group_pattern=_(subject\d+)_",
            "manifest.include=['*/clip_*.mp4']",
            "manifest.max_failed_fraction=0.5",
            "splits.test_fraction=0.4",
            "splits.seed=3",
            "plan.encoding.resolution=20",
            "plan.encoding.num_frames=2",
            "plan.encoding.resize=letterbox",
            "plan.encoding.image_format=png",
            "plan.encoding.jpeg_quality=60",
            "plan.encoding.short_clip=quarantine",
        ),
    ),
}


def make(name: str, case: Case) -> dict[str, Any]:
    """Make one golden dataset and its archive; return what later versions have to find in it."""
    shutil.rmtree(_PLACE / name, ignore_errors=True)
    folder = _PLACE / name / "all"
    case.write_videos(folder / "videos")
    set_times(folder)
    if case.arrives_later:
        earlier = _PLACE / name / "earlier" / "videos"
        shutil.copytree(folder / "videos", earlier)
        for path in case.arrives_later:
            (earlier / path).unlink()
        _build(earlier, folder / "root", case.settings)
    _build(folder / case.source, folder / "root", case.settings)
    facts = _facts(folder / "root", case)
    archive = FOLDER / f"{name}.tar.xz"
    pack(folder, archive)
    print(f"{archive.name}: {archive.stat().st_size} bytes, {sum(facts['live'].values())} clips")  # noqa: T201
    shutil.rmtree(_PLACE / name)
    return facts


def _build(source: Path, root: Path, settings: Sequence[str]) -> None:
    done = build(source, root, settings)
    if done.code:
        raise SystemExit(f"{source} could not be built: {done.result}")


def _facts(root: Path, case: Case) -> dict[str, Any]:
    status = run("status", "--root", root).result
    has_sound = "audio_sample_rate" in status["encoding"]
    return {
        "source": case.source,
        "arrives_later": case.arrives_later,
        "settings": list(case.settings),
        "splits": status["splits"],
        "classes": (root / NAME / "labels.txt").read_text("utf-8").split("\n")[:-1],
        "quarantined": [{"source": lost["source"], "reason": lost["reason"]} for lost in status["quarantined"]],
        "live": live_shards(root),
        "shards": shard_digests(root),
        "clips": read_clips(root, status["splits"], with_audio=has_sound),
    }


def main(names: Sequence[str]) -> None:
    """Make the named cases, or all of them."""
    known = FOLDER / "expected.json"
    facts = json.loads(known.read_text("utf-8")) if known.exists() else {}
    for name in names or CASES:
        facts[name] = make(name, CASES[name])
    known.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
