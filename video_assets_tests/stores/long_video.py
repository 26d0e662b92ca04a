"""A long video of a wanted size, made in seconds: one group of pictures, again and again on a running time line."""

import io
from pathlib import Path

import numpy as np

FPS = 30


def write_long_video(path: Path, num_bytes: int, *, keyframe_frames: int = 60, moov_first: bool) -> Path:
    """An mp4 of about `num_bytes`, a keyframe every `keyframe_frames`, of about 35 kB a frame."""
    import av

    group = _one_group(keyframe_frames)
    options = {"movflags": "+faststart"} if moov_first else {}
    with av.open(io.BytesIO(group), "r") as source, av.open(str(path), "w", format="mp4", options=options) as target:
        stream = source.streams.video[0]
        time_base = stream.time_base
        assert time_base is not None
        packets = [packet for packet in source.demux(stream) if packet.size]
        written = target.add_stream_from_template(stream)
        length = keyframe_frames * round(1 / (FPS * time_base))
        datas = [(bytes(packet), packet.pts or 0, packet.dts or 0, packet.is_keyframe) for packet in packets]
        for number in range(max(1, round(num_bytes / len(group)))):
            for data, pts, dts, is_keyframe in datas:
                packet = av.Packet(data)
                packet.stream = written
                packet.time_base = time_base
                packet.pts, packet.dts = pts + number * length, dts + number * length
                packet.is_keyframe = is_keyframe
                target.mux(packet)
    return path


def _one_group(num_frames: int) -> bytes:
    import av

    random = np.random.default_rng(5)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {
            "crf": "23",
            "preset": "ultrafast",
            "threads": "1",
            "g": str(num_frames),
            "bf": "0",
            "sc_threshold": "0",
            "x264-params": "cpu-independent=1",
        }
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(num_frames):
            picture = random.integers(0, 256, (240, 320, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()
