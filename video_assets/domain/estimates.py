"""What a build will cost, before it is done."""

from video_assets.domain.encoding import Encoding

_BYTES_PER_PIXEL = {100: 0.80, 95: 0.36, 90: 0.26, 80: 0.18, 70: 0.145, 50: 0.105, 1: 0.03}
"""Of JPEG, 4:2:0, by quality, measured on camera footage at 224²; between two qualities it is interpolated."""
_PNG_BYTES_PER_PIXEL = 1.6
_SECONDS_PER_PIXEL = 2.5e-9
_SECONDS_PER_CLIP_FRAME = 2e-5


def jpeg_bytes_per_pixel(quality: int) -> float:
    """Bytes that one pixel takes, about.

    >>> jpeg_bytes_per_pixel(95)
    0.36
    """
    above = min(q for q in _BYTES_PER_PIXEL if q >= quality)
    below = max(q for q in _BYTES_PER_PIXEL if q <= quality)
    if above == below:
        return _BYTES_PER_PIXEL[quality]
    share = (quality - below) / (above - below)
    return _BYTES_PER_PIXEL[below] + share * (_BYTES_PER_PIXEL[above] - _BYTES_PER_PIXEL[below])


def estimated_record_bytes(encoding: Encoding) -> float:
    """Bytes of one record, about: frames, pixels and image format decide; content may halve or double it."""
    per_pixel = _PNG_BYTES_PER_PIXEL if encoding.image_format == "png" else jpeg_bytes_per_pixel(encoding.jpeg_quality)
    num_frames = encoding.num_frames if encoding.sampling in ("uniform", "segments") else min(encoding.max_frames, 50)
    return 300 + num_frames * (encoding.resolution**2 * per_pixel + 600)


def estimated_seconds(num_frames: float, num_frame_pixels: float) -> float:
    """Seconds of one core to decode videos of so many frames, and so many pixels over all frames."""
    return num_frames * _SECONDS_PER_CLIP_FRAME + num_frame_pixels * _SECONDS_PER_PIXEL
