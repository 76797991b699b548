"""How much a fake has let out, and who waits for how much: ``await emitted(n)``, and what the source does about it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import anyio

from pytest_streamrt.clock import active_clock, turn
from pytest_streamrt.clock.current import calls_from_threads
from pytest_streamrt.numbers import require_whole
from pytest_streamrt.runtime.waking import Bell
from pytest_streamrt.wording import counted

__all__ = ["Emissions"]

_PATIENCE = 0.1  # real seconds for a client on real time to ask for more, before whoever waited for a delta goes on


@dataclass(eq=False)
class _Waiter:
    """Somebody who waits until so many deltas are out.

    Attributes:
        n: how many.
        call_soon: for other threads: has the loop that this waits in call a function.
        thread: the thread of that loop.
        reached: so many are out.
        asked: a source wants to go on, so its client has dealt with what it was given.
        has_run: the waiter has gone on.
        gone_on: rings then, for the sources that hold.
    """

    n: int
    call_soon: Callable[..., object] = field(default_factory=calls_from_threads)
    thread: int = field(default_factory=threading.get_ident)
    reached: anyio.Event = field(default_factory=anyio.Event)
    asked: anyio.Event = field(default_factory=anyio.Event)
    has_run: bool = False
    gone_on: Bell = field(default_factory=Bell)

    def tell(self, event: anyio.Event) -> None:
        """Set that event, from whichever thread this is."""
        if threading.get_ident() == self.thread:
            event.set()
        else:
            # Nobody waits until the loop has done so: it may have ended since.
            with suppress(RuntimeError):
                self.call_soon(event.set)


class Emissions:
    """Counts what a fake lets out, over all that it is asked."""

    def __init__(self) -> None:
        self.count = 0
        """How many deltas are out."""
        self._begun = False
        self._lock = threading.Lock()  # clients may read in several threads
        self._waiting: list[_Waiter] = []
        self._resuming: list[_Waiter] = []

    def add(self, n: int) -> None:
        """So many more are out; with 0, that it was asked for an answer."""
        with self._lock:
            self._begun = True
            self.count += n
            reached = [each for each in self._waiting if each.n <= self.count]
            for each in reached:
                self._waiting.remove(each)
            self._resuming += reached
        for each in reached:
            each.tell(each.reached)

    async def reached(self, n: int) -> None:
        """Wait until n deltas are out, or with 0 until it was asked, and whoever got the last has dealt with it."""
        __tracebackhide__ = True
        require_whole("emitted(n): how many deltas", n, 0)
        if self._begun and self.count >= n:
            return

        def _awaits() -> str:  # told where this never comes to be: see clock.tasks
            return f"emitted({n}), with {counted(self.count, 'delta')} out"

        waiter = _Waiter(n)
        self._waiting.append(waiter)
        try:
            if self._begun and self.count >= n:  # meanwhile, in another thread, which may not have seen it
                return
            await waiter.reached.wait()
            if active_clock() is not None:
                await turn()
            else:
                with anyio.move_on_after(_PATIENCE):
                    await waiter.asked.wait()
        finally:
            with self._lock:
                for queue in (self._waiting, self._resuming):
                    if waiter in queue:
                        queue.remove(waiter)
            waiter.has_run = True
            waiter.gone_on.ring()

    async def hold(self) -> None:
        """For a source: before it goes on, everybody runs who has waited for what it let out last."""
        here = threading.get_ident()
        for each in list(self._resuming):
            if each.thread == here:
                each.asked.set()
                if not each.has_run:
                    await each.gone_on.wait()
