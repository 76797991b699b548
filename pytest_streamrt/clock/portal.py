"""Puts the loop behind an anyio `BlockingPortal` on the clock of the code that calls into it, as starlette's `TestClient` does.

The loop runs in a thread of its own. Its time moves only while the thread outside waits for a call, so that the two never
run at once, and what they do has one order.

Private names used, of `concurrent.futures.Future`: `_waiters`, where `wait` enters itself.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from typing import Any

from anyio.from_thread import BlockingPortal

from pytest_streamrt.clock.asyncio_driver import drive_asyncio
from pytest_streamrt.clock.current import active_clock, running_here
from pytest_streamrt.clock.threads import Threads
from pytest_streamrt.clock.timeline import Driver, VirtualClock

__all__ = ["drive_running_loop", "portals_on"]


def drive_running_loop(clock: VirtualClock, cancel_body: Callable[[], None]) -> AbstractContextManager[None]:
    """Put the loop that runs in this thread on that clock, whatever it is. Raises RuntimeError if none runs."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        from pytest_streamrt.clock.trio_driver import drive_trio

        return drive_trio(clock, cancel_body)
    return drive_asyncio(clock, asyncio.get_running_loop(), cancel_body)


@contextmanager
def portals_on(clock: VirtualClock) -> Iterator[None]:
    """While the block runs, put each portal that is opened in another thread on that clock."""
    outside = threading.get_ident()
    portal_class: Any = BlockingPortal
    enter, exit_ = portal_class.__aenter__, portal_class.__aexit__
    start_task_soon, start_task = portal_class.start_task_soon, portal_class.start_task
    driven: dict[Any, tuple[Driver, ExitStack]] = {}

    @wraps(enter)
    async def open_portal(portal: Any) -> Any:
        if active_clock() is not None:  # a portal of a loop that is on virtual time itself
            return await enter(portal)

        def cancel_body() -> None:
            driven[portal][0].spawn(portal.stop, True)  # cancels what runs, so that whoever waits outside is told

        with ExitStack() as undo:
            undo.enter_context(drive_running_loop(clock, cancel_body))
            undo.enter_context(running_here(clock))
            driver = clock.driver
            assert driver is not None
            driver.threads.serve(outside)
            await enter(portal)
            driven[portal] = driver, undo.pop_all()
        return portal

    @wraps(exit_)
    async def close_portal(portal: Any, *exception: Any) -> Any:
        if portal not in driven:
            return await exit_(portal, *exception)
        driver, undo = driven[portal]
        driver.threads.serve(None)  # from now on, whoever is outside waits for the end
        with undo:
            try:
                return await exit_(portal, *exception)
            finally:
                del driven[portal]

    @wraps(start_task_soon)
    def start_soon(portal: Any, *args: Any, **kwargs: Any) -> Any:
        future = start_task_soon(portal, *args, **kwargs)
        if portal in driven:
            _PortalFuture.become(future, driven[portal][0])
        return future

    @wraps(start_task)
    def start(portal: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if portal in driven:
            func = _parking(driven[portal][0].threads, func)
        return start_task(portal, func, *args, **kwargs)

    portal_class.__aenter__, portal_class.__aexit__ = open_portal, close_portal
    portal_class.start_task_soon, portal_class.start_task = start_soon, start
    try:
        yield
    finally:
        portal_class.__aenter__, portal_class.__aexit__ = enter, exit_
        portal_class.start_task_soon, portal_class.start_task = start_task_soon, start_task


class _PortalFuture(Future[Any]):
    """What a portal gives for a task: whoever waits for it lets the portal's time move meanwhile."""

    driver: Driver

    @classmethod
    def become(cls, future: Any, driver: Driver) -> None:
        """Make that future one of these."""
        future.driver = driver
        future._waiters = _Waiters(future)
        future.__class__ = cls

    def result(self, timeout: float | None = None) -> Any:
        with self.parked():
            return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        with self.parked():
            return super().exception(timeout)

    @contextmanager
    def parked(self) -> Iterator[None]:
        unpark = self.driver.threads.park_until(self)
        self.driver.wake()
        try:
            yield
        finally:
            unpark()


class _Waiters(list[Any]):
    """Whoever waits for a future by `concurrent.futures.wait`, which enters itself here."""

    def __init__(self, future: _PortalFuture) -> None:
        super().__init__()
        self._future = future
        self._unpark: dict[int, Callable[[], None]] = {}

    def append(self, waiter: Any) -> None:
        super().append(waiter)
        driver = self._future.driver
        self._unpark[id(waiter)] = driver.threads.park_until(self._future)
        driver.wake()

    def remove(self, waiter: Any) -> None:
        super().remove(waiter)
        self._unpark.pop(id(waiter))()


def _parking(threads: Threads, func: Callable[..., Any]) -> Callable[..., Any]:
    """A function for `BlockingPortal.start_task`, which has the thread outside count as waiting until it has started."""

    @wraps(func)
    async def in_task(*args: Any, task_status: Any, **kwargs: Any) -> Any:
        unpark = threads.park(outside=True)

        class Status:
            def started(self, value: Any = None) -> None:
                unpark()
                task_status.started(value)

        try:
            return await func(*args, task_status=Status(), **kwargs)
        finally:
            unpark()

    return in_task
