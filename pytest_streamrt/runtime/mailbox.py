"""A participant's queue of events. An event counts against it until its handler has returned."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from pytest_streamrt.events.types import Event
    from pytest_streamrt.runtime.participant import Participant

__all__ = ["Mailbox"]


class Mailbox:
    """Holds what a participant has yet to hear, in the room's order.

    Args:
        capacity: how many events may wait before the streams in the room do, or None for any number.
    """

    def __init__(self, capacity: int | None) -> None:
        self._capacity = capacity
        self._queue: deque[tuple[Participant, Event]] = deque()
        self._handling = False
        self._lent = 0
        self._arrival: anyio.Event | None = None
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether streams must wait for it. Not while its owner waits for something else in the room: it is lent."""
        return self._capacity is not None and not self._lent and len(self._queue) + self._handling >= self._capacity

    @property
    def idle(self) -> bool:
        """Whether everything has been heard, and handled."""
        return not self._queue and not self._handling

    def put(self, source: Participant, event: Event) -> None:
        """Append an event. Never waits: it is streams that wait, before they ask for more."""
        if self._closed:
            return
        self._queue.append((source, event))
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None

    async def get(self) -> tuple[Participant, Event] | None:
        """The next event, as soon as there is one; None when the mailbox is closed and all has been heard."""
        while not self._queue:
            if self._closed:
                return None
            self._arrival = anyio.Event()
            await self._arrival.wait()
        self._handling = True
        return self._queue.popleft()

    def handled(self) -> None:
        """The event that `get` gave has been handled."""
        self._handling = False

    def close(self, *, discard: bool = False) -> None:
        """Take nothing more in. What waits is still heard, unless it is discarded."""
        self._closed = True
        if discard:
            self._queue.clear()
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None

    def lend(self) -> None:
        """The owner's handler waits for something in the room: streams need not wait for it meanwhile."""
        self._lent += 1

    def take_back(self) -> None:
        """The owner's handler goes on."""
        self._lent -= 1
