"""Has a test's function replaced, while the test is called, by one that does what the test asks for around it."""

from __future__ import annotations

import functools
import inspect
import unittest
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest

from pytest_streamrt.errors import ClockError, Unanswered, VirtualTimeStuck
from pytest_streamrt.plugin.clock import clock_for, clock_runs, failure_of, is_on_virtual_time, on_virtual_time
from pytest_streamrt.plugin.function import failing_plainly, place_of_function
from pytest_streamrt.plugin.real_call import real_call_in
from pytest_streamrt.plugin.state import state_of

__all__ = ["prepared_body"]


@contextmanager
def prepared_body(item: pytest.Item) -> Iterator[None]:
    """For the length of the block, the test's function does what its markers and fixtures ask for."""
    if not isinstance(item, pytest.Function):
        yield
        return
    virtual = is_on_virtual_time(item)
    place = place_of_function(item)
    function = place.function
    around: AbstractContextManager[None] = nullcontext()
    if virtual and item.cls is not None and issubclass(item.cls, unittest.TestCase):
        around = _unittest_on_virtual_time(item)
    elif virtual:
        clock = clock_for(item)
        function = on_virtual_time(item, function, None if place.examples else clock)
    state = state_of(item)
    if "anyio_backend" in item.funcargs and inspect.iscoroutinefunction(function) and state.used:
        function = _on_own_backend(item, function)
    if state.guard is not None or state.cassette is not None or state.provider is not None:
        # A miss must not get out as what it is: anyio's runner does not survive it, and with it the tests that come after.
        function = failing_plainly(function, _miss_in)
    elif state.has_app:
        function = failing_plainly(function, real_call_in)
    with around:
        if function is place.function:
            yield
            return
        setattr(place.owner, place.name, function)
        try:
            yield
        finally:
            setattr(place.owner, place.name, place.found)


@contextmanager
def _unittest_on_virtual_time(item: pytest.Item) -> Iterator[None]:
    """Unittest calls the method itself, on a loop of its own, between setUp and tearDown: all of that is the body."""
    clock = clock_for(item)
    try:
        with clock_runs(item, clock):
            yield
    except (VirtualTimeStuck, ClockError) as error:
        failure = failure_of(clock, error)
    else:
        return
    pytest.fail(failure, pytrace=False)


def _on_own_backend(item: pytest.Function, function: Callable[..., Any]) -> Any:
    """A test that says it runs on trio and does not would be green for nothing."""

    @functools.wraps(function)
    async def body(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        from pytest_streamrt.clock.current import in_trio

        backend: Any = item.funcargs["anyio_backend"]
        expected = backend if isinstance(backend, str) else backend[0]
        running = "trio" if in_trio() else "asyncio"
        if running != expected:
            msg = (
                f"this test has anyio_backend={expected!r}, and it runs on {running}: pytest-asyncio's auto mode has taken "
                'it over. Take the anyio marker off this test; or set asyncio_mode = "strict"; or leave trio out, by a fixture '
                'anyio_backend in conftest.py that returns "asyncio"'
            )
            pytest.fail(msg, pytrace=False)
        return await function(*args, **kwargs)

    return body


def _miss_in(error: BaseException) -> str | None:
    """What is to be said about a request without a recording or a script, rather than the SDK's insides."""
    if isinstance(error, Unanswered):
        return str(error)
    if isinstance(error, BaseExceptionGroup):
        return next((miss for each in error.exceptions if (miss := _miss_in(each)) is not None), None)
    return None
