"""A stream that does not hear that it is to stop: for `misbehave("emits after cancel")` and `misbehave("ignores cancel")`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import anyio

from pytest_streamrt.cassette.played import NEVER
from pytest_streamrt.clock import now_ns, sleep_until, turn
from pytest_streamrt.events.types import Event
from pytest_streamrt.fake.beats import Beat

__all__ = ["DeafStream"]


class DeafStream:
    """Plays beats. Cancelled or closed, it goes on: at once with what is left, or at its own pace.

    Args:
        beats: what it plays.
        count: is told how many deltas are out with each.
        at_its_pace: whether it waits for the times of what is left.
    """

    def __init__(self, beats: Sequence[Beat], count: Callable[[int], None], *, at_its_pace: bool) -> None:
        self._beats = deque(beats)
        self._events: deque[Event] = deque()
        self._count = count
        self._at_its_pace = at_its_pace
        self._began = now_ns()
        self._told = False

    def __aiter__(self) -> DeafStream:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if not self._beats:
                raise StopAsyncIteration
            beat = self._beats[0]
            if self._at_its_pace:
                with anyio.CancelScope(shield=True):
                    await self._wait(beat)
            elif not self._told:
                try:
                    await self._wait(beat)
                except anyio.get_cancelled_exc_class():
                    self._told = True
            elif beat.at == NEVER:
                raise StopAsyncIteration
            self._beats.popleft()
            self._events.extend(beat.events)
            self._count(beat.deltas)
        return self._events.popleft()

    async def aclose(self) -> None:
        """It is told to stop."""
        self._told = True
        if self._at_its_pace and self._beats:
            with anyio.CancelScope(shield=True):
                for beat in self._beats:
                    await self._wait(beat)

    async def _wait(self, beat: Beat) -> None:
        if beat.at == NEVER:
            await anyio.sleep_forever()
        await sleep_until(self._began + beat.at)
        if beat.turn:
            await turn()
