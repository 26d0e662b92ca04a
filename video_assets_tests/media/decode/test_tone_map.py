"""HDR frames, made of an SDR scene: tone mapped, they look like it."""

from fractions import Fraction

import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from video_assets.domain.checks import frame_mse, psnr_from_mse
from video_assets.domain.encoding import Encoding, changed_fields
from video_assets.domain.geometry import FrameSize
from video_assets.media.decode.convert import FrameConverter
from video_assets.media.decode.tone_map import mapped_nits, nits_of_pq, pq_of_nits
from video_assets.settings import DEFAULT_LIMITS, EncodingSettings

BT709_TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
PQ, HLG = 16, 18


def scene() -> NDArray[np.uint8]:
    """A grey ramp over the six strong colours."""
    ramp = np.repeat(np.linspace(0, 255, 96)[None, :, None], 3, axis=2).repeat(24, axis=0)
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [200, 200, 40], [200, 40, 200], [40, 200, 200]])
    return np.concatenate([ramp, colours.repeat(16, axis=0)[None].repeat(24, axis=0)]).astype(np.uint8)


def hdr_frame(picture: NDArray[np.uint8], transfer: int, white_nits: float = 203.0) -> VideoFrame:
    """The picture as a camera's HDR video would hold it, with SDR's white at some brightness."""
    nits = np.clip((picture / 255.0) ** 2.4 @ BT709_TO_BT2020.T * white_nits, 0, None)
    if transfer == PQ:
        signal = pq_of_nits(nits)
    else:
        light = nits / 1000
        luma = np.maximum(light @ [0.2627, 0.6780, 0.0593], 1e-9)[..., None]
        of_scene = light * luma ** (1 / 1.2 - 1)
        bright = 0.17883277 * np.log(np.maximum(12 * of_scene - 0.28466892, 1e-9)) + 0.55991073
        signal = np.where(of_scene <= 1 / 12, np.sqrt(3 * of_scene), bright)
    frame = VideoFrame.from_ndarray(np.rint(np.clip(signal, 0, 1) * 65535).astype(np.uint16), format="rgb48le")
    frame.color_trc, frame.color_primaries = transfer, 9
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


def stored(frame: VideoFrame, hdr: str) -> NDArray[np.uint8]:
    size = FrameSize.of(Encoding.of(EncodingSettings(resize="short_side", resolution=48, hdr=hdr), multi_label=False))  # type: ignore[arg-type]
    return FrameConverter(size, None, DEFAULT_LIMITS).convert(frame)


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize(("white_nits", "least_db"), [(90.0, 50), (203.0, 33)])  # measured: 56.7, 34.9
def test_tone_mapped_frames_look_like_the_scene_and_the_signal_does_not(
    transfer: int, white_nits: float, least_db: float
) -> None:
    picture = scene()
    frame = hdr_frame(picture, transfer, white_nits)
    mapped, signal = stored(frame, "tonemap"), stored(frame, "clip")
    wanted = np.rint(255 * ((picture / 255.0) ** 2.4 * white_nits / 203) ** (1 / 2.4)).astype(np.uint8)
    assert psnr_from_mse(frame_mse(mapped, wanted)) > least_db
    assert psnr_from_mse(frame_mse(signal, wanted)) < 24  # measured: 13.6 to 23.1


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_grey_stays_grey_in_order_and_hues_stay(transfer: int) -> None:
    mapped = stored(hdr_frame(scene(), transfer), "tonemap").astype(int)
    ramp, colours = mapped[4], mapped[40]
    assert np.ptp(ramp, axis=1).max() <= 1
    assert (np.diff(ramp[:, 0]) >= 0).all() and ramp[0, 0] == 0 and ramp[-1, 0] > 220
    strongest = [sorted(np.argsort(colour)[-(colour > 120).sum() :].tolist()) for colour in colours[8::16]]
    assert strongest == [[0], [1], [2], [0, 1], [0, 2], [1, 2]]


def test_the_curve_keeps_what_is_dark_and_ends_at_white() -> None:
    nits = np.array([0.0, 1.0, 50.0, 90.0, 203.0, 1000.0, 10_000.0])
    mapped = mapped_nits(nits)
    np.testing.assert_allclose(mapped[:4], nits[:4], atol=0.1)
    assert mapped[4] < 170
    np.testing.assert_allclose(mapped[5:], 203, rtol=1e-6)
    np.testing.assert_allclose(nits_of_pq(pq_of_nits(nits)), nits, atol=1e-6)


def test_other_frames_and_older_datasets_are_as_before() -> None:
    frame = VideoFrame.from_ndarray(scene(), format="rgb24")
    np.testing.assert_array_equal(stored(frame, "tonemap"), stored(frame, "clip"))
    assert {"hdr", "deinterlace"}.isdisjoint(Encoding().as_dict())
    assert changed_fields(Encoding(), Encoding(hdr="tonemap")) == {"hdr": ("clip", "tonemap")}
