"""`virtual_time()`: switches virtual time on, for the loop that runs here or for the sync code that is here, and off again."""

from __future__ import annotations

import asyncio
import importlib.util
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, wraps
from typing import Any, Final

import anyio

from pytest_streamrt.clock.asyncio_driver import SHUTDOWN, drive_asyncio
from pytest_streamrt.clock.current import active_clock, asyncio_loop_here, in_trio, is_clock_thread, lent, running_here
from pytest_streamrt.clock.patching import SharedPatch
from pytest_streamrt.clock.portal import drive_running_loop, portals_on
from pytest_streamrt.clock.timeline import ClockOptions, RealIO, VirtualClock
from pytest_streamrt.clock.user_time import patched_time
from pytest_streamrt.errors import ClockError

__all__ = ["virtual_time"]

_SEED: Final = 0


@contextmanager
def virtual_time(
    *,
    real_io: RealIO = ClockOptions.real_io,
    patch_time: bool = ClockOptions.patch_time,
    max_virtual: float = ClockOptions.max_virtual,
    max_events: int = ClockOptions.max_events,
    clock: VirtualClock | None = None,
) -> Iterator[VirtualClock]:
    """Run the block, and all else on this event loop, on virtual time. A plain ``with``, in async code or sync.

    Sleeps and timeouts take no real time: when nothing is left to do, the clock jumps to what is due next. In sync code,
    `time.sleep` moves the clock, and the loops that are run within the block follow it.

    The global random numbers begin anew in the block, and go on afterwards where they were: so the jitter of a retry is the
    same in each run.

    Args:
        real_io: what to do before a jump while a socket is open that is not ours: "settle", "hold" or "error".
        patch_time: whether `time.time`, `monotonic`, `perf_counter`, `sleep` and their ``_ns`` twins are virtual too.
        max_virtual: seconds of virtual time after which the block counts as stuck.
        max_events: how often the clock may jump without progress before the block counts as stuck.
        clock: the clock to run, with its own options, instead of a new one.

    Raises:
        VirtualTimeStuck: the block cannot go on (deadlock), or does not get on (livelock, bounds).
        ClockError: the loop cannot be driven, an option is wrong, or virtual time is on already.
    """
    __tracebackhide__ = True
    if active_clock() is not None:
        msg = "virtual_time(): virtual time is on already; use the clock that runs, through the fixture virtual_clock"
        raise ClockError(msg)
    if not isinstance(clock, VirtualClock | None):
        msg = f"virtual_time(clock=…): it is a VirtualClock, not {clock!r}"
        raise ClockError(msg)
    if clock is None:
        clock = VirtualClock(
            ClockOptions(real_io=real_io, patch_time=patch_time, max_virtual=max_virtual, max_events=max_events)
        )
    drive = _drive_this_loop if _a_loop_runs_here() else _drive_loops_to_come
    try:
        with ExitStack() as stack:
            stack.enter_context(_seeded_random())
            stack.enter_context(drive(clock))
            yield clock
    finally:
        if clock.failure is not None:
            raise clock.failure from None  # how the body took its cancellation is of no interest


def _a_loop_runs_here() -> bool:
    return in_trio() or asyncio_loop_here() is not None


@contextmanager
def _drive_this_loop(clock: VirtualClock) -> Iterator[None]:
    scope = anyio.CancelScope()
    with drive_running_loop(clock, scope.cancel), _switched_on(clock), scope:
        yield


@contextmanager
def _drive_loops_to_come(clock: VirtualClock) -> Iterator[None]:
    """In sync code: have the loops that are run in this thread follow the clock, each while it runs."""
    with ExitStack() as stack:
        stack.enter_context(_RUN_FOREVER.applied())
        stack.enter_context(SHUTDOWN.applied())
        if importlib.util.find_spec("trio") is not None:
            stack.enter_context(_trio_run().applied())
        stack.enter_context(_switched_on(clock))
        yield


def _asyncio_on_the_clock(run_forever: Any) -> Any:
    @wraps(run_forever)
    def run_driven(loop: asyncio.AbstractEventLoop) -> None:
        __tracebackhide__ = True
        clock = active_clock() if is_clock_thread() else None
        if clock is None:
            run_forever(loop)
            return

        def cancel_all() -> None:
            for task in asyncio.all_tasks(loop):
                task.cancel()

        failed_before = clock.failure
        with drive_asyncio(clock, loop, cancel_all):
            run_forever(loop)
        if clock.failure is not None and clock.failure is not failed_before:
            raise clock.failure  # and not that its tasks were cancelled

    return run_driven


_RUN_FOREVER: Final = SharedPatch(asyncio.BaseEventLoop, "run_forever", _asyncio_on_the_clock)


@cache
def _trio_run() -> SharedPatch:
    import trio

    def on_the_clock(run: Any) -> Any:
        @wraps(run)
        def run_driven(main: Callable[..., Any], *args: Any, **options: Any) -> Any:
            clock = active_clock() if is_clock_thread() else None
            if clock is None:
                return run(main, *args, **options)

            @wraps(main)
            async def driven(*arguments: Any) -> Any:
                scope = trio.CancelScope()
                with drive_running_loop(clock, scope.cancel), scope:
                    return await main(*arguments)

            return run(driven, *args, **options)

        return run_driven

    return SharedPatch(trio, "run", on_the_clock)


@contextmanager
def _switched_on(clock: VirtualClock) -> Iterator[None]:
    """What async and sync code have in common."""
    clock.started = clock.running = True
    try:
        with running_here(clock), lent(clock), portals_on(clock), patched_time(clock):
            yield
    finally:
        clock.running = False


@contextmanager
def _seeded_random() -> Iterator[None]:
    state = random.getstate()
    random.seed(_SEED)
    try:
        yield
    finally:
        random.setstate(state)
