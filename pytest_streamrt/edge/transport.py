"""A transport that runs an ASGI application in process and streams: bytes reach the client when the app sends them.

The transports of httpx and httpx2 of that purpose collect the whole response first. What this one does is what uvicorn
does over a socket: flow control, a client that goes away, an application that fails before or after its response began.

Protocol facts are from the ASGI specification, "HTTP & WebSocket ASGI Message Format", version 2.3.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from functools import cache
from types import ModuleType
from typing import Any, Final, Self

import anyio
import anyio.lowlevel

__all__ = ["StreamingASGITransport"]

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

_HIGH_WATER: Final = 65_536  # bytes sent and not yet read, from which on the app's send() waits; as in uvicorn
_tasks: Final[set[asyncio.Task[None]]] = set()  # asyncio keeps no strong reference to its tasks


class StreamingASGITransport:
    """Runs an ASGI application for a client of httpx or httpx2: ``AsyncClient(transport=StreamingASGITransport(app))``.

    Works on asyncio and trio, on real and on virtual time.

    Args:
        app: the application.
        raise_app_exceptions: whether what the app raises is raised to the client; else the client sees what it would
            see from a server: status 500, or a connection that breaks.
        root_path: the path the app is mounted at.
        client: the address the app sees the client at.
    """

    def __init__(
        self,
        app: Application,
        *,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = ("127.0.0.1", 50_000),
    ) -> None:
        self.app = app
        self.raise_app_exceptions = raise_app_exceptions
        self.root_path = root_path
        self.client = client
        self._cycles: list[_Cycle] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def handle_async_request(self, request: Any) -> Any:
        """Answer a request of httpx or httpx2; returns as soon as the app has begun its response."""
        library = sys.modules[type(request).__module__.partition(".")[0]]
        body = await request.aread()
        cycle = _Cycle(self.app, self._scope(request), body, library, request, raises=self.raise_app_exceptions)
        self._cycles = [each for each in self._cycles if not each.finished.is_set()]
        self._cycles.append(cycle)
        _start(cycle.run)
        try:
            start = await cycle.response_start()
        except BaseException:
            cycle.disconnect()
            raise
        stream = _body_class(library)(cycle)
        return library.Response(start["status"], headers=start.get("headers", []), stream=stream, request=request)

    async def aclose(self) -> None:
        """The server shuts down: every client goes away, and what the app still does is cancelled."""
        for cycle in self._cycles:
            cycle.disconnect()
            cycle.scope_of_app.cancel()
        with anyio.CancelScope(shield=True):
            for cycle in self._cycles:
                await cycle.finished.wait()
        self._cycles.clear()

    def _scope(self, request: Any) -> Message:
        url = request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "root_path": self.root_path,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "server": (url.host, url.port),
            "client": self.client,
            "state": {},
            "extensions": {},
        }


class _Cycle:
    """One request and its response, between the app's task and the client's."""

    def __init__(
        self, app: Application, scope: Message, body: bytes, library: ModuleType, request: Any, *, raises: bool
    ) -> None:
        self.scope_of_app = anyio.CancelScope()
        self.finished = anyio.Event()  # the app has returned, or raised
        self._app = app
        self._scope = scope
        self._body: bytes | None = body
        self._library = library
        self._request = request
        self._raises = raises
        self._patience = request.extensions.get("timeout", {}).get("read")
        self._start: Message | None = None
        self._chunks: deque[bytes] = deque()
        self._unread = 0  # bytes in `_chunks`
        self._complete = False  # the app has sent the last of its response
        self._disconnected = False  # the client has gone away
        self._error: Exception | None = None
        self._change = anyio.Event()

    async def run(self) -> None:
        """Run the app, in a task of its own."""
        try:
            with self.scope_of_app:
                await self._app(self._scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - a server outlives what its app raises; the client is told
            self._error = error
        finally:
            self.finished.set()
            self._changed()

    async def response_start(self) -> Message:
        """Wait for the response to begin."""
        await self._until(lambda: self._start is not None or self.finished.is_set())
        if self._start is None:
            if self._error is not None and self._raises:
                raise self._error
            # What a server answers for an app that fails before it has answered itself.
            self._start = {"status": 500, "headers": [(b"content-type", b"text/plain; charset=utf-8")]}
            self._chunks.append(b"Internal Server Error")
            self._complete = True
        return self._start

    async def next_chunk(self) -> bytes | None:
        """Wait for the next piece of the body; None at its end."""
        await self._until(lambda: self._chunks or self._complete or self.finished.is_set())
        if self._chunks:
            chunk = self._chunks.popleft()
            self._unread -= len(chunk)
            self._changed()
            return chunk
        if self._complete:
            return None
        if self._error is not None and self._raises:
            raise self._error
        msg = "peer closed connection without sending complete message body (incomplete chunked read)"
        raise self._library.RemoteProtocolError(msg, request=self._request)

    def disconnect(self) -> None:
        """The client goes away. Acts at once."""
        if not self._complete:
            self._disconnected = True
            self._changed()

    async def _receive(self) -> Message:
        if self._body is not None and not self._disconnected:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        while not (self._disconnected or self._complete):
            await self._change.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        while self._unread > _HIGH_WATER and not self._disconnected:
            await self._change.wait()
        await anyio.lowlevel.checkpoint()
        if self._disconnected:
            return  # as uvicorn does for this version of the specification
        expected = "http.response.body" if self._start is not None else "http.response.start"
        if self._complete or message["type"] != expected:
            state = "after the response was completed" if self._complete else f"where {expected!r} was to come"
            msg = f"the ASGI message {message['type']!r} was sent {state}"
            raise RuntimeError(msg)
        if self._start is None:
            self._start = message
        else:
            chunk = message.get("body", b"")
            if chunk and self._scope["method"] != "HEAD":
                self._chunks.append(chunk)
                self._unread += len(chunk)
            self._complete = not message.get("more_body", False)
        self._changed()

    async def _until(self, condition: Callable[[], object]) -> None:
        """Wait for that, on behalf of the client, as long as its read timeout allows."""
        with anyio.move_on_after(self._patience):
            while not condition():
                await self._change.wait()
        if not condition():
            self.disconnect()
            msg = "the read operation timed out"
            raise self._library.ReadTimeout(msg, request=self._request)

    def _changed(self) -> None:
        change, self._change = self._change, anyio.Event()
        change.set()


@cache
def _body_class(library: ModuleType) -> Any:
    class Body(library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, cycle: _Cycle) -> None:
            self._cycle = cycle

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            chunk = await self._cycle.next_chunk()
            if chunk is None:
                raise StopAsyncIteration
            return chunk

        async def aclose(self) -> None:
            self._cycle.disconnect()

    return Body


def _start(run: Callable[[], Awaitable[None]]) -> None:
    """Start the app as a server does: in a task that belongs to no request, and outlives the one that made it."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        trio.lowlevel.spawn_system_task(run, context=contextvars.copy_context())
        return
    task: asyncio.Task[None] = asyncio.get_running_loop().create_task(run(), name="ASGI application")  # type: ignore[arg-type]
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
