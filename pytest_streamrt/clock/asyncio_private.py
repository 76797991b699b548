"""What the clock uses of asyncio's private surface: a loop's timers, its selector, and what is written to its sockets.

Private names used: `loop._selector`, `loop._ssock`, `loop._scheduled`, `loop._clock_resolution`, `loop._check_closed`,
`loop._default_executor`, `ThreadPoolExecutor._max_workers`, `TimerHandle._when`, `TimerHandle._scheduled`, and the methods in
`_WRITERS` of two classes of `asyncio.selector_events`. `tests/clock/test_private_surface.py` says so when a release moves one.
What is used of anyio's is in `threads`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from asyncio import selector_events
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from pytest_streamrt.clock.patching import SharedPatch
from pytest_streamrt.clock.sockets import Sockets
from pytest_streamrt.clock.timeline import NS

__all__ = ["PrivateLoop"]


class _TimerHandle(asyncio.TimerHandle):
    """A timer that falls due after those set before it for the same instant; the stock heap is not that fair."""

    __slots__ = ("order",)

    if TYPE_CHECKING:
        order: int
        _when: float
        _scheduled: bool

    def __lt__(self, other: object) -> bool:
        if isinstance(other, _TimerHandle):
            return (self._when, self.order) < (other._when, other.order)
        return super().__lt__(other)  # type: ignore[operator]


class PrivateLoop:
    """An asyncio loop, by what of it is not public.

    Args:
        loop: one with a selector.
    """

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._order = itertools.count()
        self.selector: Any = loop._selector
        self.own_socket: int = loop._ssock.fileno()
        """What the loop is woken by."""

    @property
    def next_ns(self) -> int:
        """The nanosecond of the loop's time at which its next timer falls due. It must have one."""
        when: float = self._loop._scheduled[0]._when
        return round(when * NS)

    def set_timer(self, ns: float, callback: Any, args: Any, context: Any) -> asyncio.TimerHandle:
        """Have that called at that nanosecond of the loop's time; infinity is never."""
        loop = self._loop
        loop._check_closed()
        if ns == math.inf:  # "for ever" is no timer: it must not keep a deadlock from being seen
            return asyncio.TimerHandle(ns, callback, args, loop, context)
        timer = _TimerHandle(round(ns) / NS, callback, args, loop, context)
        timer.order = next(self._order)
        heapq.heappush(loop._scheduled, timer)
        timer._scheduled = True
        return timer

    def room(self, executor: Any) -> float:
        """How much may run at once in that executor, or in the loop's own for None."""
        pool = self._loop._default_executor if executor is None else executor
        return getattr(pool, "_max_workers", math.inf)

    @contextmanager
    def asking(self, driver: Any) -> Iterator[None]:
        """While the block runs, the loop asks the driver for the time, for timers, to wait, and to run in threads.

        A timer that is set is no farther off, or nearer, for the change, nor for the change back.
        """
        loop = self._loop
        real_time = loop.time
        resolution = loop._clock_resolution
        self._shift_timers(-real_time())
        loop._clock_resolution = 0.5 / NS  # a timer is due at its nanosecond, not at the one before
        try:
            with ExitStack() as restore:
                for owner, name in (
                    (loop, "time"),
                    (loop, "call_later"),
                    (loop, "call_at"),
                    (loop, "run_in_executor"),
                    (self.selector, "select"),
                ):
                    setattr(owner, name, getattr(driver, name))
                    restore.callback(delattr, owner, name)
                yield
        finally:
            loop._clock_resolution = resolution
            self._shift_timers(real_time() - driver.time())

    def _shift_timers(self, seconds: float) -> None:
        for timer in self._loop._scheduled:
            timer._when += seconds

    @contextmanager
    def writes_noted(self, sockets: Sockets) -> Iterator[None]:
        """While the block runs, that account is told of what is written to the loop's sockets."""
        _writing[self._loop] = sockets
        try:
            with ExitStack() as patches:
                for patch in _WRITERS:
                    patches.enter_context(patch.applied())
                yield
        finally:
            del _writing[self._loop]


_writing: Final[dict[Any, Sockets]] = {}  # by loop


def _noting(write: Any) -> Any:
    @wraps(write)
    def noting(transport: Any, *args: Any, **kwargs: Any) -> Any:
        sockets = _writing.get(transport._loop)
        sock = transport.get_extra_info("socket") if sockets is not None else None
        if sockets is not None and sock is not None:
            sockets.wrote(sock.fileno())
        return write(transport, *args, **kwargs)

    return noting


_stream: Final[Any] = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]
_datagram: Final[Any] = selector_events._SelectorDatagramTransport  # type: ignore[attr-defined]
_WRITERS: Final = (
    SharedPatch(_stream, "write", _noting),
    SharedPatch(_stream, "writelines", _noting),
    SharedPatch(_datagram, "sendto", _noting),
)
