"""From a script to what goes over the wire, and when: the head, the frames with their times, and the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pytest_streamrt.cassette.cuts import cut_anew
from pytest_streamrt.cassette.played import NEVER
from pytest_streamrt.errors import ScriptError
from pytest_streamrt.fake.whole import whole_answer
from pytest_streamrt.providers import dialect as dialect_of
from pytest_streamrt.providers.refusals import error_body
from pytest_streamrt.script.build import Script
from pytest_streamrt.script.parts import Disconnect, ErrorPart, Stall
from pytest_streamrt.transcript.exchange import How
from pytest_streamrt.wire import Cut

__all__ = ["Performance", "check_playable", "json_answer", "perform"]

_JSON: Final = (("content-type", "application/json"),)
_STREAM: Final = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
_REQUEST_ID: Final = "req_scripted"

# What httpx and httpx2 raise when a real peer closes the connection: before its head, and in a body without a length.
_NO_RESPONSE: Final = ("RemoteProtocolError", "Server disconnected without sending a response.")
_BROKEN: Final = (
    "RemoteProtocolError",
    "peer closed connection without sending complete message body (incomplete chunked read)",
)


@dataclass
class Performance:
    """One answer on the wire. Times are nanoseconds after the request.

    Attributes:
        status: the HTTP status, or None where the connection breaks before there is one.
        headers: the response's headers.
        head_at: when the head comes, or what comes instead of it.
        chunks: the body: pairs of a time and bytes.
        deltas: of each of the script's deltas, after how many bytes of the body it is out.
        end_at: when the body ends, or `NEVER`.
        error: the class name and the message of what the client's library raises at the end, if it ends in that.
    """

    status: int | None = 200
    headers: tuple[tuple[str, str], ...] = _STREAM
    head_at: int = 0
    chunks: list[tuple[int, bytes]] = field(default_factory=list)
    deltas: list[int] = field(default_factory=list)
    end_at: int = 0
    error: tuple[str, str] | None = None

    @property
    def how(self) -> How:
        """How the exchange ends, if it is the provider that ends it."""
        return "disconnected" if self.error is not None else "complete"

    @property
    def size(self) -> int:
        """How many bytes the body has."""
        return sum(len(data) for _, data in self.chunks)

    def recut(self, how: Cut) -> Performance:
        """The same, its body cut anew."""
        return replace(self, chunks=cut_anew(self.chunks, how))

    def deltas_out(self) -> list[int]:
        """Of each chunk, how many deltas are out once it is."""
        out, n, size = [], 0, 0
        for _, data in self.chunks:
            size += len(data)
            while n < len(self.deltas) and self.deltas[n] <= size:
                n += 1
            out.append(n)
        return out


def json_answer(body: bytes, dialect: str, *, status: int = 200, at: int = 0) -> Performance:
    """An answer in one piece."""
    headers = (*_JSON, ("content-length", str(len(body))), _id_header(dialect))
    return Performance(status, headers, at, [(at, body)] if body else [], [], at)


def check_playable(script: Script) -> None:
    """Refuse a script that no provider could play.

    Raises:
        ScriptError: it answers with an HTTP status after it has begun to speak.
    """
    said = 0
    for part in script.parts:
        if isinstance(part, ErrorPart) and isinstance(part.code, int) and said:
            msg = (
                f"error({part.code}) is an HTTP status, and the answer has begun by then: it would have been sent with status "
                f'200. For an error in mid-stream give a code, such as error("server_error"); for the status, let it stand alone: '
                f"script(error({part.code}))"
            )
            raise ScriptError(msg)
        said += len(getattr(part, "pieces", ()))


def perform(script: Script, dialect: str, *, streams: bool) -> Performance:
    """Have a script played as that provider would send it: as a stream, or in one piece.

    Raises:
        ScriptError: the dialect cannot say that.
    """
    spoken = _speak(script, dialect)
    return spoken if streams or spoken.status != 200 else _in_one_piece(spoken, script, dialect)


def _speak(script: Script, dialect: str) -> Performance:
    """The stream."""
    encoder = dialect_of(dialect).encoder()
    played = Performance(headers=(*_STREAM, _id_header(dialect)))
    size = 0

    def send(frames: Sequence[bytes]) -> None:
        nonlocal size
        played.chunks += [(played.end_at, frame) for frame in frames]
        size += sum(map(len, frames))

    send(encoder.open())
    for step in script.steps():
        played.end_at += step.delay
        part = step.part
        if isinstance(part, Stall):
            played.end_at = NEVER
            return played
        if isinstance(part, Disconnect):
            if not played.deltas:
                return Performance(None, head_at=played.end_at, end_at=played.end_at, error=_NO_RESPONSE)
            played.error = _BROKEN
            return played
        if isinstance(part, ErrorPart):
            if isinstance(part.code, int):
                body = error_body(part.code, part.message, dialect)
                return json_answer(body, dialect, status=part.code, at=played.end_at)
            send(encoder.error(part))
            return played
        send(encoder.step(step))
        if step.piece is not None:
            played.deltas.append(size)
    send(encoder.end())
    return played


def _in_one_piece(spoken: Performance, script: Script, dialect: str) -> Performance:
    """The answer of a client that did not ask for a stream, which has it when a stream would have ended."""
    last = script.parts[-1] if script.parts else None
    if spoken.end_at == NEVER:
        return replace(spoken, head_at=NEVER, chunks=[], deltas=[])
    if spoken.error is not None or spoken.status is None:
        return Performance(None, head_at=spoken.end_at, end_at=spoken.end_at, error=_NO_RESPONSE)
    if isinstance(last, ErrorPart):
        body = error_body(500, last.message, dialect, str(last.code))
        return json_answer(body, dialect, status=500, at=spoken.end_at)
    body = whole_answer((data for _, data in spoken.chunks), dialect)
    answer = json_answer(body, dialect, at=spoken.end_at)
    return replace(answer, deltas=[len(body)] * len(spoken.deltas))


def _id_header(dialect: str) -> tuple[str, str]:
    return ("request-id" if dialect.startswith("anthropic.") else "x-request-id"), _REQUEST_ID
