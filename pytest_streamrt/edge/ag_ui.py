"""AG-UI, the Agent User Interaction protocol, version 1.0 and before, read into events.

Protocol facts: docs.ag-ui.com, "Events", and the models of the package ag-ui-protocol 1.0. Of the events that left the protocol in
1.0, those of the model's thinking are read as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_streamrt.edge.decoding import Parts, Protocol
from pytest_streamrt.events.types import (
    Event,
    InferenceAborted,
    InferenceCompleted,
    InferenceStarted,
    ProviderEvent,
    ReasoningDelta,
    Signal,
    Status,
    TextDelta,
    ToolResult,
)
from pytest_streamrt.providers.fields import object_of, text

__all__ = ["ag_ui"]


def ag_ui() -> Protocol:
    """``decode=ag_ui()``: a run of an AG-UI agent, as text, reasoning, tool calls and their results.

    ``CUSTOM`` events are signals of their name; state, messages, activities and steps are statuses. The answer is complete at
    ``RUN_FINISHED``, unless its outcome is "cancelled".
    """
    return _AGUI()


class _AGUI(Protocol):
    name = "ag-ui"

    def __init__(self) -> None:
        super().__init__()
        self._parts = Parts()
        self._message = ""  # a chunk without an id goes on with the last
        self._call = ""

    def object(self, data: Mapping[str, Any], name: str | None) -> list[Event]:
        kind = text(data, "type")
        parts = self._parts
        match kind:
            case "RUN_STARTED":
                return [InferenceStarted(None, text(data, "runId") or None)]
            case "TEXT_MESSAGE_CONTENT" | "TEXT_MESSAGE_CHUNK":
                return self._text(data)
            case "TEXT_MESSAGE_END":
                return parts.text_over(text(data, "messageId"))
            case (
                "REASONING_MESSAGE_CONTENT"
                | "REASONING_MESSAGE_CHUNK"
                | "THINKING_TEXT_MESSAGE_CONTENT"
                | "THINKING_TEXT_MESSAGE_CHUNK"
            ):
                return self._reasoning(data)
            case "REASONING_MESSAGE_END" | "THINKING_TEXT_MESSAGE_END":
                return parts.text_over(f"reasoning {text(data, 'messageId')}", reasoning=True)
            case "TOOL_CALL_START":
                return parts.call(text(data, "toolCallId"), text(data, "toolCallName"))
            case "TOOL_CALL_ARGS":
                return parts.arguments(text(data, "toolCallId"), text(data, "delta"))
            case "TOOL_CALL_CHUNK":
                self._call = text(data, "toolCallId") or self._call
                begun = parts.call(self._call, text(data, "toolCallName"))
                return [*begun, *parts.arguments(self._call, text(data, "delta"))]
            case "TOOL_CALL_END":
                return parts.call_over(text(data, "toolCallId"))
            case "TOOL_CALL_RESULT":
                call = text(data, "toolCallId")
                return [ToolResult(call, parts.name_of(call), text(data, "content"))]
            case "CUSTOM":
                return [Signal(text(data, "name"), data.get("value"))]
            case "RUN_ERROR":
                return [self.failed(text(data, "message"))]
            case "RUN_FINISHED":
                return [self._finished(data)]
            case "TEXT_MESSAGE_START":
                return []
        if kind.startswith(("STATE_", "MESSAGES_", "STEP_", "ACTIVITY_", "SUBAGENT_", "REASONING_", "THINKING_")):
            rest = {name: value for name, value in data.items() if name not in ("type", "timestamp")}
            return [Status(kind, rest or None)]
        return [ProviderEvent(self.name, kind or name, dict(data))]

    def _text(self, data: Mapping[str, Any]) -> list[Event]:
        self._message = text(data, "messageId") or self._message
        delta = text(data, "delta")
        self._parts.text(self._message, delta)
        return [TextDelta(delta, self._message or None)] if delta else []

    def _reasoning(self, data: Mapping[str, Any]) -> list[Event]:
        id = f"reasoning {text(data, 'messageId')}"
        delta = text(data, "delta")
        self._parts.text(id, delta)
        return [ReasoningDelta(delta, item=id)] if delta else []

    def _finished(self, data: Mapping[str, Any]) -> Event:
        outcome = text(object_of(data, "outcome"), "type")
        if outcome == "cancelled":
            said = self.said
            return InferenceAborted("", "app", said.text, tuple(said.items), said.usage)
        return InferenceCompleted(outcome or None)
