"""Which clock is running here: the virtual one of this thread, or the real one. Everything that waits asks this file."""

from __future__ import annotations

import asyncio
import sys
import time
import types
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import get_ident
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from pytest_streamrt.clock.timeline import NS, VirtualClock

__all__ = [
    "active_clock",
    "asyncio_loop_here",
    "calls_from_threads",
    "in_trio",
    "is_clock_thread",
    "lent",
    "now_ns",
    "real_ns",
    "running_clocks",
    "running_here",
    "sleep_blocking_until",
    "sleep_until",
    "turn",
]

# Bound here, so that a patched `time` module does not reach the real clock.
real_ns: Final = time.monotonic_ns
"""The real `time.monotonic_ns`, also while time is virtual."""
_real_sleep: Final = time.sleep

running_clocks: Final[dict[int, VirtualClock]] = {}
"""By thread: a loop runs in one thread, and so does its clock. Where it is empty, time is real everywhere; not to be written to."""


# A worker thread has the clock of whoever sent it to work; it comes with the context that the work is done in.
_lent: Final[ContextVar[VirtualClock | None]] = ContextVar("streamrt_clock", default=None)


def active_clock() -> VirtualClock | None:
    """The virtual clock that runs in this thread, or in the one that sent this worker thread to work, if one does."""
    if not running_clocks:  # as in production, where this is asked for each event
        return None
    clock = running_clocks.get(get_ident()) or _lent.get()
    return clock if clock is not None and clock.running else None


@contextmanager
def lent(clock: VirtualClock) -> Iterator[None]:
    """In this block, and in the worker threads that it sends to work, that clock is the one that runs."""
    token = _lent.set(clock)
    try:
        yield
    finally:
        _lent.reset(token)


@contextmanager
def running_here(clock: VirtualClock) -> Iterator[None]:
    """For the length of the block, this thread's clock is that one."""
    here = get_ident()
    before = running_clocks.get(here)
    running_clocks[here] = clock
    try:
        yield
    finally:
        if before is None:
            del running_clocks[here]
        else:
            running_clocks[here] = before


def is_clock_thread() -> bool:
    """Whether a virtual clock runs in this thread itself, and not in the one that sent it to work."""
    return get_ident() in running_clocks


def asyncio_loop_here() -> asyncio.AbstractEventLoop | None:
    """The asyncio loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def in_trio() -> bool:
    """Whether the code that asks runs in a trio run. Does not import trio where nobody has."""
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


def calls_from_threads() -> Callable[..., object]:
    """For other threads: a function that has the loop that runs here call a function soon, with its arguments."""
    if in_trio():
        run_sync_soon: Callable[..., object] = sys.modules["trio"].lowlevel.current_trio_token().run_sync_soon
        return run_sync_soon
    return asyncio.get_running_loop().call_soon_threadsafe


def now_ns() -> int:
    """Nanoseconds on the clock that runs here. Only differences mean anything."""
    clock = active_clock()
    return clock.ns if clock is not None else real_ns()


async def sleep_until(ns: int) -> None:
    """Sleep until `now_ns()` is at least that; do not wait at all if it is already."""
    delay = ns - now_ns()
    if delay > 0:
        await anyio.sleep(delay / NS)


def sleep_blocking_until(ns: int) -> None:
    """Block this thread until `now_ns()` is at least that."""
    delay = ns - now_ns()
    if delay > 0:
        clock = active_clock()
        if clock is None:
            _real_sleep(delay / NS)
        else:
            clock.sleep(delay / NS)


@types.coroutine
def _let_others_run() -> Generator[None, None, None]:
    yield


async def turn() -> None:
    """Before the next delta of a stream: on virtual time wait for a turn, on real time let others run once."""
    clock = active_clock()
    if clock is None:
        if in_trio():
            await checkpoint()
        else:
            await _let_others_run()  # which is what a checkpoint is there, without asking again which library runs
    else:
        await clock.turn()
