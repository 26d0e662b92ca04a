"""What the fuzzer found stays found, and each target holds for its seeds and some thousand broken copies of them."""

import io
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tools.fuzzing.__main__ import NAMES
from tools.fuzzing.decoding import Decoding
from tools.fuzzing.seeds import real_seeds, seeds
from tools.fuzzing.targets import TARGETS
from video_assets_tests.pipeline.mutations import mutate

MUTANTS = 150


def parquet_whose_schema_and_statistics_differ() -> bytes:
    """pyarrow 26 ends the process when it is asked for this column's metadata; it must not be asked."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"path": ["a.mp4"], "label": ["x"]}), sink, store_schema=False)
    optional, required = b"%\x02\x18\x05label", b"%\x00\x18\x05label"  # in thrift's compact protocol
    assert sink.getvalue().count(optional) == 1
    return sink.getvalue().replace(optional, required)


def times_as_floats(target: str) -> bytes:
    """The record's times under the number of another kind of list."""
    name = b"timestamps_us\x12\x08"
    [seed] = [data for data in seeds(target)[:1] if data.count(name + b"\x1a") == 1]  # field 3: int64_list
    return seed.replace(name + b"\x1a", name + b"\x12")  # field 2: float_list


FOUND: dict[str, list[bytes]] = {
    "names": [
        b"train-000027",
        "train-\u0660\u0661\u0662\u0663\u0664".encode(),
        b"01.0.0",
        b"clips-test-000001.tfrecord",
    ],
    "pinned_settings": [
        seeds("pinned_settings")[0].replace(b'"clips_per_shard": 4', b'"clips_per_shard": "4"'),
        seeds("pinned_settings")[0].replace(b'"fps": 5.0', b'"fps": NaN'),
        seeds("pinned_settings")[0].replace(b'"train": 0', b'"train": -1'),
    ],
    "sidecar": [seeds("sidecar")[0].replace(b'"records": 1', b'"records": "1"')],
    "json_depth": [b"[", b'{"a":'],
    "record_tfds": [b"\n\x7f", b"\xff", times_as_floats("record_tfds")],
    "record_sequence_example": [b"\n\x7f", b"\xff", times_as_floats("record_sequence_example")],
    "record_movinets_helper": [times_as_floats("record_movinets_helper")],
    "packets": [b"no start code"],
    "table_parquet": [parquet_whose_schema_and_statistics_differ()],
    "table_jsonl": [b'{"path": "a.mp4", "label": "x", "start": 1' + b"0" * 400 + b"}\n"],
}


def broken(data: Sequence[bytes]) -> Iterator[bytes]:
    originals = {f"{number}.bin": one for number, one in enumerate(data) if len(one) > 4}
    yield from (mutant.data for mutant in mutate(originals, MUTANTS, seed=7))
    rng = random.Random(7)
    yield from (rng.randbytes(rng.randrange(80)) for _ in range(50))


def test_every_target_has_seeds_and_a_share_of_the_time() -> None:
    assert {*TARGETS, "decoding"} == set(NAMES)
    assert all(seeds(name) for name in TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_keeps_its_promise_for_broken_bytes(name: str) -> None:
    for data in [b"", *seeds(name), *broken(seeds(name))]:
        TARGETS[name](data)


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, found in FOUND.items() for data in found])
def test_what_was_found_once_is_not_found_again(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.corpus
def test_first_bytes_of_real_videos_are_taken_whole_and_broken() -> None:
    heads = real_seeds("first_bytes")
    assert heads
    for data in [*heads, *broken(heads)]:
        TARGETS["first_bytes"](data)


@pytest.mark.parametrize("originals", [seeds, pytest.param(real_seeds, marks=pytest.mark.corpus)], ids=["made", "real"])
def test_the_decode_path_gives_frames_or_a_loss_for_broken_bytes(originals: Callable[[str], list[bytes]]) -> None:
    whole, decoding = originals("decoding"), Decoding()
    assert whole
    try:
        for data in [b"", *whole[:7], *list(broken(whole))[:20]]:
            decoding(data)
    finally:
        decoding.close()


@pytest.mark.slow
def test_the_command_runs_a_target_and_tells_the_figures() -> None:
    pytest.importorskip("atheris", reason="needs atheris, which has wheels for Linux on x86-64 only")
    command = [
        sys.executable,
        "-m",
        "tools.fuzzing",
        "--seconds",
        "2",
        "--targets",
        "names",
        "--seed",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    executions = int(done.stdout.splitlines()[3].split("|")[3])
    assert executions > 1000
    assert done.stdout.splitlines()[-1] == f"{executions} executions of 1 targets; 0 targets with a finding"
