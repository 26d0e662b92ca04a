"""Bytes to begin from, for each target."""

import io
import json
from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from video_assets.domain.encoding import Encoding
from video_assets.pipeline.noted_settings import PinnedSettings
from video_assets.records.clip_record import ClipRecord
from video_assets.records.framing import frame_record
from video_assets.records.layouts import layout_codec
from video_assets.storage.sidecars import LostClip, Sidecar, StoredClip
from video_assets_tests.corpus import corpus_path, corpus_rows
from video_assets_tests.media.making import numbered_video

_ROWS = [
    {"path": "a.mp4", "label": "jump", "start": 0.5, "end": 2.0, "split": "train", "group": "g1", "caption": "x, y"},
    {"path": "../a.mp4", "label": "ü", "start": None, "end": None, "split": None, "group": None, "caption": None},
]
_SMALL_BYTES = 20_000
_HEAD_BYTES = 64


def seeds(target: str) -> list[bytes]:
    """At least one for each target, the same each time."""
    return list(_SEEDS[target]())


def real_seeds(target: str) -> list[bytes]:
    """What small files of the corpus add, for targets that take videos; nothing where there is no corpus."""
    root = corpus_path()
    if root is None or target not in _OF_REAL_VIDEOS:
        return []
    small = sorted(row["path"] for row in corpus_rows("formats/") if int(row["size"]) < _SMALL_BYTES)
    return [(root / path).read_bytes()[: _OF_REAL_VIDEOS[target]] for path in small]


def _csv() -> Iterator[bytes]:
    yield b"path,label\na.mp4,x\n"
    header = b"path,label,start,end,split,group,caption\n"
    yield header + b'a.mp4,"a ""b""",0.5,2,train,g1,"x,\r\ny"\r\n../a.mp4,\xc3\xbc,nan,,,,\n'
    yield "path,label\na.mp4,x\n".encode("utf-8-sig")


def _jsonl() -> Iterator[bytes]:
    yield "".join(json.dumps(row) + "\n" for row in _ROWS).encode()
    yield b'{"path": "a.mp4", "label": [1e999, "\\ud800"], "start": true}\n'


def _parquet() -> Iterator[bytes]:
    table = pa.Table.from_pylist(_ROWS)
    for options in ({}, {"compression": "none", "use_dictionary": False}, {"compression": "zstd", "version": "1.0"}):
        sink = io.BytesIO()
        pq.write_table(table, sink, store_schema=False, **options)
        yield sink.getvalue()


def _sidecar() -> Iterator[bytes]:
    """Unsealed, as earlier versions wrote them: of a sealed one every change is found by its seal alone."""
    clip = StoredClip(
        clip_id="jump/a.mp4", source="jump/a.mp4", label="jump", label_index=0, content_hash="ab" * 32, offset=0,
        length=99, num_frames=5, signature="00ff",
    )  # fmt: skip
    lost = LostClip(clip_id="b", source="b", label="run", reason="crashed", detail="twice")
    whole = Sidecar(
        shard="train-00000", fingerprint="f", sha256="s", bytes=99, records=1, encoding=Encoding().as_dict(),
        clips=[clip], losses=[lost], versions={"av": "18"},
    )  # fmt: skip
    yield json.dumps(asdict(whole)).encode()


def _pinned() -> Iterator[bytes]:
    pinned = PinnedSettings(version="1.0.0", encoding=Encoding(), clips_per_shard=4, source="/videos")
    yield pinned.to_json().encode()
    yield json.dumps(json.loads(pinned.to_json()) | {"clips_per_shard": "4"}).encode()


def _names() -> Iterator[bytes]:
    yield from (b"train-00007", b"test-123456", b"clips-train-00000.tfrecord", b"1.0.0", b"10.20.30")


def record(num_images: int = 2) -> ClipRecord:
    """A small record."""
    return ClipRecord(
        clip_id="jump/a.mp4", source="jump/a.mp4", label="jump", label_index=0, height_px=8, width_px=8,
        images=[b"\xff\xd8image"] * num_images, timestamps_us=np.arange(num_images, dtype=np.int64) * 40_000,
    )  # fmt: skip


def _framing() -> Iterator[bytes]:
    yield frame_record(b"one") + frame_record(b"") + frame_record(b"three" * 10)


def _tfds() -> Iterator[bytes]:
    yield layout_codec("tfds").encode_record(record())


def _sequence() -> Iterator[bytes]:
    yield layout_codec("sequence_example").encode_record(record())


def _movinets_helper() -> Iterator[bytes]:
    frames = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    yield layout_codec("movinets_helper").encode_record(replace(record(), images=(), frames=frames))


def _sample_table() -> Iterator[bytes]:
    for options in ({"g": "5"}, {"g": "1", "bf": "0"}):
        data = numbered_video(600, options={**options, "crf": "51"})
        yield data[data.rindex(b"moov") - 4 :]


def _packets() -> Iterator[bytes]:
    for data in (numbered_video(2), numbered_video(2, codec="mpeg4", container="avi")):
        yield data[:600]
    yield b"\0\0\0\1\x06\x06\x01\xc0\x80\0\0\1\x65" + b"\x01" + bytes(22)
    yield b"\0\0\1\xb2DivX503b1393p\0\0\1\xb6\x10"


def _videos() -> Iterator[bytes]:
    """A container and a codec each, a few kB."""
    yield numbered_video(6, options={"g": "3"})
    yield numbered_video(6, container_options={"movflags": "frag_keyframe+empty_moov"})
    yield numbered_video(6, codec="mpeg4", container="avi")
    yield numbered_video(6, codec="libvpx", container="webm")
    yield numbered_video(6, container="mpegts")
    yield numbered_video(4, codec="mjpeg", container="mov", pix_fmt="yuvj420p")
    yield numbered_video(4, codec="gif", container="gif", pix_fmt="rgb8")


def _heads() -> Iterator[bytes]:
    yield from (data[:_HEAD_BYTES] for data in _videos())


def _labels() -> Iterator[bytes]:
    yield "jump\nrün\n \u202ex\x1b[2J\n\u0301a\r".encode()


_SEEDS = {
    "table_csv": _csv,
    "table_jsonl": _jsonl,
    "table_parquet": _parquet,
    "sidecar": _sidecar,
    "pinned_settings": _pinned,
    "json_depth": lambda: iter((b"[", b'{"a":', b'[{"clips":')),
    "names": _names,
    "framing": _framing,
    "record_tfds": _tfds,
    "record_sequence_example": _sequence,
    "record_movinets_helper": _movinets_helper,
    "sample_table": _sample_table,
    "packets": _packets,
    "first_bytes": _heads,
    "labels": _labels,
    "decoding": _videos,
}
_OF_REAL_VIDEOS = {"first_bytes": _HEAD_BYTES, "decoding": _SMALL_BYTES}
"""How much of a video each of these targets takes."""
