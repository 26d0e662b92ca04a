"""The sample dataset: its content, its encoding, and that only motion tells its classes apart."""

import collections
import hashlib
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import av.error
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from video_assets.domain.errors import SettingsError
from video_assets.domain.near_duplicates import near_duplicates
from video_assets.media import sample_dataset as sample
from video_assets.media.images import clip_signature
from video_assets.media.sample_dataset import (
    ClipFormat,
    SampleReport,
    draw_times,
    encode_video,
    without_index,
    write_sample,
)
from video_assets.media.sample_scenes import MOTIONS, Motion, draw_frames, random_path, random_scene
from video_assets.media.sample_scenes import Path as MotionPath

Frames = NDArray[np.uint8]
NAME = re.compile(r"(?P<label>\w+)/v_(?P=label)_g(?P<group>\d\d)_c\d\d\.(mp4|mkv|mov)")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample dataset, written once for all tests."""
    directory = tmp_path_factory.mktemp("sample")
    (broken,) = planned(lambda clip: clip.is_broken)
    assert write_sample(directory) == SampleReport(num_clips=96, num_classes=8, broken=(broken.path,))
    return directory


def planned(is_wanted: Callable[[sample._PlannedClip], bool]) -> list[sample._PlannedClip]:
    return [clip for clip in sample._planned_clips(7) if is_wanted(clip)]


@pytest.fixture(scope="module")
def clips(directory: Path) -> dict[str, Frames]:
    """Sixteen upright frames of 96x72 of every clip that decodes."""
    return {clip.path: sixteen_frames(directory / clip.path) for clip in planned(lambda clip: not clip.is_broken)}


def videos(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.glob("*/*"))


def sixteen_frames(path: Path) -> Frames:
    """Decode evenly spread frames, turned as the container says."""
    with av.open(str(path), "r") as container:
        decoded = [(frame.time or 0.0, upright(frame)) for frame in container.decode(video=0)]
    times = np.array([time for time, _ in decoded])
    wanted = np.linspace(times[0], times[-1], 16)
    chosen = [decoded[int(np.searchsorted(times, time + 1e-6)) - 1][1] for time in wanted]
    return np.stack([cv2.resize(frame, (96, 72), interpolation=cv2.INTER_AREA).astype(np.uint8) for frame in chosen])


def upright(frame: av.VideoFrame) -> Frames:
    return np.rot90(frame.to_ndarray(format="rgb24").astype(np.uint8), round(frame.rotation / 90)).copy()


def contents(directory: Path) -> dict[str, str]:
    return {path: hashlib.sha256((directory / path).read_bytes()).hexdigest() for path in videos(directory)}


@pytest.mark.slow
def test_there_are_eight_classes_of_twelve_clips_in_six_groups(directory: Path, clips: dict[str, Frames]) -> None:
    matches = [NAME.fullmatch(path) for path in videos(directory)]
    assert all(matches)
    found = collections.Counter(match["label"] for match in matches if match)
    assert set(found) == set(MOTIONS)
    assert sum(found.values()) == 97 and set(found.values()) == {12, 13}
    assert len({(match["label"], match["group"]) for match in matches if match}) == 48
    assert len(clips) == 96


@pytest.mark.slow
def test_the_set_is_small(directory: Path) -> None:
    assert sum((directory / path).stat().st_size for path in videos(directory)) < 10_000_000


def test_clips_differ_as_those_of_real_sets_do(directory: Path) -> None:
    sizes, rates, codecs, suffixes, seconds = set(), set(), set(), collections.Counter(), []
    for path in (clip.path for clip in planned(lambda clip: not clip.is_broken)):
        with av.open(str(directory / path), "r") as container:
            stream = container.streams.video[0]
            sizes.add((stream.width, stream.height))
            rates.add(round(float(stream.average_rate or 0), 1))
            codecs.add((stream.codec_context.name, stream.codec_context.pix_fmt))
            seconds.append((container.duration or 0) / 1_000_000)
        suffixes[Path(path).suffix] += 1
    assert len(sizes) >= 12 and any(height > width for width, height in sizes)
    assert {12.0, 15.0, 24.0, 25.0, 30.0} <= rates
    assert codecs == {("h264", "yuv420p")}
    assert suffixes[".mp4"] > 60 and suffixes[".mkv"] >= 8 and suffixes[".mov"] >= 8
    assert 0.9 <= min(seconds) < 1.2 and 2.8 < max(seconds) <= 3.1


def test_every_class_has_the_same_mixture_of_sizes_and_lengths() -> None:
    """Otherwise a model could learn the class from sizes and lengths."""
    plan = [clip for clip in sample._planned_clips(7) if not clip.is_broken]
    for field in ("size_px", "duration_seconds", "rate", "keyframe_interval"):
        mixtures = {m: sorted(getattr(c.format, field) for c in plan if c.motion == m) for m in MOTIONS}
        assert all(mixture == mixtures["MoveLeft"] for mixture in mixtures.values()), field


def test_turned_clips_are_stored_lying_and_shown_upright(directory: Path) -> None:
    turned, other = planned(lambda clip: clip.format.turned and not clip.is_broken)
    assert turned != other
    with av.open(str(directory / turned.path), "r") as container:
        frame = next(container.decode(video=0))
    assert frame.rotation == -90
    assert (frame.height, frame.width) == turned.format.size_px
    straight = sample._clip_bytes(replace(turned, format=replace(turned.format, turned=False)))
    plain = directory.parent / "straight.mp4"
    plain.write_bytes(straight)
    with av.open(str(plain), "r") as container:
        expected = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.abs(upright(frame).astype(int) - expected).mean() < 5


def test_clips_of_variable_rate_have_frames_at_irregular_times(directory: Path) -> None:
    irregular = planned(lambda clip: not clip.format.has_fixed_rate and not clip.is_broken)
    assert len(irregular) == 2
    for path in (clip.path for clip in irregular):
        with av.open(str(directory / path), "r") as container:
            times = [frame.time for frame in container.decode(video=0)]
        assert len(set(np.diff(times).round(3))) >= 2


def test_nothing_of_the_broken_clip_can_be_decoded(directory: Path) -> None:
    (broken,) = planned(lambda clip: clip.is_broken)
    with pytest.raises(av.error.FFmpegError):
        av.open(str(directory / broken.path), "r")


@pytest.mark.slow
def test_no_two_groups_look_alike(clips: dict[str, Frames]) -> None:
    signatures = {path: clip_signature(frames) for path, frames in clips.items()}
    pairs = near_duplicates(signatures, signatures, max_distance=0.25)
    torn = [(pair.a, pair.b) for pair in pairs if pair.a[:-7] != pair.b[:-7]]  # all but c01.mp4
    assert torn == []
    assert len(pairs) >= len(clips)


def from_middle(places: NDArray[np.intp], length: int) -> NDArray[np.float64]:
    """Return positions on a cyclic axis relative to their middle, since a shape may lie across the edge."""
    middle = np.angle(np.exp(2j * np.pi * places / length).mean()) * length / (2 * np.pi)
    return (places - middle + length / 2) % length - length / 2


def motion_between(one: Frames, other: Frames) -> str | None:
    """Return whether moving, growing or turning explains most of the optical flow; None where hardly anything moves."""
    flow = cv2.calcOpticalFlowFarneback(one, other, np.zeros((1, 1, 2)), 0.5, 3, 15, 3, 7, 1.5, 0)
    speed = np.hypot(flow[..., 0], flow[..., 1])
    rows, columns = np.nonzero(speed > max(0.3, 0.3 * float(speed.max())))
    if len(rows) < 20:
        return None
    x, y = from_middle(columns, one.shape[1]), from_middle(rows, one.shape[0])
    terms = np.stack([np.ones(len(x)), x - x.mean(), y - y.mean()], axis=1)
    right, spread_x, shear_x = map(float, np.linalg.lstsq(terms, flow[rows, columns, 0])[0])
    down, shear_y, spread_y = map(float, np.linalg.lstsq(terms, flow[rows, columns, 1])[0])
    extent = float(np.hypot(x - x.mean(), y - y.mean()).mean())
    growth, right_turn = (spread_x + spread_y) / 2 * extent, (shear_y - shear_x) / 2 * extent
    strengths: list[tuple[float, str]] = [(right, "MoveRight"), (down, "MoveDown"), (growth, "Grow")]
    strengths += [(-right, "MoveLeft"), (-down, "MoveUp"), (-growth, "Shrink")]
    strengths += [(right_turn, "TurnRight"), (-right_turn, "TurnLeft")]
    return max(strengths)[1]


def motion_of(frames: Frames) -> str | None:
    """Return the class of a clip by optical flow: the motion that is seen most often."""
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.uint8) for frame in frames]
    seen = (motion_between(one, other) for one, other in itertools.pairwise(greys))
    counts = collections.Counter(motion for motion in seen if motion is not None)
    return counts.most_common(1)[0][0]


@pytest.mark.slow
def test_the_label_is_in_the_motion(clips: dict[str, Frames]) -> None:
    """Guessing would be right for one of eight."""
    right = [motion_of(frames) == path.split("/")[0] for path, frames in clips.items()]
    assert np.mean(right) > 0.85


@pytest.mark.slow
def test_backwards_a_clip_is_of_the_opposite_class(clips: dict[str, Frames]) -> None:
    opposite: dict[str, str] = {motion: MOTIONS[index ^ 1] for index, motion in enumerate(MOTIONS)}
    right = [motion_of(frames[::-1]) == opposite[path.split("/")[0]] for path, frames in clips.items()]
    assert np.mean(right) > 0.85


def test_one_frame_has_the_same_distribution_in_every_class() -> None:
    """In ten thousand frames of each class, every part of a placement has the same distribution."""
    random = np.random.default_rng(0)
    expected = None
    for motion in MOTIONS:
        placements = [random_path(motion, random).placement(float(random.random())) for _ in range(10_000)]
        rows = np.array([(p.x, p.y, np.log(p.size), p.turn_degrees / 360) for p in placements])
        quantiles = np.quantile(rows, [0.1, 0.3, 0.5, 0.7, 0.9], axis=0)
        expected = quantiles if expected is None else expected
        assert np.abs(quantiles - expected).max() < 0.025


@pytest.mark.parametrize(
    ("motion", "expected"),
    [
        ("MoveLeft", (0.9, 0.5, 0.45, 90)),
        ("MoveRight", (0.1, 0.5, 0.45, 90)),
        ("MoveUp", (0.5, 0.9, 0.45, 90)),
        ("MoveDown", (0.5, 0.1, 0.45, 90)),
        ("TurnLeft", (0.5, 0.5, 0.45, 306)),
        ("TurnRight", (0.5, 0.5, 0.45, 234)),
    ],
)
def test_a_path_goes_where_its_name_says(motion: Motion, expected: tuple[float, ...]) -> None:
    """It moves by 0.6 of a cycle from the middle, and returns at the other edge."""
    path = MotionPath(motion, 0.5, 0.5, size=0.5, turn=0.25, travel=0.6)
    end = path.placement(1.0)
    found = (end.x, end.y, end.size, end.turn_degrees)
    assert found == pytest.approx((*expected[:2], (0.3 * 0.65) ** 0.5, expected[3]), abs=1e-6)


def test_growing_ends_larger_and_shrinking_smaller() -> None:
    grow, shrink = (MotionPath(motion, 0.5, 0.5, 0.3, 0.0, 0.6) for motion in ("Grow", "Shrink"))
    assert grow.placement(1.0).size > grow.placement(0.5).size > grow.placement(0.0).size
    assert shrink.placement(0.4).size < shrink.placement(0.0).size


def test_what_leaves_on_one_side_comes_back_on_the_other() -> None:
    scene = random_scene(np.random.default_rng(1))
    path = MotionPath("MoveRight", 0.0, 0.5, size=1.0, turn=0.0, travel=0.6)
    (frame,) = draw_frames(scene, path, [0.0], (160, 120), np.random.default_rng(0))
    background = cv2.resize(scene.background, (160, 120), interpolation=cv2.INTER_AREA)
    changed = np.abs(frame.astype(int) - background).max(axis=2) > 25
    assert changed[:, :20].any() and changed[:, -20:].any() and not changed[:, 60:100].any()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    chosen = [0, 30, 60, 90]
    first, again, other = (sample._planned_clips(seed) for seed in (7, 7, 8))
    assert first == again
    for index in chosen:
        assert sample._clip_bytes(first[index]) == sample._clip_bytes(again[index])
        assert sample._clip_bytes(first[index]) != sample._clip_bytes(other[index])


@pytest.fixture
def small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four clips instead of 97, for tests of files rather than of their content."""
    planned = sample._planned_clips

    def few(seed: int) -> list[sample._PlannedClip]:
        clips = planned(seed)
        return [clip for clip in clips if clip.format.size_px == (128, 96)][:4]

    monkeypatch.setattr(sample, "_planned_clips", few)


@pytest.mark.usefixtures("small_sample")
def test_writing_again_leaves_what_is_right_alone(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "folder"
    write_sample(directory)
    before = contents(directory)
    times = {path: (directory / path).stat().st_mtime_ns for path in before}
    write_sample(directory)
    assert {path: (directory / path).stat().st_mtime_ns for path in before} == times
    missing, spoilt = list(before)[:2]
    (directory / missing).unlink()
    (directory / spoilt).write_bytes(b"spoilt")
    write_sample(directory)
    assert contents(directory) == before


@pytest.mark.usefixtures("small_sample")
def test_another_seed_replaces_the_sample(tmp_path: Path) -> None:
    write_sample(tmp_path)
    before = contents(tmp_path)
    write_sample(tmp_path, seed=8)
    after = contents(tmp_path)
    assert len(after) == 4
    assert not set(before.values()) & set(after.values())


@pytest.mark.usefixtures("small_sample")
def test_a_killed_run_is_completed_and_leaves_no_temporaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = sample._clip_bytes

    def run_out(clip: sample._PlannedClip) -> bytes:
        if clip.path == sample._planned_clips(7)[2].path:
            raise KeyboardInterrupt
        return drawn(clip)

    with monkeypatch.context() as patch:
        patch.setattr(sample, "_clip_bytes", run_out)
        with pytest.raises(KeyboardInterrupt):
            write_sample(tmp_path)
    (tmp_path / "MoveLeft").mkdir(exist_ok=True)
    (tmp_path / "MoveLeft" / f"{sample._TEMPORARY}v_MoveLeft_g01_c01.mp4").write_bytes(b"half a clip")
    write_sample(tmp_path)
    assert len(contents(tmp_path)) == 4


def test_a_directory_with_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"precious")
    with pytest.raises(SettingsError, match="is not empty and holds no sample; name an empty or a new directory"):
        write_sample(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.mp4"]


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError, match="file is a file; a sample needs a directory"):
        write_sample(tmp_path / "file")


def test_times_begin_at_zero_and_keep_to_the_beat() -> None:
    plain = ClipFormat("mp4", (64, 48), Fraction(30_000, 1001), 1.0, 30)
    times = draw_times(plain, np.random.default_rng(0))
    assert len(times) == 30 and times[0] == 0 and times[1] == Fraction(1001, 30_000)
    irregular = draw_times(replace(plain, has_fixed_rate=False), np.random.default_rng(0))
    assert set(irregular) < set(times) and irregular[0] == 0


def test_only_an_index_that_comes_last_can_be_cut_off() -> None:
    clip = ClipFormat("mp4", (64, 48), Fraction(10), 1.0, 30)
    frames = [np.zeros((48, 64, 3), np.uint8)] * 3
    encoded = encode_video(frames, [Fraction(index, 10) for index in range(3)], clip)
    assert b"moov" not in without_index(encoded) and b"mdat" in without_index(encoded)
    with pytest.raises(ValueError, match="the index of this MP4 does not come last"):
        without_index(b"\0\0\0\x08moov\0\0\0\x08mdat")
