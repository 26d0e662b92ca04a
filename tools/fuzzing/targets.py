"""What is fuzzed: functions of bytes that raise only where a parser breaks its promise."""

import io
import json
import os
import struct
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast, get_args

import av
import numpy as np

from video_assets.domain.clips import LossReason, VideoLost
from video_assets.domain.errors import SettingsError
from video_assets.domain.labels import append_labels, clean_label, stored_label
from video_assets.media.index import bitstream
from video_assets.media.index import mp4_sample_table as sample_table_module
from video_assets.media.index.mp4_sample_table import MIN_TABLE_SAMPLES, SampleTable, read_sample_table
from video_assets.media.open.formats import CONTAINERS, detect_format
from video_assets.pipeline.noted_settings import PinnedSettings
from video_assets.records.clip_record import ClipRecord
from video_assets.records.framing import FramingError, frame_record, read_records
from video_assets.records.layouts import layout_codec
from video_assets.settings import DEFAULT_LIMITS
from video_assets.storage.files import read_lines
from video_assets.storage.paths import (
    parse_partition_key,
    parse_shard_file_name,
    parse_version,
    partition_key,
    shard_file_name,
)
from video_assets.storage.sidecars import LostClip, Sidecar, StoredClip, read_sidecar
from video_assets_tests.sources.tables import read_annotations

Target = Callable[[bytes], None]
_TABLE_LIMITS = {"max_table_rows": 2000, "max_table_megabytes": 1}
_LIMITS = replace(DEFAULT_LIMITS, max_frames=50_000)
_LABELS = ("jump", "run")
_CODECS: Final = ("h264", "hevc", "mpeg4", "mpeg1video", "mpeg2video", "vp8", "vp9", "av1", "mjpeg")


class _Folder:
    """A folder of this process with one video in it, made at the first use."""

    _place: tempfile.TemporaryDirectory[str] | None = None

    def file(self, name: str, data: bytes) -> Path:
        """The file with these bytes."""
        if self._place is None:
            self._place = tempfile.TemporaryDirectory(prefix="fuzz-")
            (Path(self._place.name) / "a.mp4").write_bytes(b"video")
        path = Path(self._place.name) / name
        path.write_bytes(data)
        return path


_FOLDER = _Folder()


def _annotations(suffix: str) -> Target:
    def target(data: bytes) -> None:
        table = _FOLDER.file(f"t{suffix}", data)
        _read_annotations(table, multi_label=False)
        _read_annotations(table, multi_label=True)

    return target


def _read_annotations(table: Path, *, multi_label: bool) -> None:
    try:
        found = read_annotations(table, "", multi_label=multi_label, **_TABLE_LIMITS)
    except SettingsError as error:
        assert str(table) in str(error)
        return
    for clip in found.clips:
        assert os.path.normpath(clip.file.path) == clip.file.path
        assert (table.parent / clip.file.path).is_relative_to(table.parent)
        assert clip.label == stored_label(clip.label, multi_label=multi_label) != ""
        assert clip.start_seconds is None or clip.start_seconds >= 0
        clip.clip_id.encode("utf-8")
    for lost in found.lost:
        assert lost.loss.reason in get_args(LossReason)
        (lost.source + lost.label + lost.loss.detail).encode("utf-8")


def sidecar(data: bytes) -> None:
    """A sidecar is one with all its types, or none; and what was read is written as it was."""
    found = read_sidecar(_FOLDER.file("sidecar.json", data))
    if found is None:
        return
    _check_types(found, {"shard": str, "fingerprint": str, "sha256": str, "bytes": int, "records": int})
    for clip in found.clips:
        integers = ("label_index", "offset", "length", "num_frames")
        _check_types(clip, {field.name: int if field.name in integers else str for field in fields(StoredClip)})
        bytes.fromhex(clip.signature)
    for loss in found.losses:
        _check_types(loss, {field.name: str for field in fields(LostClip)})
    again = read_sidecar(_FOLDER.file("again.json", found.to_json().encode("utf-8")))
    assert again is not None
    assert again.to_json() == found.to_json()  # not the values, which may hold NaN among the encoding's


def _check_types(value: Sidecar | StoredClip | LostClip, kinds: Mapping[str, type]) -> None:
    for name, kind in kinds.items():
        assert type(getattr(value, name)) is kind, f"{name} is {getattr(value, name)!r}"


def pinned_settings(data: bytes) -> None:
    """The pinned settings are whole, or the file is named as damaged."""
    path = _FOLDER.file("encoding.json", data)
    try:
        found = PinnedSettings.read(path)
    except SettingsError as error:
        assert str(path) in str(error)
        return
    assert found is not None
    assert parse_version(found.version) is not None
    assert type(found.clips_per_shard) is int
    assert all(type(number) is int and number >= 0 for number in found.num_shards.values())
    assert {"train", "test"} <= found.num_shards.keys() <= {"train", "val", "test"}
    layout_codec(found.encoding.layout) if found.encoding.layout != "movinets_helper" else None
    for name, kind in {"num_frames": int, "resolution": int, "jpeg_quality": int, "resize": str}.items():
        assert type(getattr(found.encoding, name)) is kind
    assert PinnedSettings.read(_FOLDER.file("encoding.json", found.to_json().encode("utf-8"))) == found


def names(data: bytes) -> None:
    """Whatever is taken for a name of ours is what we would have written."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        split, index = parse_partition_key(text)
        assert partition_key(split, index) == text
    except SettingsError:
        pass
    parsed = parse_shard_file_name(text)
    assert parsed is None or shard_file_name(*parsed) == text
    version = parse_version(text)
    assert version is None or ".".join(map(str, version)) == text


def framing(data: bytes) -> None:
    """What is read of a TFRecord file is all of it, up to the first fault."""
    whole = b""
    try:
        for record in read_records(io.BytesIO(data)):
            assert (record.offset, record.length) == (len(whole), len(record.data) + 16)
            whole += frame_record(record.data)
        assert whole == data
    except FramingError:
        assert data.startswith(whole)


def _records(layout: str) -> Target:
    codec = layout_codec(cast("Any", layout))

    def target(data: bytes) -> None:
        try:
            record = codec.decode_record(data, _LABELS)
        except ValueError:
            return
        assert all(type(image) is bytes for image in record.images)
        assert record.timestamps_us.dtype == np.int64
        has_frames = record.images or (record.frames is not None and record.frames.size)
        if has_frames and len(record.timestamps_us) and _fits(record):
            again = codec.decode_record(codec.encode_record(record), _LABELS)
            assert (again.clip_id, again.images, again.label_index) == (
                record.clip_id,
                record.images,
                record.label_index,
            )

    return target


def _fits(record: ClipRecord) -> bool:
    """Whether times are such that a video can have them: their differences do not overflow."""
    return bool((np.abs(record.timestamps_us) < 1 << 60).all())


def sample_table(data: bytes) -> None:
    """A table is one that agrees in all its columns, or it is none; the file's position is put back."""
    num_samples = MIN_TABLE_SAMPLES + (data[0] if data else 0)
    entries = [SimpleNamespace(timestamp=0, size=1, pos=0, is_keyframe=True, is_discard=False)] * num_samples
    table = _table_of(data, entries)
    if table is None and len(data) > 1:  # once more, with an index that says what the table says
        told = _told(data, num_samples)
        if told is not None:
            _table_of(data, _entries(told))


def _table_of(data: bytes, entries: list[SimpleNamespace]) -> SampleTable | None:
    opened = _opened(data, entries)
    try:
        table = read_sample_table(opened)
    except VideoLost:
        return None
    assert opened.file.tell() == 0
    if table is not None:
        assert len(table.dts) == len(table.pts) == len(table.sizes) == len(table.durations) == len(entries)
    return table


def _opened(data: bytes, entries: list[SimpleNamespace]) -> Any:
    return SimpleNamespace(
        stream=SimpleNamespace(index_entries=entries, id=1),
        container_name="mov,mp4,m4a,3gp,3g2,mj2",
        file=io.BytesIO(data),
        size_bytes=len(data),
        limits=_LIMITS,
    )


def _told(data: bytes, num_samples: int) -> SampleTable | None:
    try:
        return sample_table_module._table(_opened(data, []), num_samples)
    except (struct.error, ValueError, IndexError, VideoLost):  # as `read_sample_table` does
        return None


def _entries(table: SampleTable) -> list[SimpleNamespace]:
    keys = set(table.keyframes.tolist())
    return [
        SimpleNamespace(timestamp=int(dts), size=int(size), pos=-int(size), is_keyframe=n in keys, is_discard=False)
        for n, (dts, size) in enumerate(zip(table.dts, table.sizes, strict=True))
    ]


def packets(data: bytes) -> None:
    """What a packet says of itself is yes, no or a number, whatever is in it."""
    if not data:
        return  # the demuxer gives none such
    middle = len(data) // 2
    packet, extradata = av.Packet(data[:middle] or data), data[middle:]
    for codec in _CODECS:
        for header in (None, extradata, data):
            assert bitstream.starts_cleanly(codec, packet, header) in (True, False)
            assert bitstream.may_skip_unreferenced(codec, header) in (True, False)
        assert bitstream.is_shown(codec, packet) in (True, False)
    assert bitstream.count_vops(packet) >= 0
    assert bitstream.is_packed(packet) in (True, False)


def first_bytes(data: bytes) -> None:
    """A format is one of those that may be opened, and the file stands at its beginning."""
    file = io.BytesIO(data)
    found = detect_format(file)
    assert found is None or set(found.split(",")) <= set(CONTAINERS.split(","))
    assert file.tell() == 0


def labels(data: bytes) -> None:
    """A label is one line that stays what it is when it is read back; an index never changes."""
    text = data.decode("utf-8", "surrogatepass" if data[:1] < b"\x80" else "replace") if _is_text(data) else repr(data)
    found = [label for part in text.split("\n") if (label := clean_label(part))]
    assert all(clean_label(label) == label == label.strip() for label in found)
    ordered = append_labels(append_labels([], found[::2]), found)
    assert ordered[: len(set(found[::2]))] == append_labels([], found[::2])
    path = _FOLDER.file("labels.txt", "".join(f"{label}\n" for label in ordered).encode("utf-8"))
    assert read_lines(path) == ordered


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def json_depth(data: bytes) -> None:
    """The same bytes many times over, as the deepest JSON that they can make, for all that reads JSON."""
    deep = (data[:8] or b"[") * 5000
    sidecar(deep)
    pinned_settings(deep)
    _annotations(".jsonl")(deep)
    json.dumps(deep.decode("latin-1"))


TARGETS: Final[Mapping[str, Target]] = {
    "table_csv": _annotations(".csv"),
    "table_jsonl": _annotations(".jsonl"),
    "table_parquet": _annotations(".parquet"),
    "sidecar": sidecar,
    "pinned_settings": pinned_settings,
    "json_depth": json_depth,
    "names": names,
    "framing": framing,
    "record_tfds": _records("tfds"),
    "record_sequence_example": _records("sequence_example"),
    "record_movinets_helper": _records("movinets_helper"),
    "sample_table": sample_table,
    "packets": packets,
    "first_bytes": first_bytes,
    "labels": labels,
}
"""The decode path is another, in `decoding`: it needs processes."""
