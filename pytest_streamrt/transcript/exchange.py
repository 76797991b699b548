"""One HTTP exchange in the log: its chunks as they passed, and the events in them, decoded when somebody reads."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, Protocol

from pytest_streamrt.clock import note_open
from pytest_streamrt.errors import StreamError
from pytest_streamrt.events.fold import fold
from pytest_streamrt.events.order import DELTAS
from pytest_streamrt.events.types import (
    Event,
    ExchangeClosed,
    ExchangeOpened,
    InferenceAborted,
    InferenceFailure,
    InferenceStarted,
)
from pytest_streamrt.providers import detect, dialect

__all__ = ["Exchange", "How"]

How = Literal["complete", "client", "disconnected", "timeout", "failed"]
"""How an exchange ended: its body came to its end; the client closed it; the connection broke; it timed out; it failed."""

_ERROR_SHOWN: Final = 300  # characters of an HTTP error's body that are quoted


class _Sink(Protocol):
    """What an exchange needs of the transcript."""

    def note(self, exchange: Exchange, happening: object) -> None:
        """Log something of that exchange at the present time."""
        ...


class Exchange:
    """An HTTP request and its response stream, as the transcript logs them.

    Made by `Transcript.begin_exchange`. Whoever stands between a client and the network (a cassette, a fake provider)
    tells it what happens: `opened` when the response's head is there, `chunk` for each piece of the body as the client
    takes it, and `closed` once, at the end.

    Attributes:
        source: its name in the transcript: the dialect's, with a number from the second one on.
        inference: the id of the runtime's inference it serves, if any; then the inference's events tell its story, and
            it adds only its opening and its closing.
        instant: whether it is played without its times, so that those measured on it mean nothing.
    """

    def __init__(
        self,
        sink: _Sink,
        source: str,
        *,
        method: str,
        url: str,
        body: bytes,
        inference: str | None,
        instant: bool,
    ) -> None:
        self.source = source
        self.inference = inference
        self.instant = instant
        self.method = method
        self.url = url
        self.status: int | None = None
        self._how: How | None = None
        self._ended_in_full: bool | None = None
        self._sink = sink
        self._headers: dict[str, str] = {}
        self._passed: list[bytes] = []
        self._unread: tuple[bytes, ...] = ()
        self._dialect = detect(method, url)
        self._decoder = dialect(self._dialect).decoder() if self._dialect else None
        self._model = _model_of(body)
        self._inflate: Any = None
        self._body = bytearray()  # of an answer that is no stream
        self._said: list[Event] = []
        self._terminated = False
        self._broken: StreamError | None = None
        sink.note(self, "begun")
        self._note_closed = note_open(self, f"{method} {url}")

    @property
    def how(self) -> How | None:
        """How it ended, or None as long as it has not.

        A client that closes after the provider's last event has had all of it: that is "complete", as SDKs do so.
        """
        if self._how == "client":
            if self._ended_in_full is None:
                self._ended_in_full = self._heard_the_end()
            if self._ended_in_full:
                return "complete"
        return self._how

    @property
    def unread_chunks(self) -> int:
        """How many chunks were sent, or recorded, that the client never asked for."""
        return len(self._unread)

    @property
    def unread_deltas(self) -> int:
        """How many deltas are in the chunks that the client never asked for."""
        if self._dialect is None:
            return 0
        decoder = dialect(self._dialect).decoder()
        for _ in _decoded(decoder, self._passed):
            pass  # only to bring the decoder to where the client left off
        return sum(event.type in DELTAS for event in _decoded(decoder, self._unread))

    def opened(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """The response's head has arrived."""
        self.status = status
        self._headers = {name.lower(): value for name, value in headers}
        self._sink.note(self, ExchangeOpened(self.method, self.url, status))

    def chunk(self, data: bytes) -> None:
        """The client has taken a piece of the body."""
        self._passed.append(data)
        self._sink.note(self, data)

    def closed(self, how: How, *, unread: Sequence[bytes] = (), message: str = "") -> None:
        """The exchange has ended. Only the first call counts."""
        if self._how is not None:
            return
        self._how = how
        self._unread = tuple(unread)
        self._note_closed()
        self._sink.note(self, ExchangeClosed(how, len(self._unread), message))

    def read(self, happening: object) -> Iterator[Event]:
        """For the transcript: the events in one thing that `note` logged. To be called once for each, in order."""
        if isinstance(happening, bytes):
            if self.inference is None:
                yield from self._keep(self._decode(happening))
        elif isinstance(happening, ExchangeClosed):
            if self.inference is None:
                yield from self._keep(self._ending(happening))
            yield replace(happening, how=self.how or happening.how)
        elif isinstance(happening, Event):
            yield happening
        elif self.inference is None:
            yield InferenceStarted(self._model)

    def _keep(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, InferenceStarted) or self._terminated:
                continue  # it started when the request was made
            self._said.append(event)
            self._terminated = event.type in _TERMINAL
            yield event

    def _decode(self, data: bytes) -> list[Event]:
        if self._decoder is None or self._broken is not None:
            return []
        data = self._decompressed(data)
        if not self._is_stream(data):
            self._body += data
            return []
        try:
            return self._decoder.feed(data)
        except StreamError as error:
            self._broken = error
            return [InferenceFailure("provider", str(error), fold(self._said).text)]

    def _ending(self, closed: ExchangeClosed) -> list[Event]:
        """The events that the end of the exchange brings, where the provider has not said its last word."""
        if self._terminated:
            return []
        if self.status is not None and self.status >= 400 and closed.how == "complete":
            return [InferenceFailure("provider", f"HTTP {self.status}: {_error_text(bytes(self._body))}")]
        said = fold(self._said)
        if closed.how == "client":
            return [InferenceAborted("", "client", said.text, tuple(said.items), said.usage)]
        if closed.how != "complete":
            return [InferenceFailure("transport", closed.message or closed.how, said.text)]
        if self._decoder is None:
            return []
        try:
            return self._decoder.whole(bytes(self._body)) if self._body else self._decoder.close()
        except StreamError as error:
            kind: Literal["transport", "provider"] = "transport" if error.cut_short else "provider"
            return [*error.events, InferenceFailure(kind, str(error), said.text)]

    def _heard_the_end(self) -> bool:
        if self._dialect is None:
            return False
        decoder = dialect(self._dialect).decoder()
        for _ in _decoded(decoder, self._passed):
            pass
        return decoder.ended

    def _is_stream(self, data: bytes) -> bool:
        if self._body or (self.status or 200) >= 400:
            return False
        kind = self._headers.get("content-type", "")
        if "json" in kind and not self._said:
            return data.lstrip().startswith((b"data:", b"event:", b":"))
        return True

    def _decompressed(self, data: bytes) -> bytes:
        if self._headers.get("content-encoding") not in ("gzip", "deflate"):
            return data
        if self._inflate is None:
            self._inflate = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is
        try:
            return self._inflate.decompress(data)  # type: ignore[no-any-return]
        except zlib.error:
            return data  # some servers say gzip and send plain text


_TERMINAL: Final = ("inference.completed", "inference.aborted", "inference.failed")


def _decoded(decoder: Any, chunks: Iterable[bytes]) -> Iterator[Event]:
    for chunk in chunks:
        try:
            yield from decoder.feed(chunk)
        except StreamError:
            return


def _model_of(body: bytes) -> str | None:
    try:
        request = json.loads(body)
    except ValueError:
        return None
    model = request.get("model") if isinstance(request, Mapping) else None
    return model if isinstance(model, str) else None


def _error_text(body: bytes) -> str:
    text = body.decode(errors="replace")
    try:
        error = json.loads(text).get("error")
        return str(error.get("message") if isinstance(error, dict) else error)
    except (ValueError, AttributeError):
        return text[:_ERROR_SHOWN]
