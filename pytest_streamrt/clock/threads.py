"""Counts the threads that a loop has to wait for: its worker threads, and the one outside that calls into it.

What is known of anyio's private surface is in this file: the class of its asyncio backend, through which every worker
thread goes, whatever limiter it was given. (Trio counts its threads itself.) `tests/clock/test_private_surface.py` says so
when a release moves it.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final

from anyio._backends._asyncio import AsyncIOBackend

from pytest_streamrt.clock.patching import SharedPatch

__all__ = ["Threads", "anyio_threads", "is_blocked"]


class Threads:
    """Who else is at work for a loop, so that its clock has to wait.

    Worker threads: how many are out, and how many of those are parked: asleep, or in a call into the loop. While one is
    out and not parked, it will report back. And the thread outside that calls into the loop, where the loop serves one:
    time moves only while that waits for a call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._out = 0
        self._asleep = 0
        self._outside: int | None = None
        self._calls = 0

    @property
    def busy(self) -> bool:
        """Whether a worker thread is at work."""
        return self._out > self._asleep

    @property
    def asleep(self) -> int:
        """How many worker threads are parked."""
        return self._asleep

    @property
    def outside_at_work(self) -> bool:
        """Whether the loop serves calls from a thread outside, and that is not waiting for one."""
        return self._outside is not None and self._calls == 0

    @property
    def outside_blocked(self) -> bool:
        """Whether the thread outside waits for another thread, and not through anything that is seen here."""
        return self._outside is not None and is_blocked(self._outside)

    def serve(self, outside: int | None) -> None:
        """The loop serves calls from the thread of that identity from now on, or from none."""
        self._outside = outside

    def started(self) -> None:
        """A worker thread has been sent to work."""
        with self._lock:
            self._out += 1

    def ended(self) -> None:
        """It has reported back."""
        with self._lock:
            self._out -= 1

    def park(self, *, outside: bool = False) -> Callable[[], None]:
        """For the loop: from now on a worker thread, or the one outside, waits for it.

        Gives what the loop is to call before it lets the thread go on; calling that again does nothing.
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
                else:
                    self._asleep += by

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


Lend = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Gives a function that does the same, in a worker thread, on a loop's clock."""

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


def _counting_work(run_in_thread: Any) -> Any:
    original = run_in_thread.__func__

    @wraps(original)
    async def run_sync_in_worker_thread(cls: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        watched = _watched.get(asyncio.get_running_loop())
        if watched is None:
            return await original(cls, func, *args, **kwargs)
        threads, lend = watched
        threads.started()
        try:
            return await original(cls, lend(func), *args, **kwargs)
        finally:
            threads.ended()

    return classmethod(run_sync_in_worker_thread)


def _counting_calls(run_from_thread: Any) -> Any:
    original = run_from_thread.__func__

    @wraps(original)
    def run_async_from_thread(cls: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        async def call(*arguments: Any) -> Any:
            watched = _watched.get(asyncio.get_running_loop())
            if watched is None:
                return await func(*arguments)
            unpark = watched[0].park()
            try:
                return await func(*arguments)
            finally:
                unpark()  # before the thread can hear of it

        return original(cls, call, *args, **kwargs)

    return classmethod(run_async_from_thread)


_RUN_IN_THREAD: Final = SharedPatch(AsyncIOBackend, "run_sync_in_worker_thread", _counting_work)
_RUN_FROM_THREAD: Final = SharedPatch(AsyncIOBackend, "run_async_from_thread", _counting_calls)
