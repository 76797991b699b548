"""Drives an asyncio event loop by virtual time.

The loop is the one that already runs the test, whoever made it; it is changed in place and put back afterwards. The
seam is what a loop asks of the world: the time (`loop.time`), and to sleep until something happens (`selector.select`).
A loop only sleeps when it has nothing to run, so that is the moment to grant a turn, or else to jump.
How it is changed, and what is known of its private surface, is in `asyncio_private`.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import wraps
from typing import Any, Final

from pytest_streamrt.clock.asked import Asked
from pytest_streamrt.clock.asyncio_private import PrivateLoop
from pytest_streamrt.clock.current import lent
from pytest_streamrt.clock.patching import SharedPatch
from pytest_streamrt.clock.sleepers import Sleepers
from pytest_streamrt.clock.sockets import Sockets, name_of
from pytest_streamrt.clock.tasks import describe
from pytest_streamrt.clock.threads import Threads, Work, anyio_threads
from pytest_streamrt.clock.timeline import NS, VirtualClock
from pytest_streamrt.errors import ClockError

__all__ = ["SHUTDOWN", "drive_asyncio"]

_POLL_EVERY: Final = 64  # with no socket in use, only every so many busy iterations look at the self-pipe
_LAST_CHANCE: Final = 0.5  # real seconds for a socket that owes nothing, when it alone could bring the test on


class _AsyncioDriver:
    """The loop's view of the timeline. Its time is 0 where the clock was switched on, so floats hold it to the ns."""

    def __init__(self, loop: Any, clock: VirtualClock) -> None:
        self.thread = threading.get_ident()
        self.threads = Threads()
        self._loop = loop
        self._private = PrivateLoop(loop, self.now)
        self._clock = clock
        self._began = clock.ns
        self._asked = Asked()
        self._turns: deque[asyncio.Future[None]] = deque()
        self._settlers: deque[asyncio.Future[None]] = deque()
        self._real_select: Callable[[float | None], list[Any]] = self._private.selector.select
        self.sockets = Sockets(self._private.selector.get_map(), self._private.own_socket)
        self._busy = 0
        self._real_executor: Callable[..., Any] = loop.run_in_executor
        # The runner's own, and fixtures'. A loop that is about to be run has none of these.
        self._before = asyncio.all_tasks(loop) - {asyncio.current_task(loop)} if loop.is_running() else set()
        self._running: dict[Any, set[Work]] = {}  # by executor, None for the loop's own: what its threads do
        self._sleepers = Sleepers(self.threads, loop.call_soon_threadsafe, self.call_later)
        self.joins_threads = False  # whether the loop waits for those of its executor to end
        self._spawned: set[asyncio.Task[Any]] = set()

    # What the loop is given instead of its own methods.

    def time(self) -> float:
        ns = self._clock.ns - self._began  # asked for twice in each round of the loop
        return self._asked.get(ns, ns / NS) if self._asked else ns / NS

    def now(self) -> int:
        """Nanoseconds since the clock was switched on."""
        return self._clock.ns - self._began

    def call_later(self, delay: float | None, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if delay is None:
            msg = "delay must not be None"
            raise TypeError(msg)
        now = self.now()
        ns = now + delay * NS
        return self._private.set_timer(max(ns, now + 1) if delay > 0 else ns, callback, args, context)

    def call_at(self, when: float | None, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if when is None:
            msg = "when cannot be None"
            raise TypeError(msg)
        ns = when * NS
        if ns == math.inf:
            return self._private.set_timer(ns, callback, args, context)
        now, due = self.now(), round(ns)
        if due <= now and when > self.time():
            due = now + 1  # less than half a nanosecond ahead is ahead
        elif when > due / NS:
            self._asked.note(due, when, now)
        return self._private.set_timer(due, callback, args, context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        work = Work(self._running.setdefault(executor, set()))
        if executor is None or isinstance(executor, ThreadPoolExecutor):  # another process has its own time
            func = self.lend(func, work)
        future: asyncio.Future[Any] = self._real_executor(executor, func, *args)
        work.room = self._private.room(executor)
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
        if (self._turns and self._grant(self._turns)) or (self._settlers and self._grant(self._settlers)):
            return []
        next_ns = None if timeout is None else self._began + self._private.next_ns
        if clock.is_live:
            return self._flow(next_ns)
        if next_ns is None:
            return self._wait_for_sockets()
        events = self._before_jump() if self.sockets.open else []
        if not events and (clock.failure is None or next_ns > clock.ns):
            clock.jump(next_ns)
        return events

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """For the length of the block, this is what the loop asks."""
        with ExitStack() as restore:
            restore.enter_context(self._private.asking(self))
            _driving[self._loop] = self
            restore.callback(_driving.pop, self._loop)
            restore.enter_context(self._private.writes_noted(self.sockets))
            restore.enter_context(anyio_threads(self._loop, self.threads, self.lend))
            restore.callback(self.end)
            yield

    # What the timeline asks of its driver.

    async def turn(self) -> None:
        await self._queue(self._turns)

    async def settle(self) -> None:
        await self._queue(self._settlers)

    def thread_sleep(self, seconds: float) -> None:
        self._sleepers.sleep(seconds, self._clock.wait_for_loop)

    def end(self) -> None:
        """Nobody drives the loop any more: who waits for that, in a thread or in a task, must not do so for ever."""
        self._sleepers.end()
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
        # A name that begins so is of a task of ours; the user's have lines of theirs.
        return "\n".join(describe(name, coro) for name, coro in named if not name.startswith("<"))

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
        return self._clock.held or self.threads.busy or (self.joins_threads and not self._sleepers.timed)

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
        unquiet = self.sockets.unquiet()
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
    loop: Any = running  # so that what `call_soon` gives may be ignored
    driver = _AsyncioDriver(loop, clock)
    with driver.in_place(), clock.driven_by(driver, lambda: loop.call_soon(cancel_body)):
        yield


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


def _nothing() -> None:
    pass


def _names(sockets: list[int]) -> str:
    return ", ".join(map(name_of, sockets))
