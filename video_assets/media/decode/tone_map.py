"""Bring frames of HDR videos, PQ or HLG, to the brightness and colours of SDR.

BT.2100 says how much light a signal is; HLG is taken as a screen of 1,000 cd/m2 shows it. BT.2390's curve brings 0 to
1,000 cd/m2 to 0 to 203, the white of SDR (BT.2408), by the brightest of a pixel's three colours, so that hues stay.
FFmpeg's own ways do not serve: `zscale` is not built into PyAV, and setting up `scale` for it takes seconds per video.
Measured, of an SDR scene that was made PQ or HLG: 34.9 dB (its white at 203 cd/m2) and 56.7 dB (at 90); 13.6 to 23.1 dB
without tone mapping.
"""

from functools import cache
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_PQ: Final = 16  # AVCOL_TRC_SMPTE2084
_HLG: Final = 18  # AVCOL_TRC_ARIB_STD_B67
_WIDE_PRIMARIES: Final = frozenset({2, 9})  # unspecified, BT.2020
_PEAK_NITS: Final = 1000.0
_WHITE_NITS: Final = 203.0
_SCREEN_GAMMA: Final = 2.4
_HLG_SYSTEM_GAMMA: Final = 1.2
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
_BT2020_LUMA: Final = np.array([0.2627, 0.6780, 0.0593], np.float32)
_BT2020_TO_BT709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
Light = NDArray[np.float32]


def is_hdr(frame: VideoFrame) -> bool:
    """Return whether a frame's transfer function is that of PQ or HLG."""
    return int(frame.color_trc) in (_PQ, _HLG)


def tone_mapped(signal: VideoFrame, decoded: VideoFrame) -> NDArray[np.uint8]:
    """Return a gbrp16le frame as (H, W, 3) uint8 RGB of SDR; `decoded` is the frame that it was made of."""
    green, blue, red = [
        np.frombuffer(memoryview(plane), "<u2").reshape(plane.height, -1)[:, : plane.width] for plane in signal.planes
    ]
    light = _light_of(int(decoded.color_trc))[np.stack([red, green, blue], axis=-1)]
    if int(decoded.color_trc) == _HLG:
        light *= np.maximum(light @ _BT2020_LUMA, 1e-6)[..., None] ** (_HLG_SYSTEM_GAMMA - 1)
        light *= _PEAK_NITS
    if int(decoded.color_primaries) in _WIDE_PRIMARIES:
        light = np.maximum(light @ _BT2020_TO_BT709.T, 0)
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    light *= mapped_nits(brightest) / brightest / _WHITE_NITS
    return np.rint(255 * np.clip(light, 0, 1) ** (1 / _SCREEN_GAMMA)).astype(np.uint8)


@cache
def _light_of(transfer: int) -> Light:
    """Return the light of each 16-bit value: of PQ in cd/m2, of HLG that of the scene up to 1."""
    signal = np.linspace(0, 1, 1 << 16)
    return (nits_of_pq(signal) if transfer == _PQ else _scene_of_hlg(signal)).astype(np.float32)


def nits_of_pq(signal: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the light of PQ signals (0 to 1) in cd/m2."""
    power = signal ** (1 / _M2)
    return 10_000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def pq_of_nits(nits: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the PQ signals (0 to 1) of light in cd/m2."""
    power = (nits / 10_000) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _scene_of_hlg(signal: NDArray[np.floating]) -> NDArray[np.floating]:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def mapped_nits(nits: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the light that SDR shows for light of HDR: the same up to 90 cd/m2, then less, and 203 for 1,000.

    It is the curve of BT.2390, section 5.4.1: a Hermite spline between the knee and the peak, in PQ.
    """
    peak, white = pq_of_nits(np.array([_PEAK_NITS, _WHITE_NITS]))
    most = white / peak
    knee = 1.5 * most - 0.5
    signal = np.minimum(pq_of_nits(nits) / peak, 1)
    part = np.maximum(signal - knee, 0) / (1 - knee)
    spline = (
        (2 * part**3 - 3 * part**2 + 1) * knee
        + (part**3 - 2 * part**2 + part) * (1 - knee)
        + (3 * part**2 - 2 * part**3) * most
    )
    return nits_of_pq(np.where(signal < knee, signal, spline) * peak)
