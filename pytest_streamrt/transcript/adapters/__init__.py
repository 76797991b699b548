"""Others' streams as our events, by the shape of their pieces. One library a file; a piece of none of them is kept as it is."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pytest_streamrt.events.items import FunctionCallOutput
from pytest_streamrt.events.types import Event, ItemCompleted, ProviderEvent, TextDelta, ToolCallStarted, ToolResult
from pytest_streamrt.transcript.adapters.agents import AgentsAdapter
from pytest_streamrt.transcript.adapters.dialects import DialectAdapter, dialect_of, is_repetition, tool_answer
from pytest_streamrt.transcript.adapters.langchain import LangChainAdapter
from pytest_streamrt.transcript.adapters.pydantic_ai import PydanticAIAdapter
from pytest_streamrt.transcript.adapters.shape import Adapter, field, plain

__all__ = ["Adapter", "AnyAdapter"]

_FRAMEWORKS: Final = (AgentsAdapter, PydanticAIAdapter, LangChainAdapter)


class AnyAdapter:
    """Tells by each piece which library it is of. Strings, and bytes of UTF-8, are text; events are what they are.

    Args:
        rounds: whether one answer of a provider may follow another; see `DialectAdapter`.
    """

    def __init__(self, *, rounds: bool = True) -> None:
        self._rounds = rounds
        self._adapters: dict[object, Adapter] = {}
        self._last: Adapter | None = None
        self._tools: dict[str, str] = {}  # names, by the call's id
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def round(self) -> int:
        """Which call of the model the last piece came from, from 1."""
        return self._last.round if self._last is not None else 1

    def push(self, piece: Any) -> Iterator[Event]:
        """The events in the next piece."""
        if isinstance(piece, Event):
            yield piece
        elif isinstance(piece, str | bytes | bytearray):
            text = piece if isinstance(piece, str) else self._utf8.decode(bytes(piece))
            if text:
                yield TextDelta(text)
        elif (answered := tool_answer(piece)) is not None:
            yield from self._answered(*answered)
        elif (adapter := self._adapter(piece)) is not None:
            self._last = adapter
            for event in adapter.push(piece):
                if isinstance(event, ToolCallStarted):
                    self._tools[event.id] = event.name
                yield event
        elif not (is_repetition(piece) and self._adapters):
            name = field(piece, "type")
            library = type(piece).__module__.partition(".")[0]
            yield ProviderEvent(library, name if isinstance(name, str) else type(piece).__name__, plain(piece))

    @property
    def complete(self) -> bool:
        """Whether whoever leaves the stream now has had all of it."""
        return isinstance(self._last, DialectAdapter) and self._last.complete

    def end(self) -> Iterable[Event] | None:
        """What the end of the stream adds; None where an answer was cut short."""
        events: list[Event] = []
        for adapter in self._adapters.values():
            added = adapter.end()
            if added is None:
                return None
            events += added
        return events

    def _answered(self, call: str, output: str) -> Iterator[Event]:
        yield ToolResult(call, self._tools.get(call, ""), output)
        yield ItemCompleted(FunctionCallOutput(call, output))

    def _adapter(self, piece: Any) -> Adapter | None:
        for kind in _FRAMEWORKS:
            if kind.knows(piece):
                return self._adapters.setdefault(kind, kind())
        name = dialect_of(piece)
        if name is None:
            return None
        if name not in self._adapters:
            self._adapters[name] = DialectAdapter(name, rounds=self._rounds)
        return self._adapters[name]
