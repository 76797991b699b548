"""pydantic-ai: what ``agent.run_stream_events(…)`` gives, and ``event_stream_handler`` gets (its module `messages`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from pytest_streamrt.events.items import FunctionCall, FunctionCallOutput, Item, ModelMessage, Reasoning
from pytest_streamrt.events.types import (
    Event,
    ItemCompleted,
    ProviderEvent,
    ReasoningDelta,
    Status,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    ToolResult,
    Usage,
)
from pytest_streamrt.transcript.adapters.shape import field, json_text, plain, shown

__all__ = ["PydanticAIAdapter"]

_LIBRARY: Final = "pydantic-ai"
_RESULTS: Final = frozenset({"function_tool_result", "output_tool_result"})
_REPETITIONS: Final = frozenset({"function_tool_call", "output_tool_call"})


class PydanticAIAdapter:
    """A run over all its rounds: parts as they are written, tools' results, the usage at the end."""

    def __init__(self) -> None:
        self.round = 1
        self._answered = False  # whether tools have answered since the model last spoke

    @staticmethod
    def knows(piece: Any) -> bool:
        """Whether a piece is of this library."""
        return isinstance(field(piece, "event_kind"), str)

    def push(self, piece: Any) -> Iterable[Event]:
        """The events in the next piece."""
        kind = field(piece, "event_kind")
        part = field(piece, "part")
        match kind:
            case "part_start":
                if self._answered:
                    self.round, self._answered = self.round + 1, False
                return self._start(part, self._item(piece), piece)
            case "part_delta":
                return self._delta(field(piece, "delta"), self._item(piece), piece)
            case "part_end":
                item = _item_of(part)
                return [ItemCompleted(item)] if item is not None else []
            case "final_result":
                return [Status("final_result", {"tool": field(piece, "tool_name")})]
            case "agent_run_result":
                return self._usage(field(piece, "result"))
            case _ if kind in _RESULTS:
                self._answered = True
                return self._result(part)
            case _ if kind in _REPETITIONS:
                return []
        return [ProviderEvent(_LIBRARY, kind, plain(piece))]

    def end(self) -> Iterable[Event]:
        """The end of the run adds nothing."""
        return []

    def _item(self, piece: Any) -> str:
        return f"{self.round}.{field(piece, 'index')}"

    def _start(self, part: Any, item: str, piece: Any) -> Iterator[Event]:
        kind = field(part, "part_kind")
        content = field(part, "content")
        if kind == "text":
            if content:
                yield TextDelta(content, item=item)
        elif kind == "thinking":
            if content:
                yield ReasoningDelta(content, item=item)
        elif kind == "tool-call":
            call = str(field(part, "tool_call_id"))
            yield ToolCallStarted(call, str(field(part, "tool_name")))
            if arguments := json_text(field(part, "args")):
                yield ToolCallDelta(call, arguments)
        else:
            yield ProviderEvent(_LIBRARY, f"part_start {kind}", plain(piece))

    def _delta(self, delta: Any, item: str, piece: Any) -> Iterator[Event]:
        kind = field(delta, "part_delta_kind")
        content = field(delta, "content_delta")
        call = field(delta, "tool_call_id")
        arguments = field(delta, "args_delta")
        if kind == "text":
            if content:
                yield TextDelta(content, item=item)
        elif kind == "thinking":
            if content:  # else it is the signature alone
                yield ReasoningDelta(content, item=item)
        elif kind == "tool_call" and call is not None and isinstance(arguments, str | None):
            if arguments:
                yield ToolCallDelta(call, arguments)
        else:
            yield ProviderEvent(_LIBRARY, f"part_delta {kind}", plain(piece))

    def _result(self, part: Any) -> Iterator[Event]:
        call, name = str(field(part, "tool_call_id") or ""), str(field(part, "tool_name") or "")
        text = shown(field(part, "content"))
        refused = field(part, "part_kind") == "retry-prompt" or field(part, "outcome", "success") not in (
            "success",
            None,
        )
        status: Literal["completed", "failed"] = "failed" if refused else "completed"
        yield ToolResult(call, name, text, status)
        yield ItemCompleted(FunctionCallOutput(call, text))

    def _usage(self, result: Any) -> Iterator[Event]:
        usage = field(result, "usage")
        if field(usage, "input_tokens") is None and callable(usage):  # pydantic-ai 1
            usage = usage()
        read, written = field(usage, "input_tokens"), field(usage, "output_tokens")
        if isinstance(read, int) and isinstance(written, int) and (read or written):
            yield Usage(read, written)  # over all rounds


def _item_of(part: Any) -> Item | None:
    content = field(part, "content")
    match field(part, "part_kind"):
        case "text" if content:
            return ModelMessage(content)
        case "thinking" if content:
            return Reasoning(content)
        case "tool-call":
            call, name = str(field(part, "tool_call_id")), str(field(part, "tool_name"))
            return FunctionCall(call, name, json_text(field(part, "args")))
    return None
