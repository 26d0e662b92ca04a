"""Pools that are kept from one stage to the next."""

from typing import Self

import pytest

from video_assets.media.kept_pools import kept_pools, lend_pool


class Pool:
    """Remembers whether it is open."""

    num_made = 0

    def __init__(self) -> None:
        Pool.num_made += 1
        self.is_open = False

    def __enter__(self) -> Self:
        self.is_open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False


def test_one_pool_serves_stage_after_stage_and_is_closed_at_the_end() -> None:
    with kept_pools():
        with lend_pool("a", Pool) as first:
            assert first.is_open
        with kept_pools(), lend_pool("a", Pool) as again:
            assert again is first
        with lend_pool("b", Pool) as other:
            assert other is not first
        assert first.is_open
    assert not first.is_open and not other.is_open


def test_pools_are_closed_when_a_stage_fails() -> None:
    lent: list[Pool] = []

    def fail() -> None:
        with kept_pools(), lend_pool("a", Pool) as pool:
            lent.append(pool)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert not lent[0].is_open


def test_elsewhere_every_stage_has_a_pool_of_its_own() -> None:
    with lend_pool("a", Pool) as first:
        pass
    assert not first.is_open
    with lend_pool("a", Pool) as second:
        assert second is not first


def test_no_pool_is_made_before_it_is_lent() -> None:
    before = Pool.num_made
    with kept_pools():
        pass
    assert Pool.num_made == before
