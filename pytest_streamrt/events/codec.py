"""Events as JSON and back. Pydantic does it, and is imported only here, when the first event is written or read."""

from __future__ import annotations

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
    """Write events as JSON Lines: one event a line, every field in it, UTF-8."""
    adapter = event_adapter()
    return b"".join(adapter.dump_json(event) + b"\n" for event in events)


def from_json(data: bytes) -> list[Event]:
    """Read what `to_json` wrote.

    Raises:
        pydantic.ValidationError: a line is not an event; it names the field.
    """
    adapter = event_adapter()
    return [adapter.validate_json(line) for line in data.splitlines() if line]
