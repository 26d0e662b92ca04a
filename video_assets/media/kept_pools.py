"""Keep a pool from one stage to the next: to start its server takes half a second of a core."""

from collections.abc import Callable, Generator, Hashable
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

P = TypeVar("P")


@dataclass(slots=True)
class _Keeper:
    ending: ExitStack
    pools: dict[Hashable, object] = field(default_factory=dict)


_keeper: ContextVar[_Keeper | None] = ContextVar("keeper of decoding pools", default=None)


@contextmanager
def kept_pools() -> Generator[None, None, None]:
    """Pools that are lent within this are closed at its end. Within another such statement it changes nothing."""
    if _keeper.get() is not None:
        yield
        return
    with ExitStack() as ending:
        token = _keeper.set(_Keeper(ending))
        try:
            yield
        finally:
            _keeper.reset(token)


def lend_pool(key: Hashable, open_pool: Callable[[], AbstractContextManager[P]]) -> AbstractContextManager[P]:
    """The pool of this key, opened if it is not open yet; outside of `kept_pools` a new one.

    For one stage after another: two that map at the same time would share the processes.
    """
    keeper = _keeper.get()
    if keeper is None:
        return open_pool()
    if key not in keeper.pools:
        keeper.pools[key] = keeper.ending.enter_context(open_pool())
    pool: P = keeper.pools[key]  # type: ignore[assignment]  (what this key's opener gave)
    return nullcontext(pool)
