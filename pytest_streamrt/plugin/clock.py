"""Puts the body of a test on virtual time, in place: whichever plugin runs the coroutine, the clock starts inside it."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_streamrt.plugin.markers import marker_arguments
from pytest_streamrt.plugin.state import state_of

if TYPE_CHECKING:
    from pytest_streamrt.clock import VirtualClock

__all__ = ["body_on_virtual_time", "clock_for"]

_DEFAULTS = {"max_virtual": 86_400.0, "max_events": 100_000}


def clock_for(item: pytest.Item) -> VirtualClock:
    """The clock that the test's body will run on, with the options of its marker."""
    state = state_of(item)
    if state.clock is None:
        from pytest_streamrt.clock import ClockOptions, VirtualClock

        arguments = marker_arguments(item, "virtual_time", _DEFAULTS)
        state.clock = VirtualClock(ClockOptions(**arguments))
    return state.clock


@contextmanager
def body_on_virtual_time(item: pytest.Item) -> Iterator[None]:
    """While the test is called, have its function replaced by one that starts the clock first."""
    wanted = item.get_closest_marker("virtual_time") is not None or state_of(item).clock is not None
    if not wanted or not isinstance(item, pytest.Function):
        yield
        return
    clock = clock_for(item)
    function = item.obj
    settings = getattr(function, "hypothesis", None)
    if settings is not None:
        # hypothesis calls its inner test once for each example; each has a clock of its own. anyio leaves a wrapper
        # there, with the coroutine function on it.
        inner = settings.inner_test
        original = getattr(inner, "_anyio_original_func", inner)
        _require_async(original)
        settings.inner_test = _on_virtual_time(item, original, None)
        try:
            yield
        finally:
            settings.inner_test = inner
        return
    _require_async(function)
    item.obj = _on_virtual_time(item, function, clock)
    try:
        yield
    finally:
        item.obj = function


def _on_virtual_time(item: pytest.Function, function: Callable[..., Any], clock: VirtualClock | None) -> Any:
    from pytest_streamrt.clock import VirtualClock, virtual_time
    from pytest_streamrt.errors import ClockError, VirtualTimeStuck

    @functools.wraps(function)
    async def on_virtual_time(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        _require_backend(item)
        running = clock if clock is not None else VirtualClock(clock_for(item).options)
        try:
            with virtual_time(clock=running):
                return await function(*args, **kwargs)
        except VirtualTimeStuck as error:
            failure = str(error)
        except ClockError as error:
            if running.started:
                raise  # it is the test's own
            failure = str(error)
        pytest.fail(failure, pytrace=False)

    return on_virtual_time


def _require_async(function: Callable[..., Any]) -> None:
    if not inspect.iscoroutinefunction(function):
        msg = (
            f"virtual_time: {getattr(function, '__qualname__', function)} is not an async function, and virtual time "
            "drives an event loop. Make it async, or take the marker off"
        )
        pytest.fail(msg, pytrace=False)


def _require_backend(item: pytest.Function) -> None:
    """A test that says it runs on trio and does not would be green for nothing."""
    backend: Any = item.funcargs.get("anyio_backend")
    if backend is None:
        return
    expected = backend if isinstance(backend, str) else backend[0]
    trio = sys.modules.get("trio")
    running = "trio" if trio is not None and trio.lowlevel.in_trio_run() else "asyncio"
    if running != expected:
        msg = (
            f"this test has anyio_backend={expected!r}, and it runs on {running}: pytest-asyncio's auto mode has taken it "
            'over. Set asyncio_mode = "strict", or take the anyio marker off this test'
        )
        pytest.fail(msg, pytrace=False)
