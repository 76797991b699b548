"""OpenAI's output items, as they stand in a finished response, and the events by which they would have been streamed."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pytest_streamrt.events.items import FunctionCall, Item, ModelMessage, Reasoning
from pytest_streamrt.events.types import (
    Citation,
    Event,
    ItemCompleted,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from pytest_streamrt.providers.fields import objects, text

__all__ = ["PROGRESS", "RESPONSES_NAME", "citation", "item_of", "same_item", "untold", "whole_item"]

RESPONSES_NAME: Final = "openai.responses"

PROGRESS: Final = re.compile(
    r"response\.(?:queued|in_progress|(?:\w+_call|mcp_list_tools)\."
    r"(?:queued|in_progress|searching|interpreting|generating|completed|failed|incomplete))"
)
"""Events by which a server says how far it is with the answer, or with a tool of its own."""


def item_of(raw: Mapping[str, Any]) -> Item | None:
    """A provider's finished output item as one of ours, or None where it is of another kind."""
    kind = text(raw, "type")
    if kind == "message":
        parts = list(objects(raw, "content"))
        said = "".join(text(part, "text") for part in parts if text(part, "type") == "output_text")
        return ModelMessage(said, "".join(text(part, "refusal") for part in parts if text(part, "type") == "refusal"))
    if kind == "reasoning":
        thought = "".join(text(part, "text") for part in objects(raw, "content"))
        summary = "".join(text(part, "text") for part in objects(raw, "summary"))
        return Reasoning(thought, summary, text(raw, "encrypted_content") or None)
    if kind == "function_call":
        return FunctionCall(text(raw, "call_id") or text(raw, "id"), text(raw, "name"), text(raw, "arguments"))
    return None


def same_item(one: Item, other: Item) -> bool:
    """Whether two items are the same one: calls by their id, others by what they say."""
    if isinstance(one, FunctionCall) and isinstance(other, FunctionCall):
        return one.id == other.id
    if isinstance(one, Reasoning) and isinstance(other, Reasoning):
        return (one.text, one.summary) == (other.text, other.summary)
    return one == other


def untold(outputs: Iterable[Mapping[str, Any]], told: Sequence[Item], ids: Container[str]) -> list[Mapping[str, Any]]:
    """Those items of a finished response that its stream has not told.

    OpenRouter gives other ids there than in the stream, so what has no known id is known again by what it says.

    Args:
        outputs: the items of the finished response.
        told: what the stream has told.
        ids: the ids of what it has told.
    """
    left = list(told)
    strange = []
    for output in outputs:
        item = item_of(output)
        if item is None:
            continue
        if (text(output, "id") or None) in ids:
            _take(left, item)
        else:
            strange.append((output, item))
    return [output for output, item in strange if not _take(left, item)]


def _take(items: list[Item], item: Item) -> bool:
    """Take an item out of a list, if it is in it."""
    for i, each in enumerate(items):
        if same_item(each, item):
            del items[i]
            return True
    return False


def whole_item(raw: Mapping[str, Any]) -> Iterator[Event]:
    """The events by which an item that was not streamed would have come."""
    item = item_of(raw)
    id = text(raw, "id") or None
    if item is None:
        yield ProviderEvent(RESPONSES_NAME, text(raw, "type") or None, raw)
        return
    if isinstance(item, ModelMessage):
        for part in objects(raw, "content"):
            if text(part, "type") == "output_text" and text(part, "text"):
                yield TextDelta(text(part, "text"), item=id)
            elif text(part, "type") == "refusal" and text(part, "refusal"):
                yield RefusalDelta(text(part, "refusal"), item=id)
            yield from (citation(note) for note in objects(part, "annotations"))
    elif isinstance(item, Reasoning):
        if item.text:
            yield ReasoningDelta(item.text, item=id)
        if item.summary:
            yield ReasoningDelta(item.summary, summary=True, item=id)
    elif isinstance(item, FunctionCall):
        yield ToolCallStarted(item.id, item.name)
        if item.arguments:
            yield ToolCallDelta(item.id, item.arguments)
    yield ItemCompleted(item)


def citation(note: Mapping[str, Any]) -> Citation:
    """An annotation of a text as an event."""
    return Citation(text(note, "url") or None, text(note, "title") or None, note)
