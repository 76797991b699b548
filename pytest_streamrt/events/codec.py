"""Events as JSON and back. Pydantic does it, and is imported only here, when the first event is written or read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final

from pytest_streamrt.errors import StreamError
from pytest_streamrt.events.given import given
from pytest_streamrt.events.types import AnyEvent, Event

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["event_adapter", "from_json", "to_json"]

_SHOWN: Final = 60  # bytes of a damaged line that are quoted


@cache
def event_adapter() -> TypeAdapter[Any]:
    """The `pydantic.TypeAdapter` of any event, told apart by `type`: for schemas, and for one event at a time."""
    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[AnyEvent, Field(discriminator="type")])


def to_json(events: Iterable[Event]) -> bytes:
    """Write events as JSON Lines: one event a line, every field in it, UTF-8.

    Half a character (a lone surrogate, which a provider's JSON may hold and UTF-8 cannot) is written as U+FFFD.

    Raises:
        TypeError: these are no events, or what one holds cannot be JSON; it says which.
    """
    __tracebackhide__ = True
    return b"".join(map(_line, given("to_json", events)))


def from_json(data: bytes) -> list[Event]:
    """Read what `to_json` wrote.

    Raises:
        TypeError: these are no bytes.
        StreamError: a line is no event; it says which, where it begins, and what is wrong. Its `events` are those before.
    """
    __tracebackhide__ = True
    if not isinstance(data, bytes):
        msg = f"from_json: it reads bytes, as to_json writes them, and not a {type(data).__name__}"
        raise TypeError(msg)
    adapter = event_adapter()
    events: list[Event] = []
    offset = 0
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        if line.strip():
            try:
                events.append(adapter.validate_json(line))
            except ValueError as error:
                quoted = repr(line.rstrip()[:_SHOWN].decode(errors="replace"))
                msg = (
                    f"line {number} is no event of a transcript: {quoted} ({_reason(error)}). A transcript is written with "
                    "pytest_streamrt.events.to_json(transcript.events)"
                )
                raise StreamError(msg, offset=offset, events=events) from None
        offset += len(line)
    return events


def _reason(error: ValueError) -> str:
    """What pydantic has against it, in a line, without its links."""
    first = str(error).splitlines()
    return " ".join(first[1:3]).partition(" [type=")[0].strip() if len(first) > 1 else str(error)


def _line(event: Event) -> bytes:
    __tracebackhide__ = True
    adapter = event_adapter()
    try:
        line: bytes = adapter.dump_json(event)
    except ValueError:
        try:
            return json.dumps(_whole_characters(adapter.dump_python(event)), ensure_ascii=False).encode() + b"\n"
        except TypeError as error:
            msg = f"to_json: {event!r} cannot be JSON: {error}"
            raise TypeError(msg) from None
    return line + b"\n"


def _whole_characters(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole_characters(key): _whole_characters(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_characters(each) for each in value]
    return value
