"""Where the project stands between an HTTP client and the network: the real transports of httpx and httpx2.

Both libraries end in ``HTTPTransport.handle_request`` and ``AsyncHTTPTransport.handle_async_request``. Patched there, any
client in the test is seen, however it was made, also under transports that wrap these; ASGI, WSGI and mock transports
never come here and are left alone.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from types import ModuleType
from typing import Any, Final, Protocol

from pytest_streamrt.cassette.guard import leaving
from pytest_streamrt.cassette.pool import transport_closes
from pytest_streamrt.cassette.telemetry import flush_telemetry, is_telemetry

__all__ = ["Interceptor", "intercept", "passing"]

__tracebackhide__ = True  # what is raised through here is as if a real transport stood here

LIBRARIES: Final = ("httpx", "httpx2")
_SYNC_ENDS: Final = ("close", "__exit__")
_ASYNC_ENDS: Final = ("aclose", "__aexit__")

Transport = Any
Request = Any
Response = Any
"""Of httpx or httpx2; which it is, is known only at run time."""


class Interceptor(Protocol):
    """Somebody who answers requests instead of the network, or passes them on and watches."""

    def handle(
        self, library: ModuleType, transport: Transport, request: Request, forward: Callable[[], Response]
    ) -> Response:
        """Answer a request that a sync client makes through that transport; `forward()` passes it on."""
        ...

    async def handle_async(
        self, library: ModuleType, transport: Transport, request: Request, forward: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Answer a request that an async client makes through that transport; ``await forward()`` passes it on."""
        ...


_interceptors: list[Interceptor] = []
_originals: list[tuple[type, str, Any]] = []
_passed: Final[ContextVar[tuple[Interceptor, ...]]] = ContextVar("streamrt_passed", default=())


@contextmanager
def intercept(interceptor: Interceptor) -> Iterator[None]:
    """Have every request answered by that interceptor while the block runs.

    The innermost has the first word; what it forwards goes to the next one out, and from the outermost to the network.
    What SDKs report about themselves comes to none of them, and goes nowhere.
    """
    if not _interceptors:
        _patch()
    _interceptors.append(interceptor)
    try:
        yield
    finally:
        if len(_interceptors) == 1:
            flush_telemetry()
        _interceptors.remove(interceptor)
        if not _interceptors:
            _unpatch()


@contextmanager
def passing(interceptor: Interceptor) -> Iterator[None]:
    """What the block asks of the network has been with that interceptor already, and does not come to it again."""
    token = _passed.set((*_passed.get(), interceptor))
    try:
        yield
    finally:
        _passed.reset(token)


def _patch() -> None:
    for name in LIBRARIES:
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            continue
        library = import_module(name)
        _replace(library.HTTPTransport, "handle_request", _sync_handler(library))
        _replace(library.AsyncHTTPTransport, "handle_async_request", _async_handler(library))
        for kind, names in ((library.HTTPTransport, _SYNC_ENDS), (library.AsyncHTTPTransport, _ASYNC_ENDS)):
            for end in names:
                _replace(kind, end, _telling_of_the_end)


def _replace(owner: type, name: str, make: Callable[[Any], Any]) -> None:
    original = getattr(owner, name)
    _originals.append((owner, name, original))
    setattr(owner, name, make(original))


def _unpatch() -> None:
    while _originals:
        owner, name, original = _originals.pop()
        setattr(owner, name, original)


def _telling_of_the_end(original: Any) -> Any:
    """A client's closing closes the connections of its transport; answers that are played are on none that it knows of."""

    @functools.wraps(original)
    def end(self: Any, *args: Any) -> Any:
        transport_closes(self)
        return original(self, *args)

    return end


def _sync_handler(library: ModuleType) -> Callable[[Any], Any]:
    def make(original: Any) -> Any:
        def handle_request(self: Any, request: Request) -> Response:
            if is_telemetry(request):
                return library.Response(204, request=request)
            passed = _passed.get()

            def answer(depth: int) -> Response:
                if depth == 0:
                    with leaving():
                        return original(self, request)
                if _interceptors[depth - 1] in passed:
                    return answer(depth - 1)
                return _interceptors[depth - 1].handle(library, self, request, lambda: answer(depth - 1))

            return answer(len(_interceptors))

        return handle_request

    return make


def _async_handler(library: ModuleType) -> Callable[[Any], Any]:
    def make(original: Any) -> Any:
        async def handle_async_request(self: Any, request: Request) -> Response:
            if is_telemetry(request):
                return library.Response(204, request=request)
            passed = _passed.get()

            async def answer(depth: int) -> Response:
                if depth == 0:
                    with leaving():
                        return await original(self, request)
                if _interceptors[depth - 1] in passed:
                    return await answer(depth - 1)
                return await _interceptors[depth - 1].handle_async(library, self, request, lambda: answer(depth - 1))

            return await answer(len(_interceptors))

        return handle_async_request

    return make
