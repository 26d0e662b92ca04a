"""Tiny videos made on the fly: each clip has a scene of its own, and each frame carries its number in blocks."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CLASSES = ("jump", "run", "walk")
NUM_GROUPS = 4
CLIPS_PER_GROUP = 2
NUM_CLIPS = len(CLASSES) * NUM_GROUPS * CLIPS_PER_GROUP
NUM_FRAMES = 20
FPS = 10
WIDTH_PX, HEIGHT_PX = 64, 48
_NUMBER_BITS = 8

Frames = NDArray[np.uint8]


def make_frames(seed: int, num_frames: int = NUM_FRAMES) -> Frames:
    """(T, 48, 64, 3) uint8 RGB: a drifting scene, another for each seed; above it the frame's number as 8 blocks."""
    import cv2

    random = np.random.default_rng(seed)
    scene = np.zeros((HEIGHT_PX, 2 * WIDTH_PX, 3), np.float32)
    for cells in (3, 6):
        blotches = random.normal(0, 180 / cells, (cells, 2 * cells, 3)).astype(np.float32)
        scene += cv2.resize(blotches, (2 * WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    scene = np.clip(scene + 128, 0, 255).astype(np.uint8)
    frames = np.stack([np.roll(scene, -2 * number, axis=1)[:, :WIDTH_PX] for number in range(num_frames)])
    for number, frame in enumerate(frames):
        for bit in range(_NUMBER_BITS):
            side = WIDTH_PX // _NUMBER_BITS
            frame[:side, bit * side : (bit + 1) * side] = 255 if number >> bit & 1 else 0
    return frames


def frame_number(frame: Frames) -> int:
    """The number that a frame carries, at any size that the whole picture was stretched to."""
    height_px, width_px = frame.shape[:2]
    row = frame[height_px // 12]
    return sum(1 << bit for bit in range(_NUMBER_BITS) if row[int((bit + 0.5) * width_px / _NUMBER_BITS)].mean() > 128)


def write_video(path: Path, seed: int, num_frames: int = NUM_FRAMES) -> Path:
    """An H.264 video of ten frames a second. The same seed and length give the same bytes, on any processor.

    What a clip is decides where it goes, so tests would else meet another dataset on another machine.
    """
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"crf": "12", "preset": "veryfast", "threads": "1", "g": "10", "x264-params": "cpu-independent=1"}
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        for frame in make_frames(seed, num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def clip_path(class_name: str, group: int, clip: int) -> str:
    """The name of a clip, as UCF101 names its own: the group is the class with the number.

    >>> clip_path("run", 1, 2)
    'run/v_run_g01_c02.mp4'
    """
    return f"{class_name}/v_{class_name}_g{group:02d}_c{clip:02d}.mp4"


def clip_seed(class_name: str, group: int, clip: int) -> int:
    """The seed of a clip's scene, one for each."""
    return 1000 * (1 + sum(map(ord, class_name))) + 10 * group + clip


def write_class(
    source: Path, class_name: str, groups: range, clips: range = range(1, CLIPS_PER_GROUP + 1)
) -> list[str]:
    """Some groups of a class; gives the paths."""
    paths = [clip_path(class_name, group, clip) for group in groups for clip in clips]
    for group in groups:
        for clip in clips:
            write_video(source / clip_path(class_name, group, clip), clip_seed(class_name, group, clip))
    return paths


def write_source(source: Path) -> Path:
    """3 classes of 4 groups of 2 clips; and a broken video, a hidden file and a text file."""
    for class_name in CLASSES:
        write_class(source, class_name, range(1, NUM_GROUPS + 1))
    (source / "run" / "broken.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(range(256)) * 4)
    (source / "run" / ".hidden.mp4").write_bytes(b"hidden")
    (source / "notes.txt").write_text("not a video")
    return source
