"""The playing side of a recorded exchange: each thing at its time, its end as it was, and timeouts as on a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any, Final

from pytest_streamrt.cassette.format import Interaction, RecordedChunk
from pytest_streamrt.cassette.pool import connections_of
from pytest_streamrt.clock import NS, now_ns, sleep_blocking_until, sleep_until, turn
from pytest_streamrt.errors import NotReplayable
from pytest_streamrt.transcript.exchange import Exchange, How

__all__ = ["Playback"]

_TIMEOUTS: Final = {
    "pool": ("PoolTimeout", "no connection of the client's pool became free in time"),
    "connect": ("ConnectTimeout", "the connection was not made in time"),
    "read": ("ReadTimeout", "the read operation timed out"),
}


class Playback:
    """One playing of a recorded exchange, to one request of httpx or httpx2, which began when this was made.

    Args:
        library: the client's HTTP library.
        transport: its transport, whose connections this uses.
        request: its request.
        interaction: what was recorded.
        chunks: the recorded body, perhaps cut anew.
        speed: how much faster than recorded, or None for at once.
        exchange: where the transcript takes it down.
        name: what to call the recording in an error.
    """

    def __init__(
        self,
        library: ModuleType,
        transport: Any,
        request: Any,
        interaction: Interaction,
        chunks: Sequence[RecordedChunk],
        *,
        speed: float | None,
        exchange: Exchange | None,
        name: str,
    ) -> None:
        self.interaction = interaction
        self.chunks = chunks
        self._library = library
        self._request = request
        self._speed = speed
        self._exchange = exchange
        self._name = name
        self._connections = connections_of(transport)
        self._connected = False
        self._began = now_ns()
        self._delivered = 0
        self._over = False
        self._timeouts: dict[str, float | None] = request.extensions.get("timeout", {})

    def respond(self) -> Any:
        """The response to a sync client, as soon as the recorded one began."""
        self._connected = self._connections.take_blocking(self._timeouts.get("pool"))
        self._begin()
        self._wait(*self._response_due())
        return self._response(is_async=False)

    async def respond_async(self) -> Any:
        """The response to an async client, as soon as the recorded one began."""
        try:
            self._connected = await self._connections.take(self._timeouts.get("pool"))
            self._begin()
            await self._wait_async(*self._response_due())
        except BaseException:
            self.close()  # cancelled, that is; whatever else it was has closed it already
            raise
        return self._response(is_async=True)

    def next(self) -> bytes | None:
        """The body's next chunk, to a sync client; None at its end."""
        if self._delivered < len(self.chunks):
            self._wait(self.chunks[self._delivered].at)
            return self._deliver()
        if not self._over:
            self._over = True
            self._wait(self.interaction.end_at)
            self._finish()
        return None

    async def next_async(self) -> bytes | None:
        """The body's next chunk, to an async client; None at its end."""
        if self._delivered < len(self.chunks):
            await self._wait_async(self.chunks[self._delivered].at)
            await turn()  # whoever decides on the chunk before this one acts before it comes
            return self._deliver()
        if not self._over:
            self._over = True
            await self._wait_async(self.interaction.end_at)
            self._finish()
        return None

    def close(self, how: How = "client", message: str = "") -> None:
        """The exchange has ended: by the client, unless something else ended it before. Acts at once."""
        if self._connected:
            self._connected = False
            self._connections.give_back()
        if self._exchange is not None:
            unread = [chunk.data for chunk in self.chunks[self._delivered :]]
            self._exchange.closed(how, unread=unread, message=message)

    def _response(self, *, is_async: bool) -> Any:
        recorded = self.interaction
        if recorded.status is None:
            self._finish()  # raises what was raised instead of a response
        if self._exchange is not None:
            self._exchange.opened(recorded.status or 0, recorded.response_headers)
        sync_kind, async_kind = _bodies(self._library)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in recorded.response_headers]
        return self._library.Response(
            recorded.status,
            headers=headers,
            stream=(async_kind if is_async else sync_kind)(self),
            extensions={"http_version": b"HTTP/1.1"},
            request=self._request,
        )

    def _deliver(self) -> bytes:
        chunk = self.chunks[self._delivered]
        self._delivered += 1
        if self._exchange is not None:
            self._exchange.chunk(chunk.data)
        return chunk.data

    def _finish(self) -> None:
        """The recording is over: end as it did."""
        recorded = self.interaction
        if recorded.how == "client":
            # What would have followed is unknown. A polite end would make a cut answer look like a whole one.
            self.close("client")
            msg = (
                f"{self._name} ends here: the client that recorded it closed the response after {len(recorded.chunks)} "
                "chunks, and this client reads on. Record it again with the client of today: "
                "pytest --streamrt-record=rewrite"
            )
            raise NotReplayable(msg)
        self.close(recorded.how or "complete", recorded.error[1] if recorded.error else "")
        if recorded.error is not None:
            raise self._recorded_error(*recorded.error)

    def _recorded_error(self, name: str, message: str) -> Exception:
        """What was raised while recording, as the class of that name in the client's own library."""
        kind = getattr(self._library, name, None)
        if not (isinstance(kind, type) and issubclass(kind, self._library.TransportError)):
            kind, message = self._library.TransportError, f"{name}: {message}"
        error: Exception = kind(message, request=self._request)
        return error

    def _begin(self) -> None:
        """The request is on its way, if a connection could be had."""
        if not self._connected:
            raise self._timeout("pool")
        self._began = now_ns()

    def _response_due(self) -> tuple[int, str]:
        """When the response is due, or the error that came instead of one, and which timeout is running until then."""
        recorded = self.interaction
        if recorded.status is not None:
            return recorded.response_at, "read"
        connecting = recorded.error is not None and recorded.error[0].startswith("Connect")
        return recorded.end_at, "connect" if connecting else "read"

    def _due(self, at: int, phase: str) -> tuple[int | None, bool]:
        """When to go on, on the clock of `now_ns`, and whether that is because the client's patience is at an end."""
        if self._speed is None:
            return None, False
        due = self._began + round((at - self.interaction.at) * 1_000 / self._speed)
        timeout = self._timeouts.get(phase)
        if timeout is not None and due - now_ns() > round(timeout * NS):
            return now_ns() + round(timeout * NS), True
        return due, False

    def _wait(self, at: int, phase: str = "read") -> None:
        due, timed_out = self._due(at, phase)
        if due is not None:
            sleep_blocking_until(due)
        if timed_out:
            raise self._timeout(phase)

    async def _wait_async(self, at: int, phase: str = "read") -> None:
        due, timed_out = self._due(at, phase)
        if due is not None:
            await sleep_until(due)
        if timed_out:
            raise self._timeout(phase)

    def _timeout(self, phase: str) -> Exception:
        name, message = _TIMEOUTS[phase]
        error: Exception = getattr(self._library, name)(message, request=self._request)
        self.close("timeout", message)
        return error


# Iterators, and not generators: an SDK may leave one unfinished, and trio warns of each generator it finds so.


@cache
def _bodies(library: ModuleType) -> tuple[Any, Any]:
    class Body(library.SyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, playback: Playback) -> None:
            self._playback = playback

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            chunk = self._playback.next()
            if chunk is None:
                raise StopIteration
            return chunk

        def close(self) -> None:
            self._playback.close()

    class AsyncBody(library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, playback: Playback) -> None:
            self._playback = playback

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            chunk = await self._playback.next_async()
            if chunk is None:
                raise StopAsyncIteration
            return chunk

        async def aclose(self) -> None:
            self._playback.close()

    return Body, AsyncBody
