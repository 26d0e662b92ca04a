"""Contact sheets: frames of stored clips with their captions."""

import base64
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from video_assets.report.charts import PICTURE_STYLE
from video_assets.report.escape import markdown_text, shortened, visible

_GAP_PX = 6
_CAPTION_PX = 20
_LINE_PX = 3
_LETTER_PX, _WIDE_LETTER_PX = 8, 14
_MIN_WIDTH_PX = 360


@dataclass(frozen=True, slots=True, eq=False)
class SampledClip:
    """Some frames of a clip: (T, H, W, 3) uint8 RGB, and the (T,) times at which its source shows them.

    `split` is empty where it is not known.
    """

    clip_id: str
    label: str
    frames: NDArray[np.uint8]
    times_us: Sequence[int]
    split: str = ""

    @property
    def times(self) -> str:
        """Return the times as text."""
        return " · ".join(f"{time_us / 1e6:.2f}" for time_us in self.times_us) + " s"


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Frames side by side, each (H, W, 3) uint8 RGB with a caption of its own, and a title, which may be empty."""

    frames: Sequence[NDArray[np.uint8]]
    captions: Sequence[str]
    title: str


def strip_of(clip: SampledClip) -> Strip:
    """Return a clip's frames with their times, and its label and name as title."""
    times = [f"{time_us / 1e6:.2f} s" for time_us in clip.times_us]
    return Strip(list(clip.frames), times, f"{visible(clip.label)} — {visible(clip.clip_id)}")


def evenly(count: int, wanted: int) -> list[int]:
    """Return at most `wanted` of `count` indices, the first and the last among them.

    >>> evenly(10, 4)
    [0, 3, 6, 9]
    """
    if count <= wanted:
        return list(range(count))
    return [round(index * (count - 1) / (wanted - 1)) for index in range(wanted)] if wanted > 1 else [count // 2]


def strip_jpeg(frames: Iterable[NDArray[np.uint8]], height_px: int, quality: int = 75) -> tuple[bytes, int]:
    """Return the frames side by side as one JPEG of this height, separated by grey lines, and its width."""
    from video_assets.media.images import encode_image, scaled_to_height

    line = np.full((height_px, _LINE_PX, 3), 128, np.uint8)
    parts = [part for frame in frames for part in (line, scaled_to_height(frame, height_px))][1:]
    strip = np.concatenate(parts, axis=1)
    return encode_image(strip, "jpeg", quality), strip.shape[1]


def jpeg_uri(jpeg: bytes) -> str:
    """Return a data URI of the JPEG."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def sheet_svg(strips: Sequence[Strip], *, max_bytes: int, height_px: int = 96) -> Markup:
    """Return one picture of several strips, with their captions.

    If it is too large, smaller and coarser strips are tried, then fewer strips.
    """
    for num_strips in range(len(strips), 0, -1):
        for height, quality in ((height_px, 75), (height_px, 55), (height_px * 2 // 3, 55), (height_px // 2, 45)):
            picture = _sheet(strips[:num_strips], height, quality)
            if len(picture.encode("utf-8")) <= max_bytes:
                return picture
    return _sheet([], height_px, 75)


def _sheet(strips: Sequence[Strip], height_px: int, quality: int) -> Markup:
    y, widest, parts = _GAP_PX, _MIN_WIDTH_PX, list[Markup]()
    for strip in strips:
        jpeg, width = strip_jpeg(strip.frames, height_px, quality)
        widest = max(widest, width)
        parts.append(
            Markup('<image x="{}" y="{}" width="{}" height="{}" href="{}"/>').format(
                _GAP_PX, y, width, height_px, jpeg_uri(jpeg)
            )
        )
        parts += _captions(strip, y + height_px, width)
        y += height_px + (2 if strip.title else 1) * _CAPTION_PX
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}">{2}'
        '<rect class="paper" width="100%" height="100%"/>{3}</svg>'
    ).format(widest + 2 * _GAP_PX, y, PICTURE_STYLE, Markup("").join(parts))


def _captions(strip: Strip, y: int, width_px: int) -> list[Markup]:
    """Return the captions under the frames, then the title."""
    step = (width_px + _LINE_PX) / max(1, len(strip.captions))
    caption = Markup('<text class="muted small" x="{:.0f}" y="{}">{}</text>')
    parts = [caption.format(_GAP_PX + i * step, y + 13, visible(text)) for i, text in enumerate(strip.captions)]
    if not strip.title:
        return parts
    title = visible(strip.title)
    is_wide = any(unicodedata.east_asian_width(letter) in "WF" for letter in title)
    title = shortened(title, max(_MIN_WIDTH_PX, width_px) // (_WIDE_LETTER_PX if is_wide else _LETTER_PX))
    return [*parts, Markup('<text x="{}" y="{}">{}</text>').format(_GAP_PX, y + 29, title)]


def svg_markdown(svg: Markup, alt: str) -> str:
    """Return Markdown that shows a picture as a data URI; neither the picture nor the text can become other markup."""
    address = "data:image/svg+xml," + quote(str(svg), safe="/+=;:,.-_~*!")
    return f"![{markdown_text(alt)}]({address})"
