"""Which tests run on virtual time, with which options, and what they then leave behind.

The clock starts inside the test's own function, so it does not matter which plugin runs that.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_streamrt.errors import ClockError, StreamrtWarning, VirtualTimeStuck
from pytest_streamrt.plugin.function import place_of_function
from pytest_streamrt.plugin.markers import marker_arguments, marker_of
from pytest_streamrt.plugin.options import option
from pytest_streamrt.plugin.state import state_of
from pytest_streamrt.wording import counted

if TYPE_CHECKING:
    from pytest_streamrt.clock import ClockOptions, LeakWatch, VirtualClock

__all__ = ["clock_for", "clock_runs", "failure_of", "is_on_virtual_time", "on_virtual_time"]

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


def is_on_virtual_time(item: pytest.Function) -> bool:
    """Whether the test's body is to run on virtual time."""
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
    return which == "virtual" and inspect.iscoroutinefunction(place_of_function(item).function)


def _options_of(item: pytest.Item) -> ClockOptions:
    from pytest_streamrt.clock import ClockOptions

    defaults = ClockOptions()
    arguments = marker_arguments(item, "virtual_time", {name: getattr(defaults, name) for name in _ARGUMENTS})
    arguments |= {
        "watchdog": float(option(item.config, "streamrt_watchdog")),
        "settle_time": float(option(item.config, "streamrt_settle_time")),
        "spin_limit": max(int(float(option(item.config, "streamrt_spin_limit"))), 1),
    }
    try:
        return replace(defaults, **arguments)
    except ClockError as error:
        problem = str(error).removeprefix("virtual_time: ")
    pytest.fail(f"{marker_of(item, 'virtual_time')}: {problem}", pytrace=False)


def on_virtual_time(item: pytest.Item, function: Callable[..., Any], clock: VirtualClock | None) -> Any:
    """A function that runs that one on virtual time; without a clock, on a new one each time it is called."""

    def next_clock() -> VirtualClock:
        from pytest_streamrt.clock import VirtualClock

        return clock if clock is not None else VirtualClock(clock_for(item).options)

    @functools.wraps(function)
    async def async_body(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        running = next_clock()
        try:
            with clock_runs(item, running) as watch:
                result = await function(*args, **kwargs)
                await running.turn()  # what was cancelled last ends now
                _report_left(item, running, watch)
        except (VirtualTimeStuck, ClockError) as error:
            failure = failure_of(running, error)
        else:
            return result
        pytest.fail(failure, pytrace=False)

    @functools.wraps(function)
    def sync_body(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        running = next_clock()
        try:
            with clock_runs(item, running) as watch:
                result = function(*args, **kwargs)
                _report_left(item, running, watch)
        except (VirtualTimeStuck, ClockError) as error:
            failure = failure_of(running, error)
        else:
            return result
        pytest.fail(failure, pytrace=False)

    return async_body if inspect.iscoroutinefunction(function) else sync_body


@contextmanager
def clock_runs(item: pytest.Item, clock: VirtualClock) -> Iterator[LeakWatch]:
    """Run the block on that clock, watched for what it leaves behind."""
    from pytest_streamrt.clock import LeakWatch, virtual_time

    watch = LeakWatch()
    with virtual_time(clock=clock), watch.watching():
        yield watch
    if clock.racy_jumps:
        _warn(
            item,
            f"virtual time jumped {counted(clock.racy_jumps, 'time')} while a socket was open that might have had more to say: what "
            "came from there came at a random moment. Record the traffic in a cassette, or choose "
            '@pytest.mark.virtual_time(real_io="hold")',
        )


def failure_of(clock: VirtualClock, error: VirtualTimeStuck | ClockError) -> str:
    """What the clock itself finds wrong, to fail the test with, without a traceback of our own."""
    __tracebackhide__ = True
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
