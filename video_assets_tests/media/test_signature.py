"""Signatures: copies of a clip are near it, other clips are not, and clips without detail match nothing."""

import io
from collections.abc import Callable

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from video_assets.domain.near_duplicates import MAX_DISTANCE, SIGNATURE_BYTES, mirrored_signature, near_duplicates
from video_assets.media.images import (
    clip_signature,
    crop_signatures,
    encode_images,
    signature_greys,
)
from video_assets_tests.corpus import corpus_rows, require_corpus

Frames = NDArray[np.uint8]


def natural_clip(seed: int, num_frames: int = 10, height: int = 120, width: int = 160) -> Frames:
    """Draw blotches of all sizes that drift past; each seed is a scene."""
    random = np.random.default_rng(seed)
    scene = np.zeros((height, 2 * width, 3), np.float32)
    for cells in (3, 6, 12, 24):
        blotches = random.normal(0, 160 / cells, (cells, 2 * cells, 3)).astype(np.float32)
        scene += cv2.resize(blotches, (2 * width, height), interpolation=cv2.INTER_CUBIC)
    scene = np.clip(scene + 128, 0, 255).astype(np.uint8)
    step = width // num_frames
    return np.stack([scene[:, index * step : index * step + width] for index in range(num_frames)])


def distance(one: bytes, other: bytes) -> float:
    """Return the distance of two signatures; 1 if they cannot be compared."""
    pairs = near_duplicates({"a": one}, {"b": other}, max_distance=1.0)
    return pairs[0].distance if pairs and pairs[0].distance < 1 else 1.0


def resized(frames: Frames, width: int, height: int) -> Frames:
    return np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames])


def cropped(frames: Frames, part: float) -> Frames:
    top, left = round(frames.shape[1] * part), round(frames.shape[2] * part)
    return frames[:, top : frames.shape[1] - top, left : frames.shape[2] - left]


def darker(frames: Frames) -> Frames:
    return np.clip(frames * 0.85 + 5, 0, 255).astype(np.uint8)


def marked(frames: Frames) -> Frames:
    copy = frames.copy()
    copy[:, 5:15, -40:-5] = 255
    return copy


def reencoded(frames: Frames) -> Frames:
    """Encode with H.264 at a visibly low quality, and decode."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "36", "preset": "veryfast"})
        stream.height, stream.width = (length // 2 * 2 for length in frames.shape[1:3])
        stream.pix_fmt = "yuv420p"
        for frame in resized(frames, stream.width, stream.height):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    return np.stack(decoded(file))


def decoded(file: str | io.BytesIO) -> list[Frames]:
    with av.open(file, "r") as container:
        return [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in container.decode(video=0)]


COPIES: dict[str, Callable[[Frames], Frames]] = {
    "encoded again": reencoded,
    "darker": darker,
    "marked": marked,
    "small": lambda frames: resized(frames, 53, 41),
    "large and square": lambda frames: resized(frames, 320, 320),
    "cropped": lambda frames: cropped(frames, 0.02),
    "all of it": lambda frames: resized(reencoded(darker(cropped(frames, 0.02))), 224, 224),
}


def test_a_signature_has_the_length_of_the_contract_and_repeats() -> None:
    one, again = clip_signature(natural_clip(0)), clip_signature(natural_clip(0))
    assert len(one) == SIGNATURE_BYTES
    assert one == again


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_of_a_clip_is_near_it(name: str) -> None:
    for seed in range(5):
        clip = natural_clip(seed)
        assert distance(clip_signature(clip), clip_signature(COPIES[name](clip))) <= MAX_DISTANCE


def test_other_clips_are_not_near() -> None:
    clips = {str(seed): clip_signature(natural_clip(seed)) for seed in range(40)}
    pairs = near_duplicates(clips, clips)
    assert [(pair.a, pair.b) for pair in pairs] == [(seed, seed) for seed in sorted(clips)]


def test_another_number_of_frames_of_the_same_clip_is_near() -> None:
    many = natural_clip(0, num_frames=32)
    assert distance(clip_signature(many), clip_signature(many[::2])) <= MAX_DISTANCE


def test_the_same_scene_at_another_moment_is_not_near() -> None:
    clip = natural_clip(0, num_frames=16)
    assert distance(clip_signature(clip[:6]), clip_signature(clip[10:])) > MAX_DISTANCE


@pytest.mark.parametrize("num_frames", [1, 2, 3, 50])
def test_any_number_of_frames_gives_a_signature(num_frames: int) -> None:
    clip = natural_clip(1, num_frames=num_frames)
    assert distance(clip_signature(clip), clip_signature(darker(clip))) <= MAX_DISTANCE


def test_flat_clips_are_near_nothing_not_even_themselves() -> None:
    random = np.random.default_rng(0)
    black = np.zeros((10, 64, 64, 3), np.uint8)
    noisy = (128 + random.integers(-2, 3, black.shape)).astype(np.uint8)
    for flat in (black, noisy):
        assert distance(clip_signature(flat), clip_signature(flat)) == 1.0


def test_a_black_beginning_does_not_make_clips_alike() -> None:
    one, other = natural_clip(0), natural_clip(1)
    one[:5] = other[:5] = 0
    assert distance(clip_signature(one), clip_signature(other)) > 0.3
    assert distance(clip_signature(one), clip_signature(reencoded(one))) <= MAX_DISTANCE


def test_bars_of_letterbox_neither_make_clips_alike_nor_hide_copies() -> None:
    def boxed(clip: Frames) -> Frames:
        frames = np.zeros((len(clip), 224, 224, 3), np.uint8)
        frames[:, 80:144] = resized(clip, 224, 64)
        return frames

    clips = [natural_clip(seed) for seed in range(10)]
    signatures = {str(seed): clip_signature(boxed(clip), letterboxed=True) for seed, clip in enumerate(clips)}
    assert all(pair.a == pair.b for pair in near_duplicates(signatures, signatures, max_distance=0.3))
    for seed, clip in enumerate(clips):
        copy = clip_signature(boxed(reencoded(clip)), letterboxed=True)
        assert distance(signatures[str(seed)], copy) <= MAX_DISTANCE


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (8, 8, 3), (2, 8, 8, 1)])
def test_what_is_not_a_clip_is_refused_with_its_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"the frames of a clip are \(T, H, W, 3\)") as raised:
        clip_signature(np.zeros(shape, np.uint8))
    assert str(shape) in str(raised.value)


@pytest.mark.corpus
@pytest.mark.slow
def test_real_clips_of_other_groups_are_not_near_and_copies_are() -> None:
    """Thirty real clips; those of UT-Interaction show one car park, from the same camera."""
    corpus = require_corpus()
    rows = [row for row in corpus_rows("labelled/ucf101", "labelled/ut_interaction") if row["group"]][::3]
    assert len(rows) >= 25
    originals, copies = {}, {}
    for row in rows:
        every = decoded(str(corpus / row["path"]))
        frames = np.stack([every[index * len(every) // 10] for index in range(10)])
        originals[row["path"]] = clip_signature(resized(frames, 224, 224))
        copies[row["path"]] = clip_signature(resized(reencoded(darker(cropped(frames, 0.02))), 224, 224))
    group = {row["path"]: row["group"] for row in rows}
    pairs = near_duplicates(originals, copies)
    assert {pair.a for pair in pairs if pair.a == pair.b} == set(originals)
    assert [pair for pair in pairs if group[pair.a] != group[pair.b]] == []


@pytest.mark.parametrize("seed", range(3))
def test_the_signature_of_a_mirrored_clip_follows_from_the_clips_own(seed: int) -> None:
    clip = natural_clip(seed)
    mirrored = np.ascontiguousarray(clip[:, :, ::-1])
    assert distance(mirrored_signature(clip_signature(clip)), clip_signature(mirrored)) < 0.01
    assert mirrored_signature(mirrored_signature(clip_signature(clip))) == clip_signature(clip)


@pytest.mark.parametrize(("top", "left", "side"), [(0, 0, 0.7), (30, 8, 0.75), (6, 40, 0.74), (12, 16, 0.8)])
def test_a_part_of_a_clip_is_near_one_of_the_clips_parts_and_of_no_other_clips(
    top: int, left: int, side: float
) -> None:
    clip = natural_clip(1)
    part = clip[:, top : top + round(120 * side), left : left + round(160 * side)]
    parts = crop_signatures(signature_greys(encode_images(clip, "png", 95)))
    assert len(parts) == 125
    assert min(distance(one, clip_signature(part)) for one in parts) <= MAX_DISTANCE
    assert min(distance(one, clip_signature(natural_clip(2))) for one in parts) > MAX_DISTANCE
