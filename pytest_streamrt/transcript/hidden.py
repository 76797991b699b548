"""What must stay hidden, selected from a transcript: ``from pytest_streamrt import hidden``.

``hidden.reasoning()``, ``hidden.tool_calls()``, ``hidden.tool_results()``, ``hidden.system_prompt()`` and ``hidden.text(source)``
go into ``transcript.assert_no_leak(hidden=[…], visible=…)``. Each but the last takes a source, or is of all there are.

What an agent of the runtime thought and was told is taken from its own context, too, since gates act on the room alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.items import FunctionCall, FunctionCallOutput, Item, Message, Reasoning
from pytest_streamrt.events.types import Event, ToolResult
from pytest_streamrt.providers.requests import system_prompts
from pytest_streamrt.providers.requests import tool_results as results_in
from pytest_streamrt.runtime.agent import Agent
from pytest_streamrt.runtime.environment import Environment
from pytest_streamrt.transcript.exchange import Exchange
from pytest_streamrt.transcript.stories import story_of

__all__ = ["Selection", "Text", "reasoning", "strings_in", "system_prompt", "text", "tool_calls", "tool_results"]


@dataclass(frozen=True)
class Selection:
    """Which texts of a transcript are meant. Made by the functions of this module.

    Attributes:
        lane: what kind of text, such as "reasoning".
        source: whose, or None for everyone's.
    """

    lane: str
    source: str | None = None

    def __str__(self) -> str:
        return f"hidden.{_NAMES[self.lane]}({'' if self.source is None else repr(self.source)})"

    def of(self, logged: Sequence[tuple[object, Event]], exchanges: Iterable[Exchange]) -> list[Text]:
        """The texts, each once."""
        chosen = dict.fromkeys(
            Text(self.lane, source, text)
            for source, whole in _LANES[self.lane](logged, exchanges)
            if self.source in (None, source)
            for text in (whole, *strings_in(whole))
            if text
        )
        return list(chosen)


class Text(NamedTuple):
    """One hidden text.

    Attributes:
        lane: what kind of text it is.
        source: whose it is.
        text: the text.
    """

    lane: str
    source: str
    text: str

    def __str__(self) -> str:
        return f"{self.lane} of {self.source!r}"


def reasoning(source: str | None = None) -> Selection:
    """What models thought, and their summaries of it."""
    return Selection("reasoning", source)


def tool_calls(source: str | None = None) -> Selection:
    """The arguments of tool calls, as they were written, and the strings in them."""
    return Selection("tool call", source)


def tool_results(source: str | None = None) -> Selection:
    """What tools answered, as text, and where that is JSON, the strings in it. Of exchanges: what their requests hold."""
    return Selection("tool result", source)


def system_prompt(source: str | None = None) -> Selection:
    """What models were instructed: the system's and the developer's messages."""
    return Selection("system prompt", source)


def text(source: str) -> Selection:
    """What that source said."""
    return Selection("text", source)


def strings_in(text: str) -> Iterator[str]:
    """The strings in a JSON text, keys left out; none where it is no JSON object or list."""
    if text.lstrip()[:1] not in ("{", "["):
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            pending.extend(reversed(list(value.values())))
        elif isinstance(value, list):
            pending.extend(reversed(value))


_Found = Iterator[tuple[str, str]]
"""Sources, and a text of each."""


def _thoughts(logged: Sequence[tuple[object, Event]], _exchanges: Iterable[Exchange]) -> _Found:
    for source, fold in _folds(logged):
        for item in fold.items:
            if isinstance(item, Reasoning):
                yield from ((source, text) for text in (item.text, item.summary))
    for source, item in _contexts(logged):
        if isinstance(item, Reasoning):
            yield from ((source, text) for text in (item.text, item.summary))


def _calls(logged: Sequence[tuple[object, Event]], _exchanges: Iterable[Exchange]) -> _Found:
    for source, fold in _folds(logged):
        yield from ((source, call.arguments) for call in fold.tool_calls)
    for source, item in _contexts(logged):
        if isinstance(item, FunctionCall):
            yield source, item.arguments


def _results(logged: Sequence[tuple[object, Event]], exchanges: Iterable[Exchange]) -> _Found:
    for _, event in logged:
        if isinstance(event, ToolResult):
            yield event.source, event.output
    for source, item in _contexts(logged):
        if isinstance(item, FunctionCallOutput):
            yield source, item.output
    for exchange in exchanges:
        yield from ((exchange.source, text) for text in results_in(exchange.body))


def _instructions(logged: Sequence[tuple[object, Event]], exchanges: Iterable[Exchange]) -> _Found:
    for source, item in _contexts(logged):
        if isinstance(item, Message) and item.role != "user":
            yield source, item.text
    for exchange in exchanges:
        yield from ((exchange.source, text) for text in system_prompts(exchange.body))


def _words(logged: Sequence[tuple[object, Event]], _exchanges: Iterable[Exchange]) -> _Found:
    for source, fold in _folds(logged):
        yield source, fold.text


def _folds(logged: Sequence[tuple[object, Event]]) -> Iterator[tuple[str, Fold]]:
    """What was said in each inference."""
    folds: dict[object, tuple[str, Fold]] = {}  # in order of their first event
    for origin, event in logged:
        story = story_of(origin, event) or (id(origin), event.source)
        folds.setdefault(story, (event.source, Fold()))[1].add(event)
    yield from folds.values()


def _contexts(logged: Sequence[tuple[object, Event]]) -> Iterator[tuple[str, Item]]:
    """What the agents of the runtime know that inferred in this transcript."""
    agents: dict[Agent, None] = {}
    for room in dict.fromkeys(origin for origin, _ in logged if isinstance(origin, Environment)):
        agents |= {inference.agent: None for inference in room.inferences.values()}
    for agent in agents:
        yield from ((agent.name, item) for item in agent.context.items)


_LANES: Final[Mapping[str, Callable[[Sequence[tuple[object, Event]], Iterable[Exchange]], _Found]]] = {
    "reasoning": _thoughts,
    "tool call": _calls,
    "tool result": _results,
    "system prompt": _instructions,
    "text": _words,
}

_NAMES: Final[Mapping[str, Any]] = {lane: lane.replace(" ", "_") for lane in _LANES} | {
    "tool call": "tool_calls",
    "tool result": "tool_results",
}
