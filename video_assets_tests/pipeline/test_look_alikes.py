"""Copies among stored clips, also mirrored and cropped, and look-alikes under two labels."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from video_assets.domain import near_duplicates
from video_assets.domain.clips import SourceWarning
from video_assets.pipeline.checks import dataset
from video_assets.pipeline.checks.dataset import DatasetAudit
from video_assets.pipeline.commit import look_alikes as module
from video_assets.pipeline.dataset_state import committed_warnings
from video_assets.storage.tables import INDEX, read_noted_table, read_notes, write_table
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.stages import Stages, copied_source
from video_assets_tests.pipeline.videos import FPS, HEIGHT_PX, WIDTH_PX, clip_path, clip_seed, make_frames

Frames = NDArray[np.uint8]


def write_frames(path: Path, frames: Frames) -> None:
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "18", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def original(class_name: str) -> Frames:
    """The first clip of a class, a little larger, so that a copy has other bytes and other pixels."""
    import cv2

    frames = make_frames(clip_seed(class_name, 1, 1))
    return np.stack([cv2.resize(frame, (2 * WIDTH_PX, 2 * HEIGHT_PX)) for frame in frames]).astype(np.uint8)


@pytest.fixture(scope="module")
def copies(built_once: Built, tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """The same source with a copy of each kind."""
    folder = tmp_path_factory.mktemp("copies")
    source = copied_source(built_once.source, folder)
    write_frames(source / "walk" / "repeated.mp4", original("walk"))
    write_frames(source / "jump" / "of_run.mp4", original("run"))
    write_frames(source / "jump" / "mirrored.mp4", np.ascontiguousarray(original("jump")[:, :, ::-1]))
    cropped = make_frames(clip_seed("run", 2, 1))[:, 4:42, 10:62]  # four fifths, not from the middle
    write_frames(source / "run" / "cropped.mp4", np.ascontiguousarray(cropped))
    stages = Stages(source, type(built_once.paths)(folder / "root", "clips"))
    stages.up_to_plan()
    stages.shards()
    stages.commit()
    return stages


@pytest.fixture(scope="module")
def warned(copies: Stages) -> Mapping[str, list[SourceWarning]]:
    """What the commit warns of, by code."""
    found: dict[str, list[SourceWarning]] = defaultdict(list)
    for warning in committed_warnings(copies.paths, "1.0.0"):
        found[warning.code].append(warning)
    return found


@pytest.mark.slow
def test_a_copy_under_another_label_is_a_suspect(warned: Mapping[str, list[SourceWarning]]) -> None:
    [warning] = warned["label_suspect"]
    assert warning.source == "jump/of_run.mp4"
    assert f"and {clip_path('run', 1, 1)} (run, " in warning.detail
    assert warning.detail.endswith("look alike under two labels")


def test_a_copy_is_named_in_its_own_split_here_and_across_splits_by_no_leakage(
    copies: Stages, warned: Mapping[str, list[SourceWarning]]
) -> None:
    split_of, first = copies.split_of(), clip_path("walk", 1, 1)
    is_within = split_of["walk/repeated.mp4"] == split_of[first]
    assert ["walk/repeated.mp4" in warning.detail for warning in warned["look_alike"]] == [True] * is_within
    told = DatasetAudit(copies.paths).run("no_leakage").description
    assert ("walk/repeated.mp4" in told) is not is_within


def test_a_mirrored_copy_is_named_with_its_original(warned: Mapping[str, list[SourceWarning]]) -> None:
    [warning] = warned["mirrored_copy"]
    assert "jump/mirrored.mp4" in warning.detail
    assert clip_path("jump", 1, 1) in warning.detail


def test_a_cropped_copy_is_named_with_its_original(warned: Mapping[str, list[SourceWarning]]) -> None:
    [warning] = warned["cropped_copy"]
    assert "run/cropped.mp4" in warning.detail
    assert clip_path("run", 2, 1) in warning.detail


def test_clips_that_have_nothing_to_do_with_one_another_are_not_named(built_once: Built) -> None:
    assert committed_warnings(built_once.paths, "1.0.0") == []


def test_warnings_of_a_plan_stay_and_nothing_is_compared_again(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("clips were compared")

    monkeypatch.setattr(module, "near_duplicates", refuse)
    Stages(built.source, built.paths).commit()


def test_of_many_pairs_the_nearest_are_named_and_the_others_counted() -> None:
    clips = module._Clips({name: module._Clip("train", "run", name, "") for name in "abcdefghijklm"})
    told = module._warnings("look_alike", "look alike", [("a", name) for name in "bcdefghijklm"], clips)
    assert [warning.count for warning in told] == [1] * 10 + [2]
    assert told[0].detail == "a (run, train) and b (run, train) look alike"
    assert told[-1].detail == "2 more pairs of clips look alike"


@pytest.fixture(scope="module")
def compared_before(built_once: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """A dataset, taken for a large one, with two copies: one left its source since, and another came."""
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "_EXACT_PAIRS", 0)
        patch.setattr(module, "_MIN_KEPT", 0)
        stages = Stages(copied_source(built_once.source, folder), type(built_once.paths)(folder / "root", "clips"))
        write_frames(stages.source / "jump" / "of_run.mp4", original("run"))
        write_frames(stages.source / "walk" / "repeated.mp4", original("walk"))
        stages.everything()
        (stages.source / "walk" / "repeated.mp4").unlink()
        write_frames(stages.source / "run" / "of_jump.mp4", original("jump"))
        yield stages


def grown_copy(stages: Stages, root: Path) -> Stages:
    shutil.copytree(stages.paths.root, root, symlinks=True)
    return Stages(stages.source, type(stages.paths)(root, stages.paths.name))


def without_pairs(index: Path) -> None:
    rows, notes = read_noted_table(index, INDEX)
    write_table(index, rows, INDEX, {"commit": (notes or {})["commit"]})


def with_other_rules(index: Path) -> None:
    rows, notes = read_noted_table(index, INDEX)
    assert notes is not None
    write_table(index, rows, INDEX, notes | {"look_alikes": notes["look_alikes"].replace("[1,", "[0,")})


def damaged(index: Path) -> None:
    data = bytearray(index.read_bytes())
    data[len(data) // 2] ^= 1
    index.write_bytes(data)


@pytest.mark.parametrize("lose", [without_pairs, with_other_rules, damaged])
def test_growth_compares_only_what_is_new_and_finds_what_comparing_all_finds(
    compared_before: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: Callable[[Path], None]
) -> None:
    asked: list[bool] = []

    def watched(*arguments: Any, earlier: object = None, **options: Any) -> object:
        asked.append(earlier is not None)
        return near_duplicates.near_duplicates(*arguments, earlier=earlier, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "near_duplicates", watched)
    monkeypatch.setattr(dataset, "near_duplicates", watched)
    grown = [grown_copy(compared_before, tmp_path / name) for name in ("with", "without")]
    found: list[object] = []
    for stages, prepare in zip(grown, [lambda _: None, lose], strict=True):
        index = stages.paths.version("1.0.0").index.resolve()
        prepare(index)
        stages.everything()
        notes = read_notes(stages.paths.version("1.0.0").index) or {}
        found.append((notes["look_alikes"], committed_warnings(stages.paths, "1.0.0")))
    assert found[0] == found[1]
    assert asked == [True, True, True, False, False, False, False, False]
