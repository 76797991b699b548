"""The connections of an HTTP client, as far as played answers use them up: a client that has none left waits, as on a network.

A client with `max_connections=n` that leaves n responses open gets no further: `PoolTimeout`, or for ever. That is a bug
worth finding, so a played response holds a connection of its transport until it is closed. And a client that is closed
closes its connections, and with them the responses that are still open.

Private names used, of httpx and httpx2: `HTTPTransport._pool`, and of their connection pools `_max_connections` and `_http2`.
`tests/cassette/test_timeouts.py` fails when a release moves one.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import anyio

from pytest_streamrt.clock import NS, now_ns, sleep_blocking_until

__all__ = ["Connections", "connections_of", "transport_closes"]

_pools: Final[WeakKeyDictionary[Any, Connections]] = WeakKeyDictionary()


def connections_of(transport: Any) -> Connections:
    """The connections of that transport."""
    found = _pools.get(transport)
    if found is None:
        pool = getattr(transport, "_pool", None)
        many = getattr(pool, "_http2", False)  # where one connection carries many streams
        found = Connections(sys.maxsize if many else getattr(pool, "_max_connections", sys.maxsize))
        _pools[transport] = found
    return found


def transport_closes(transport: Any) -> None:
    """That transport is being closed, as a client does at its end."""
    found = _pools.get(transport)
    if found is not None:
        found.close()


class Answer(Protocol):
    """Who holds a connection."""

    def cut_off(self) -> None:
        """Its client has closed the connection under it."""
        ...


class Connections:
    """So many connections, handed out in the order of asking."""

    def __init__(self, limit: int) -> None:
        self.carrying: set[Answer] = set()
        """The answers that have one, and are still open."""
        self._free = limit
        self._waiting: deque[anyio.Event] = deque()

    async def take(self, patience: float | None) -> bool:
        """Take one; wait for one up to `patience` seconds. False: there was none."""
        if self._free > 0:
            self._free -= 1
            return True
        turn = anyio.Event()
        self._waiting.append(turn)
        try:
            with anyio.move_on_after(patience):
                await turn.wait()
        except BaseException:
            if turn.is_set():
                self.give_back()
            raise
        finally:
            if not turn.is_set():
                self._waiting.remove(turn)
        return turn.is_set()

    def take_blocking(self, patience: float | None) -> bool:
        """Take one. A thread that waits for one has nobody who could give one back, so it only takes its time."""
        if self._free > 0 or patience is None:
            self._free -= 1
            return True
        sleep_blocking_until(now_ns() + round(patience * NS))
        return False

    def give_back(self) -> None:
        """Hand one back, to whoever has waited longest."""
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self._free += 1

    def close(self) -> None:
        """Close all, and with them the answers that they carry."""
        for answer in tuple(self.carrying):
            answer.cut_off()
