"""A seal finds every flipped bit of the file that it is in."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.errors import FileDamaged
from video_assets.storage.tables import OPEN_SEAL, is_seal_whole, refuse_broken_seal, sealed


def test_the_digest_is_that_of_the_bytes_with_zeros_in_its_place() -> None:
    open_bytes = f"before {OPEN_SEAL} after".encode()
    digest = hashlib.sha256(open_bytes).hexdigest()
    assert sealed(open_bytes) == f"before seal:{digest} after".encode()


@given(before=st.binary(max_size=40), after=st.binary(max_size=40).filter(lambda data: b"seal:" not in data))
def test_what_was_sealed_is_whole(before: bytes, after: bytes) -> None:
    data = sealed(before + OPEN_SEAL.encode() + after)
    assert is_seal_whole(data) is True


def test_every_single_flipped_bit_is_found() -> None:
    data = sealed(f"some text, {OPEN_SEAL}, and more".encode())
    for position in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        assert not is_seal_whole(bytes(flipped)), position


def test_the_last_place_counts_so_that_texts_of_users_cannot_take_it() -> None:
    theirs = OPEN_SEAL.encode()
    data = sealed(theirs + b" a user's text " + OPEN_SEAL.encode())
    assert data.startswith(theirs)
    assert is_seal_whole(data)


def test_without_a_place_nothing_can_be_sealed() -> None:
    with pytest.raises(ValueError, match="not found"):
        sealed(b"nothing here")


def test_a_broken_seal_is_refused_by_the_name_of_its_file_and_none_at_all_is_not() -> None:
    refuse_broken_seal(Path("plan.parquet"), b"never sealed")
    with pytest.raises(FileDamaged, match=r"^plan.parquet is damaged: .*run `video-assets repair`"):
        refuse_broken_seal(Path("plan.parquet"), sealed(OPEN_SEAL.encode()) + b"!")
