"""Reading pieces of others' streams by their shape: no SDK is imported, so any version of it, or none, may be installed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from pytest_streamrt.events.types import Event

__all__ = ["Adapter", "as_object", "field", "json_text", "plain", "shown"]

_DEEPEST: Final = 12  # levels of nesting, beyond which a value is given by its type's name


class Adapter(Protocol):
    """Maps the pieces of one stream of one library to events. Holds the state of that stream."""

    @property
    def round(self) -> int:
        """Which call of the model the events of the last piece came from, from 1."""
        ...

    def push(self, piece: Any) -> Iterable[Event]:
        """The events in the next piece."""
        ...

    def end(self) -> Iterable[Event] | None:
        """The stream has ended in order: what that adds. None where its library has words for an end, and none came."""
        ...


def field(piece: Any, name: str, default: Any = None) -> Any:
    """A field of a dict or of an object."""
    if isinstance(piece, Mapping):
        return piece.get(name, default)
    return getattr(piece, name, default)


def as_object(piece: Any) -> Mapping[str, Any]:
    """A piece of an SDK, such as a pydantic model, as the JSON object that it came from: what was not sent is not in it."""
    value = plain(piece)
    return value if isinstance(value, dict) else {}


def plain(value: Any, depth: int = 0) -> Any:
    """Any value as what JSON can hold. What has no such form is given by the name of its type: a repr may hold an address."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if depth > _DEEPEST:
        return f"<{type(value).__qualname__}>"
    if isinstance(value, Mapping):
        return {str(key): plain(each, depth + 1) for key, each in value.items()}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return plain(dump(exclude_unset=True, by_alias=True, warnings=False), depth + 1)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {each.name: getattr(value, each.name, None) for each in dataclasses.fields(value) if each.repr}
        return plain(fields, depth + 1)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(each, depth + 1) for each in value]
    return f"<{type(value).__qualname__}>"


def json_text(arguments: Any) -> str:
    """A tool call's arguments as JSON text: some libraries give them parsed."""
    if arguments is None:
        return ""
    if isinstance(arguments, str):
        return arguments
    return json.dumps(plain(arguments), separators=(",", ":"), ensure_ascii=False)


def shown(output: Any) -> str:
    """What a tool gave back, as text."""
    return output if isinstance(output, str) else json_text(output)
