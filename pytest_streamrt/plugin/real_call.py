"""Finds in what a test raised that the app under test has called a provider for real, and says what would answer instead."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

__all__ = ["real_call_in"]

_LIBRARIES: Final = ("httpx", "httpx2")
_UNCONNECTED: Final = ("ConnectError", "ConnectTimeout")
_LONGEST: Final = 400  # characters of an error's own words
_APP: Final = "pytest_streamrt.edge.cycle"  # the module that runs the app


def real_call_in(error: BaseException) -> str | None:
    """What is to be said instead of the insides of an SDK and its HTTP client, if the app's call of a provider failed.

    For tests in which nothing stands in for the provider.
    """
    chain = list(_chain(error))
    raised = next((each for each in chain if _came_through(each.__traceback__)), None)
    if raised is None:
        return None
    from pytest_streamrt.clock.tasks import where_raised
    from pytest_streamrt.providers import detect

    for each in chain:
        request = _request_of(each)
        if request is None:
            continue
        url = str(request.url.copy_with(query=None, fragment=None, username=None, password=None))  # they may hold a key
        unconnected = [e for e in chain if type(e).__name__ in _UNCONNECTED and _package(e) in _LIBRARIES]
        if unconnected or detect(request.method, url) is not None:
            what = dict.fromkeys(f"{type(e).__name__}: {str(e)[:_LONGEST]}" for e in (each, *unconnected))
            return (
                f"the app asked a real server, and failed: {request.method} {url}\n"
                f"{' - '.join(what)}\n"
                f"The call was made at {where_raised(raised)}\n"
                "Nothing in this test answers for the provider. Give it the fixture fake_provider, and a script: "
                "fake_provider.enqueue(script(…)); or a cassette: @pytest.mark.streamrt, recorded with "
                "pytest --streamrt-record=once"
            )
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what led to it, and what is in it if it is a group."""
    seen: set[int] = set()
    left = [error]
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        left += [each.__context__, each.__cause__, *(each.exceptions if isinstance(each, BaseExceptionGroup) else ())]


def _came_through(found: TracebackType | None) -> bool:
    """Whether the app raised it."""
    return any(frame.f_globals.get("__name__") == _APP for frame, _ in traceback.walk_tb(found))


def _package(error: object) -> str:
    return type(error).__module__.partition(".")[0]


def _request_of(error: BaseException) -> Any:
    """The HTTP request that it is about, as of errors of httpx, and of the SDKs over it."""
    try:
        request = getattr(error, "request", None)
    except RuntimeError:  # httpx's, where none was set
        return None
    return request if _package(request) in _LIBRARIES else None
