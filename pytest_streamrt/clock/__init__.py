"""One clock that drives all of it: virtual time for tests, real time elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import anyio

from pytest_streamrt.clock.asyncio_driver import drive_asyncio
from pytest_streamrt.clock.current import active_clock, now_ns, set_active, sleep_until, turn
from pytest_streamrt.clock.timeline import NS, ClockOptions, VirtualClock
from pytest_streamrt.errors import ClockError

__all__ = ["NS", "ClockOptions", "VirtualClock", "active_clock", "now_ns", "sleep_until", "turn", "virtual_time"]


@contextmanager
def virtual_time(
    *,
    max_virtual: float = ClockOptions.max_virtual,
    max_events: int = ClockOptions.max_events,
    clock: VirtualClock | None = None,
) -> Iterator[VirtualClock]:
    """Run the block, and all else on this event loop, on virtual time. A plain ``with``, inside a coroutine.

    Sleeps and timeouts take no real time: when nothing is left to do, the clock jumps to what is due next.

    Args:
        max_virtual: seconds of virtual time after which the block counts as stuck.
        max_events: how often the clock may jump without progress before the block counts as stuck.
        clock: the clock to run, instead of a new one.

    Raises:
        VirtualTimeStuck: the block cannot go on (deadlock), or does not get on (livelock, bounds).
        ClockError: there is no event loop to drive, or virtual time is on already.
    """
    if active_clock() is not None:
        msg = "virtual_time(): virtual time is on already; use the clock that runs, through the fixture virtual_clock"
        raise ClockError(msg)
    clock = clock or VirtualClock(ClockOptions(max_virtual=max_virtual, max_events=max_events))
    with _drive(clock) as cancel_soon:
        scope = anyio.CancelScope()
        set_active(clock)
        clock.started = True
        clock._cancel_body = lambda: cancel_soon(scope.cancel)
        try:
            with scope:
                yield clock
        finally:
            clock._cancel_body = None
            set_active(None)
            if clock.failure is not None:
                raise clock.failure from None  # how the body took its cancellation is of no interest


def _drive(clock: VirtualClock) -> AbstractContextManager[Callable[[Callable[[], None]], None]]:
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        from pytest_streamrt.clock.trio_driver import drive_trio

        return drive_trio(clock)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        msg = "virtual_time() drives a running event loop, and there is none here: use it inside an async test"
        raise ClockError(msg) from None
    return drive_asyncio(clock)
