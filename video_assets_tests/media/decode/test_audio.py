"""Sound is cut to spans on the video's timeline: the tone of each second in real files tells which one it is."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from video_assets.media.decode.audio import decode_audio
from video_assets_tests.media.making import HEIGHT_PX, WIDTH_PX, numbered_picture

RATE = 44_100


def tone_of(second: int) -> float:
    """Hertz of each second: 300, 500, 700, …"""
    return 300.0 + 200.0 * second


def stairs(seconds: int, channels: int = 2) -> NDArray[np.float32]:
    """Return (channels, N) float32: another tone in every second, at half the full level."""
    times = np.arange(seconds * RATE) / RATE
    wave = 0.5 * np.sin(2 * np.pi * (300.0 + 200.0 * np.floor(times)) * times)
    return np.tile(wave.astype(np.float32), (channels, 1))


def write(
    path: Path,
    codec: str,
    *,
    seconds: int = 4,
    audio_start: float = 0.0,
    video_start: float = 0.0,
    gap: Sequence[float] = (),
) -> Path:
    """Write ten pictures per second with these tones, which may begin late or have a gap (from, to)."""
    with av.open(str(path), "w") as container:
        video = cast("Any", container.add_stream("flv" if path.suffix == ".flv" else "mpeg4", rate=10))
        video.width, video.height, video.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        audio = cast("Any", container.add_stream(codec, rate=RATE, layout="stereo"))
        audio.bit_rate = 128_000
        for number in range(10 * seconds):
            picture = av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")
            picture.pts, picture.time_base = number + round(10 * video_start), Fraction(1, 10)
            container.mux(video.encode(picture))
        container.mux(video.encode())
        samples, size = stairs(seconds), 1024
        form = {"pcm_s16le": "s16", "libopus": "flt"}.get(codec, "fltp")
        resampler = av.AudioResampler(format=form, layout="stereo", rate=audio.codec_context.sample_rate)
        for begin in range(0, samples.shape[1], size):
            if gap and gap[0] <= begin / RATE < gap[1]:
                continue
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, begin : begin + size]), format="fltp")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = begin + round(audio_start * RATE)
            for resampled in resampler.resample(frame):
                container.mux(audio.encode(resampled))
        for resampled in resampler.resample(None):
            container.mux(audio.encode(resampled))
        container.mux(audio.encode())
    return path


def loudest(samples: NDArray[np.float32], rate: int) -> float:
    """The strongest frequency, in hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def heard(path: Path, start_seconds: float, end_seconds: float, rate: int = 16_000) -> NDArray[np.float32]:
    samples = decode_audio(path, round(start_seconds * 1e6), round(end_seconds * 1e6), rate)
    assert samples is not None
    return samples


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mov", "pcm_s16le"), ("a.mp4", "aac"), ("a.mkv", "libmp3lame"), ("a.avi", "libmp3lame")]
)
def test_each_second_of_a_span_has_its_own_tone(tmp_path: Path, name: str, codec: str) -> None:
    path = write(tmp_path / name, codec)
    samples = heard(path, 1.0, 3.0)
    assert (samples.dtype, samples.shape) == (np.float32, (32_000,))
    for number, second in enumerate((1, 2)):
        middle = samples[16_000 * number + 1600 : 16_000 * (number + 1) - 1600]
        assert loudest(middle, 16_000) == pytest.approx(tone_of(second), abs=2)
        assert np.abs(middle).max() == pytest.approx(0.5, abs=0.05)


def test_samples_stand_where_they_sound(tmp_path: Path) -> None:
    """Uncompressed sound at its own rate comes out sample for sample, from any start."""
    path, wave = write(tmp_path / "a.mov", "pcm_s16le"), stairs(4)[0]
    for start in (0.0, 0.5, 1.234, 3.9):
        begin = round(start * RATE)
        samples = heard(path, start, start + 0.1, RATE)
        expected = np.zeros(len(samples), np.float32)
        expected[: len(wave) - begin] = wave[begin : begin + len(samples)]
        assert samples == pytest.approx(expected, abs=1e-3)


def test_two_halves_are_the_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", "aac")
    whole, halves = heard(path, 0, 4), np.concatenate([heard(path, 0, 2), heard(path, 2, 4)])
    assert len(whole) == len(halves) == 64_000
    half_a_sample = 0.5 * 2 * np.pi * tone_of(3) / 16_000 / 2  # how far the loudest, highest tone moves meanwhile
    assert np.abs(whole[:60_000] - halves[:60_000]).max() < half_a_sample


def test_the_same_span_gives_the_same_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", "aac")
    assert (heard(path, 1.5, 2.5) == heard(path, 1.5, 2.5)).all()


def test_sound_that_begins_late_or_ends_early_or_has_a_hole_is_silent_there(tmp_path: Path) -> None:
    late = heard(write(tmp_path / "late.mov", "pcm_s16le", audio_start=1.0), 0, 6)
    assert not late[:15_900].any()
    assert loudest(late[17_600:30_400], 16_000) == pytest.approx(tone_of(0), abs=2)
    assert len(late) == 96_000
    assert not late[16_000 * 5 + 100 :].any()
    holed = heard(write(tmp_path / "holed.mkv", "pcm_s16le", gap=(1.0, 2.0)), 0, 4)
    assert not holed[17_000:31_000].any()
    assert loudest(holed[33_600:46_400], 16_000) == pytest.approx(tone_of(2), abs=2)


def test_sound_that_a_transport_stream_begins_with_late_is_found(tmp_path: Path) -> None:
    """All sound comes after twenty seconds of pictures, which is more than FFmpeg analyses."""
    path = write(tmp_path / "late.ts", "aac", seconds=20, audio_start=1.0)
    with av.open(str(path)) as container:
        assert container.streams.best("audio") is None
    for second in (0, 18):
        samples = heard(path, 1.0 + second, 2.0 + second)
        assert loudest(samples[1600:-1600], 16_000) == pytest.approx(tone_of(second), abs=2)


def test_what_the_decoder_still_holds_at_the_end_follows_the_frame_before(tmp_path: Path) -> None:
    """The last frame of WMA comes out without a time."""
    samples = heard(write(tmp_path / "a.wmv", "wmav2"), 0, 4)
    for second in range(4):
        middle = samples[16_000 * second + 1600 : 16_000 * second + 14_400]
        assert loudest(middle, 16_000) == pytest.approx(tone_of(second), abs=2)


def test_sound_that_cannot_be_sought_before_its_first_packet_is_read_from_there(tmp_path: Path) -> None:
    """An FLV in which neither sound nor picture begins at 0."""
    path = write(tmp_path / "a.flv", "libmp3lame", audio_start=0.1, video_start=0.2)
    samples = heard(path, 0.2, 2.0)
    assert loudest(samples[1600:12_000], 16_000) == pytest.approx(tone_of(0), abs=3)
    assert np.abs(samples[:1600]).max() > 0.3


def test_a_video_without_sound_has_none(tmp_path: Path) -> None:
    from video_assets_tests.pipeline.videos import write_video

    assert decode_audio(write_video(tmp_path / "silent.mp4", seed=1), 0, 1_000_000, 16_000) is None


def test_channels_are_mixed_and_never_louder_than_full(tmp_path: Path) -> None:
    assert np.abs(heard(write(tmp_path / "a.mov", "pcm_s16le"), 0, 4)).max() <= 1.0
