"""Drives a trio run by virtual time. All that the project knows of trio's private surface is in this file.

The run is the one that already runs the test; its clock is exchanged in place and put back afterwards. The seam is
``Clock.deadline_to_sleep_time``, which trio calls only when no task can run: the moment to grant a turn, or else to
jump. Two more things make a run repeatable: trio shuffles the tasks that can run, and breaks ties between deadlines by
memory address; here both go in the order of asking.

Private names used: `trio._core._run.GLOBAL_RUN_CONTEXT`, `Runner.clock`, `Runner.deadlines`, `Runner.waiting_for_idle`,
`Deadlines._heap` and its methods, `_r`, `_ALLOW_DETERMINISTIC_SCHEDULING`. `tests/clock/test_private_surface.py` says so
when a release moves one.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import trio
import trio.testing
from trio._core import _run

from pytest_streamrt.clock.tasks import describe
from pytest_streamrt.clock.timeline import NS, VirtualClock

__all__ = ["drive_trio"]

_OWN_READERS: Final = 1  # trio's own wake-up socket is always being read
_HALF_NS: Final = 0.5 / NS
_IDLE: Final = 86_400.0  # longer than any wait: lets trio's wait_all_tasks_blocked go first


class _InOrder(random.Random):
    """What trio draws from to shuffle tasks: always the draw that keeps them in the order in which they became ready."""

    def random(self) -> float:
        return 0.0


class _FairDeadlines(_run.Deadlines):
    """Deadlines of the same nanosecond, in the order in which they were set. Stock trio goes by memory address."""

    def __init__(self, old: _run.Deadlines) -> None:
        super().__init__(heap=[], active=0)
        self._order = itertools.count()
        for deadline, _, scope in sorted(old._heap, key=lambda entry: entry[:2]):
            if deadline == scope._registered_deadline:
                self.add(deadline, scope)

    def add(self, deadline: float, cancel_scope: trio.CancelScope) -> None:
        heapq.heappush(self._heap, (deadline, next(self._order), cancel_scope))
        self._active += 1

    def expire(self, now: float) -> bool:
        # 3 * 0.05 is a little more than 0.15: what is due within this nanosecond is due.
        return super().expire(now + _HALF_NS)


class _TrioDriver(trio.abc.Clock, trio.abc.Instrument):
    """The run's view of the timeline. Its time is 0 where the clock was switched on, so floats hold it to the ns."""

    def __init__(self, clock: VirtualClock, runner: Any) -> None:
        self._clock = clock
        self._runner = runner
        self._turns: deque[trio.lowlevel.Task] = deque()
        self._settlers: deque[trio.lowlevel.Task] = deque()
        self._steps = 0  # task steps so far: tells whether anything has run since the last look
        self._looked: tuple[str, int] | None = None  # what was waited for, and the step at which

    # What trio asks of a clock, and of an instrument.

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self._clock.ns / NS

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        del task
        self._steps += 1
        self._clock.spin()

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """How many real seconds to wait for I/O; called when no task can run. 0 means: look again at once."""
        clock = self._clock
        if deadline <= self.current_time() + _HALF_NS:
            return 0
        if self._runner.waiting_for_idle:
            return _IDLE
        statistics = trio.lowlevel.current_statistics()
        if statistics.run_sync_soon_queue_size:
            return 0
        io: Any = statistics.io_statistics
        sockets = io.tasks_waiting_read + io.tasks_waiting_write - _OWN_READERS
        if (sockets > 0 or clock.held) and self._look("io"):
            return 0  # whatever has arrived by now comes first
        if clock.held or trio.testing.active_thread_count():
            return self._wait("a worker thread, or what holds the clock,")
        if self._grant(self._turns) or self._grant(self._settlers):
            return 0
        if deadline == math.inf:
            if sockets > 0:
                return self._wait("an open socket")
            clock.deadlock()
            return 0
        if sockets > 0:
            if self._look("settle"):
                return clock.options.settle_time
            clock.racy_jumps += 1
        clock.jump(round(deadline * NS))
        return 0

    # What the timeline asks of its driver.

    async def turn(self) -> None:
        await self._queue(self._turns)

    async def settle(self) -> None:
        await self._queue(self._settlers)

    def time_moved(self) -> None:
        pass  # the run asks for the time again in each pass

    def dump(self) -> str:
        root = trio.lowlevel.current_root_task()
        return "\n".join(_lines(root)) if root is not None else ""

    def _look(self, what: str) -> bool:
        """Whether this is the first look for that since a task last ran."""
        if self._looked == (what, self._steps):
            return False
        self._looked = (what, self._steps)
        return True

    def _wait(self, what: str) -> float:
        if self._look(what):
            return self._clock.options.watchdog
        self._clock.no_answer(what)
        return 0

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
def drive_trio(clock: VirtualClock) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Put the current trio run on that clock. Gives what cancels the test body from outside of any task."""
    runner = _run.GLOBAL_RUN_CONTEXT.runner
    module: Any = _run
    driver = _TrioDriver(clock, runner)
    old = runner.clock, module._r, module._ALLOW_DETERMINISTIC_SCHEDULING
    runner.clock, runner.deadlines = driver, _FairDeadlines(runner.deadlines)
    module._r, module._ALLOW_DETERMINISTIC_SCHEDULING = _InOrder(), False
    trio.lowlevel.add_instrument(driver)
    clock._driver = driver
    try:
        yield lambda cancel: cancel()
    finally:
        clock._driver = None
        trio.lowlevel.remove_instrument(driver)
        runner.clock, module._r, module._ALLOW_DETERMINISTIC_SCHEDULING = old


def _lines(task: trio.lowlevel.Task) -> Iterator[str]:
    if not task.name.startswith("<"):  # trio's own
        yield describe(task.name, task.coro)
    for nursery in task.child_nurseries:
        for child in sorted(nursery.child_tasks, key=lambda each: each._counter):
            yield from _lines(child)
