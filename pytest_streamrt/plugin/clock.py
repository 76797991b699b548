"""Puts the body of a test on virtual time, in place: whichever plugin runs the coroutine, the clock starts inside it."""

from __future__ import annotations

import functools
import inspect
import sys
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_streamrt.errors import ClockError, StreamrtWarning, VirtualTimeStuck
from pytest_streamrt.plugin.markers import marker_arguments
from pytest_streamrt.plugin.options import option
from pytest_streamrt.plugin.state import state_of

if TYPE_CHECKING:
    from pytest_streamrt.clock import ClockOptions, LeakWatch, VirtualClock

__all__ = ["body_on_virtual_time", "clock_for"]

_MARKS = ("virtual_time", "real_time")
_ARGUMENTS = ("real_io", "patch_time", "leaked_tasks", "max_virtual", "max_events")


def clock_for(item: pytest.Item) -> VirtualClock:
    """The clock that the test's body will run on, with the options of its marker."""
    state = state_of(item)
    if state.clock is None:
        if option(item.config, "streamrt_clock") == "real":
            pytest.skip("needs virtual time, and this run is on real time")
        from pytest_streamrt.clock import VirtualClock

        state.clock = VirtualClock(_options_of(item))
    return state.clock


@contextmanager
def body_on_virtual_time(item: pytest.Item) -> Iterator[None]:
    """While the test is called, have its function replaced by one that starts the clock first."""
    if not isinstance(item, pytest.Function) or not _is_wanted(item):
        with _backend_required(item):
            yield
        return
    clock = clock_for(item)
    if item.cls is not None and issubclass(item.cls, unittest.TestCase):
        # unittest calls the method itself, on a loop of its own, between setUp and tearDown: all of that is the body.
        try:
            with _on(item, clock):
                yield
        except (VirtualTimeStuck, ClockError) as error:
            failure = _failure(clock, error)
        else:
            return
        pytest.fail(failure, pytrace=False)
    function = item.obj
    settings = getattr(function, "hypothesis", None)
    if settings is not None:
        # hypothesis calls its inner test once for each example; each has a clock of its own. anyio leaves a wrapper
        # there, with the coroutine function on it.
        inner = settings.inner_test
        settings.inner_test = _on_virtual_time(item, getattr(inner, "_anyio_original_func", inner), None)
        try:
            yield
        finally:
            settings.inner_test = inner
        return
    item.obj = _on_virtual_time(item, function, clock)
    try:
        yield
    finally:
        item.obj = function


@contextmanager
def _backend_required(item: pytest.Item) -> Iterator[None]:
    """On real time, a test of ours must run on the library that it says, too."""
    ours = state_of(item).used or item.get_closest_marker("streamrt") is not None
    if not (
        isinstance(item, pytest.Function)
        and ours
        and "anyio_backend" in item.funcargs
        and inspect.iscoroutinefunction(item.obj)
    ):
        yield
        return
    function: Any = item.obj

    @functools.wraps(function)
    async def body(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        _require_backend(item)
        return await function(*args, **kwargs)

    item.obj = body
    try:
        yield
    finally:
        item.obj = function


def _is_wanted(item: pytest.Function) -> bool:
    which = option(item.config, "streamrt_clock")
    if which == "real":
        return False
    if state_of(item).clock is not None:
        return True
    marks = [(node, mark.name) for node, mark in item.iter_markers_with_node() if mark.name in _MARKS]
    closest = {name for node, name in marks if node is marks[0][0]}
    if len(closest) > 1:
        pytest.fail("this test is marked both virtual_time and real_time: choose one", pytrace=False)
    if closest:
        return "virtual_time" in closest
    return which == "virtual" and _is_async(item)


def _is_async(item: pytest.Function) -> bool:
    settings = getattr(item.obj, "hypothesis", None)
    function = item.obj if settings is None else settings.inner_test
    return inspect.iscoroutinefunction(getattr(function, "_anyio_original_func", function))


def _options_of(item: pytest.Item) -> ClockOptions:
    from pytest_streamrt.clock import ClockOptions

    defaults = ClockOptions()
    arguments = marker_arguments(item, "virtual_time", {name: getattr(defaults, name) for name in _ARGUMENTS})
    try:
        return replace(
            defaults,
            **arguments,
            watchdog=float(option(item.config, "streamrt_watchdog")),
            settle_time=float(option(item.config, "streamrt_settle_time")),
            spin_limit=int(float(option(item.config, "streamrt_spin_limit"))),
        )
    except ClockError as error:
        problem = str(error)
    pytest.fail(f"@pytest.mark.virtual_time: {problem}", pytrace=False)


def _on_virtual_time(item: pytest.Function, function: Callable[..., Any], clock: VirtualClock | None) -> Any:
    def next_clock() -> VirtualClock:
        from pytest_streamrt.clock import VirtualClock

        return clock if clock is not None else VirtualClock(clock_for(item).options)

    @functools.wraps(function)
    async def async_body(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        _require_backend(item)
        running = next_clock()
        try:
            with _on(item, running) as watch:
                result = await function(*args, **kwargs)
                await running.turn()  # what was cancelled last ends now
                _report_left(item, running, watch)
        except (VirtualTimeStuck, ClockError) as error:
            failure = _failure(running, error)
        else:
            return result
        pytest.fail(failure, pytrace=False)

    @functools.wraps(function)
    def sync_body(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        running = next_clock()
        try:
            with _on(item, running) as watch:
                result = function(*args, **kwargs)
                _report_left(item, running, watch)
        except (VirtualTimeStuck, ClockError) as error:
            failure = _failure(running, error)
        else:
            return result
        pytest.fail(failure, pytrace=False)

    return async_body if inspect.iscoroutinefunction(function) else sync_body


@contextmanager
def _on(item: pytest.Item, clock: VirtualClock) -> Iterator[LeakWatch]:
    """Run the block on that clock, watched for what it leaves behind."""
    from pytest_streamrt.clock import LeakWatch, virtual_time

    watch = LeakWatch()
    with virtual_time(clock=clock), watch.watching():
        yield watch
    if clock.racy_jumps:
        _warn(
            item,
            f"virtual time jumped {clock.racy_jumps} time(s) while a socket was open that might have had more to say: what "
            "came from there came at a random moment. Record the traffic in a cassette, or choose "
            '@pytest.mark.virtual_time(real_io="hold")',
        )


def _failure(clock: VirtualClock, error: VirtualTimeStuck | ClockError) -> str:
    """What the clock itself finds wrong, to fail the test with, without a traceback of our own."""
    if isinstance(error, ClockError) and clock.started:
        raise error  # it is the test's own
    return str(error)


def _report_left(item: pytest.Item, clock: VirtualClock, watch: LeakWatch) -> None:
    __tracebackhide__ = True
    policy = clock.options.leaked_tasks
    left = watch.left() if policy != "ignore" else []
    if not left:
        return
    from pytest_streamrt.clock import report_left

    message = report_left(left)
    if policy == "fail":
        pytest.fail(message, pytrace=False)
    _warn(item, message)


def _warn(item: pytest.Item, message: str) -> None:
    __tracebackhide__ = True
    item.warn(StreamrtWarning(message))


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
