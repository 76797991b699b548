"""What ``decode=`` of `Transcript.record` may be: the name of a dialect, or a function from a piece to events."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from pytest_streamrt.errors import TranscriptError
from pytest_streamrt.events.types import Event
from pytest_streamrt.providers import Decoder, dialect
from pytest_streamrt.transcript.adapters import AnyAdapter
from pytest_streamrt.transcript.adapters.dialects import DialectAdapter
from pytest_streamrt.transcript.adapters.shape import Adapter, field

__all__ = ["Decode", "DecodeFailed", "adapter_for"]

Decode = str | Callable[[Any], Any]
"""A dialect's name, or a function that is given a piece and gives an event, several, text, or None."""

_SDKS: Final = ("openai", "anthropic")  # their streams are one answer; a generator's may be those of a whole run
_LINES: Final = ("aiter_lines", "iter_lines")  # of httpx, httpx2 and requests: lines without their ends


def adapter_for(decode: Decode | None, stream: Any) -> Adapter:
    """What maps the pieces of that stream.

    Raises:
        TranscriptError: there is no such dialect.
        TypeError: `decode` is neither a name nor a function.
    """
    __tracebackhide__ = True
    if decode is None:
        return AnyAdapter(rounds=type(stream).__module__.partition(".")[0] not in _SDKS)
    if isinstance(decode, str):
        try:
            return _Framed(decode, lines=getattr(stream, "__name__", None) in _LINES)
        except ValueError as error:
            raise TranscriptError(f"record(decode=…): {error}") from None
    if inspect.iscoroutinefunction(decode):
        raise TypeError("record(decode=…): decoding waits for nothing: give a plain function, not an async one")
    if not callable(decode):
        msg = f"record(decode=…): give the name of a dialect or a function from a piece to events, not {decode!r}"
        raise TypeError(msg)
    try:
        inspect.signature(decode).bind(None)
    except TypeError:
        name = getattr(decode, "__name__", "it")
        msg = f"record(decode=…): decode is given each piece, and {name} takes no such argument. If it gives a decoder, call it: decode={name}()"
        raise TypeError(msg) from None
    except ValueError:  # of a builtin nobody knows what it takes
        pass
    return _ByFunction(decode)


class _Framed:
    """A provider's stream in pieces of any kind: bytes or text cut anywhere, lines, SSE events, parsed JSON."""

    def __init__(self, name: str, *, lines: bool) -> None:
        self.round = 1
        self._decoder: Decoder = dialect(name).decoder()
        self._parsed = DialectAdapter(name)
        self._lines: bool | None = lines or None
        self._framed = False

    def push(self, piece: Any) -> Iterable[Event]:
        if isinstance(piece, str | bytes | bytearray):
            self._framed = True
            return self._decoder.feed(self._bytes(piece))
        data = field(piece, "data")
        if isinstance(data, str) and not isinstance(piece, Mapping):  # an SSE event of another library
            self._framed = True
            name = field(piece, "event")
            head = f"event: {name}\n" if isinstance(name, str) and name else ""
            body = "".join(f"data: {line}\n" for line in data.split("\n"))
            return self._decoder.feed(f"{head}{body}\n".encode())
        return self._parsed.push(piece)

    def end(self) -> Iterable[Event] | None:
        if not self._framed:
            return self._parsed.end()
        return [*(self._decoder.feed(b"\n") if self._lines else ()), *self._decoder.close()]

    def _bytes(self, piece: str | bytes | bytearray) -> bytes:
        data = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else bytes(piece)
        if self._lines is None:
            # Who reads lines gets them without their ends; in pieces of the text itself the first has one, or is no text.
            self._lines = isinstance(piece, str) and "\n" not in piece and "\r" not in piece
        return data + b"\n" if self._lines else data


class _ByFunction:
    """The user's function. What it gives is an event, several, text, a piece that is known by itself, or None."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self._rest = AnyAdapter()
        self._name = getattr(function, "__name__", None) or type(function).__name__
        self._pieces = 0

    @property
    def round(self) -> int:
        return self._rest.round

    def push(self, piece: Any) -> Iterator[Event]:
        self._pieces += 1
        try:
            given = self._function(piece)
            if isinstance(given, Iterable) and not isinstance(given, str | bytes | bytearray | Mapping):
                given = list(given)  # a generator's errors are its own, too
            else:
                given = [] if given is None else [given]
        except Exception as error:
            shown = repr(piece)
            shown = shown if len(shown) <= 120 else f"{shown[:120]}…"
            msg = f"decode={self._name} raised {type(error).__name__}: {error}, on piece {self._pieces}: {shown}"
            raise DecodeFailed(msg) from error
        for each in given:
            if each is not None:
                yield from self._rest.push(each)

    def end(self) -> Iterable[Event] | None:
        end = getattr(self._function, "end", None)  # one that keeps state may have more to say, or miss the end
        added = self._rest.end()
        return added if added is None or not callable(end) else [*added, *end()]


class DecodeFailed(Exception):
    """The user's function has raised; the message says which, and on what."""
