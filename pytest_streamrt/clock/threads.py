"""Counts the worker threads that are at work for a loop, and those of them that only wait for the loop.

What is known of anyio's private surface is in this file: the class of its asyncio backend, through which every worker
thread goes, whatever limiter it was given. (Trio counts its threads itself.) `tests/clock/test_private_surface.py` says so
when a release moves it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from anyio._backends._asyncio import AsyncIOBackend

__all__ = ["Threads", "anyio_threads"]


class Threads:
    """How many threads are out for a loop, and how many of those are parked: asleep, or in a call into the loop.

    While one is out and not parked, it will report back, and the clock waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._out = 0
        self._parked = 0

    @property
    def busy(self) -> bool:
        """Whether one is at work."""
        return self._out > self._parked

    def started(self) -> None:
        """A thread has been sent to work."""
        with self._lock:
            self._out += 1

    def ended(self) -> None:
        """It has reported back."""
        with self._lock:
            self._out -= 1

    def parked(self) -> None:
        """A thread waits for the loop."""
        with self._lock:
            self._parked += 1

    def unparked(self) -> None:
        """It is about to go on. To be said by the loop, before it lets the thread go on."""
        with self._lock:
            self._parked -= 1


@contextmanager
def anyio_threads(loop: asyncio.AbstractEventLoop, threads: Threads) -> Iterator[None]:
    """While the block runs, have anyio's worker threads of that loop counted, and their calls back into it."""
    backend: Any = AsyncIOBackend
    run_in_thread = backend.run_sync_in_worker_thread.__func__
    run_from_thread = backend.run_async_from_thread.__func__

    @wraps(run_in_thread)
    async def run_sync_in_worker_thread(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if asyncio.get_running_loop() is not loop:
            return await run_in_thread(cls, *args, **kwargs)
        threads.started()
        try:
            return await run_in_thread(cls, *args, **kwargs)
        finally:
            threads.ended()

    @wraps(run_from_thread)
    def run_async_from_thread(cls: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        async def call(*arguments: Any) -> Any:
            if asyncio.get_running_loop() is not loop:
                return await func(*arguments)
            threads.parked()
            try:
                return await func(*arguments)
            finally:
                threads.unparked()  # before the thread can hear of it

        return run_from_thread(cls, call, *args, **kwargs)

    backend.run_sync_in_worker_thread = classmethod(run_sync_in_worker_thread)
    backend.run_async_from_thread = classmethod(run_async_from_thread)
    try:
        yield
    finally:
        backend.run_sync_in_worker_thread = classmethod(run_in_thread)
        backend.run_async_from_thread = classmethod(run_from_thread)
