"""Drives an asyncio event loop by virtual time. All that the project knows of asyncio's private surface is in this file.

The loop is the one that already runs the test, whoever made it; it is changed in place and put back afterwards. The
seam is what a loop asks of the world: the time (`loop.time`), and to sleep until something happens (`selector.select`).
A loop only sleeps when it has nothing to run, so that is the moment to grant a turn, or else to jump.

Private names used: `loop._selector`, `loop._scheduled`, `loop._clock_resolution`, `TimerHandle._when`,
`TimerHandle._scheduled`, `loop._check_closed`. `tests/clock/test_private_surface.py` says so when a release moves one.
What is used of anyio's is in `threads`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from pytest_streamrt.clock.tasks import describe
from pytest_streamrt.clock.threads import Threads, anyio_threads
from pytest_streamrt.clock.timeline import NS, VirtualClock
from pytest_streamrt.errors import ClockError

__all__ = ["drive_asyncio"]

_POLL_EVERY: Final = 64  # with no socket in use, only every so many busy iterations look at the self-pipe
_real_ns: Final = time.monotonic_ns


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


class _AsyncioDriver:
    """The loop's view of the timeline. Its time is 0 where the clock was switched on, so floats hold it to the ns."""

    def __init__(self, loop: Any, clock: VirtualClock, *, called_from_outside: bool) -> None:
        self.threads = Threads()
        self._loop = loop
        self._clock = clock
        self._began = clock.ns
        self._called_from_outside = called_from_outside
        self._order = itertools.count()
        self._turns: deque[asyncio.Future[None]] = deque()
        self._settlers: deque[asyncio.Future[None]] = deque()
        self._real_select: Callable[[float | None], list[Any]] = loop._selector.select
        self._own_fds = frozenset(loop._selector.get_map())
        self._busy = 0
        self._real_executor: Callable[..., Any] = loop.run_in_executor
        self._before = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}  # the runner's own, and fixtures'

    # What the loop is given instead of its own methods.

    def time(self) -> float:
        return (self._clock.ns - self._began) / NS

    def call_later(self, delay: float | None, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if delay is None:
            msg = "delay must not be None"
            raise TypeError(msg)
        return self._set_timer(self._clock.ns - self._began + delay * NS, callback, args, context)

    def call_at(self, when: float | None, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if when is None:
            msg = "when cannot be None"
            raise TypeError(msg)
        return self._set_timer(when * NS, callback, args, context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._real_executor(executor, func, *args)
        self.threads.started()
        future.add_done_callback(lambda _: self.threads.ended())
        return future

    def select(self, timeout: float | None = None) -> list[Any]:
        """What the loop calls when it would sleep for up to `timeout` seconds; None means until something happens."""
        clock = self._clock
        sockets = len(self._loop._selector.get_map()) > len(self._own_fds)
        if timeout is not None and timeout <= 0:  # there is work to do: only look whether there is more
            clock.spin()
            self._busy += 1
            if not sockets and not clock.is_live and self._busy % _POLL_EVERY:
                return []
            return self._real_select(0)
        events = self._real_select(0)
        if events:
            return events
        if clock.held or self.threads.busy:
            return self._wait("a worker thread, or what holds the clock,")
        if self._grant(self._turns) or self._grant(self._settlers):
            return []
        next_ns = None if timeout is None else self._began + round(self._loop._scheduled[0]._when * NS)
        if clock.is_live:
            return self._flow(next_ns)
        if next_ns is None:
            if sockets or self._called_from_outside:
                return self._wait("an open socket" if sockets else "whoever calls into this loop from another thread")
            clock.deadlock()
            return []
        if sockets:
            events = self._before_jump()
            if events:
                return events
        if clock.failure is None or next_ns > clock.ns:
            clock.jump(next_ns)
        return []

    # What the timeline asks of its driver.

    async def turn(self) -> None:
        await self._queue(self._turns)

    async def settle(self) -> None:
        await self._queue(self._settlers)

    def thread_sleep(self, seconds: float) -> None:
        woken = threading.Event()

        def arm() -> None:
            self.threads.parked()
            self.call_later(seconds, wake)

        def wake() -> None:
            self.threads.unparked()
            woken.set()

        self._loop.call_soon_threadsafe(arm)
        woken.wait()

    def dump(self) -> str:
        tasks = sorted(asyncio.all_tasks(self._loop) - self._before, key=lambda task: task.get_name())
        return "\n".join(describe(task.get_name(), task.get_coro()) for task in tasks)

    def cancel_soon(self, cancel: Callable[[], None]) -> None:
        self._loop.call_soon(cancel)

    async def _queue(self, queue: deque[asyncio.Future[None]]) -> None:
        future = self._loop.create_future()
        queue.append(future)
        await future

    def _grant(self, queue: deque[asyncio.Future[None]]) -> bool:
        while queue:
            future = queue.popleft()
            if not future.done():  # else its waiter was cancelled
                future.set_result(None)
                self._clock.progress()
                return True
        return False

    def _wait(self, what: str) -> list[Any]:
        """Wait in real time for something from outside."""
        events = self._real_select(self._clock.options.watchdog)
        if not events:
            self._clock.no_answer(what)
        return events

    def _flow(self, next_ns: int | None) -> list[Any]:
        """While a request of ours is on a real socket: wait for it, and let as much virtual time pass as real."""
        clock = self._clock
        if next_ns is None:
            patience = clock.options.watchdog
        else:
            patience = max(next_ns - clock.ns, 0) / NS
        began = _real_ns()
        events = self._real_select(patience)
        now = clock.ns + _real_ns() - began
        if next_ns is not None:
            clock.flow(min(now, next_ns) if events else next_ns)
        elif events:
            clock.flow(now)
        else:
            clock.no_answer("a request on a real socket")
        return events

    def _before_jump(self) -> list[Any]:
        """Sockets are open that are not ours: what the policy says."""
        clock = self._clock
        if clock.options.real_io == "error":
            clock.open_socket(self._open_sockets())
            return []
        if clock.options.real_io == "hold":
            return self._wait(f"an open socket ({self._open_sockets()})")
        events = self._real_select(clock.options.settle_time)
        clock.racy_jumps += not events
        return events

    def _open_sockets(self) -> str:
        keys = [key for fd, key in self._loop._selector.get_map().items() if fd not in self._own_fds]
        return ", ".join(_name_of(key.fd) for key in keys)

    def _set_timer(self, ns: float, callback: Any, args: Any, context: Any) -> asyncio.TimerHandle:
        loop = self._loop
        loop._check_closed()
        if ns == math.inf:  # "for ever" is no timer: it must not keep a deadlock from being seen
            return asyncio.TimerHandle(ns, callback, args, loop, context)
        timer = _TimerHandle(round(ns) / NS, callback, args, loop, context)
        timer.order = next(self._order)
        heapq.heappush(loop._scheduled, timer)
        timer._scheduled = True
        return timer

    def shift_timers(self, seconds: float) -> None:
        """Move every timer that is set, so that none is farther off, or nearer, for the change of clocks."""
        for timer in self._loop._scheduled:
            timer._when += seconds


@contextmanager
def drive_asyncio(
    clock: VirtualClock, *, called_from_outside: bool = False
) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Put the running asyncio loop on that clock. Gives what cancels the test body from outside of any task.

    Args:
        clock: the clock.
        called_from_outside: whether the loop serves calls from another thread, so that it may have nothing to do.

    Raises:
        ClockError: the loop is of a kind that cannot be driven, such as uvloop's.
    """
    running = asyncio.get_running_loop()
    if not isinstance(running, asyncio.SelectorEventLoop):
        kind = f"{type(running).__module__}.{type(running).__qualname__}"
        msg = (
            f"virtual time cannot drive a {kind}: its timers are out of reach. Run these tests on asyncio's own loop; "
            "under anyio: anyio_backend = ('asyncio', {'use_uvloop': False}). Or run them on real time: take "
            "virtual_time off"
        )
        raise ClockError(msg)
    loop: Any = running  # what is used of it is private
    driver = _AsyncioDriver(loop, clock, called_from_outside=called_from_outside)
    with ExitStack() as restore:
        real_time: Callable[[], float] = loop.time
        driver.shift_timers(-real_time())
        resolution = loop._clock_resolution
        loop._clock_resolution = 0.5 / NS  # a timer is due at its nanosecond, not at the one before
        for owner, name in (
            (loop, "time"),
            (loop, "call_later"),
            (loop, "call_at"),
            (loop, "run_in_executor"),
            (loop._selector, "select"),
        ):
            setattr(owner, name, getattr(driver, name))
            restore.callback(delattr, owner, name)
        restore.enter_context(anyio_threads(loop, driver.threads))
        clock._driver = driver
        try:
            yield driver.cancel_soon
        finally:
            clock._driver = None
            restore.close()
            loop._clock_resolution = resolution
            driver.shift_timers(real_time() - driver.time())


def _name_of(fd: int) -> str:
    """A socket by its ends, for an error message."""
    try:
        with socket.socket(fileno=fd) as sock:
            try:
                name = f"{sock.getsockname()} -> {sock.getpeername()}"
            except OSError:
                name = f"listening on {sock.getsockname()}"
            sock.detach()
    except OSError:
        return f"file descriptor {fd}"
    return name
