"""How much a fake has let out, and who waits for how much: ``await emitted(n)``, and what the source does about it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import anyio
from anyio.from_thread import run_sync
from anyio.lowlevel import EventLoopToken, current_token

from pytest_streamrt.clock import active_clock, turn
from pytest_streamrt.wording import counted

__all__ = ["Emissions"]

_PATIENCE = 0.1  # real seconds for a client on real time to ask for more, before whoever waited for a delta goes on


@dataclass(eq=False)
class _Waiter:
    """Somebody who waits until so many deltas are out.

    Attributes:
        n: how many.
        token: the loop that this waits in.
        thread: the thread of that.
        reached: so many are out.
        asked: a source wants to go on, so its client has dealt with what it was given.
        has_run: the waiter has gone on.
    """

    n: int
    token: EventLoopToken
    thread: int
    reached: anyio.Event = field(default_factory=anyio.Event)
    asked: anyio.Event = field(default_factory=anyio.Event)
    has_run: anyio.Event = field(default_factory=anyio.Event)

    def tell(self, event: anyio.Event) -> None:
        """Set that event, from whichever thread this is."""
        if threading.get_ident() == self.thread:
            event.set()
        else:
            run_sync(event.set, token=self.token)


class Emissions:
    """Counts what a fake lets out, over all that it is asked."""

    def __init__(self) -> None:
        self.count = 0
        """How many deltas are out."""
        self._begun = False
        self._waiting: list[_Waiter] = []
        self._resuming: list[_Waiter] = []

    def add(self, n: int) -> None:
        """So many more are out; with 0, that it was asked for an answer."""
        self._begun = True
        self.count += n
        reached = [each for each in self._waiting if each.n <= self.count]
        self._waiting = [each for each in self._waiting if each.n > self.count]
        self._resuming += reached
        for each in reached:
            each.tell(each.reached)

    async def reached(self, n: int) -> None:
        """Wait until n deltas are out, or with 0 until it was asked, and whoever got the last has dealt with it."""
        if self._begun and self.count >= n:
            return

        def _awaits() -> str:  # told where this never comes to be: see clock.tasks
            return f"emitted({n}), with {counted(self.count, 'delta')} out"

        waiter = _Waiter(n, current_token(), threading.get_ident())
        self._waiting.append(waiter)
        try:
            await waiter.reached.wait()
            if active_clock() is not None:
                await turn()
            else:
                with anyio.move_on_after(_PATIENCE):
                    await waiter.asked.wait()
        finally:
            for queue in (self._waiting, self._resuming):
                if waiter in queue:
                    queue.remove(waiter)
            waiter.has_run.set()

    async def hold(self) -> None:
        """For a source: before it goes on, everybody runs who has waited for what it let out last."""
        here = threading.get_ident()
        for each in list(self._resuming):
            if each.thread == here:
                each.asked.set()
                await each.has_run.wait()
