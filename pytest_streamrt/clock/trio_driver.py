"""Drives a trio run by virtual time.

The run is the one that already runs the test; its clock is exchanged in place and put back afterwards. The seam is
``Clock.deadline_to_sleep_time``, which trio calls only when no task can run: the moment to grant a turn, or else to
jump. How the run is changed, and what is known of its private surface, is in `trio_private`.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import trio

from pytest_streamrt.clock.sleepers import Sleepers
from pytest_streamrt.clock.tasks import describe
from pytest_streamrt.clock.threads import Threads
from pytest_streamrt.clock.timeline import NS, VirtualClock
from pytest_streamrt.clock.trio_private import PrivateRun, children
from pytest_streamrt.wording import counted

__all__ = ["drive_trio", "on_spawn"]

_IDLE: Final = 86_400.0  # longer than any wait: lets trio's wait_all_tasks_blocked go first


class _TrioDriver(trio.abc.Clock, trio.abc.Instrument):
    """The run's view of the timeline. Its time is 0 where the clock was switched on, so floats hold it to the ns."""

    def __init__(self, clock: VirtualClock) -> None:
        self.thread = threading.get_ident()
        self.threads = Threads()
        self._clock = clock
        self._private = PrivateRun()
        self._began = clock.ns
        self._token = trio.lowlevel.current_trio_token()
        self._root = trio.lowlevel.current_root_task()
        self._sleepers = Sleepers(self.threads, self._token.run_sync_soon, _call_later)
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
        ns, asked = self.now(), self._private.asked
        return asked.get(ns, ns / NS) if asked else ns / NS

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
        if self._private.waits_for_idle:
            return _IDLE
        if self._private.has_calls:
            return 0
        sockets = self._private.tasks_at_sockets()
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

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """For the length of the block, this is the run's clock."""
        with self._private.on_clock(self, self.now, self.threads):
            trio.lowlevel.add_instrument(self)
            try:
                yield
            finally:
                self.end()
                trio.lowlevel.remove_instrument(self)

    # What the timeline asks of its driver.

    async def turn(self) -> None:
        await self._queue(self._turns)

    async def settle(self) -> None:
        await self._queue(self._settlers)

    def thread_sleep(self, seconds: float) -> None:
        self._sleepers.sleep(seconds, self._clock.wait_for_loop)

    def end(self) -> None:
        """Nobody drives the run any more: who waits for that, in a thread or in a task, must not do so for ever."""
        self._sleepers.end()
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
    driver = _TrioDriver(clock)
    with driver.in_place(), clock.driven_by(driver, cancel_body):
        yield


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


def _call_later(seconds: float, function: Callable[[], None]) -> None:
    async def later() -> None:
        try:
            await trio.sleep(seconds)
        finally:
            function()

    trio.lowlevel.spawn_system_task(later)


def _nothing() -> None:
    pass


def _lines(task: trio.lowlevel.Task) -> Iterator[str]:
    if not task.name.startswith("<"):  # trio's own
        yield describe(task.name, task.coro)
    for nursery in task.child_nurseries:
        for child in children(nursery):
            yield from _lines(child)
