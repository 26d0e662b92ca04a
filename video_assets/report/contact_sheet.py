"""Contact sheets: frames of stored clips, with what they are beside them."""

import base64
from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True, eq=False)
class SampledClip:
    """Some frames of a clip: (T, H, W, 3) uint8 RGB, and the (T,) times at which its source shows them."""

    clip_id: str
    label: str
    frames: NDArray[np.uint8]
    times_us: Sequence[int]

    @property
    def times(self) -> str:
        """The times, for people."""
        return " · ".join(f"{time_us / 1e6:.2f}" for time_us in self.times_us) + " s"


def evenly(count: int, wanted: int) -> list[int]:
    """At most `wanted` of `count` places, the first and the last among them.

    >>> evenly(10, 4)
    [0, 3, 6, 9]
    """
    if count <= wanted:
        return list(range(count))
    return [round(index * (count - 1) / (wanted - 1)) for index in range(wanted)] if wanted > 1 else [count // 2]


def strip_jpeg(frames: NDArray[np.uint8], height_px: int, quality: int = 75) -> tuple[bytes, int]:
    """The frames side by side as one JPEG so high, grey lines between them, and its width."""
    from video_assets.media.images import encode_image, scaled_to_height

    line = np.full((height_px, _LINE_PX, 3), 128, np.uint8)
    parts = [part for frame in frames for part in (line, scaled_to_height(frame, height_px))][1:]
    strip = np.concatenate(parts, axis=1)
    return encode_image(strip, "jpeg", quality), strip.shape[1]


def jpeg_uri(jpeg: bytes) -> str:
    """As an address that holds the picture."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def sheet_svg(clips: Sequence[SampledClip], *, max_bytes: int, height_px: int = 96) -> Markup:
    """One picture of several clips: a strip of frames each, with label, name and times.

    Smaller and coarser strips are taken until the picture is small enough; then fewer clips.
    """
    for num_clips in range(len(clips), 0, -1):
        for height, quality in ((height_px, 75), (height_px, 55), (height_px * 2 // 3, 55), (height_px // 2, 45)):
            picture = _sheet(clips[:num_clips], height, quality)
            if len(picture.encode("utf-8")) <= max_bytes:
                return picture
    return _sheet([], height_px, 75)


def _sheet(clips: Sequence[SampledClip], height_px: int, quality: int) -> Markup:
    y, widest, parts = _GAP_PX, 320, list[Markup]()
    for clip in clips:
        jpeg, width = strip_jpeg(clip.frames, height_px, quality)
        widest = max(widest, width)
        parts.append(
            Markup('<image x="{}" y="{}" width="{}" height="{}" href="{}"/>').format(
                _GAP_PX, y, width, height_px, jpeg_uri(jpeg)
            )
        )
        parts += _captions(clip, y + height_px, width)
        y += height_px + 2 * _CAPTION_PX
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}">{2}'
        '<rect class="paper" width="100%" height="100%"/>{3}</svg>'
    ).format(widest + 2 * _GAP_PX, y, PICTURE_STYLE, Markup("").join(parts))


def _captions(clip: SampledClip, y: int, width_px: int) -> list[Markup]:
    """The times under their frames, then the clip's label and name."""
    step = width_px / max(1, len(clip.times_us))
    time = Markup('<text class="muted small" x="{:.0f}" y="{}">{:.2f} s</text>')
    parts = [time.format(_GAP_PX + index * step, y + 13, t / 1e6) for index, t in enumerate(clip.times_us)]
    words = shortened(f"{visible(clip.label)} — {visible(clip.clip_id)}", max(40, width_px // 7))
    return [*parts, Markup('<text x="{}" y="{}">{}</text>').format(_GAP_PX, y + 29, words)]


def svg_markdown(svg: Markup, alt: str) -> str:
    """Markdown that shows a picture. It is in an address, so that nothing in it can become markup; nor can the text."""
    address = "data:image/svg+xml," + quote(str(svg), safe="/+=;:,.-_~*!")
    return f"![{markdown_text(alt)}]({address})"
