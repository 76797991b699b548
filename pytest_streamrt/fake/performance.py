"""From a script to what goes over the wire, and when: the head, the body in chunks with their times, and the end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from pytest_streamrt.cassette.cuts import cut_anew
from pytest_streamrt.cassette.played import NEVER
from pytest_streamrt.errors import ScriptError
from pytest_streamrt.providers import Quirks, encode_whole
from pytest_streamrt.providers import dialect as dialect_of
from pytest_streamrt.providers.encoder import Encoder
from pytest_streamrt.providers.refusals import error_body
from pytest_streamrt.providers.wire_faults import broken_law, damaged, packed
from pytest_streamrt.script.build import Script
from pytest_streamrt.script.faults import Corrupt, Duplicate, HttpPart, Misbehave, Truncate
from pytest_streamrt.script.parts import Disconnect, ErrorPart, Fault, Stall
from pytest_streamrt.transcript.exchange import How
from pytest_streamrt.wire import Cut

__all__ = ["Performance", "check_playable", "json_answer", "perform"]

Headers = tuple[tuple[str, str], ...]

_JSON: Final = ("content-type", "application/json")
_STREAM: Final = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
_ARRAY: Final = (("content-type", "application/json; charset=UTF-8"),)
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
    headers: Headers = _STREAM
    head_at: int = 0
    chunks: list[tuple[int, bytes]] = field(default_factory=list)
    deltas: list[int] = field(default_factory=list)
    end_at: int = 0
    error: tuple[str, str] | None = None

    @property
    def how(self) -> How:
        """How the exchange ends, if it is the provider that ends it."""
        return "disconnected" if self.error is not None else "complete"

    def recut(self, how: Cut) -> Performance:
        """The same, its body cut anew."""
        as_it_is = ("event", "recorded")  # each frame is a chunk already, but where a fault has cut it
        return self if how in as_it_is else replace(self, chunks=cut_anew(self.chunks, how))

    def deltas_out(self) -> list[int]:
        """Of each chunk, how many deltas are out once it is."""
        out, n, size = [], 0, 0
        for _, data in self.chunks:
            size += len(data)
            while n < len(self.deltas) and self.deltas[n] <= size:
                n += 1
            out.append(n)
        return out

    def until(self, byte: int) -> Performance:
        """The same, ending after so many bytes of the body."""
        chunks: list[tuple[int, bytes]] = []
        left = byte
        for at, data in self.chunks:
            if left <= 0:
                break
            chunks.append((at, data[:left]))
            left -= len(data)
        end = chunks[-1][0] if chunks else self.head_at
        return replace(self, chunks=chunks, deltas=[out for out in self.deltas if out <= byte], end_at=end)


def json_answer(body: bytes, dialect: str, *, status: int = 200, at: int = 0, more: Headers = ()) -> Performance:
    """An answer in one piece."""
    headers = (_JSON, ("content-length", str(len(body))), _id_header(dialect), *more)
    return Performance(status, headers, at, [(at, body)] if body else [], [], at)


def check_playable(script: Script) -> None:
    """Refuse a script that no provider could play.

    Raises:
        ScriptError: it answers with an HTTP status after it has begun to speak, or goes on when its client is gone.
    """
    for part in script.parts:
        if isinstance(part, Misbehave) and "cancel" in part.law:
            msg = f"{part!r}: nothing comes out of a connection that its client has closed. Play it with FakeModel"
            raise ScriptError(msg)
        if isinstance(part, ErrorPart) and isinstance(part.code, int) and len(script):
            msg = (
                f"error({part.code}) is an HTTP status, and the answer has begun by then: it would have been sent with status "
                f'200. For an error in mid-stream give a code, such as error("server_error"); for the status, let it stand alone: '
                f"script(error({part.code}))"
            )
            raise ScriptError(msg)


def perform(
    script: Script, dialect: str, *, streams: bool, cut: Cut = "event", quirks: Quirks | None = None
) -> Performance:
    """Have a script played as that provider would send it.

    Args:
        script: what it says.
        dialect: the API.
        streams: whether it is asked for a stream, and not for an answer in one piece.
        cut: how the body is cut.
        quirks: the habits of its server.

    Raises:
        ScriptError: the dialect cannot say that.
    """
    encoder = dialect_of(dialect).encoder(script, quirks)
    played = _Stage(script, encoder, dialect, array=quirks is not None and quirks.array).played
    if not streams and played.status == 200:
        played = _in_one_piece(played, script, dialect, quirks)
    for part in script.parts:
        if isinstance(part, Misbehave) and streams:
            played = replace(played, chunks=broken_law(played.chunks, part.law))
    http = next((part for part in script.parts if isinstance(part, HttpPart)), None)
    return played.recut(cut) if http is None else _sent(played, http, cut)


class _Stage:
    """One playing of a script as a stream, frame by frame."""

    def __init__(self, script: Script, encoder: Encoder, dialect: str, *, array: bool) -> None:
        self.played = Performance(headers=(*(_ARRAY if array else _STREAM), _id_header(dialect)))
        self._encoder = encoder
        self._dialect = dialect
        self._size = 0
        self._damage: Corrupt | None = None
        self._play(script)

    def _play(self, script: Script) -> None:
        played = self.played
        laws = [part.law for part in script.parts if isinstance(part, Misbehave)]
        self._send(self._encoder.open())
        for step in script.steps():
            played.end_at += step.delay
            if isinstance(step.part, Fault):
                self._strike(step.part)
                if step.part.ends:
                    return
                continue
            self._send(self._encoder.step(step))
            if step.piece is not None:
                played.deltas.append(self._size)
        if "no terminal" not in laws:
            last = self._encoder.end()
            self._send(last)
            if "two terminals" in laws:
                self._send(last[-1:] if b"[DONE]" not in last[-1] else last)

    def _send(self, frames: list[bytes]) -> None:
        for frame in frames:
            sent = frame
            if self._damage is not None:
                sent, self._damage = damaged(frame, self._damage.damage), None
            self.played.chunks.append((self.played.end_at, sent))
            self._size += len(sent)

    def _strike(self, fault: Fault) -> None:
        played = self.played
        if fault.byte is not None:
            self._send(self._encoder.end())
            played = self.played = played.until(fault.byte)
        match fault:
            case Stall():
                played.end_at = NEVER
            case Disconnect() if played.deltas or fault.byte is not None:
                played.error = _BROKEN
            case Disconnect():
                self.played = Performance(None, head_at=played.end_at, end_at=played.end_at, error=_NO_RESPONSE)
            case ErrorPart() if isinstance(fault.code, int):
                body = error_body(fault.code, fault.message, self._dialect)
                self.played = json_answer(
                    body, self._dialect, status=fault.code, at=played.end_at, more=_retry_header(fault)
                )
            case ErrorPart():
                self._send(self._encoder.error(fault))
            case Corrupt():
                self._damage = fault
            case Duplicate():
                self._send([played.chunks[-1][1]])
            case _:
                pass


def _in_one_piece(spoken: Performance, script: Script, dialect: str, quirks: Quirks | None) -> Performance:
    """The answer of a client that did not ask for a stream, which has it when a stream would have ended."""
    last = script.parts[-1] if script.parts else None
    if spoken.end_at == NEVER:
        return replace(spoken, head_at=NEVER, chunks=[], deltas=[])
    at = spoken.end_at
    if spoken.error is not None:
        return Performance(None, head_at=at, end_at=at, error=_NO_RESPONSE)
    if isinstance(last, ErrorPart):
        body = error_body(500, last.message, dialect, str(last.code))
        return json_answer(body, dialect, status=500, at=at, more=_retry_header(last))
    body = encode_whole(
        replace(script, parts=tuple(p for p in script.parts if not isinstance(p, Fault))), dialect, quirks
    )
    if any(isinstance(part, Truncate) for part in script.parts):
        body = body[: len(body) // 2]
    for part in script.parts:
        if isinstance(part, Corrupt):
            body = damaged(body, part.damage)
    return replace(json_answer(body, dialect, at=at), deltas=[len(body)] * len(spoken.deltas))


def _sent(played: Performance, http: HttpPart, cut: Cut) -> Performance:
    """An answer as it is to be sent; packed, it is cut before, and each chunk can be read as it comes."""
    headers = dict(played.headers)
    if http.body is not None:
        played = replace(
            played, chunks=[(played.head_at, http.body)] if http.body else [], deltas=[], end_at=played.head_at
        )
        headers["content-length"] = str(len(http.body))
    played = played.recut(cut)
    if http.gzip:
        data = packed([data for _, data in played.chunks])
        deltas = played.deltas_out()
        played = replace(played, chunks=[(at, piece) for (at, _), piece in zip(played.chunks, data, strict=True)])
        ends = [0]
        for piece in data:
            ends.append(ends[-1] + len(piece))
        outs = [
            next(ends[i + 1] for i, out in enumerate(deltas) if out > n) for n in range(deltas[-1] if deltas else 0)
        ]
        played = replace(played, deltas=outs)
        headers["content-encoding"] = "gzip"
        headers.pop("content-length", None)
    headers.update(http.headers)
    return replace(
        played, status=http.status if played.status == 200 else played.status, headers=tuple(headers.items())
    )


def _retry_header(error: ErrorPart) -> Headers:
    return (("retry-after", f"{error.retry_after:g}"),) if error.retry_after is not None else ()


def _id_header(dialect: str) -> tuple[str, str]:
    return ("request-id" if dialect.startswith("anthropic.") else "x-request-id"), _REQUEST_ID
