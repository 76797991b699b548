"""Drives a trio run by virtual time. All that the project knows of trio's private surface is in this file.

The run is the one that already runs the test; its clock is exchanged in place and put back afterwards. The seam is
``Clock.deadline_to_sleep_time``, which trio calls only when no task can run: the moment to grant a turn, or else to
jump. Two more things make a run repeatable: trio shuffles the tasks that can run, and breaks ties between deadlines by
memory address; here both go in the order of asking. And `trio.sleep` does without a cancel scope of its own, which is two
thirds of what it takes.

Private names used: `trio._core._run.GLOBAL_RUN_CONTEXT`, `Runner.clock`, `.deadlines`, `.waiting_for_idle`, `.entry_queue` and
`.io_manager` (and its `_registered`, where it has one), `Deadlines` and its methods, `CancelScope._registered_deadline` and `._cancel`, `CancelReason`, `_r`,
`_ALLOW_DETERMINISTIC_SCHEDULING`, `trio._threads._track_active_thread`, `.start_thread_soon` and `.Run.unprotected_afn`,
`trio._timeouts.sleep_until`.
`tests/clock/test_private_surface.py` says so when a release moves one.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, Final

import trio
from trio import _threads, _timeouts
from trio._core import _run

from pytest_streamrt.clock.current import is_clock_thread
from pytest_streamrt.clock.patching import SharedPatch
from pytest_streamrt.clock.tasks import describe
from pytest_streamrt.clock.threads import Threads, Work, current_work
from pytest_streamrt.clock.timeline import NS, VirtualClock
from pytest_streamrt.wording import counted

__all__ = ["drive_trio", "on_spawn"]

_OWN_READERS: Final = 1  # trio's own wake-up socket is always being read
_IDLE: Final = 86_400.0  # longer than any wait: lets trio's wait_all_tasks_blocked go first
_PRUNE: Final = 1_000  # stale deadlines that are kept before they are swept out
_DUE: Final = _run.CancelReason(source="deadline")


class _InOrder(random.Random):
    """What trio draws from to shuffle tasks: always the draw that keeps them in the order in which they became ready."""

    def random(self) -> float:
        return 0.0


class _FairDeadlines:
    """Deadlines in whole nanoseconds, those of the same one in the order in which they were set.

    Stands in for trio's own, which compares floats (3 * 0.05 is a little more than 0.15), and breaks ties by memory
    address. A scope may change its deadline, so an entry counts only while it is still its scope's own. A deadline that is
    less than half a nanosecond ahead is ahead: it falls due in the next one.
    """

    def __init__(self, now: Callable[[], int], old: Any) -> None:
        self._now = now
        self._heap: list[tuple[int, int, float, Any]] = []  # the nanosecond, the order, the deadline as set, its scope
        self._order = itertools.count()
        self._active = 0
        for deadline, scope in _live_deadlines(old):
            self.add(deadline, scope)

    def add(self, deadline: float, cancel_scope: Any) -> None:
        now = self._now()
        ns = round(deadline * NS) if deadline > 0 else min(now, 0)  # "long ago" may be minus infinity
        if ns <= now and deadline > now / NS:
            ns = now + 1
        heapq.heappush(self._heap, (ns, next(self._order), deadline, cancel_scope))
        self._active += 1

    def remove(self, deadline: float, cancel_scope: Any) -> None:
        del deadline, cancel_scope  # the entry has gone stale
        self._active -= 1
        if len(self._heap) > 2 * self._active + _PRUNE:
            kept = {id(scope): entry for entry in self._heap if (scope := entry[3])._registered_deadline == entry[2]}
            self._heap = sorted(kept.values(), key=lambda entry: entry[:2])

    def next_deadline(self) -> float:
        while self._heap:
            ns, _, deadline, scope = self._heap[0]
            if scope._registered_deadline == deadline:  # else it has gone stale
                return ns / NS
            heapq.heappop(self._heap)
        return math.inf

    def expire(self, now: float) -> bool:
        ns_now = round(now * NS)
        expired = False
        while self._heap and self._heap[0][0] <= ns_now:
            _, _, deadline, scope = heapq.heappop(self._heap)
            if scope._registered_deadline == deadline:
                expired = True
                scope._cancel(_DUE)
        return expired

    def __iter__(self) -> Iterator[tuple[float, Any]]:
        return ((deadline, scope) for _, _, deadline, scope in self._heap if deadline == scope._registered_deadline)


class _Sleeper:
    """A task in `trio.sleep` or `anyio.sleep`, which stands among the deadlines as a scope does."""

    __slots__ = ("_registered_deadline", "_runner", "_task")

    def __init__(self, deadline: float, runner: Any) -> None:
        self._registered_deadline = deadline
        self._task = trio.lowlevel.current_task()
        self._runner = runner
        runner.deadlines.add(deadline, self)

    def _cancel(self, reason: object) -> None:
        """Its deadline has come."""
        del reason
        self._end()
        trio.lowlevel.reschedule(self._task)

    def abort(self, raise_cancel: object) -> trio.lowlevel.Abort:
        """Its task has been cancelled."""
        del raise_cancel
        self._end()
        return trio.lowlevel.Abort.SUCCEEDED

    def _end(self) -> None:
        self._runner.deadlines.remove(self._registered_deadline, self)
        self._registered_deadline = math.inf


def _without_a_scope(original: Any) -> Any:
    @wraps(original)
    async def sleep_until(deadline: float) -> None:
        runner = getattr(_run.GLOBAL_RUN_CONTEXT, "runner", None)
        if runner is not None and isinstance(runner.deadlines, _FairDeadlines) and 0 < deadline < math.inf:
            await trio.lowlevel.wait_task_rescheduled(_Sleeper(deadline, runner).abort)
        else:
            await original(deadline)

    return sleep_until


def _live_deadlines(stock: Any) -> list[tuple[float, Any]]:
    """The deadlines in one of trio's own heaps that still count, in their order."""
    entries = sorted(stock._heap, key=lambda entry: entry[:2])
    return [(deadline, scope) for deadline, _, scope in entries if deadline == scope._registered_deadline]


class _TrioDriver(trio.abc.Clock, trio.abc.Instrument):
    """The run's view of the timeline. Its time is 0 where the clock was switched on, so floats hold it to the ns."""

    def __init__(self, clock: VirtualClock, runner: Any) -> None:
        self.thread = threading.get_ident()
        self.threads = Threads()
        self._clock = clock
        self._runner = runner
        self._began = clock.ns
        self._token = trio.lowlevel.current_trio_token()
        self._root = trio.lowlevel.current_root_task()
        self._lock = threading.Lock()  # for these two
        self._sleepers: set[threading.Event] = set()
        self._over = False
        self._turns: deque[trio.lowlevel.Task] = deque()
        self._settlers: deque[trio.lowlevel.Task] = deque()
        self._steps = 0  # task steps so far: tells whether anything has run since the last look
        self._looked: set[str] = set()  # what has been waited for since the step below
        self._looked_at = 0
        self._flowing: float | None = None  # up to which virtual ns, while time runs with real time

    # What trio asks of a clock, and of an instrument.

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        if self._flowing is not None:  # the first look after a wait
            upto, self._flowing = self._flowing, None
            self._clock.flow(round(min(self._clock.live_ns, upto)))
        return self.now() / NS

    def now(self) -> int:
        """Nanoseconds since the clock was switched on: trio's own time."""
        return self._clock.ns - self._began

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        del task
        self._steps += 1
        self._clock.spin(self._outside_at_work)

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """How many real seconds to wait for I/O; called when no task can run. 0 means: look again at once."""
        clock = self._clock
        next_ns = None if deadline == math.inf else self._began + round(deadline * NS)
        if next_ns is not None and next_ns <= clock.ns:
            return 0
        if self._runner.waiting_for_idle:
            return _IDLE
        if self._runner.entry_queue.size():
            return 0
        sockets = self._sockets_waited_for()
        if (sockets > 0 or clock.held or clock.is_live) and self._look("io"):
            return 0  # whatever has arrived by now comes first
        if self._work_outside():
            return self._wait("a worker thread, or what holds the clock,")
        if self.threads.outside_at_work:
            if self._look("outside") or not self.threads.outside_blocked:
                return self._clock.options.watchdog
            clock.no_answer("the thread that calls into this loop")
            return 0
        if self._grant(self._turns) or self._grant(self._settlers):
            return 0
        if clock.is_live:
            return self._flow(next_ns)
        if next_ns is None:
            if sockets > 0:
                return self._wait("an open socket")
            clock.deadlock()
            return 0
        if sockets > 0:
            patience = self._before_jump(sockets)
            if patience is not None:
                return patience
        clock.jump(next_ns)
        return 0

    # What the timeline asks of its driver.

    async def turn(self) -> None:
        await self._queue(self._turns)

    async def settle(self) -> None:
        await self._queue(self._settlers)

    def thread_sleep(self, seconds: float) -> None:
        woken = threading.Event()
        outside = is_clock_thread()
        work = current_work()

        async def wake_later() -> None:
            unpark = self.threads.park(work, outside=outside)
            try:
                await trio.sleep(seconds)
            finally:
                unpark()
                self._sleepers.discard(woken)
                woken.set()

        def arm() -> None:
            if not woken.is_set():
                trio.lowlevel.spawn_system_task(wake_later)

        with self._lock:  # so that the run comes to it, or to its end
            if self._over:
                return
            self._sleepers.add(woken)
            self._token.run_sync_soon(arm)
        self._clock.wait_for_loop(woken)

    def end(self) -> None:
        """Nobody drives the run any more: who waits for that, in a thread or in a task, must not do so for ever."""
        with self._lock:
            self._over = True
        for woken in self._sleepers:
            woken.set()
        for queue in (self._turns, self._settlers):
            while queue:
                trio.lowlevel.reschedule(queue.popleft())

    def wake(self) -> None:
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(_nothing)

    def spawn(self, function: Callable[..., Coroutine[Any, Any, object]], *args: object) -> None:
        trio.lowlevel.spawn_system_task(function, *args)

    def dump(self) -> str:
        return "\n".join(_lines(self._root)) if self._root is not None else ""

    def _outside_at_work(self) -> bool:
        """Whether something will report back that is not of this run."""
        return self._clock.is_live or self._work_outside()

    def _work_outside(self) -> bool:
        """Whether a worker thread, or what holds the clock, is at work."""
        return self._clock.held or self.threads.busy

    def _sockets_waited_for(self) -> int:
        io: Any = self._runner.io_manager
        if len(getattr(io, "_registered", ())) == _OWN_READERS:  # nearly always, and to count takes much longer
            return 0
        waiting = io.statistics()
        return int(waiting.tasks_waiting_read + waiting.tasks_waiting_write) - _OWN_READERS

    def _look(self, what: str) -> bool:
        """Whether this is the first look for that since a task last ran."""
        if self._looked_at != self._steps:
            self._looked_at = self._steps
            self._looked.clear()
        if what in self._looked:
            return False
        self._looked.add(what)
        return True

    def _wait(self, what: str) -> float:
        if self._look(what):
            return self._clock.options.watchdog
        self._clock.no_answer(what)
        return 0

    def _flow(self, next_ns: int | None) -> float:
        """While a request of ours is on a real socket: wait for it, and let as much virtual time pass as real."""
        clock = self._clock
        if next_ns is None:
            self._flowing = math.inf
            return self._wait("a request on a real socket")
        self._flowing = next_ns
        return max(next_ns - clock.live_ns, 0) / NS

    def _before_jump(self, sockets: int) -> float | None:
        """Sockets are open that are not ours: how long to wait, as the policy says, or None to jump."""
        clock = self._clock
        which = counted(sockets, "task waits for a socket", "tasks wait for a socket")
        if clock.options.real_io == "error":
            clock.open_socket(f"{which}; see below where")
            return 0
        if clock.options.real_io == "hold":
            return self._wait(f"an open socket ({which})")
        if self._look("settle"):
            return clock.options.settle_time
        clock.racy_jumps += 1
        return None

    async def _queue(self, queue: deque[trio.lowlevel.Task]) -> None:
        task = trio.lowlevel.current_task()
        queue.append(task)

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            queue.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _grant(self, queue: deque[trio.lowlevel.Task]) -> bool:
        if not queue:
            return False
        trio.lowlevel.reschedule(queue.popleft())
        self._clock.progress()
        return True


@contextmanager
def drive_trio(clock: VirtualClock, cancel_body: Callable[[], None]) -> Iterator[None]:
    """Put the current trio run on that clock.

    Args:
        clock: the clock.
        cancel_body: cancels what the clock was switched on for. Called by the run, outside of any task.
    """
    runner: Any = _run.GLOBAL_RUN_CONTEXT.runner
    driver = _TrioDriver(clock, runner)
    real_clock = runner.clock
    deadlines = _FairDeadlines(driver.now, runner.deadlines)
    runner.clock, runner.deadlines = driver, deadlines
    _calling[runner] = driver.threads
    trio.lowlevel.add_instrument(driver)
    try:
        with (
            _WORKERS.applied(),
            _THREADS_OF_WORKERS.applied(),
            _CALLS_FROM_THREADS.applied(),
            _SHUFFLED_BY.applied(),
            _SHUFFLED_HOW.applied(),
            _SLEEP.applied(),
            clock.driven_by(driver, cancel_body),
        ):
            yield
    finally:
        driver.end()
        trio.lowlevel.remove_instrument(driver)
        del _calling[runner]
        runner.clock = real_clock
        runner.deadlines = _run.Deadlines()
        for deadline, scope in deadlines:
            runner.deadlines.add(deadline, scope)


_calling: Final[dict[Any, Threads]] = {}  # by run


_sent: Final[dict[trio.lowlevel.Task, Work]] = {}  # by the task that waits for it


def _counting_work(original: Any) -> Any:
    @contextmanager
    def track_active_thread() -> Iterator[None]:
        threads = _calling.get(_run.GLOBAL_RUN_CONTEXT.runner)
        if threads is None:
            with original():
                yield
            return
        task, work = trio.lowlevel.current_task(), Work()
        before = _sent.get(task)  # it may be in a call from a thread that it waits for
        _sent[task] = work
        threads.started(work)
        try:
            with original():
                yield
        finally:
            threads.ended(work)
            if before is None:
                del _sent[task]
            else:
                _sent[task] = before

    return track_active_thread


def _knowing_work(original: Any) -> Any:
    @wraps(original)
    def start_thread_soon(function: Callable[[], Any], *args: Any, **kwargs: Any) -> None:
        work = _sent.get(trio.lowlevel.current_task())

        def known() -> Any:
            assert work is not None
            with work.in_this_thread():
                return function()

        original(function if work is None else known, *args, **kwargs)

    return start_thread_soon


def _counting_calls(original: Any) -> Any:
    @wraps(original)
    async def unprotected_afn(self: Any) -> Any:
        threads = _calling.get(_run.GLOBAL_RUN_CONTEXT.runner)
        if threads is None:
            return await original(self)
        unpark = threads.park(_sent.get(trio.lowlevel.current_task()))
        try:
            return await original(self)
        finally:
            unpark()  # before the thread can hear of it

    return unprotected_afn


_WORKERS: Final = SharedPatch(_threads, "_track_active_thread", _counting_work)
_THREADS_OF_WORKERS: Final = SharedPatch(_threads, "start_thread_soon", _knowing_work)
_CALLS_FROM_THREADS: Final = SharedPatch(_threads.Run, "unprotected_afn", _counting_calls)
_SHUFFLED_BY: Final = SharedPatch(_run, "_r", lambda _: _InOrder())
_SHUFFLED_HOW: Final = SharedPatch(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", lambda _: False)
_SLEEP: Final = SharedPatch(_timeouts, "sleep_until", _without_a_scope)


class _OnSpawn(trio.abc.Instrument):
    def __init__(self, spawned: Callable[[trio.lowlevel.Task], None]) -> None:
        self._spawned = spawned

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self._spawned(task)


@contextmanager
def on_spawn(spawned: Callable[[trio.lowlevel.Task], None]) -> Iterator[None]:
    """For the length of the block, call that with each task as it is made, in the context of whoever makes it."""
    instrument = _OnSpawn(spawned)
    trio.lowlevel.add_instrument(instrument)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(instrument)


def _nothing() -> None:
    pass


def _lines(task: trio.lowlevel.Task) -> Iterator[str]:
    if not task.name.startswith("<"):  # trio's own
        yield describe(task.name, task.coro)
    for nursery in task.child_nurseries:
        for child in sorted(nursery.child_tasks, key=lambda each: each._counter):
            yield from _lines(child)
