"""Counts the threads that a loop has to wait for: its worker threads, and the one outside that calls into it.

What is known of anyio's private surface is in this file: the class of its asyncio backend, through which every worker
thread goes, whatever limiter it was given. (How trio's are counted is in `trio_private`.) `tests/clock/test_private_surface.py` says so
when a release moves it.
"""

from __future__ import annotations

import asyncio
import math
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final

from anyio._backends._asyncio import AsyncIOBackend

from pytest_streamrt.clock.patching import SharedPatch

__all__ = ["Threads", "Work", "anyio_threads", "current_work", "is_blocked"]


class Work:
    """Something that a loop has sent to a worker thread.

    Args:
        pool: what runs at the moment in the threads that this has to wait for, if it may have to wait for one.
        room: how much may run there before this has to wait.
    """

    __slots__ = ("begun", "parks", "pool", "room")

    def __init__(self, pool: set[Work] | None = None, room: float = math.inf) -> None:
        self.pool = pool
        self.room = room
        self.begun = False
        self.parks = 0  # how often its thread, or one of that thread's own, waits for the loop

    @property
    def goes_on(self) -> bool:
        """Whether it will get on without the loop's doing anything: it does not wait, nor for others that all do."""
        if self.parks:
            return False
        if self.begun or self.pool is None:
            return True
        ahead = list(self.pool)
        return len(ahead) < self.room or not all(each.parks for each in ahead)

    @contextmanager
    def in_this_thread(self) -> Iterator[None]:
        """The block is what does it."""
        before = current_work()
        _here.work = self
        self.begun = True
        if self.pool is not None:
            self.pool.add(self)
        try:
            yield
        finally:
            _here.work = before
            if self.pool is not None:
                self.pool.discard(self)


_here: Final = threading.local()


def current_work() -> Work | None:
    """What this worker thread has been sent to do."""
    work: Work | None = getattr(_here, "work", None)
    return work


class Threads:
    """Who else is at work for a loop, so that its clock has to wait.

    Worker threads: what they have been sent to do, until they report back or are abandoned. While one does not wait, asleep or
    in a call into the loop, it will report back. One that was abandoned has nobody who waits for it, whatever it does. And the
    thread outside that calls into the loop, where the loop serves one: time moves only while that waits for a call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._out: set[Work] = set()
        self._others_parked = 0  # threads that were sent by none that is known here, such as those of a worker thread
        self.outside_at_work = False
        """Whether the loop serves calls from a thread outside, and that is not waiting for one."""
        self._outside: int | None = None
        self._calls = 0

    @property
    def busy(self) -> bool:
        """Whether a worker thread is at work."""
        return bool(self._out) and sum(work.goes_on for work in self._out) > self._others_parked

    @property
    def outside_blocked(self) -> bool:
        """Whether the thread outside waits for another thread, and not through anything that is seen here."""
        return self._outside is not None and is_blocked(self._outside)

    def serve(self, outside: int | None) -> None:
        """The loop serves calls from the thread of that identity from now on, or from none."""
        with self._lock:
            self._outside = outside
            self._look_outside()

    def _look_outside(self) -> None:
        self.outside_at_work = self._outside is not None and self._calls == 0

    def started(self, work: Work) -> None:
        """For the loop: that has been sent to a worker thread."""
        self._out.add(work)

    def ended(self, work: Work) -> None:
        """For the loop: it has been reported back, or nobody waits for it any more."""
        self._out.discard(work)

    def park(self, work: Work | None = None, *, outside: bool = False) -> Callable[[], None]:
        """For the loop: from now on a worker thread, or the one outside, waits for it.

        Gives what the loop is to call before it lets the thread go on; calling that again does nothing.

        Args:
            work: what the thread has been sent to do, if that is known.
            outside: whether it is the one outside.
        """
        parked = False

        def move(by: int) -> None:
            nonlocal parked
            with self._lock:
                if parked == (by > 0):
                    return
                parked = by > 0
                if outside:
                    self._calls += by
                    self._look_outside()
                elif work is not None:
                    work.parks += by
                else:
                    self._others_parked += by

        move(1)
        return lambda: move(-1)

    def park_until(self, future: Future[Any]) -> Callable[[], None]:
        """For the thread outside: from now on it waits for that future, which the loop resolves.

        Gives what it is to call afterwards, in case it stops waiting before.
        """
        resolved = threading.Event()
        unpark: list[Callable[[], None]] = []

        def go_on(_: object = None) -> None:
            resolved.set()
            for each in unpark:
                each()

        # The callback comes first, so that the loop cannot resolve the future between a look at it and the parking.
        future.add_done_callback(go_on)
        if not resolved.is_set():
            unpark.append(self.park(outside=True))
            if resolved.is_set():
                go_on()
        return go_on


def is_blocked(thread: int) -> bool:
    """Whether that thread waits for another one, in a lock of Python's."""
    frame = sys._current_frames().get(thread)
    return frame is not None and frame.f_code.co_filename == threading.__file__


Lend = Callable[[Callable[..., Any], Work], Callable[..., Any]]
"""Gives a function that does the same, in a worker thread, on a loop's clock, and is known as that work."""

_watched: Final[dict[asyncio.AbstractEventLoop, tuple[Threads, Lend]]] = {}


@contextmanager
def anyio_threads(loop: asyncio.AbstractEventLoop, threads: Threads, lend: Lend) -> Iterator[None]:
    """While the block runs, have anyio's worker threads of that loop counted, and their calls back into it.

    Args:
        loop: the loop.
        threads: where they are counted.
        lend: what puts their work on the loop's clock.
    """
    _watched[loop] = threads, lend
    try:
        with _RUN_IN_THREAD.applied(), _RUN_FROM_THREAD.applied():
            yield
    finally:
        del _watched[loop]


class _Admitting:
    """A limiter of worker threads that counts what it has let through: what has to wait for others is not at work."""

    def __init__(self, limiter: Any, threads: Threads, work: Work) -> None:
        self._limiter = limiter
        self._threads = threads
        self._work = work

    async def __aenter__(self) -> None:
        await self._limiter.__aenter__()
        self._threads.started(self._work)

    async def __aexit__(self, *error: object) -> Any:
        self._threads.ended(self._work)
        return await self._limiter.__aexit__(*error)


def _counting_work(run_in_thread: Any) -> Any:
    original = run_in_thread.__func__

    @wraps(original)
    async def run_sync_in_worker_thread(cls: Any, func: Callable[..., Any], *args: Any, **options: Any) -> Any:
        watched = _watched.get(asyncio.get_running_loop())
        if watched is not None:
            threads, lend = watched
            work = Work()
            func = lend(func, work)
            limiter = options.get("limiter") or cls.current_default_thread_limiter()
            options["limiter"] = _Admitting(limiter, threads, work)
        return await original(cls, func, *args, **options)

    return classmethod(run_sync_in_worker_thread)


def _counting_calls(run_from_thread: Any) -> Any:
    original = run_from_thread.__func__

    @wraps(original)
    def run_async_from_thread(cls: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        work = current_work()

        async def call(*arguments: Any) -> Any:
            watched = _watched.get(asyncio.get_running_loop())
            if watched is None:
                return await func(*arguments)
            unpark = watched[0].park(work)
            try:
                return await func(*arguments)
            finally:
                unpark()  # before the thread can hear of it

        return original(cls, call, *args, **kwargs)

    return classmethod(run_async_from_thread)


_RUN_IN_THREAD: Final = SharedPatch(AsyncIOBackend, "run_sync_in_worker_thread", _counting_work)
_RUN_FROM_THREAD: Final = SharedPatch(AsyncIOBackend, "run_async_from_thread", _counting_calls)
