"""What of an event is the same on every run: what is compared between transcripts, and kept in snapshots.

Left out are ids, which providers make up anew, and what says only when and where on this machine. Calls of tools, which their
ids tie to their results, are numbered instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from pytest_streamrt.events.types import Citation, Event, ExchangeOpened, ProviderEvent

__all__ = ["Likeness", "likeness_of"]

_HEADER: Final = frozenset(each.name for each in dataclasses.fields(Event))
_LEFT_OUT: Final = frozenset({"details", "encrypted", "first_seq", "response_id", "traceback"})
# Of a provider's own JSON, beside everything whose name ends in _id or _at.
_VOLATILE: Final = frozenset({"created", "id", "obfuscation", "sequence_number", "system_fingerprint", "timestamp"})
_EMPTY: Final[tuple[Any, ...]] = (None, "", (), {}, [])


class Likeness(NamedTuple):
    """An event without what differs from run to run.

    Attributes:
        ns: when it happened, in whole nanoseconds; None where times mean nothing.
        source: who emitted it.
        type: which event it is.
        inference: which of its source's inferences it is of, if it is not the first.
        fields: its own fields, but for those that are empty.
    """

    ns: int | None
    source: str
    type: str
    inference: int
    fields: dict[str, Any]


def likeness_of(events: Iterable[Event], *, timed: bool) -> list[Likeness]:
    """The likenesses of a transcript's events.

    Args:
        events: in order.
        timed: whether their times mean something.
    """
    calls: dict[str, int] = {}
    inferences: dict[tuple[str, str | None], int] = {}
    counts: dict[str, int] = {}
    likenesses = []
    for event in events:
        number = 0
        if event.inference is not None:
            key = event.source, event.inference
            if key not in inferences:
                inferences[key] = counts[event.source] = counts.get(event.source, 0) + 1
            number = inferences[key]
        ns = round(event.time * 1_000_000_000) if timed else None
        likenesses.append(Likeness(ns, event.source, event.type, number, _fields(event, calls)))
    return likenesses


def _fields(event: Event, calls: dict[str, int]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for each in dataclasses.fields(event):
        value = getattr(event, each.name)
        if each.name in _HEADER or each.name in _LEFT_OUT or value == each.default:
            continue
        if each.name == "id":
            fields["call"] = _number(str(value), calls)
        elif each.name == "item" and isinstance(value, str):
            continue  # the id of the item that a delta is of
        elif isinstance(event, ExchangeOpened) and each.name == "url":
            fields["path"] = urlsplit(value).path
        elif value not in _EMPTY:
            fields[each.name] = _plain(value, calls, foreign=isinstance(event, ProviderEvent | Citation))
    return fields


def _plain(value: Any, calls: dict[str, int], *, foreign: bool) -> Any:
    """A value as JSON; what is `foreign` is a provider's own, with ids of its making."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {}
        for each in dataclasses.fields(value):
            inner = getattr(value, each.name)
            if each.name == "id":
                plain["call"] = _number(str(inner), calls)
            elif each.name == "type" or (each.name not in _LEFT_OUT and inner != each.default and inner not in _EMPTY):
                plain[each.name] = _plain(inner, calls, foreign=foreign)
        return plain
    if isinstance(value, Mapping):
        return {
            str(key): _plain(each, calls, foreign=foreign)
            for key, each in value.items()
            if not (foreign and _is_volatile(str(key)))
        }
    if isinstance(value, list | tuple):
        return [_plain(each, calls, foreign=foreign) for each in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return f"<{type(value).__qualname__}>"  # a repr may hold an address


def _is_volatile(key: str) -> bool:
    return key in _VOLATILE or key.endswith(("_id", "_at"))


def _number(id: str, calls: dict[str, int]) -> int:
    return calls.setdefault(id, len(calls) + 1)
