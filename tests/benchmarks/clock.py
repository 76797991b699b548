"""The clock: an hour of fifty deltas a second on virtual time, against the same loop with ``sleep(0)``. Peers likewise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import trio
from trio.testing import MockClock

from pytest_streamrt import virtual_time
from tests.benchmarks.table import Row, paired

SLEEPS = 180_000
EVERY = 0.020  # seconds
RUNS = 3
BUDGET = 3

Sleep = Callable[[float], Awaitable[None]]


async def loop(sleep: Sleep, seconds: float) -> float:
    """Milliseconds of processor time that so many sleeps take."""
    began = real()
    for _ in range(SLEEPS):
        await sleep(seconds)
    return (real() - began) * 1e3


real = time.process_time  # which virtual time leaves alone, and other programs do not disturb


async def virtual(library: Any) -> float:
    """The same on our clock, with that library's `sleep`; an hour passes."""
    with virtual_time(max_events=SLEEPS + 1) as clock:
        took = await loop(library.sleep, EVERY)  # looked up as a user's code does: when it is called
        assert clock.ns == round(SLEEPS * EVERY * 1e9)
        return took


def looptimes_hour() -> float:
    """The same on looptime's loop."""
    import looptime

    event_loop = looptime.new_event_loop(start=0)
    try:
        return event_loop.run_until_complete(loop(asyncio.sleep, EVERY))
    finally:
        event_loop.close()


def rows() -> Iterable[Row]:
    """Both backends, then the peer of each."""
    hour = "a virtual hour, 50 deltas a second"
    ours, theirs = paired(lambda: asyncio.run(virtual(asyncio)), lambda: asyncio.run(loop(asyncio.sleep, 0)), RUNS)
    yield Row(f"{hour}, asyncio", "sleep(0)", ours, theirs, at_most=BUDGET)
    try:
        peer, theirs = paired(looptimes_hour, lambda: asyncio.run(loop(asyncio.sleep, 0)), 1)
        yield Row(f"{hour}, looptime", "sleep(0)", peer, theirs)
    except ModuleNotFoundError:
        yield Row(f"{hour}, looptime", note="not installed")
    ours, theirs = paired(lambda: trio.run(virtual, trio), lambda: trio.run(loop, trio.sleep, 0), RUNS)
    yield Row(f"{hour}, trio", "sleep(0)", ours, theirs, at_most=BUDGET)
    peer, theirs = paired(
        lambda: trio.run(loop, trio.sleep, EVERY, clock=MockClock(autojump_threshold=0)),
        lambda: trio.run(loop, trio.sleep, 0),
        1,
    )
    yield Row(f"{hour}, trio's MockClock", "sleep(0)", peer, theirs)
