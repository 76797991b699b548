"""One request and its response: what is between the application's task and the client's.

It does what uvicorn does over a socket, in both directions: flow control, a client that goes away, an application that
fails before its response began, or after. `tests/edge/test_conformance.py` compares the two.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import anyio
import anyio.lowlevel

from pytest_streamrt.clock import NS, now_ns
from pytest_streamrt.edge.tasks import Application, Message, is_cancellation
from pytest_streamrt.runtime.waking import Bell
from pytest_streamrt.wording import counted

__all__ = ["Cycle"]

HIGH_WATER: Final = 65_536  # bytes sent and not yet taken, from which on the sender waits; as in uvicorn
_BODILESS: Final = (204, 304)
_log: Final = logging.getLogger("pytest_streamrt.edge")


class _ClientGone(OSError):
    """What `send` raises when the client is gone, from version 2.4 of the specification on."""


class Cycle:
    """One request and its response.

    Args:
        app: the application.
        scope: of the request.
        library: httpx or httpx2, whichever the request is of.
        request: the client's.
        raises: whether what the app raises is raised to the client.
    """

    def __init__(self, app: Application, scope: Message, library: ModuleType, request: Any, *, raises: bool) -> None:
        self.scope_of_app = anyio.CancelScope()
        self.finished = anyio.Event()  # the app has returned, or raised
        self.complete = False  # the app has sent the last of its response
        self.asked_at = now_ns()
        self.gone_at: int | None = None  # when the client went away, if it did before that
        self._app = app
        self._scope = scope
        self._library = library
        self._request = request
        self._raises = raises
        self._timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        self._oserror = tuple(int(part) for part in scope["asgi"]["spec_version"].split(".")) >= (2, 4)
        self._body = bytearray()  # of the request, as far as the app has not taken it
        self._more_body = True
        self._heard = False  # whether the app has been told that the request's body is over
        self._start: Message | None = None
        self._left: int | None = None  # bytes the response may still have, where its head says how many
        self._chunks: deque[bytes] = deque()
        self._unread = 0  # bytes in `_chunks`
        self._error: BaseException | None = None
        self._change = Bell()

    def __str__(self) -> str:
        return f"{self._scope['method']} {self._scope['path']}"

    # The application's side.

    async def run(self) -> None:
        """Run the app, in a task of its own."""
        try:
            with self.scope_of_app:
                await self._app(self._scope, self._receive, self._send)
                self._returned()
        except BaseException as error:
            if is_cancellation(error):
                raise
            self._failed(error)
        finally:
            self.finished.set()
            self._change.ring()

    def _returned(self) -> None:
        if self.complete or self.gone_at is not None:
            return
        how = "starting a response" if self._start is None else "completing its response"
        last = "" if self._start is None else ": its last message has more_body=False, and was never sent"
        msg = f"{self}: the application returned without {how}{last}"
        raise RuntimeError(msg)

    def _failed(self, error: BaseException) -> None:
        if self.gone_at is not None and _because_the_client_is_gone(error):
            return  # that is what the server told it, and not a fault
        if isinstance(error, Exception) and not self._raises:
            _log.error("Exception in ASGI application", exc_info=error)
            self._error = None
        else:
            self._error = error

    async def _receive(self) -> Message:
        while not (
            self._body or (not self._more_body and not self._heard) or self.gone_at is not None or self.complete
        ):
            await self._change.wait()
        if self.gone_at is not None or self.complete:
            return {"type": "http.disconnect"}
        body = bytes(self._body)
        self._body.clear()
        self._heard = not self._more_body
        self._change.ring()
        return {"type": "http.request", "body": body, "more_body": self._more_body}

    async def _send(self, message: Message) -> None:
        while self._unread > HIGH_WATER and self.gone_at is None:
            await self._change.wait()
        await anyio.lowlevel.checkpoint()
        if self.gone_at is not None:
            if self._oserror:
                msg = "the client is gone"
                raise _ClientGone(msg)
            return  # as uvicorn does
        expected = "http.response.body" if self._start is not None else "http.response.start"
        if self.complete or message["type"] != expected:
            state = "after the response was completed" if self.complete else f"where {expected!r} was to come"
            msg = f"the ASGI message {message['type']!r} was sent {state}"
            raise RuntimeError(msg)
        if self._start is None:
            self._start = message
            self._left = self._length(message)
        else:
            self._take(message.get("body", b""), more=message.get("more_body", False))
        self._change.ring()

    def _take(self, chunk: bytes, *, more: bool) -> None:
        if self._scope["method"] == "HEAD":
            chunk = b""
        left = None if self._left is None else self._left - len(chunk)
        if left is not None and left < 0:
            msg = f"the response is {counted(-left, 'byte')} longer than its content-length says"
            raise RuntimeError(msg)
        self._left = left
        if chunk:
            self._chunks.append(bytes(chunk))
            self._unread += len(chunk)
        if left and not more:
            msg = f"the response is {counted(left, 'byte')} shorter than its content-length says"
            raise RuntimeError(msg)
        self.complete = not more

    def _length(self, start: Message) -> int | None:
        if self._scope["method"] == "HEAD" or start["status"] in _BODILESS:
            return 0
        for name, value in start.get("headers", ()):
            if name.lower() == b"content-length":
                return int(value)
        return None

    # The client's side.

    async def take_request(self, body: Any) -> None:
        """Hand the request's body to the app, as fast as it takes it."""
        pieces = aiter(body)
        try:
            async for data in pieces:
                if self.finished.is_set() or self.complete:
                    break  # a server throws away what nobody will read
                self._body += data
                self._change.ring()
                await self._until(lambda: len(self._body) <= HIGH_WATER or self.complete, "write")
        finally:
            if hasattr(pieces, "aclose"):  # httpx's own generator, of which trio warns if it is left unfinished
                with anyio.CancelScope(shield=True):
                    await pieces.aclose()
        self._more_body = False
        self._change.ring()

    async def response_start(self) -> Message:
        """Wait for the response to begin."""
        await self._until(lambda: self._start is not None, "read")
        if self._start is None:
            self._raise_error()
            # What a server answers for an app that fails before it has answered itself.
            self._start = {"status": 500, "headers": [(b"content-type", b"text/plain; charset=utf-8")]}
            self._chunks.append(b"Internal Server Error")
            self.complete = True
        return self._start

    async def next_chunk(self) -> bytes | None:
        """Wait for the next piece of the body; None at its end."""
        await self._until(lambda: self._chunks or self.complete, "read")
        if self._chunks:
            chunk = self._chunks.popleft()
            self._unread -= len(chunk)
            self._change.ring()
            return chunk
        if self.complete:
            return None
        self._raise_error()
        how = "incomplete chunked read"
        if self._start is not None and (length := self._length(self._start)) is not None:
            how = f"received {length - (self._left or 0)} bytes, expected {length}"
        msg = f"peer closed connection without sending complete message body ({how})"
        raise self._library.RemoteProtocolError(msg, request=self._request)

    def disconnect(self) -> None:
        """The client goes away. Acts at once."""
        if not self.complete and self.gone_at is None:
            self.gone_at = now_ns()
            self._change.ring()

    @property
    def over(self) -> bool:
        """Whether the app has ended and nothing is left to be told of it."""
        return self.finished.is_set() and self._error is None

    def take_error(self) -> BaseException | None:
        """What the app raised, unless somebody has been told already."""
        error, self._error = self._error, None
        return error

    def _raise_error(self) -> None:
        error = self.take_error()
        if error is not None:
            raise error

    async def _until(self, condition: Callable[[], object], kind: str) -> None:
        """Wait for that, or the app's end, on behalf of the client, as long as its timeouts allow."""

        def over() -> object:
            return condition() or self.finished.is_set()

        patience = self._timeouts.get(kind)
        with anyio.move_on_after(patience):
            while not over():
                await self._change.wait()
        if not over():
            self.disconnect()
            msg = f"the {kind} operation timed out after {patience:g} s"
            error = self._library.ReadTimeout if kind == "read" else self._library.WriteTimeout
            raise error(msg, request=self._request)

    def still_running(self) -> str:
        """What the app is doing that it should have stopped, for the error that says so."""
        if self.gone_at is None:
            return f"{self}: the response was complete, and the application has not returned since"
        for_ = (now_ns() - self.gone_at) / NS
        return f"{self}: the client went away {for_:.9g} s ago, and the application has gone on since"


def _because_the_client_is_gone(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_because_the_client_is_gone(each) for each in error.exceptions)
    while error is not None:
        if isinstance(error, _ClientGone):
            return True
        error = error.__cause__ or error.__context__
    return False
