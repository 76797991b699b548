"""Has a test's function replaced, while the test is called, by one that does what the test asks for around it."""

from __future__ import annotations

import functools
import inspect
import sys
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_streamrt.errors import CassetteMiss, ClockError, VirtualTimeStuck
from pytest_streamrt.plugin.clock import clock_for, clock_runs, failure_of, is_on_virtual_time, on_virtual_time
from pytest_streamrt.plugin.state import state_of

__all__ = ["prepared_body"]


@contextmanager
def prepared_body(item: pytest.Item) -> Iterator[None]:
    """For the length of the block, the test's function does what its markers and fixtures ask for."""
    if not isinstance(item, pytest.Function):
        yield
        return
    virtual = is_on_virtual_time(item)
    if item.cls is not None and issubclass(item.cls, unittest.TestCase):
        with _unittest_on_virtual_time(item) if virtual else _as_it_is():
            yield
        return
    owner, name = item, "obj"
    settings = getattr(item.obj, "hypothesis", None)
    if settings is not None:  # hypothesis calls its inner test once for each example
        owner, name = settings, "inner_test"
    original = getattr(owner, name)
    # anyio leaves a wrapper on what hypothesis calls, with the coroutine function on it.
    function = getattr(original, "_anyio_original_func", original)
    if virtual:
        clock = clock_for(item)
        function = on_virtual_time(item, function, clock if settings is None else None)
    state = state_of(item)
    if "anyio_backend" in item.funcargs and inspect.iscoroutinefunction(function) and state.used:
        function = _on_own_backend(item, function)
    if state.cassette is not None:
        function = _misses_reported(function)
    if function is getattr(original, "_anyio_original_func", original):
        yield
        return
    setattr(owner, name, function)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


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
        backend: Any = item.funcargs["anyio_backend"]
        expected = backend if isinstance(backend, str) else backend[0]
        trio = sys.modules.get("trio")
        running = "trio" if trio is not None and trio.lowlevel.in_trio_run() else "asyncio"
        if running != expected:
            msg = (
                f"this test has anyio_backend={expected!r}, and it runs on {running}: pytest-asyncio's auto mode has taken "
                'it over. Set asyncio_mode = "strict", or take the anyio marker off this test'
            )
            pytest.fail(msg, pytrace=False)
        return await function(*args, **kwargs)

    return body


def _misses_reported(function: Callable[..., Any]) -> Any:
    """A request without a recording fails the test with what is to be said about it, and not with the SDK's insides.

    It must not get out as what it is, either: anyio's runner does not survive it, and with it the tests that come after.
    """

    @functools.wraps(function)
    async def async_body(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            return await function(*args, **kwargs)
        except (CassetteMiss, BaseExceptionGroup) as error:
            miss = _miss_in(error)
            if miss is None:
                raise
            message = str(miss)
        pytest.fail(message, pytrace=False)

    @functools.wraps(function)
    def sync_body(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            return function(*args, **kwargs)
        except (CassetteMiss, BaseExceptionGroup) as error:
            miss = _miss_in(error)
            if miss is None:
                raise
            message = str(miss)
        pytest.fail(message, pytrace=False)

    return async_body if inspect.iscoroutinefunction(function) else sync_body


def _miss_in(error: BaseException) -> CassetteMiss | None:
    if isinstance(error, CassetteMiss):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((miss for each in error.exceptions if (miss := _miss_in(each)) is not None), None)
    return None
