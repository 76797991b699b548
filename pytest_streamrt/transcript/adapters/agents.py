"""openai-agents: what ``Runner.run_streamed(…).stream_events()`` gives (its module `agents.stream_events`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pytest_streamrt.events.items import FunctionCallOutput
from pytest_streamrt.events.order import TERMINALS
from pytest_streamrt.events.types import Event, ItemCompleted, ProviderEvent, Status, ToolCallStarted, ToolResult
from pytest_streamrt.transcript.adapters.dialects import DialectAdapter, dialect_of
from pytest_streamrt.transcript.adapters.shape import field, plain, shown

__all__ = ["AgentsAdapter"]

_LIBRARY: Final = "openai-agents"
_KINDS: Final = frozenset({"agent_updated_stream_event", "raw_response_event", "run_item_stream_event"})
_REPETITIONS: Final = frozenset({"message_output_created", "reasoning_item_created", "tool_called"})


class AgentsAdapter:
    """A run over all its rounds: the model's raw events by the dialect they are of, tools' outputs, handoffs."""

    def __init__(self) -> None:
        self._raw: DialectAdapter | None = None
        self._tools: dict[str, str] = {}  # names, by the call's id

    @property
    def round(self) -> int:
        """Which call of the model this is, from 1."""
        return self._raw.round if self._raw is not None else 1

    @staticmethod
    def knows(piece: Any) -> bool:
        """Whether a piece is of this library."""
        return field(piece, "type") in _KINDS

    def push(self, piece: Any) -> Iterable[Event]:
        """The events in the next piece."""
        kind = field(piece, "type")
        if kind == "raw_response_event":
            return self._of_model(field(piece, "data"))
        if kind == "agent_updated_stream_event":
            return [Status("agent_updated", {"agent": field(field(piece, "new_agent"), "name")})]
        return self._of_run(field(piece, "name"), field(piece, "item"))

    def end(self) -> Iterable[Event]:
        """The end of the run adds nothing."""
        return []

    def _of_model(self, data: Any) -> Iterator[Event]:
        if self._raw is None:
            self._raw = DialectAdapter(dialect_of(data) or "openai.responses", rounds=True)
        for event in self._raw.push(data):
            if isinstance(event, ToolCallStarted):
                self._tools[event.id] = event.name
            if event.type not in TERMINALS:  # a failed round; how the run ends is told by the stream's own end
                yield event

    def _of_run(self, name: Any, item: Any) -> Iterator[Event]:
        if name in _REPETITIONS:
            return
        if name == "tool_output":
            raw = field(item, "raw_item")
            call = str(field(raw, "call_id") or field(raw, "id") or "")
            output = field(item, "output")
            text = shown(output if output is not None else field(raw, "output"))
            yield ToolResult(call, self._tools.get(call, ""), text)
            yield ItemCompleted(FunctionCallOutput(call, text))
        elif name in ("handoff_requested", "handoff_occured"):
            agents = {side: field(field(item, f"{side}_agent"), "name") for side in ("source", "target")}
            yield Status(name.replace("occured", "occurred"), {k: v for k, v in agents.items() if v is not None})
        else:
            yield ProviderEvent(_LIBRARY, name, plain(field(item, "raw_item")))
