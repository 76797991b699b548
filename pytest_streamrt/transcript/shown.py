"""What a source showed, as running texts: each lane of each inference joined, with the event that each piece came in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_streamrt.events.items import FunctionCall, FunctionCallOutput, ModelMessage, Reasoning
from pytest_streamrt.events.types import (
    Citation,
    Event,
    InferenceAborted,
    InferenceFailure,
    ItemCompleted,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    Signal,
    Status,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    ToolProgress,
    ToolResult,
)
from pytest_streamrt.transcript.hidden import strings_in
from pytest_streamrt.transcript.stories import story_of

__all__ = ["Shown", "shown_by"]


@dataclass
class Shown:
    """A running text.

    Attributes:
        source: who showed it, or None for a text that the test gave.
        lane: what kind of text it is, in the words of `hidden` where that has one.
        text: all of it.
        events: the events whose pieces it is made of, in order.
        offsets: where the piece of each begins.
    """

    source: str | None
    lane: str
    text: str
    events: list[Event] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def events_of(self, start: int, end: int) -> tuple[int, list[Event]]:
        """The number, from 1, of the first event that a part of the text came in, and all the events it came in."""
        first = max(bisect_right(self.offsets, start) - 1, 0)
        return first + 1, self.events[first : bisect_right(self.offsets, max(end - 1, start))]


_Piece = tuple[str, Hashable, str]
"""A lane, what tells running texts of that lane apart, and the next piece of the text."""


def shown_by(source: str, logged: Sequence[tuple[object, Event]]) -> list[Shown]:
    """Everything that a source showed. Items count where their text did not come in deltas."""
    pieces: dict[tuple[Hashable, str, Hashable], list[tuple[str, Event]]] = {}
    written: dict[tuple[Hashable, str], list[str]] = {}
    items: list[tuple[Hashable, str, str, Event]] = []
    for origin, event in logged:
        if event.source != source:
            continue
        story: Hashable = story_of(origin, event) or id(origin)
        if isinstance(event, ItemCompleted):
            items += [(story, lane, text, event) for lane, text in _item(event)]
            continue
        for lane, key, text in _pieces(event):
            if text:
                pieces.setdefault((story, lane, key), []).append((text, event))
    result = []
    for (story, lane, _), said in pieces.items():
        result.append(_join(source, lane, said))
        written.setdefault((story, lane), []).append(result[-1].text)
    for story, lane, text, event in items:
        if text and not any(text in each for each in written.get((story, lane), ())):
            result.append(_join(source, lane, [(text, event)]))
    return [*result, *_unescaped(result)]


def _pieces(event: Event) -> Iterator[_Piece]:
    match event:
        case TextDelta():
            yield "text", event.choice, event.text
        case RefusalDelta():
            yield "refusal", event.choice, event.text
        case ReasoningDelta():
            yield "reasoning", (event.choice, event.summary), event.text
        case ToolCallStarted():
            yield "tool call", (event.id, "name"), event.name
        case ToolCallDelta():
            yield "tool call", event.id, event.arguments
        case ToolResult():
            yield "tool result", event.id, event.output
        case ToolProgress():
            yield from _data("progress of a tool", (event.id, event.name), event.data)
        case Status():
            yield "status", "name", event.name
            yield from _data("status", "data", event.data)
        case Signal():
            yield from _data("signal", event.name, event.data)
        case Citation():
            yield from _data("citation", None, [event.url, event.title, event.data])
        case ProviderEvent():
            yield from _data("provider's event", event.name, event.data)
        case InferenceFailure():
            yield "message of a failure", None, event.message
        case InferenceAborted():
            yield "reason of an abort", None, event.reason
        case _:
            return


def _item(event: ItemCompleted) -> list[tuple[str, str]]:
    match event.item:
        case ModelMessage(text=text, refusal=refusal):
            return [("text", text), ("refusal", refusal)]
        case Reasoning(text=text, summary=summary):
            return [("reasoning", text), ("reasoning", summary)]
        case FunctionCall(arguments=arguments):
            return [("tool call", arguments)]
        case FunctionCallOutput(output=output):
            return [("tool result", output)]
        case _:
            return []


def _data(lane: str, key: Hashable, data: Any) -> Iterator[_Piece]:
    """The strings and numbers in any data, each by its path: what comes under one path, event after event, is one running text."""
    pending: list[tuple[tuple[Hashable, ...], Any]] = [((), data)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, str):
            yield lane, (key, path), value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield lane, (key, path), str(value)
        elif isinstance(value, dict):
            pending.extend(((*path, str(name)), each) for name, each in reversed(value.items()))
        elif isinstance(value, list | tuple):
            pending.extend(((*path, i), each) for i, each in reversed(list(enumerate(value))))


def _join(source: str, lane: str, said: list[tuple[str, Event]]) -> Shown:
    shown = Shown(source, lane, "".join(text for text, _ in said))
    at = 0
    for text, event in said:
        shown.events.append(event)
        shown.offsets.append(at)
        at += len(text)
    return shown


def _unescaped(texts: list[Shown]) -> Iterator[Shown]:
    """The strings of JSON in which something is escaped, which then does not show in the text as it was written."""
    for shown in texts:
        if "\\" in shown.text:
            for text in strings_in(shown.text):
                if text not in shown.text:
                    yield Shown(shown.source, shown.lane, text, shown.events[-1:], [0])
