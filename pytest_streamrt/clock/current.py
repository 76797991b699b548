"""Which clock is running here: the virtual one of this thread, or the real one. Everything that waits asks this file."""

from __future__ import annotations

import threading
import time
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from pytest_streamrt.clock.timeline import NS, VirtualClock

__all__ = ["active_clock", "now_ns", "sleep_until", "turn"]

# Bound here, so that a patched `time` module does not reach the real clock.
_real_ns: Final = time.monotonic_ns

_running: Final[dict[int, VirtualClock]] = {}  # by thread: a loop runs in one thread, and so does its clock


def active_clock() -> VirtualClock | None:
    """The virtual clock that runs in this thread, if one does."""
    return _running.get(threading.get_ident())


def set_active(clock: VirtualClock | None) -> None:
    """For `virtual_time`: from now on this thread's clock is this one, or the real one."""
    if clock is None:
        _running.pop(threading.get_ident(), None)
    else:
        _running[threading.get_ident()] = clock


def now_ns() -> int:
    """Nanoseconds on the clock that runs here. Only differences mean anything."""
    clock = active_clock()
    return clock.ns if clock is not None else _real_ns()


async def sleep_until(ns: int) -> None:
    """Sleep until `now_ns()` is at least that; do not wait at all if it is already."""
    delay = ns - now_ns()
    if delay > 0:
        await anyio.sleep(delay / NS)


async def turn() -> None:
    """Before the next delta of a stream: on virtual time wait for a turn, on real time let others run once."""
    clock = active_clock()
    if clock is None:
        await checkpoint()
    else:
        await clock.turn()
