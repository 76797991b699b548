"""What arrived of a streamed response, and when: the record that the checks look at, and the tap that makes it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import AsyncGeneratorType, ModuleType
from typing import Any, Final, Self

import anyio

from pytest_streamrt.clock import NS, now_ns
from pytest_streamrt.wire.sse import ServerSentEvent, SSEDecoder
from pytest_streamrt.wording import counted

__all__ = ["ASKED", "Arrived", "Problem", "tap"]

ASKED: Final = "pytest_streamrt.asked"
"""Under which name the extensions of a response from in process say when it was asked for."""

_SHOWN: Final = 5  # frames in a failure
_WIDTH: Final = 100  # characters of each


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a response.

    Attributes:
        check: the name of the check that found it, for ``skip=``.
        what: what happened, and what it leads to.
        fix: what to change in the application.
    """

    check: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.check}: {self.what}\n     Change the app: {self.fix}"


@dataclass
class Arrived:
    """What a client has got of one response.

    Attributes:
        what: the request, for messages.
        status: the HTTP status.
        headers: by their names in lower case.
        asked: when the request was made, if that is known, in nanoseconds of the clock that ran.
        began: when the watching began, likewise.
        chunks: each piece of the body, and when it came.
        ended: when the body was over; None as long as it is not.
        broke: what cut it short, if anything did.
        watched: whether its body is, or was, noted as it comes.
        virtual: whether the times are virtual.
        deltas: of the provider's last answer, how many deltas had been made when the first byte came, and in all; None
            where no transcript was given.
        on_first: called when the first byte comes.
    """

    what: str = "the response"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: int | None = None
    began: int = 0
    chunks: list[tuple[int, bytes]] = field(default_factory=list)
    ended: int | None = None
    broke: Exception | None = None
    watched: bool = False
    virtual: bool = False
    deltas: tuple[int, int] | None = None
    on_first: Callable[[], None] = lambda: None
    _read: tuple[int, list[ServerSentEvent]] = field(default=(0, []), repr=False)  # the frames of so many chunks

    def note(self, chunk: bytes) -> None:
        """A piece of the body has come."""
        if not self.chunks:
            self.on_first()
        self.chunks.append((now_ns(), chunk))

    @property
    def body(self) -> bytes:
        """The body, as far as it has come."""
        return b"".join(chunk for _, chunk in self.chunks)

    @property
    def frames(self) -> list[ServerSentEvent]:
        """Its frames, comments included, as a browser's EventSource reads them."""
        chunks, frames = self._read
        if chunks != len(self.chunks):
            decoder = SSEDecoder("whatwg")
            frames = [*decoder.feed(self.body), *decoder.close()]
            self._read = len(self.chunks), frames
        return frames

    @property
    def events(self) -> list[ServerSentEvent]:
        """Those frames that a browser hands to the page."""
        return [frame for frame in self.frames if frame.dispatched]

    @property
    def packed(self) -> bool:
        """Whether the body is compressed, so that its frames cannot be read."""
        return self.headers.get("content-encoding", "identity").lower() not in ("", "identity")

    def at(self, ns: int) -> str:
        """A time, for a message: virtual, or since the watching began."""
        return f"t={ns / NS:.9g} s" if self.virtual else f"{(ns - self.began) / NS:.3g} s after the response began"

    def when(self, offset: int) -> int:
        """When the byte at that offset came."""
        for ns, chunk in self.chunks:
            offset -= len(chunk)
            if offset < 0:
                return ns
        return self.chunks[-1][0] if self.chunks else self.began

    def summary(self) -> str:
        """What arrived, in a few lines: how much, from when to when, and the last of it."""
        if not self.chunks:
            if not self.watched:  # its headers were enough to fail it
                return "Its body was not looked at."
            return "Nothing arrived of its body."
        first, last = self.chunks[0][0], self.chunks[-1][0]
        count = f"{counted(len(self.body), 'byte')} in {counted(len(self.chunks), 'chunk')}"
        times = f"at {self.at(first)}" if first == last else f"from {self.at(first)} to {self.at(last)}"
        if self.packed:
            return f"What arrived: {count}, {times}."
        lines = [f"What arrived: {counted(len(self.frames), 'frame')}, {count}, {times}; the last of it:"]
        for frame in self.frames[-_SHOWN:]:
            text = repr(frame.raw)[2:-1]
            text = text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"
            lines.append(f"  {self.at(self.when(frame.offset + len(frame.raw) - 1))}  {text}")
        return "\n".join(lines)


def tap(response: Any, arrived: Arrived) -> None:
    """Have what passes through that response of httpx or httpx2 be noted, however it is read."""
    arrived.watched = True
    library = sys.modules[type(response).__module__.partition(".")[0]]
    response.stream = _tap_class(library)(response.stream, arrived)


@cache
def _tap_class(library: ModuleType) -> Any:
    class Tap(library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, stream: Any, arrived: Arrived) -> None:
            self._stream = stream
            self._iterator: AsyncIterator[bytes] | None = None
            self._arrived = arrived

        def __aiter__(self) -> Self:
            self._iterator = aiter(self._stream)
            return self

        async def __anext__(self) -> bytes:
            if self._iterator is None:  # closed
                raise StopAsyncIteration
            try:
                chunk: bytes = await anext(self._iterator)
            except StopAsyncIteration:
                self._arrived.ended = now_ns()
                raise
            except Exception as error:
                self._arrived.broke = error
                raise
            self._arrived.note(chunk)
            return chunk

        async def aclose(self) -> None:
            iterator, self._iterator = self._iterator, None
            await self._stream.aclose()
            if isinstance(iterator, AsyncGeneratorType) and not iterator.ag_running:  # else trio warns of it
                with anyio.CancelScope(shield=True):
                    await iterator.aclose()

    return Tap
