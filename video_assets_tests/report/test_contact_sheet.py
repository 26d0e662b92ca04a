"""Contact sheets: small, readable, and nothing in a name becomes markup."""

import base64
import doctest
import re
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from video_assets.media.images import decode_image
from video_assets.report import charts, contact_sheet
from video_assets.report.contact_sheet import SampledClip, Strip, sheet_svg, strip_jpeg, strip_of, svg_markdown

SVG = "{http://www.w3.org/2000/svg}"


def noise(num_clips: int, label: str = "run") -> list[Strip]:
    """Clips that no codec makes small."""
    frames = np.random.default_rng(0).integers(0, 255, (6, 96, 128, 3), np.uint8)
    times = [100_000 * i for i in range(6)]
    return [strip_of(SampledClip(f"{label}/{n}.mp4", label, frames, times)) for n in range(num_clips)]


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text")]


def test_a_sheet_shows_each_clip_with_label_name_and_times() -> None:
    svg = sheet_svg(noise(2), max_bytes=10**6)
    assert len(list(ET.fromstring(svg).iter(f"{SVG}image"))) == 2
    assert "run — run/1.mp4" in texts(svg)
    assert texts(svg)[:3] == ["0.00 s", "0.10 s", "0.20 s"]


@pytest.mark.parametrize("max_bytes", [200_000, 60_000, 20_000, 8_000, 1_000])
def test_a_sheet_is_never_larger_than_allowed(max_bytes: int) -> None:
    assert len(sheet_svg(noise(8), max_bytes=max_bytes)) <= max_bytes


def test_the_frames_of_a_strip_stand_side_by_side() -> None:
    frames = np.stack([np.full((40, 60, 3), shade, np.uint8) for shade in (0, 255)])
    jpeg, width = strip_jpeg(frames, 20)
    strip = decode_image(jpeg)
    assert strip.shape == (20, width, 3) == (20, 63, 3)
    assert strip[:, :20].max() < 40
    assert strip[:, -20:].min() > 215


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"]]>', "a\n\0b", "](x) ![", "\ud800", "&amp;"])
def test_a_name_cannot_leave_its_picture(name: str) -> None:
    markdown = svg_markdown(sheet_svg(noise(1, name), max_bytes=10**6), f"clips of {name}")
    alt, address = re.fullmatch(r"!\[((?:\\.|[^\]\\])*)\]\(([^()\s<>\"'`]*)\)", markdown).groups()  # type: ignore[union-attr]
    assert "<" not in alt
    svg = ET.fromstring(unquote(address.partition(",")[2]))
    tags = {node.tag for node in svg.iter()}
    assert tags == {f"{SVG}{tag}" for tag in ("svg", "style", "rect", "image", "text")}


def test_pictures_of_a_sheet_are_the_frames() -> None:
    clip = SampledClip("a", "b", np.full((2, 32, 32, 3), (200, 30, 30), np.uint8), [0, 1])
    [image] = ET.fromstring(sheet_svg([strip_of(clip)], max_bytes=10**6)).iter(f"{SVG}image")
    frame = decode_image(base64.b64decode(image.attrib["href"].partition(",")[2]))
    assert np.abs(frame[:, :90].astype(int) - (200, 30, 30)).max() < 12


@pytest.mark.parametrize("module", [charts, contact_sheet])
def test_what_docstrings_show_is_so(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(("letter", "letter_px"), [("w", 8), ("\u7dda", 14)])
@pytest.mark.parametrize("num_frames", [1, 2, 8])
def test_words_end_before_the_picture_does(letter: str, letter_px: int, num_frames: int) -> None:
    strip = Strip([np.zeros((90, 120, 3), np.uint8)] * num_frames, [], letter * 500)
    svg = str(sheet_svg([strip], max_bytes=30_000))
    [words] = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    [width] = re.findall(r'<svg[^>]* width="(\d+)"', svg)
    assert len(words) * letter_px / 8 >= 40
    assert len(words) * letter_px <= int(width)


def test_a_strip_without_words_leaves_no_room_for_them() -> None:
    frames = [np.zeros((90, 120, 3), np.uint8)] * 2
    heights = [
        int(
            re.findall(
                r'<svg[^>]* height="(\d+)"', str(sheet_svg([Strip(frames, ["a", "b"], words)], max_bytes=30_000))
            )[0]
        )
        for words in ("words", "")
    ]
    assert heights[0] == heights[1] + 20
