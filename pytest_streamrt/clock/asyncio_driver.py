"""Drives an asyncio event loop by virtual time. All that the project knows of asyncio's private surface is in this file.

The loop is the one that already runs the test, whoever made it; it is changed in place and put back afterwards. The
seam is what a loop asks of the world: the time (`loop.time`), and to sleep until something happens (`selector.select`).
A loop only sleeps when it has nothing to run, so that is the moment to grant a turn, or else to jump.

Private names used: `loop._selector`, `loop._ssock`, `loop._scheduled`, `loop._clock_resolution`, `loop._check_closed`,
`loop._default_executor`, `ThreadPoolExecutor._max_workers`, `TimerHandle._when`, `TimerHandle._scheduled`, and the methods in `_WRITERS` of two classes of `asyncio.selector_events`.
`tests/clock/test_private_surface.py` says so when a release moves one. What is used of anyio's is in `threads`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import threading
from asyncio import selector_events
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from pytest_streamrt.clock.current import is_clock_thread, lent
from pytest_streamrt.clock.patching import SharedPatch
from pytest_streamrt.clock.sockets import Sockets, name_of
from pytest_streamrt.clock.tasks import describe
from pytest_streamrt.clock.threads import Threads, Work, anyio_threads, current_work
from pytest_streamrt.clock.timeline import NS, VirtualClock
from pytest_streamrt.errors import ClockError

__all__ = ["SHUTDOWN", "drive_asyncio"]

_POLL_EVERY: Final = 64  # with no socket in use, only every so many busy iterations look at the self-pipe
_PRUNE: Final = 1_000  # moments asked for that are kept before those that have passed are swept out
_LAST_CHANCE: Final = 0.5  # real seconds for a socket that owes nothing, when it alone could bring the test on


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

    def __init__(self, loop: Any, clock: VirtualClock) -> None:
        self.thread = threading.get_ident()
        self.threads = Threads()
        self._loop = loop
        self._clock = clock
        self._began = clock.ns
        self._order = itertools.count()
        self._asked: dict[
            int, float
        ] = {}  # by nanosecond: the latest moment within half of one that a timer was asked for
        self._turns: deque[asyncio.Future[None]] = deque()
        self._settlers: deque[asyncio.Future[None]] = deque()
        self._real_select: Callable[[float | None], list[Any]] = loop._selector.select
        self.sockets = Sockets(loop._selector.get_map(), loop._ssock.fileno())
        self._busy = 0
        self._real_executor: Callable[..., Any] = loop.run_in_executor
        # The runner's own, and fixtures'. A loop that is about to be run has none of these.
        self._before = asyncio.all_tasks(loop) - {asyncio.current_task(loop)} if loop.is_running() else set()
        self._running: dict[Any, set[Work]] = {}  # by executor, None for the loop's own: what its threads do
        self._lock = threading.Lock()  # for these two
        self._sleepers: set[threading.Event] = set()
        self._over = False
        self._asleep = 0
        self.joins_threads = False  # whether the loop waits for those of its executor to end
        self._spawned: set[asyncio.Task[Any]] = set()

    # What the loop is given instead of its own methods.

    def time(self) -> float:
        ns = self._clock.ns - self._began
        # Whoever compares it with the moment they asked for (anyio's scopes do) must find that come when it has.
        return self._asked.get(ns, ns / NS) if self._asked else ns / NS

    def call_later(self, delay: float | None, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if delay is None:
            msg = "delay must not be None"
            raise TypeError(msg)
        now = self._clock.ns - self._began
        ns = now + delay * NS
        return self._set_timer(max(ns, now + 1) if delay > 0 else ns, callback, args, context)

    def call_at(self, when: float | None, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if when is None:
            msg = "when cannot be None"
            raise TypeError(msg)
        ns = when * NS
        if ns == math.inf:
            return self._set_timer(ns, callback, args, context)
        now, due = self._clock.ns - self._began, round(ns)
        if due <= now and when > self.time():
            due = now + 1  # less than half a nanosecond ahead is ahead
        elif when > due / NS:
            self._note_asked(due, when)
        return self._set_timer(due, callback, args, context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        work = Work(self._running.setdefault(executor, set()))
        if executor is None or isinstance(executor, ThreadPoolExecutor):  # another process has its own time
            func = self.lend(func, work)
        future: asyncio.Future[Any] = self._real_executor(executor, func, *args)
        pool = self._loop._default_executor if executor is None else executor
        work.room = getattr(pool, "_max_workers", math.inf)
        self.threads.started(work)
        future.add_done_callback(lambda _: self.threads.ended(work))
        return future

    def select(self, timeout: float | None = None) -> list[Any]:
        """What the loop calls when it would sleep for up to `timeout` seconds; None means until something happens."""
        clock = self._clock
        if timeout is not None and timeout <= 0:  # there is work to do: only look whether there is more
            clock.spin(self._outside_at_work)
            self._busy += 1
            if not self.sockets.open and not clock.is_live and self._busy % _POLL_EVERY:
                return []
            return self._ask(0)
        events = self._ask(0)
        if events:
            return events
        if self._work_outside():
            return self._wait("a worker thread, or what holds the clock,")
        if self.threads.outside_at_work:
            return self._wait_for_outside()
        if self._grant(self._turns) or self._grant(self._settlers):
            return []
        next_ns = None if timeout is None else self._began + round(self._loop._scheduled[0]._when * NS)
        if clock.is_live:
            return self._flow(next_ns)
        if next_ns is None:
            return self._wait_for_sockets()
        events = self._before_jump()
        if not events and (clock.failure is None or next_ns > clock.ns):
            clock.jump(next_ns)
        return events

    # What the timeline asks of its driver.

    async def turn(self) -> None:
        await self._queue(self._turns)

    async def settle(self) -> None:
        await self._queue(self._settlers)

    def thread_sleep(self, seconds: float) -> None:
        woken = threading.Event()
        outside = is_clock_thread()
        work = current_work()

        def arm() -> None:
            if not woken.is_set():
                self._asleep += 1
                self.call_later(seconds, wake, self.threads.park(work, outside=outside))

        def wake(unpark: Callable[[], None]) -> None:
            unpark()
            self._asleep -= 1
            self._sleepers.discard(woken)
            woken.set()

        with self._lock:  # so that the loop comes to it, or to its end
            if self._over:
                return
            self._sleepers.add(woken)
            self._loop.call_soon_threadsafe(arm)
        self._clock.wait_for_loop(woken)

    def end(self) -> None:
        """Nobody drives the loop any more: who waits for that, in a thread or in a task, must not do so for ever."""
        with self._lock:
            self._over = True
        for woken in self._sleepers:
            woken.set()
        for queue in (self._turns, self._settlers):
            for future in queue:
                if not future.done() and not self._loop.is_closed():
                    future.set_result(None)

    def wake(self) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(_nothing)

    def spawn(self, function: Callable[..., Coroutine[Any, Any, object]], *args: object) -> None:
        task = self._loop.create_task(function(*args))
        self._spawned.add(task)  # the loop itself keeps no reference
        task.add_done_callback(self._spawned.discard)

    def lend(self, func: Callable[..., Any], work: Work) -> Callable[..., Any]:
        """A function that does the same, in a worker thread, on this clock."""

        @wraps(func)
        def on_this_clock(*args: Any, **kwargs: Any) -> Any:
            with work.in_this_thread(), lent(self._clock):
                return func(*args, **kwargs)

        return on_this_clock

    def dump(self) -> str:
        tasks = sorted(asyncio.all_tasks(self._loop) - self._before, key=lambda task: task.get_name())
        named = ((task.get_name(), task.get_coro()) for task in tasks)
        return "\n".join(
            describe(name, coro) for name, coro in named if not name.startswith("<")
        )  # ours: the user's have lines of theirs

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

    def _ask(self, timeout: float | None) -> list[Any]:
        """Ask the selector, for up to `timeout` real seconds."""
        sockets = self.sockets
        sockets.look(live=self._clock.is_live)
        events = self._real_select(timeout)
        if events and sockets.open:
            sockets.spoke(events)
        return events

    def _work_outside(self) -> bool:
        """Whether a worker thread, or what holds the clock, is at work."""
        return self._clock.held or self.threads.busy or (self.joins_threads and not self._asleep)

    def _outside_at_work(self) -> bool:
        """Whether something will report back that is not of this loop."""
        return self._clock.is_live or self._work_outside()

    def _wait(self, what: str) -> list[Any]:
        """Wait in real time for something from outside."""
        events = self._ask(self._clock.options.watchdog)
        if not events:
            self._clock.no_answer(what)
        return events

    def _wait_for_outside(self) -> list[Any]:
        """Wait in real time for a call, as long as the thread that makes it is at work, and not itself waiting."""
        events = self._ask(self._clock.options.watchdog)
        if not events and self.threads.outside_blocked:
            self._clock.no_answer("the thread that calls into this loop")
        return events

    def _wait_for_sockets(self) -> list[Any]:
        """Nothing else can bring the test on."""
        unquiet = self.sockets.unquiet()
        if unquiet:
            return self._wait(f"an open socket ({_names(unquiet)})")
        events = self._ask(_LAST_CHANCE) if self.sockets.open else []
        if not events:
            self._clock.deadlock()
        return events

    def _flow(self, next_ns: int | None) -> list[Any]:
        """While a request of ours is on a real socket: wait for it, and let as much virtual time pass as real."""
        clock = self._clock
        patience = clock.options.watchdog if next_ns is None else max(next_ns - clock.live_ns, 0) / NS
        events = self._ask(patience)
        if events:
            clock.flow(clock.live_ns if next_ns is None else min(clock.live_ns, next_ns))
        elif next_ns is not None:
            clock.flow(next_ns)
        else:
            clock.no_answer("a request on a real socket")
        return events

    def _before_jump(self) -> list[Any]:
        """Where sockets are open that are not ours, do what the policy says."""
        clock = self._clock
        unquiet = self.sockets.unquiet() if self.sockets.open else []
        if not unquiet:
            return []
        if clock.options.real_io == "error":
            clock.open_socket(_names(unquiet))
            return []
        owing = self.sockets.owing()
        if clock.options.real_io == "hold" and owing:
            return self._wait(f"an open socket ({_names(owing)})")
        events = self._ask(clock.options.settle_time)
        if not events:
            self.sockets.were_quiet()
            clock.racy_jumps += 1
        return events

    def _note_asked(self, ns: int, when: float) -> None:
        """A timer was asked for a little after that nanosecond, in which it will fall due."""
        self._asked[ns] = max(when, self._asked.get(ns, when))
        if len(self._asked) > _PRUNE:
            now = self._clock.ns - self._began
            self._asked = {due: asked for due, asked in self._asked.items() if due >= now}

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
    clock: VirtualClock, running: asyncio.AbstractEventLoop, cancel_body: Callable[[], None]
) -> Iterator[None]:
    """Put an asyncio loop on that clock: the one that runs in this thread, or is about to.

    Args:
        clock: the clock.
        running: the loop.
        cancel_body: cancels what the clock was switched on for. Called by the loop, outside of any task.

    Raises:
        ClockError: the loop is of a kind that cannot be driven, such as uvloop's.
    """
    if not isinstance(running, asyncio.SelectorEventLoop):
        kind = f"{type(running).__module__}.{type(running).__qualname__}"
        msg = (
            f"virtual time cannot drive a {kind}: its timers are out of reach. Run these tests on asyncio's own loop; "
            "under anyio: anyio_backend = ('asyncio', {'use_uvloop': False}). Or run them on real time: take "
            "virtual_time off"
        )
        raise ClockError(msg)
    loop: Any = running  # what is used of it is private
    driver = _AsyncioDriver(loop, clock)
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
        _driving[loop] = driver
        restore.callback(_driving.pop, loop)
        restore.enter_context(_writes_noted(loop, driver.sockets))
        restore.enter_context(anyio_threads(loop, driver.threads, driver.lend))
        try:
            with clock.driven_by(driver, lambda: loop.call_soon(cancel_body)):
                yield
        finally:
            driver.end()
            restore.close()
            loop._clock_resolution = resolution
            driver.shift_timers(real_time() - driver.time())


_driving: Final[dict[Any, _AsyncioDriver]] = {}  # by loop


def _joining(shutdown: Any) -> Any:
    @wraps(shutdown)
    async def shutdown_default_executor(loop: Any, *args: Any, **kwargs: Any) -> None:
        driver = _driving.get(loop)
        if driver is None:
            await shutdown(loop, *args, **kwargs)
            return
        driver.joins_threads = True
        try:
            await shutdown(loop, *args, **kwargs)
        finally:
            driver.joins_threads = False

    return shutdown_default_executor


SHUTDOWN: Final = SharedPatch(asyncio.BaseEventLoop, "shutdown_default_executor", _joining)
"""For who has loops run that will be driven: their last act is to wait for a thread, outside of the executor that it ends."""


_writing: Final[dict[Any, Sockets]] = {}  # by loop


@contextmanager
def _writes_noted(loop: Any, sockets: Sockets) -> Iterator[None]:
    """While the block runs, that account is told of what is written to the loop's sockets."""
    _writing[loop] = sockets
    try:
        with ExitStack() as patches:
            for patch in _WRITERS:
                patches.enter_context(patch.applied())
            yield
    finally:
        del _writing[loop]


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


def _nothing() -> None:
    pass


def _names(sockets: list[int]) -> str:
    return ", ".join(map(name_of, sockets))
