"""What the clock uses of asyncio's private surface: a loop's timers and sleeps, its selector, the writes to its sockets.

`asyncio.sleep` (and anyio's, which calls it) does on virtual time with one round of the loop where the stock one takes two, and
without what a timer keeps to call any function: the stock one is two thirds of what a sleep takes. What runs when is the same.

Private names used: `loop._selector`, `loop._ssock`, `loop._scheduled`, `loop._ready`, `loop._clock_resolution`,
`loop._check_closed`, `loop._default_executor`, `ThreadPoolExecutor._max_workers`, the attributes and `_run` of
`asyncio.TimerHandle`, and the methods in `_WRITERS` of two classes of `asyncio.selector_events`; of anyio's, `sleep` in
`anyio._backends._asyncio` (the rest is in `threads`). `tests/clock/test_private_surface.py` says so when a release moves one.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from asyncio import selector_events
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from anyio._backends import _asyncio as anyio_backend

from pytest_streamrt.clock.patching import SharedPatch, all_applied
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

    def __gt__(self, other: object) -> bool:  # what Python asks first where the other is of a subclass
        if isinstance(other, _TimerHandle):
            return (self._when, self.order) > (other._when, other.order)
        return super().__gt__(other)  # type: ignore[operator]


class _Sleep(asyncio.Future[None]):
    """What a task in `asyncio.sleep` waits for. It keeps the task's callback to itself, to call it without another round."""

    __slots__ = ("_context", "_wake")

    if TYPE_CHECKING:
        _wake: Callable[[_Sleep], object]
        _context: Context

    def add_done_callback(self, callback: Any, /, *, context: Any = None) -> None:  # called once, by the task
        self._wake = callback
        self._context = context

    def cancel(self, msg: Any = None) -> bool:
        if self.done():
            return False
        self._by_the_loop()
        return super().cancel(msg)

    def end(self, *, at_once: bool) -> None:
        """The time has come: let the task go on at once, or as a future does, in the next round."""
        if at_once:
            self.set_result(None)
            self._context.run(self._wake, self)
        else:
            self._by_the_loop()
            self.set_result(None)

    def _by_the_loop(self) -> None:
        super().add_done_callback(self._wake, context=self._context)
        del self._wake  # a cancelled task would keep itself alive by way of its traceback


class _SleepTimer(_TimerHandle):
    """The timer of a sleep: no more than the loop looks at."""

    __slots__ = ("_sleep",)

    if TYPE_CHECKING:
        _loop: Any
        _cancelled: bool
        _callback: Any
        _args: Any
        _repr: Any
        _source_traceback: Any

    def __init__(self, loop: Any, when: float, order: int, sleep: _Sleep) -> None:
        self._loop = loop
        self._when = when
        self.order = order
        self._sleep = sleep
        self._scheduled = True
        self._cancelled = False
        self._callback = self._args = self._repr = self._source_traceback = None

    def _run(self) -> None:
        if not self._sleep.done():  # else it was cancelled in this round
            # Where something else is to run in this round, it comes before what a future's callbacks do.
            self._sleep.end(at_once=not self._loop._ready)


class PrivateLoop:
    """An asyncio loop, by what of it is not public.

    Args:
        loop: one with a selector.
        now: gives its time in nanoseconds.
    """

    def __init__(self, loop: Any, now: Callable[[], int]) -> None:
        self._loop = loop
        self._now = now
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

    def end_later(self, sleep: _Sleep, seconds: float) -> asyncio.TimerHandle:
        """Have that sleep end after so much of the loop's time; more than 0, and not infinity."""
        now = self._now()
        timer = _SleepTimer(self._loop, round(max(now + seconds * NS, now + 1)) / NS, next(self._order), sleep)
        heapq.heappush(self._loop._scheduled, timer)
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
        _asking[loop] = self
        try:
            with all_applied(_SLEEPS), ExitStack() as restore:
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
            del _asking[loop]
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
            with all_applied(_WRITERS):
                yield
        finally:
            del _writing[self._loop]


_asking: Final[dict[Any, PrivateLoop]] = {}  # by loop
_stock_sleep: Final = asyncio.sleep


@wraps(asyncio.sleep)
async def _sleep(delay: float, result: Any = None) -> Any:
    loop = asyncio.get_running_loop()
    private = _asking.get(loop)
    if private is None or not 0 < delay < math.inf:
        return await _stock_sleep(delay, result)
    sleep = _Sleep(loop=loop)
    timer = private.end_later(sleep, delay)
    try:
        await sleep
    except BaseException:
        timer.cancel()
        raise
    return result


def _unless_replaced(found: Any) -> Any:
    """A test may have put a stand-in of its own there, before the clock was switched on."""
    return _sleep if found is _stock_sleep else found


_SLEEPS: Final = (
    SharedPatch(asyncio, "sleep", _unless_replaced),
    SharedPatch(anyio_backend, "sleep", _unless_replaced),
)


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
