"""OpenAI's output items, as they stand in a finished response, and the events by which they would have been streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

__all__ = ["RESPONSES_NAME", "citation", "id_of", "item_of", "whole_item"]

RESPONSES_NAME: Final = "openai.responses"


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


def id_of(raw: Mapping[str, Any]) -> str:
    """What tells the item from others of its response; "" where the provider gives no id."""
    return text(raw, "id") or text(raw, "call_id")


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
