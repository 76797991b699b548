"""What the clock uses of trio's private surface: a run's clock and deadlines, its order, its sleeps and its worker threads.

Three things make a run repeatable: deadlines are whole nanoseconds, those of the same one expire in the order of asking, where trio
breaks ties by memory address; tasks that can run do so in the order in which they could, where trio shuffles them; and worker
threads, and their calls into the run, are counted. And `trio.sleep` does without a cancel scope of its own, which is two thirds of
what it takes.

Private names used: `trio._core._run.GLOBAL_RUN_CONTEXT`, `Runner.clock`, `.deadlines`, `.waiting_for_idle`, `.entry_queue` and
`.io_manager` (and its `_registered`, where it has one), `Deadlines` and its methods, `CancelScope._registered_deadline` and
`._cancel`, `CancelReason`, `_r`, `_ALLOW_DETERMINISTIC_SCHEDULING`, `Task._counter`, `trio._threads._track_active_thread`,
`.start_thread_soon` and `.Run.unprotected_afn`, `trio._timeouts.sleep_until`. `tests/clock/test_private_surface.py` says so when a
release moves one.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final

import trio
from trio import _threads, _timeouts
from trio._core import _run

from pytest_streamrt.clock.asked import Asked
from pytest_streamrt.clock.patching import SharedPatch, all_applied
from pytest_streamrt.clock.threads import Threads, Work
from pytest_streamrt.clock.timeline import NS

__all__ = ["PrivateRun", "children"]

_OWN_READERS: Final = 1  # trio's own wake-up socket is always being read
_PRUNE: Final = 1_000  # stale deadlines that are kept before they are swept out
_DUE: Final = _run.CancelReason(source="deadline")


class PrivateRun:
    """The current trio run, by what of it is not public."""

    def __init__(self) -> None:
        self._runner: Any = _run.GLOBAL_RUN_CONTEXT.runner
        self.asked = Asked()
        """The moments of deadlines, on the clock that it is put on."""

    @property
    def waits_for_idle(self) -> bool:
        """Whether a task is in `wait_all_tasks_blocked`."""
        return bool(self._runner.waiting_for_idle)

    @property
    def has_calls(self) -> bool:
        """Whether another thread has asked for a call that has not been made."""
        return self._runner.entry_queue.size() > 0  # type: ignore[no-any-return]

    def tasks_at_sockets(self) -> int:
        """How many tasks wait for a socket, to read or to write."""
        io = self._runner.io_manager
        if len(getattr(io, "_registered", ())) == _OWN_READERS:  # nearly always, and to count takes much longer
            return 0
        waiting = io.statistics()
        return int(waiting.tasks_waiting_read + waiting.tasks_waiting_write) - _OWN_READERS

    @contextmanager
    def on_clock(self, clock: trio.abc.Clock, now: Callable[[], int], threads: Threads) -> Iterator[None]:
        """While the block runs, the run is on that clock, and repeatable.

        Args:
            clock: the clock.
            now: gives its time in nanoseconds.
            threads: where the run's worker threads are counted.
        """
        runner = self._runner
        real_clock = runner.clock
        deadlines = _FairDeadlines(now, runner.deadlines, self.asked)
        runner.clock, runner.deadlines = clock, deadlines
        _calling[runner] = threads
        try:
            with all_applied(_PATCHES):
                yield
        finally:
            del _calling[runner]
            runner.clock = real_clock
            runner.deadlines = _run.Deadlines()
            for deadline, scope in deadlines:
                runner.deadlines.add(deadline, scope)


def children(nursery: trio.Nursery) -> list[trio.lowlevel.Task]:
    """The tasks of a nursery, in the order in which they were made."""
    return sorted(nursery.child_tasks, key=lambda task: task._counter)


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

    def __init__(self, now: Callable[[], int], old: Any, asked: Asked) -> None:
        self._now = now
        self._asked = asked
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
        elif deadline > ns / NS and not isinstance(cancel_scope, _Sleeper):  # nor does asyncio note sleeps
            self._asked.note(ns, deadline, now)
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


_PATCHES: Final = (
    SharedPatch(_threads, "_track_active_thread", _counting_work),
    SharedPatch(_threads, "start_thread_soon", _knowing_work),
    SharedPatch(_threads.Run, "unprotected_afn", _counting_calls),
    SharedPatch(_run, "_r", lambda _: _InOrder()),
    SharedPatch(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", lambda _: False),
    SharedPatch(_timeouts, "sleep_until", _without_a_scope),
)
