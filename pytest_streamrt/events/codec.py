"""Events as JSON and back. Pydantic does it, and is imported only here, when the first event is written or read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pytest_streamrt.events.types import AnyEvent, Event

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["event_adapter", "from_json", "to_json"]


@cache
def event_adapter() -> TypeAdapter[Any]:
    """The `pydantic.TypeAdapter` of any event, told apart by `type`: for schemas, and for one event at a time."""
    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[AnyEvent, Field(discriminator="type")])


def to_json(events: Iterable[Event]) -> bytes:
    """Write events as JSON Lines: one event a line, every field in it, UTF-8.

    Half a character (a lone surrogate, which a provider's JSON may hold and UTF-8 cannot) is written as U+FFFD.
    """
    return b"".join(_line(event) + b"\n" for event in events)


def from_json(data: bytes) -> list[Event]:
    """Read what `to_json` wrote.

    Raises:
        pydantic.ValidationError: a line is not an event; it names the field.
    """
    adapter = event_adapter()
    return [adapter.validate_json(line) for line in data.splitlines() if line]


def _line(event: Event) -> bytes:
    adapter = event_adapter()
    try:
        line: bytes = adapter.dump_json(event)
    except ValueError:
        return json.dumps(_whole_characters(adapter.dump_python(event)), ensure_ascii=False).encode()
    return line


def _whole_characters(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole_characters(key): _whole_characters(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_characters(each) for each in value]
    return value
