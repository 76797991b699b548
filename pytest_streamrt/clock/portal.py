"""Puts the loop behind an anyio `BlockingPortal` on the clock of the code that calls into it, as starlette's `TestClient` does.

The loop runs in a thread of its own. Its time moves only while the thread outside waits for a call, so that the two never
run at once, and what they do has one order.

Private names used, of `concurrent.futures.Future`: `_waiters`, where `wait` enters itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from typing import Any, Final

from anyio.from_thread import BlockingPortal

from pytest_streamrt.clock.asyncio_driver import drive_asyncio
from pytest_streamrt.clock.current import active_clock, in_trio, running_here
from pytest_streamrt.clock.patching import SharedPatch, all_applied
from pytest_streamrt.clock.threads import Threads
from pytest_streamrt.clock.timeline import Driver, VirtualClock

__all__ = ["drive_running_loop", "portals_on"]


def drive_running_loop(clock: VirtualClock, cancel_body: Callable[[], None]) -> AbstractContextManager[None]:
    """Put the loop that runs in this thread on that clock, whatever it is. Raises RuntimeError if none runs."""
    if in_trio():
        from pytest_streamrt.clock.trio_driver import drive_trio

        return drive_trio(clock, cancel_body)
    return drive_asyncio(clock, asyncio.get_running_loop(), cancel_body)


@contextmanager
def portals_on(clock: VirtualClock) -> Iterator[None]:
    """While the block runs, put each portal that is opened in another thread on that clock."""
    serving = clock, threading.get_ident()
    _serving.append(serving)
    try:
        with all_applied(_PATCHES):
            yield
    finally:
        _serving.remove(serving)


_serving: Final[list[tuple[VirtualClock, int]]] = []  # the clocks that are on, each with the thread of its test
_driven: Final[dict[Any, tuple[Driver, ExitStack]]] = {}  # by portal


def _entering(enter: Any) -> Any:
    @wraps(enter)
    async def open_portal(portal: Any) -> Any:
        if active_clock() is not None or not _serving:  # a portal of a loop that is on virtual time itself
            return await enter(portal)
        clock, outside = _serving[-1]

        def cancel_body() -> None:
            _driven[portal][0].spawn(portal.stop, True)  # cancels what runs, so that whoever waits outside is told

        with ExitStack() as undo:
            undo.enter_context(drive_running_loop(clock, cancel_body))
            undo.enter_context(running_here(clock))
            driver = clock.driver
            assert driver is not None
            driver.threads.serve(outside)
            await enter(portal)
            _driven[portal] = driver, undo.pop_all()
        return portal

    return open_portal


def _leaving(exit_: Any) -> Any:
    @wraps(exit_)
    async def close_portal(portal: Any, *exception: Any) -> Any:
        if portal not in _driven:
            return await exit_(portal, *exception)
        driver, undo = _driven[portal]
        driver.threads.serve(None)  # from now on, whoever is outside waits for the end
        with undo:
            try:
                return await exit_(portal, *exception)
            finally:
                del _driven[portal]

    return close_portal


def _starting_soon(start_task_soon: Any) -> Any:
    @wraps(start_task_soon)
    def start_soon(portal: Any, *args: Any, **kwargs: Any) -> Any:
        future = start_task_soon(portal, *args, **kwargs)
        if portal in _driven:
            _PortalFuture.become(future, _driven[portal][0])
        return future

    return start_soon


def _starting(start_task: Any) -> Any:
    @wraps(start_task)
    def start(portal: Any, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if portal in _driven:
            func = _parking(_driven[portal][0].threads, func)
        return start_task(portal, func, *args, **kwargs)

    return start


_PATCHES: Final = (
    SharedPatch(BlockingPortal, "__aenter__", _entering),
    SharedPatch(BlockingPortal, "__aexit__", _leaving),
    SharedPatch(BlockingPortal, "start_task_soon", _starting_soon),
    SharedPatch(BlockingPortal, "start_task", _starting),
)


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
