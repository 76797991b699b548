"""One HTTP exchange in the log: its chunks as they passed, and the events in them, decoded when somebody reads."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

from pytest_streamrt.clock import note_open
from pytest_streamrt.errors import StreamError
from pytest_streamrt.events.fold import fold
from pytest_streamrt.events.order import DELTAS, TERMINALS
from pytest_streamrt.events.types import (
    Event,
    ExchangeClosed,
    ExchangeOpened,
    InferenceAborted,
    InferenceFailure,
    InferenceStarted,
)
from pytest_streamrt.providers import detect
from pytest_streamrt.transcript.answer import Answer

__all__ = ["Exchange", "How"]

How = Literal["complete", "client", "disconnected", "timeout", "failed"]
"""How an exchange ended: its body came to its end; the client closed it; the connection broke; it timed out; it failed."""


class _Sink(Protocol):
    """What an exchange needs of the transcript."""

    def note(self, exchange: Exchange, happening: object) -> None:
        """Log something of that exchange at the present time, in its rows `noted` and `noted_at`."""
        ...


class Exchange:
    """An HTTP request and its response stream, as the transcript logs them.

    Made by `Transcript.begin_exchange`. Whoever stands between a client and the network (a cassette, a fake provider)
    tells it what happens: `opened` when the response's head is there, `chunk` for each piece of the body as the client
    takes it, and `closed` once, at the end.

    Attributes:
        source: its name in the transcript: the dialect's, with a number from the second one on.
        dialect: what it speaks, or None for any other HTTP request: that is no inference, and nothing in it is decoded.
        body: the request's body, as the client sent it.
        inference: the id of the runtime's inference it serves, if any; then the inference's events tell its story, and
            it adds only its opening and its closing.
        room: who numbered that inference: in another environment there may be one of the same id.
        instant: whether it is played without its times, so that those measured on it mean nothing.
        retry_of: the source of the exchange before it that asked for the very same and failed, if there was one.
        noted: what the transcript has logged of it, in order; a row and not an object each, because there may be very many chunks.
        noted_at: when each of that happened, in nanoseconds since the transcript began.
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
        room: object,
        instant: bool,
    ) -> None:
        self.source = source
        self.dialect = detect(method, url)
        self.inference = inference
        self.room = room
        self.instant = instant
        self.method = method
        self.url = url
        self.body = body
        self.status: int | None = None
        self.retry_of: str | None = None
        self._how: How | None = None
        self._ended_in_full: bool | None = None
        self._sink = sink
        self._headers: dict[str, str] = {}
        self.noted: list[object] = []
        self.noted_at = array("q")
        self._reached = 0  # how much of that the transcript has read
        self._unread: tuple[bytes, ...] = ()
        self._answer: Answer | None = None
        self._model = _model_of(body)
        self._said: list[Event] = []
        self._terminated = False
        self._broken = False
        sink.note(self, "begun")
        self._note_closed = note_open(self, f"{method} {url}")

    @property
    def story(self) -> tuple[int, str]:
        """What tells the inference it serves, or else the exchange itself, from every other in the transcript."""
        return (id(self.room), self.inference) if self.inference is not None else (id(self), self.source)

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
    def has_failed(self) -> bool:
        """Whether its client has reason to ask again: an HTTP error, or a connection that broke or timed out."""
        return (self.status or 0) >= 400 or self._how in ("disconnected", "timeout", "failed")

    @property
    def unread_chunks(self) -> int:
        """How many chunks were sent, or recorded, that the client never asked for."""
        return len(self._unread)

    @property
    def read_bytes(self) -> int:
        """How many bytes of the body the client has taken."""
        return sum(map(len, self._passed))

    @property
    def unread_deltas(self) -> int:
        """How many deltas are in the chunks that the client never asked for, as far as they can be read."""
        answer = self._as_far_as_read()
        if answer is None:
            return 0
        return sum(event.type in DELTAS for event in _decoded(answer, self._unread))

    def chunk_times(self) -> list[tuple[int, int]]:
        """Of each chunk that the client has taken: which of the things it is that happened on it, and when, in nanoseconds."""
        return [(n, self.noted_at[n]) for n, each in enumerate(self.noted) if isinstance(each, bytes)]

    def deltas_by_chunk(self) -> list[int]:
        """How many deltas each chunk has brought that the client has taken, as far as they can be read."""
        answer = self._new_answer()
        if answer is None:
            return [0] * len(self._passed)
        return [sum(event.type in DELTAS for event in _decoded(answer, [chunk])) for chunk in self._passed]

    def opened(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """The response's head has arrived."""
        self.status = status
        self._headers = {name.lower(): value for name, value in headers}
        self._sink.note(self, ExchangeOpened(self.method, self.url, status, self.retry_of))

    def chunk(self, data: bytes) -> None:
        """The client has taken a piece of the body."""
        self._sink.note(self, data)

    def closed(self, how: How, *, unread: Sequence[bytes] = (), message: str = "") -> None:
        """The exchange has ended. Only the first call counts."""
        if self._how is not None:
            return
        self._how = how
        self._unread = tuple(unread)
        self._note_closed()
        self._sink.note(self, ExchangeClosed(how, len(self._unread), message))

    def read(self) -> tuple[int, Iterator[Event]]:
        """For the transcript: when the next thing happened that it has logged, and the events in that."""
        place = self._reached
        self._reached += 1
        return self.noted_at[place], self._events_in(self.noted[place])

    @property
    def _passed(self) -> list[bytes]:
        return [happening for happening in self.noted if isinstance(happening, bytes)]

    def _events_in(self, happening: object) -> Iterator[Event]:
        tells = self.inference is None and self.dialect is not None
        if isinstance(happening, bytes):
            if tells:
                yield from self._keep(self._decode(happening))
        elif isinstance(happening, ExchangeClosed):
            if tells:
                yield from self._keep(self._ending(happening))
            yield replace(happening, how=self.how or happening.how)
        elif isinstance(happening, Event):
            yield happening
        elif tells:
            yield InferenceStarted(self._model)

    def _new_answer(self) -> Answer | None:
        """A reader of its answer, at the beginning of it; None where there is no dialect to read it in."""
        return Answer(self.dialect, self.status, self._headers) if self.dialect is not None else None

    def _keep(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, InferenceStarted) or self._terminated:
                continue  # it started when the request was made
            self._said.append(event)
            self._terminated = event.type in TERMINALS
            yield event

    def _decode(self, data: bytes) -> list[Event]:
        if self._answer is None:
            self._answer = self._new_answer()  # by now the head is there
        if self._answer is None or self._broken:
            return []
        try:
            return self._answer.feed(data)
        except StreamError as error:
            self._broken = True
            return [InferenceFailure("provider", str(error), fold(self._said).text)]

    def _ending(self, closed: ExchangeClosed) -> list[Event]:
        """The events that the end of the exchange brings, where the provider has not said its last word."""
        answer = self._answer or self._new_answer()
        if self._terminated or answer is None:
            return []
        if answer.refused and closed.how in ("complete", "client"):  # SDKs close it unread when they will try again
            return [InferenceFailure("provider", answer.refusal)]
        said = fold(self._said)
        if closed.how == "client":
            return [InferenceAborted(answer.unreadable, "client", said.text, tuple(said.items), said.usage)]
        if closed.how != "complete":
            return [InferenceFailure("transport", closed.message or closed.how, said.text)]
        try:
            return answer.close()
        except StreamError as error:
            kind: Literal["transport", "provider"] = "transport" if error.cut_short else "provider"
            return [*error.events, InferenceFailure(kind, str(error), said.text)]

    def _as_far_as_read(self) -> Answer | None:
        """A reader of its answer, where the client has left off."""
        answer = self._new_answer()
        if answer is not None:
            for _ in _decoded(answer, self._passed):
                pass
        return answer

    def _heard_the_end(self) -> bool:
        answer = self._as_far_as_read()
        return answer is not None and answer.ended


def _decoded(answer: Answer, chunks: Iterable[bytes]) -> Iterator[Event]:
    for chunk in chunks:
        try:
            yield from answer.feed(chunk)
        except StreamError:
            return


def _model_of(body: bytes) -> str | None:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return None
    model = request.get("model") if isinstance(request, Mapping) else None
    return model if isinstance(model, str) else None
