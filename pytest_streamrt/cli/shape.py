"""The shape of a recording: which types of things come, in what order, with which fields; not what a model says."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pytest_streamrt.cassette.format import Interaction
from pytest_streamrt.cli.differences import Difference
from pytest_streamrt.cli.reading import Recorded
from pytest_streamrt.errors import StreamError
from pytest_streamrt.events import Event
from pytest_streamrt.transcript.content import Content
from pytest_streamrt.wire import SSEDecoder

__all__ = ["shape_differences"]

_Fields = dict[str, set[str]]
"""The path of each field, and the types of value that were seen there."""

_NAMES: Final = {dict: "object", list: "array", str: "string", bool: "true or false", type(None): "null"}
_HEADER: Final = frozenset({"cause", "inference", "inference_seq", "round", "seq", "source", "time", "type"})


def shape_differences(old: Recorded, new: Recorded) -> Iterator[Difference]:
    """How the shapes of two recordings differ: statuses and ends, types and their order, fields and their types."""
    if old.interactions is None or new.interactions is None:
        for source in dict.fromkeys(event.source for event in (*old.events, *new.events)):
            yield from _compare(source, _of_events(old.events, source), _of_events(new.events, source))
        return
    if len(old.interactions) != len(new.interactions):
        yield Difference("shape", "number of requests", str(len(old.interactions)), str(len(new.interactions)))
    for number, (before, after) in enumerate(zip(old.interactions, new.interactions, strict=False), start=1):
        where = f"exchange {number}"
        for what, was, now in (
            ("status", before.status, after.status),
            ("content-type", _content_type(before), _content_type(after)),
            ("end", before.how, after.how),
        ):
            if was != now:
                yield Difference("shape", f"{where}, {what}", str(was), str(now))
        yield from _compare(where, _of_interaction(before), _of_interaction(after))


def _compare(where: str, old: list[tuple[str, Any]], new: list[tuple[str, Any]]) -> Iterator[Difference]:
    """Pieces by name: first the order of the names, runs counted once, then the fields of each."""
    orders = [_runs([name for name, _ in each]) for each in (old, new)]
    for kind, a, b, c, d in difflib.SequenceMatcher(None, orders[0], orders[1], autojunk=False).get_opcodes():
        if kind != "equal":
            place = f" after {orders[0][a - 1]}" if a else " at the beginning"
            removed, added = ", ".join(orders[0][a:b]), ", ".join(orders[1][c:d])
            yield Difference("shape", f"{where}, order{place}", removed or None, added or None)
    fields = [_fields_by_name(each) for each in (old, new)]
    for name in fields[0]:
        if name not in fields[1]:
            continue  # the order has said so
        before, after = fields[0][name], fields[1][name]
        for path in sorted({*before, *after}):
            if before.get(path) != after.get(path):
                types = _types(before.get(path)), _types(after.get(path))
                yield Difference("shape", f"{where}, {name}: {path}", *types)


def _types(seen: set[str] | None) -> str | None:
    return None if seen is None else " or ".join(sorted(seen))


def _runs(names: Sequence[str]) -> list[str]:
    return [name for n, name in enumerate(names) if n == 0 or names[n - 1] != name]


def _fields_by_name(pieces: Sequence[tuple[str, Any]]) -> dict[str, _Fields]:
    fields: dict[str, _Fields] = {}
    for name, value in pieces:
        _collect(value, "", fields.setdefault(name, {}))
    return fields


def _collect(value: Any, path: str, into: _Fields) -> None:
    if path:
        into.setdefault(path, set()).add(_NAMES.get(type(value), "number"))
    if isinstance(value, dict):
        for key, each in value.items():
            _collect(each, f"{path}.{key}" if path else str(key), into)
    elif isinstance(value, list):
        for each in value:
            _collect(each, f"{path}[]", into)


def _of_events(events: Sequence[Event], source: str) -> list[tuple[str, Any]]:
    """What a source did, each with the fields it has, without those that say only where it stands."""
    return [
        (event.type, {k: v for k, v in vars(event).items() if k not in _HEADER and v not in (None, (), {})})
        for event in events
        if event.source == source
    ]


def _of_interaction(interaction: Interaction) -> list[tuple[str, Any]]:
    """The frames of a stream, or a body as a whole, each with a name and its JSON, as far as it can be read."""
    headers = {name.lower(): value for name, value in interaction.response_headers}
    content = Content(headers.get("content-encoding", ""))
    try:
        body = b"".join(content.feed(chunk.data) for chunk in interaction.chunks)
    except StreamError:
        return [("unreadable", None)]
    if "event-stream" not in headers.get("content-type", ""):
        return [("body", _json(body.decode(errors="replace")))]
    decoder = SSEDecoder()
    frames = [*decoder.feed(body), *decoder.close()]
    pieces = []
    for frame in frames:
        data = frame.data or ""
        value = _json(data)
        named = value.get("type") if isinstance(value, dict) and isinstance(value.get("type"), str) else None
        name = named or frame.event or ("frame" if isinstance(value, dict) else data[:20] or "comment")
        pieces.append((str(name), value))
    return pieces


def _content_type(interaction: Interaction) -> str | None:
    return next((v.partition(";")[0] for n, v in interaction.response_headers if n.lower() == "content-type"), None)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
