"""A response that comes from no network: each thing at its time, its end as it is to be, and timeouts as on a socket.

What is played, and when, its subclasses say: a recording (`playback`), or a script.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any, Final

import anyio

from pytest_streamrt.cassette.pool import connections_of
from pytest_streamrt.clock import NS, active_clock, now_ns, sleep_blocking_until, sleep_until, turn
from pytest_streamrt.transcript.exchange import Exchange, How

__all__ = ["AT_ONCE", "NEVER", "Played"]

__tracebackhide__ = True  # what is raised through here is as if a real transport stood here

AT_ONCE: Final = -1
"""As the time of something: it is not waited for."""
NEVER: Final = 1 << 62
"""As the time of something: it does not come, however long one waits."""

_TIMEOUTS: Final = {
    "pool": ("PoolTimeout", "no connection of the client's pool became free in time"),
    "connect": ("ConnectTimeout", "the connection was not made in time"),
    "read": ("ReadTimeout", "the read operation timed out"),
}


class Played(ABC):
    """One playing of a response to one request of httpx or httpx2, which began when this was made.

    Times are nanoseconds after that, or `AT_ONCE`, or `NEVER`.

    Args:
        library: the client's HTTP library.
        transport: its transport, whose connections this uses; None where there is no telling which it is.
        request: its request.
        exchange: where the transcript takes it down.
        answers_as: the library that the response is of, where somebody between asks for another than the client's.
        hold: what an async client has to wait for before the head, and before each chunk, comes.
    """

    def __init__(
        self,
        library: ModuleType,
        transport: Any,
        request: Any,
        *,
        exchange: Exchange | None,
        answers_as: ModuleType | None = None,
        hold: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._library = library
        self._answers_as = answers_as or library
        self._request = request
        self._exchange = exchange
        self._hold = hold
        self._connections = connections_of(transport) if transport is not None else None
        self._connected = False
        self._cut_off = False
        self._began = now_ns()
        self._delivered = 0
        self._over = False
        self._is_async = True
        self._timeouts: dict[str, float | None] = request.extensions.get("timeout", {})

    # What is played.

    @property
    @abstractmethod
    def status(self) -> int | None:
        """The HTTP status, or None where no response comes at all."""

    @property
    @abstractmethod
    def headers(self) -> Sequence[tuple[str, str]]:
        """The response's headers."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many chunks the body has."""

    @abstractmethod
    def data_of(self, chunk: int) -> bytes:
        """The body's chunk of that number, from 0 on."""

    @abstractmethod
    def due_of_head(self) -> tuple[int, str]:
        """When the head comes, or what comes instead of one; and which timeout of the client's is running until then."""

    @abstractmethod
    def due_of(self, chunk: int) -> int:
        """When the chunk of that number comes."""

    @abstractmethod
    def due_of_end(self) -> int:
        """When the body ends."""

    @abstractmethod
    def finish(self) -> None:
        """End the exchange as it is to end: `close` it, and raise what is to be raised."""

    # How it is played.

    def respond(self) -> Any:
        """The response to a sync client, as soon as its head is due."""
        self._is_async = False
        if self._connections is not None:
            self._connected = self._connections.take_blocking(self._timeouts.get("pool"))
        self._begin()
        self._wait(*self.due_of_head())
        return self._response(is_async=False)

    async def respond_async(self) -> Any:
        """The response to an async client, as soon as its head is due."""
        try:
            if self._connections is not None:
                self._connected = await self._connections.take(self._timeouts.get("pool"))
            self._begin()
            if self._hold is not None:
                await self._hold()
                await turn()
            await self._wait_async(*self.due_of_head())
        except BaseException:
            self.close()  # cancelled, that is; whatever else it was has closed it already
            raise
        return self._response(is_async=True)

    def next(self) -> bytes | None:
        """The body's next chunk, to a sync client; None at its end."""
        if self._delivered < self.count:
            self._wait(self.due_of(self._delivered))
            return self.deliver()
        if not self._over:
            self._over = True
            self._wait(self.due_of_end())
            self.finish()
        return None

    async def step_async(self) -> bytes:
        """The body's next chunk, to an async client, as an iterator gives it."""
        chunk = self._delivered
        if chunk < self.count:
            if self._hold is not None:
                await self._hold()
            due = self.due_of(chunk)
            if due != AT_ONCE:
                await self._wait_async(due)
            await turn()  # whoever decides on the chunk before this one acts before it comes
            return self.deliver()
        if not self._over:
            self._over = True
            if self._hold is not None:
                await self._hold()
            await self._wait_async(self.due_of_end())
            self.finish()
        raise StopAsyncIteration

    def close(self, how: How = "client", message: str = "") -> None:
        """The exchange has ended: by the client, unless something else ended it before. Acts at once."""
        if self._connected and self._connections is not None:
            self._connected = False
            self._connections.carrying.discard(self)
            self._connections.give_back()
        if self._exchange is not None:
            unread = [self.data_of(chunk) for chunk in range(self._delivered, self.count)]
            self._exchange.closed(how, unread=unread, message=message)

    def cut_off(self) -> None:
        """The client itself was closed, and its connections with it; who reads on has a broken one."""
        self._cut_off = True
        self.close()

    def error_of(self, name: str, message: str) -> Exception:
        """An error of the client's own library, by the name of its class; the base of all where it has none such."""
        kind = getattr(self._library, name, None)
        if not (isinstance(kind, type) and issubclass(kind, self._library.TransportError)):
            kind, message = self._library.TransportError, f"{name}: {message}"
        error: Exception = kind(message, request=self._request)
        return error

    def _response(self, *, is_async: bool) -> Any:
        status = self.status
        if status is None:
            self.finish()  # raises what comes instead of a response
            status = 0
        if self._exchange is not None:
            self._exchange.opened(status, self.headers)
        sync_kind, async_kind = _bodies(self._answers_as)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        request = self._request if self._answers_as is self._library else None
        return self._answers_as.Response(
            status,
            headers=headers,
            stream=(async_kind if is_async else sync_kind)(self),
            extensions={"http_version": b"HTTP/1.1"},
            request=request,
        )

    def deliver(self) -> bytes:
        """Give the client its next chunk, which is due."""
        if self._cut_off:
            raise self.error_of("ReadError", "the client was closed before the response had been read")
        chunk = self._delivered
        data = self.data_of(chunk)
        self._delivered += 1
        if self._exchange is not None:
            self._exchange.chunk(data)
        return data

    def _begin(self) -> None:
        """The request is on its way, if a connection could be had."""
        if self._connections is not None and not self._connected:
            raise self._timeout("pool")
        if self._connections is not None:
            self._connections.carrying.add(self)
        self._began = now_ns()

    def _due(self, at: int, phase: str) -> tuple[int, bool]:
        """When to go on, on the clock of `now_ns`, and whether that is because the client's patience is at an end."""
        due = self._began + at
        timeout = self._timeouts.get(phase)
        if timeout is not None and due - now_ns() > round(timeout * NS):
            return now_ns() + round(timeout * NS), True
        return due, False

    def _wait(self, at: int, phase: str = "read") -> None:
        if at == AT_ONCE:
            return
        due, timed_out = self._due(at, phase)
        if at == NEVER and not timed_out:
            self.close("timeout", "the response does not go on")
            raise self._waits_for_ever()
        sleep_blocking_until(due)
        if timed_out:
            raise self._timeout(phase)

    async def _wait_async(self, at: int, phase: str = "read") -> None:
        if at == AT_ONCE:
            return
        due, timed_out = self._due(at, phase)
        if at == NEVER and not timed_out:
            await anyio.sleep_forever()
        await sleep_until(due)
        if timed_out:
            raise self._timeout(phase)

    def _timeout(self, phase: str) -> Exception:
        name, message = _TIMEOUTS[phase]
        told = self._read_timeout_message() if phase == "read" else message
        error: Exception = getattr(self._library, name)(told, request=self._request)
        self.close("timeout", message)
        return error

    def _waits_for_ever(self) -> Exception:
        """For a sync client without a timeout: what to raise instead of blocking its thread until the end of time."""
        what = "the response does not go on, and the client that waits for it has no timeout"
        clock = active_clock()
        if clock is not None:
            remedy = "Give the client a timeout, or the script an end."
            clock.stuck(
                f"deadlock: {what}", "A stalled stream, read by a client that never gives up.", remedy, here=True
            )
        return self._library.ReadTimeout(what, request=self._request)  # type: ignore[no-any-return]

    def _read_timeout_message(self) -> str:
        """What a real one says: nothing on an event loop, else what the socket does."""
        if self._is_async:
            return ""
        return "The read operation timed out" if self._request.url.scheme == "https" else "timed out"


# Iterators, and not generators: an SDK may leave one unfinished, and trio warns of each generator it finds so.


@cache
def _bodies(library: ModuleType) -> tuple[Any, Any]:
    class Body(library.SyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, played: Played) -> None:
            self._played = played

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            chunk = self._played.next()
            if chunk is None:
                raise StopIteration
            return chunk

        def close(self) -> None:
            self._played.close()

    class AsyncBody(library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, played: Played) -> None:
            self._played = played
            self._step = played.step_async

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        def __anext__(self) -> Coroutine[Any, Any, bytes]:
            return self._step()

        async def aclose(self) -> None:
            self._played.close()

    return Body, AsyncBody
