"""Faults laid over a recording: what was recorded up to a delta, and then the connection breaks, stalls, or says an error.

Pure: recorded exchanges go in, exchanges to be played come out. Each attempt that fails stands before the exchange as it was
recorded, so a client that tries again gets the recorded answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from pytest_streamrt.cassette.format import Headers, Interaction, RecordedChunk
from pytest_streamrt.cassette.played import NEVER
from pytest_streamrt.errors import CassetteError, StreamError
from pytest_streamrt.events.order import DELTAS
from pytest_streamrt.providers import detect, dialect
from pytest_streamrt.providers.refusals import error_body
from pytest_streamrt.providers.wire_faults import damaged
from pytest_streamrt.script.faults import Corrupt, Duplicate, Truncate
from pytest_streamrt.script.parts import Disconnect, ErrorPart, Fault, Stall
from pytest_streamrt.transcript.answer import Answer
from pytest_streamrt.wire import rechunk
from pytest_streamrt.wording import counted

__all__ = ["Overlaid", "check_faults", "lay_over"]

# What httpx and httpx2 raise where a real peer closes the connection: before its head, in a body whose length is not known,
# and in one whose length is.
_ERROR: Final = "RemoteProtocolError"
_NO_RESPONSE: Final = "Server disconnected without sending a response."
_NAMES: Final = "corrupt, disconnect, duplicate, error, stall and truncate"
_BROKEN: Final = "peer closed connection without sending complete message body ({})"


@dataclass(frozen=True)
class Overlaid:
    """Exchanges to be played.

    Attributes:
        interactions: all of them, in the order in which they answer.
        spare: the ids of those that nobody has to ask for: what a client does after a fault is its own affair.
    """

    interactions: list[Interaction]
    spare: frozenset[int]


@dataclass(frozen=True)
class _Stream:
    """The recorded body of one exchange, measured.

    Attributes:
        interaction: the exchange.
        dialect: what it speaks, or None.
        outs: of each delta, after how many bytes of the body it is out; of each chunk, where no dialect is spoken.
        begin: how many bytes come before the first delta.
        ends: where in the body each event ends; each chunk, where it is no plain stream of a dialect.
    """

    interaction: Interaction
    dialect: str | None
    outs: Sequence[int]
    begin: int
    ends: Sequence[int]

    @property
    def unit(self) -> str:
        """What is counted."""
        return "chunk" if self.dialect is None else "delta"

    def offset(self, fault: Fault) -> int:
        """After how many bytes that fault strikes."""
        if fault.byte is not None:
            size = sum(len(chunk.data) for chunk in self.interaction.chunks)
            if fault.byte > size:
                raise CassetteError(f"{_show(fault)} never strikes: the recorded answer has {counted(size, 'byte')}")
            return fault.byte
        after = fault.after or 0
        if after > len(self.outs):
            recorded = self.interaction
            msg = (
                f"{_show(fault)} never strikes: the recorded answer to {recorded.method} {recorded.url} has "
                f"{counted(len(self.outs), self.unit)}"
            )
            raise CassetteError(msg)
        return self.outs[after - 1] if after else self.begin

    def until(self, offset: int) -> list[RecordedChunk]:
        """The body's first bytes, cut as recorded."""
        chunks: list[RecordedChunk] = []
        for chunk in self.interaction.chunks:
            if offset <= 0:
                break
            chunks.append(RecordedChunk(chunk.at, chunk.data[:offset]))
            offset -= len(chunk.data)
        return chunks


def check_faults(faults: Sequence[Fault]) -> None:
    """Refuse what cannot be laid over any recording.

    Raises:
        CassetteError: it is no list, or there is in it what is no such fault.
    """
    if isinstance(faults, str) or not isinstance(faults, Sequence):
        raise CassetteError(f"faults is a list of faults, such as [disconnect(after=5)], not {faults!r}")
    for fault in faults:
        if type(fault) not in _VERBS:
            hint = f" Call it: {fault.__name__}(…)." if inspect.isfunction(fault) else ""
            msg = f"faults: {fault!r} is no fault of a recording; disconnect(after=5) is one.{hint} There are {_NAMES}"
            raise CassetteError(msg)


def lay_over(interactions: Sequence[Interaction], faults: Iterable[Fault]) -> Overlaid:
    """Lay faults over recorded exchanges.

    A fault strikes the exchange of its number, from 1 on in the order of recording; without one, the first that is an
    answer of a model. It strikes after so many deltas of the decoded answer (`after`, none by default), or chunks where no
    dialect is spoken. Faults of one exchange that end it are one attempt each, in the order given.

    Raises:
        CassetteError: a fault that can never strike.
    """
    by_exchange: dict[int, list[Fault]] = {}
    for fault in faults:
        number = fault.exchange or _first_answer(interactions)
        if number > len(interactions):
            msg = f"{_show(fault)} never strikes: the cassette has {counted(len(interactions), 'recorded exchange')}"
            raise CassetteError(msg)
        by_exchange.setdefault(number, []).append(fault)
    result: list[Interaction] = []
    spare: set[int] = set()
    id = max((each.id for each in interactions), default=0)
    for number, recorded in enumerate(interactions, start=1):
        stream = _measure(recorded) if number in by_exchange else None
        for attempt in _attempts(by_exchange.get(number, ())):
            assert stream is not None
            id += 1
            result.append(replace(_struck(stream, attempt), id=id))
        if number >= min(by_exchange, default=number + 1):
            spare.add(recorded.id)
        result.append(recorded)
    return Overlaid(result, frozenset(spare))


def _first_answer(interactions: Sequence[Interaction]) -> int:
    """The number of the first exchange that is an answer of a model; the first of all where there is none."""
    answers = (n for n, each in enumerate(interactions, start=1) if detect(each.method, each.url) is not None)
    return next(answers, 1)


def _attempts(faults: Iterable[Fault]) -> list[list[Fault]]:
    """The faults of each attempt: up to one that ends it."""
    attempts: list[list[Fault]] = []
    ended = True
    for fault in faults:
        if ended:
            attempts.append([])
        attempts[-1].append(fault)
        ended = fault.ends
    return attempts


def _struck(stream: _Stream, faults: Sequence[Fault]) -> Interaction:
    """One attempt: the exchange with all of these faults."""
    played = stream.interaction
    # From the last to the first, so that what one of them does to the body does not move where the next one strikes.
    placed = sorted(((stream.offset(fault), fault) for fault in faults), key=lambda pair: -pair[0])
    for offset, fault in placed:
        if not fault.ends and offset > min((at for at, each in placed if each.ends), default=offset):
            msg = f"{_show(fault)} never strikes: a fault before it ends the answer"
            raise CassetteError(msg)
        played = _VERBS[type(fault)](replace(stream, interaction=played), fault, offset)
    return played


def _stall(stream: _Stream, fault: Fault, offset: int) -> Interaction:
    del fault
    return replace(stream.interaction, chunks=stream.until(offset), how="complete", end_at=NEVER, error=None)


def _truncate(stream: _Stream, fault: Fault, offset: int) -> Interaction:
    del fault
    chunks = stream.until(offset)
    end = _last(chunks, stream.interaction)
    return _measured(replace(stream.interaction, chunks=chunks, how="complete", end_at=end, error=None))


def _corrupt(stream: _Stream, fault: Fault, offset: int) -> Interaction:
    assert isinstance(fault, Corrupt)
    end = next((end for end in stream.ends if end > offset), None)
    if end is None:
        raise CassetteError(f"{_show(fault)} never strikes: no event comes after that")
    body = _plain_body(stream, fault)
    return _measured(_spliced(stream.interaction, offset, end, damaged(body[offset:end], fault.damage)))


def _duplicate(stream: _Stream, fault: Fault, offset: int) -> Interaction:
    if not offset:
        raise CassetteError(f"{_show(fault)} never strikes: no event has come by then")
    start = max((end for end in stream.ends if end < offset), default=0)
    body = _plain_body(stream, fault)
    return _measured(_spliced(stream.interaction, offset, offset, body[start:offset]))


def _disconnect(stream: _Stream, fault: Fault, offset: int) -> Interaction:
    recorded = stream.interaction
    if not fault.after and fault.byte is None:
        at = recorded.response_at if recorded.status is not None else recorded.end_at
        error = (_ERROR, _NO_RESPONSE)
        return replace(recorded, status=None, chunks=[], how="disconnected", end_at=at, error=error)
    length = _header(recorded.response_headers, "content-length")
    how = f"received {offset} bytes, expected {length}" if length else "incomplete chunked read"
    chunks = stream.until(offset)
    end = _last(chunks, recorded)
    return replace(recorded, chunks=chunks, how="disconnected", end_at=end, error=(_ERROR, _BROKEN.format(how)))


def _error(stream: _Stream, fault: Fault, offset: int) -> Interaction:
    assert isinstance(fault, ErrorPart)
    recorded = stream.interaction
    if isinstance(fault.code, int):
        if fault.after:
            msg = (
                f"{_show(fault)} never strikes: {fault.code} is an HTTP status, and by then the answer has begun with another. "
                'For an error in mid-stream give a code, such as error("server_error", after=…)'
            )
            raise CassetteError(msg)
        body = error_body(fault.code, fault.message, stream.dialect or "")
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        if fault.retry_after is not None:
            headers.append(("retry-after", f"{fault.retry_after:g}"))
        at = recorded.response_at if recorded.status is not None else recorded.end_at
        return replace(
            recorded,
            status=fault.code,
            response_at=at,
            response_headers=tuple(headers),
            chunks=[RecordedChunk(at, body)],
            how="complete",
            end_at=at,
            error=None,
        )
    if stream.dialect is None or _is_packed(recorded):
        msg = f"{_show(fault)} cannot be said: this is no plain stream of an API that is known here"
        raise CassetteError(msg)
    encoder = dialect(stream.dialect).encoder()
    encoder.open()
    chunks = stream.until(offset)
    end = _last(chunks, recorded)
    chunks += [RecordedChunk(end, frame) for frame in encoder.error(fault)]
    return _measured(replace(recorded, chunks=chunks, how="complete", end_at=end, error=None))


_VERBS: Final[Mapping[type[Fault], Callable[[_Stream, Fault, int], Interaction]]] = {
    Corrupt: _corrupt,
    Disconnect: _disconnect,
    Duplicate: _duplicate,
    ErrorPart: _error,
    Stall: _stall,
    Truncate: _truncate,
}


def _measure(interaction: Interaction) -> _Stream:
    """Find out where in the body each delta is out."""
    chunks = [chunk.data for chunk in interaction.chunks]
    name = detect(interaction.method, interaction.url)
    if name is not None and interaction.status is not None:
        headers = {name.lower(): value for name, value in interaction.response_headers}
        answer = Answer(name, interaction.status, headers)
        pieces = chunks if _is_packed(interaction) else rechunk(chunks, "event")
        outs: list[int] = []
        ends = list(accumulate(map(len, pieces)))
        begin = offset = 0
        for piece in pieces:
            try:
                deltas = sum(event.type in DELTAS for event in answer.feed(piece))
            except StreamError:
                break
            if deltas and not outs:
                begin = offset
            offset += len(piece)
            outs += [offset] * deltas
        if outs:
            return _Stream(interaction, name, outs, begin, ends)
    ends = list(accumulate(map(len, chunks)))
    return _Stream(interaction, None, ends, 0, ends)


def _plain_body(stream: _Stream, fault: Fault) -> bytes:
    if _is_packed(stream.interaction):
        raise CassetteError(f"{_show(fault)} cannot be done: the recorded body is packed")
    return b"".join(chunk.data for chunk in stream.interaction.chunks)


def _spliced(interaction: Interaction, start: int, end: int, new: bytes) -> Interaction:
    """The exchange with these bytes of its body replaced, in the chunk in which the last of them came."""
    chunks = []
    offset = 0
    for chunk in interaction.chunks:
        size = len(chunk.data)
        first, last = (min(max(place - offset, 0), size) for place in (start, end))
        middle = new if offset < end <= offset + size else b""
        data = chunk.data[:first] + middle + chunk.data[last:]
        if data:
            chunks.append(RecordedChunk(chunk.at, data))
        offset += size
    return replace(interaction, chunks=chunks)


def _measured(interaction: Interaction) -> Interaction:
    """The exchange, its headers saying how long the body now is, if they say it at all."""
    size = str(sum(len(chunk.data) for chunk in interaction.chunks))
    headers = [
        (name, size if name.lower() == "content-length" else value) for name, value in interaction.response_headers
    ]
    return replace(interaction, response_headers=tuple(headers))


def _last(chunks: Sequence[RecordedChunk], recorded: Interaction) -> int:
    return chunks[-1].at if chunks else recorded.response_at


def _is_packed(interaction: Interaction) -> bool:
    return _header(interaction.response_headers, "content-encoding") not in ("", "identity")


def _header(headers: Headers, name: str) -> str:
    return next((value for each, value in headers if each.lower() == name), "")


def _show(fault: Fault) -> str:
    """The fault, and where it strikes, as far as that was said."""
    places = (("after", fault.after), ("byte", fault.byte), ("exchange", fault.exchange))
    where = ", ".join(f"{name}={value}" for name, value in places if value is not None)
    return f"faults: {fault!r} with {where}" if where else f"faults: {fault!r}"
