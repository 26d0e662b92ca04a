"""Draw the frames of the sample: a textured shape that moves over a textured background.

The eight classes differ in motion alone. Position, size and turn of the shape in a single frame have the same
distribution in every class: each clip begins at a random phase of a cyclic motion, in which a shape that leaves on the
left returns on the right, and the largest size is followed by the smallest. MoveLeft played backwards is MoveRight.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

Motion = Literal["MoveLeft", "MoveRight", "MoveUp", "MoveDown", "Grow", "Shrink", "TurnLeft", "TurnRight"]
MOTIONS: tuple[Motion, ...] = get_args(Motion)

_BACKGROUND_SIDE = 360
_SHAPE_SIDE = 128
_SMALLEST, _LARGEST = 0.3, 0.65  # of the frame's shorter side
_NOISE_LEVELS = 2.5
_OUTLINES = (
    ((0.50, 0.05), (0.95, 0.50), (0.68, 0.50), (0.68, 0.95), (0.32, 0.95), (0.32, 0.50), (0.05, 0.50)),  # arrow
    ((0.15, 0.05), (0.50, 0.05), (0.50, 0.60), (0.90, 0.60), (0.90, 0.95), (0.15, 0.95)),  # L
    ((0.10, 0.05), (0.90, 0.30), (0.32, 0.55), (0.32, 0.95), (0.10, 0.95)),  # flag
    ((0.05, 0.90), (0.35, 0.10), (0.60, 0.45), (0.95, 0.25), (0.80, 0.95)),  # mountains
)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What all clips of a group share.

    `background` (H, W, 3) and `shape` (S, S, 4) are uint8 RGB; the last channel of `shape` is its opacity.
    """

    background: NDArray[np.uint8]
    shape: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the shape is: centre as fractions of the frame, size as a fraction of the frame's shorter side.

    The turn is anticlockwise.
    """

    x: float
    y: float
    size: float
    turn_degrees: float


@dataclass(frozen=True, slots=True)
class Path:
    """How the shape of a clip moves: each varying quantity is a phase from 0 to 1 of a cycle.

    `travel` is how much of a cycle the clip shows. The direction can be told while a step between sampled frames is
    below half a cycle; with ten frames it is below a tenth.
    """

    motion: Motion
    x: float
    y: float
    size: float
    turn: float
    travel: float

    def placement(self, progress: float) -> Placement:
        """Return where the shape is at a point of the clip, from 0 to 1."""
        step = self.travel * progress
        right = step * ((self.motion == "MoveRight") - (self.motion == "MoveLeft"))
        down = step * ((self.motion == "MoveDown") - (self.motion == "MoveUp"))
        growth = step * ((self.motion == "Grow") - (self.motion == "Shrink"))
        left_turn = step * ((self.motion == "TurnLeft") - (self.motion == "TurnRight"))
        return Placement(
            x=(self.x + right) % 1.0,
            y=(self.y + down) % 1.0,
            size=_SMALLEST * (_LARGEST / _SMALLEST) ** ((self.size + growth) % 1.0),
            turn_degrees=360.0 * ((self.turn + left_turn) % 1.0),
        )


def random_path(motion: Motion, random: np.random.Generator) -> Path:
    """Draw a path at random phases; only its direction depends on the motion."""
    x, y, size, turn = random.random(4)
    return Path(motion, float(x), float(y), float(size), float(turn), travel=float(random.uniform(0.55, 0.8)))


def random_scene(random: np.random.Generator) -> Scene:
    """Draw a background of blotches between two colours, and a striped shape that stands out from it."""
    dark, light = random.uniform(20, 110, 3), random.uniform(130, 220, 3)
    strength = np.zeros((_BACKGROUND_SIDE, _BACKGROUND_SIDE), np.float32)
    for cells, weight in ((4, 1.0), (8, 0.7), (16, 0.45), (40, 0.3)):
        blotches = random.normal(0.0, weight, (cells, cells)).astype(np.float32)
        strength += cv2.resize(blotches, strength.shape, interpolation=cv2.INTER_CUBIC)
    share = 1 / (1 + np.exp(-1.6 * strength[..., None]))
    background = (dark + (light - dark) * share).astype(np.uint8)
    return Scene(background, _random_shape(random))


def draw_frames(
    scene: Scene, path: Path, progress: Sequence[float], size_px: tuple[int, int], random: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    """Yield a frame (H, W, 3) uint8 RGB for each value of `progress`; `size_px` is (width, height)."""
    width, height = size_px
    background = cv2.resize(scene.background, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    # One field of noise, shifted at random for each frame: fresh noise would cost more than encoding the frame.
    noise = random.normal(0.0, _NOISE_LEVELS, (height + 64, width + 64, 1)).round().astype(np.int16)
    for value in progress:
        frame = background.copy()
        _draw(frame, scene.shape, path.placement(value))
        down, right = random.integers(0, 64, 2)
        noisy = frame + noise[down : down + height, right : right + width]
        yield np.clip(noisy, 0, 255).astype(np.uint8)


def _random_shape(random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a striped shape with a rim, which looks different at every turn."""
    outline = np.array(_OUTLINES[random.integers(len(_OUTLINES))])
    corners = (outline * _SHAPE_SIDE).round().astype(np.int32)
    opacity = np.zeros((_SHAPE_SIDE, _SHAPE_SIDE), np.uint8)
    cv2.fillPoly(opacity, [corners], 255)
    one, other = random.permuted([255.0, 128.0, 0.0]), random.permuted([230.0, 255.0, 40.0])
    stripes = np.sin(np.arange(_SHAPE_SIDE) * 2 * np.pi / random.uniform(18, 34)) > 0
    colours = np.where(stripes[:, None, None], one, other) * np.ones((1, _SHAPE_SIDE, 1))
    picture = np.ascontiguousarray(colours.astype(np.uint8))
    cv2.polylines(picture, [corners], isClosed=True, color=(250, 250, 250), thickness=5)
    return np.dstack([picture, opacity])


def _draw(frame: NDArray[np.uint8], shape: NDArray[np.uint8], placement: Placement) -> None:
    """Draw the shape on the frame; a part beyond one edge appears at the opposite edge."""
    height, width = frame.shape[:2]
    side = placement.size * min(width, height)
    for x in (placement.x * width + shift for shift in (-width, 0, width)):
        for y in (placement.y * height + shift for shift in (-height, 0, height)):
            _draw_once(frame, shape, (x, y), side / _SHAPE_SIDE, placement.turn_degrees)


def _draw_once(
    frame: NDArray[np.uint8], shape: NDArray[np.uint8], centre_px: tuple[float, float], scale: float, degrees: float
) -> None:
    """Draw the shape on the part of the frame that it covers, if any."""
    reach = 0.75 * scale * _SHAPE_SIDE  # half a diagonal, rounded up
    left, top = (max(0, int(centre - reach)) for centre in centre_px)
    right, bottom = (
        min(length, int(centre + reach) + 1) for centre, length in zip(centre_px, frame.shape[1::-1], strict=True)
    )
    if left >= right or top >= bottom:
        return
    middle = _SHAPE_SIDE / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), degrees, scale)
    matrix[:, 2] += np.array(centre_px) - middle - (left, top)
    laid = cv2.warpAffine(shape, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    opacity = laid[:, :, 3:].astype(np.uint16)
    under = frame[top:bottom, left:right]
    under[:] = (under * (255 - opacity) + laid[:, :, :3] * opacity) // 255
