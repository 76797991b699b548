"""The recording side of a response body: each chunk goes on to the client as it comes, and is taken down on its way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import ModuleType
from typing import Any, Protocol

from pytest_streamrt.clock import active_clock
from pytest_streamrt.transcript.exchange import How

__all__ = ["Tape", "how_it_ended", "live", "live_blocking", "tee"]


class Tape(Protocol):
    """What takes a stream down."""

    def chunk(self, data: bytes) -> None:
        """A chunk has arrived, and is about to be handed on."""
        ...

    def ended(self, how: How, error: Exception | None = None) -> None:
        """The stream has ended. Only the first call counts."""
        ...


def tee(library: ModuleType, stream: Any, tape: Tape, *, is_async: bool) -> Any:
    """A response body, for that HTTP library, that hands on another's chunks and has the tape take them down."""
    sync_kind, async_kind = _kinds(library)
    return (async_kind if is_async else sync_kind)(stream, tape)


def how_it_ended(error: Exception) -> How:
    """What an error of httpx or httpx2, raised while a response was awaited or read, says of the exchange."""
    names = {base.__name__ for base in type(error).__mro__}
    if "TimeoutException" in names:
        return "timeout"
    if names & {"ReadError", "RemoteProtocolError", "CloseError"}:
        return "disconnected"
    return "failed"


def live() -> AbstractContextManager[None]:
    """While an async client waits for a real socket, virtual time runs, but no faster than real time."""
    clock = active_clock()
    return clock.live() if clock is not None else nullcontext()


def live_blocking() -> AbstractContextManager[None]:
    """Likewise while a sync client waits for one. It blocks its thread, so virtual time follows afterwards."""
    clock = active_clock()
    return clock.live_blocking() if clock is not None else nullcontext()


# Iterators, and not generators: an SDK may leave one unfinished, and trio warns of each generator it finds so.


@cache
def _kinds(library: ModuleType) -> tuple[Any, Any]:
    class Tee(library.SyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, stream: Any, tape: Tape) -> None:
            self._stream = stream
            self._chunks = iter(stream)
            self._tape = tape

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            try:
                with live_blocking():
                    chunk: bytes = next(self._chunks)
            except StopIteration:
                self._tape.ended("complete")
                raise
            except Exception as error:
                self._tape.ended(how_it_ended(error), error)
                raise
            self._tape.chunk(chunk)
            return chunk

        def close(self) -> None:
            self._tape.ended("client")
            self._stream.close()

    class AsyncTee(library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, stream: Any, tape: Tape) -> None:
            self._stream = stream
            self._next = aiter(stream).__anext__
            self._tape = tape

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            try:
                with live():
                    chunk: bytes = await self._next()
            except StopAsyncIteration:
                self._tape.ended("complete")
                raise
            except Exception as error:
                self._tape.ended(how_it_ended(error), error)
                raise
            self._tape.chunk(chunk)
            return chunk

        async def aclose(self) -> None:
            # Taken down before the first await: SDKs close a response inside a cancelled scope.
            self._tape.ended("client")
            with live():
                await self._stream.aclose()

    return Tee, AsyncTee
