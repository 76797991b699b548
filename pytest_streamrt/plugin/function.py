"""A test's own function: where it lies under what its runner has made of it, and how it fails without a traceback of ours."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import pytest

__all__ = ["Place", "failing_plainly", "place_of_function", "plainly"]

T = TypeVar("T")


class Place(NamedTuple):
    """Where a test's function is kept, so that another can be put there.

    Attributes:
        owner: whose attribute it is: the item's, or hypothesis's, which calls its inner test once for each example.
        name: the attribute.
        found: what is there.
        function: the function itself, which may be within what is there.
        examples: whether it is called for each example.
    """

    owner: Any
    name: str
    found: Any
    function: Any
    examples: bool


def place_of_function(item: pytest.Function) -> Place:
    """Where the function of that test is."""
    settings = getattr(item.obj, "hypothesis", None)
    owner, name = (item, "obj") if settings is None else (settings, "inner_test")
    found = getattr(owner, name)
    # anyio leaves a wrapper on what hypothesis calls, with the coroutine function on it.
    return Place(owner, name, found, getattr(found, "_anyio_original_func", found), settings is not None)


def plainly(do: Callable[[], T], kind: type[Exception], before: str = "") -> T:
    """Do that; an error of that kind fails the test with its message alone, after what is to stand before it."""
    try:
        return do()
    except kind as error:
        problem = f"{before}{error}"
    pytest.fail(problem, pytrace=False)


def failing_plainly(function: Callable[..., Any], message_of: Callable[[BaseException], str | None]) -> Any:
    """A function that does the same; an error that has a message fails the test with that alone, others go on."""

    @functools.wraps(function)
    async def async_body(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            return await function(*args, **kwargs)
        except BaseException as error:
            message = message_of(error)
            if message is None:
                raise
            place = _place_of(error)
        raise pytest.fail.Exception(message, pytrace=False).with_traceback(place)

    @functools.wraps(function)
    def sync_body(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            message = message_of(error)
            if message is None:
                raise
            place = _place_of(error)
        raise pytest.fail.Exception(message, pytrace=False).with_traceback(place)

    return async_body if inspect.iscoroutinefunction(function) else sync_body


def _place_of(error: BaseException) -> TracebackType | None:
    """Where to say that the test has failed, and where a debugger is to begin: at the test's own line."""
    from pytest_streamrt.clock.tasks import cut_to_own_line

    return cut_to_own_line(error)
