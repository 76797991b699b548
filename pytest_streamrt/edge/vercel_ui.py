"""The Vercel AI SDK's UI message stream, version 1 (header ``x-vercel-ai-ui-message-stream: v1``), read into events.

Protocol facts: ai-sdk.dev, "Stream Protocols", section "Data Stream Protocol"; the chunks of AI SDK 5 to 7 as pydantic-ai lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pytest_streamrt.edge.decoding import Parts, Protocol, as_text
from pytest_streamrt.events.types import (
    Citation,
    Event,
    InferenceAborted,
    InferenceCompleted,
    InferenceStarted,
    ProviderEvent,
    ReasoningDelta,
    Signal,
    Status,
    TextDelta,
    ToolProgress,
    ToolResult,
)
from pytest_streamrt.providers.fields import text

__all__ = ["vercel_ui"]

_DONE: Final = "[DONE]"


def vercel_ui() -> Protocol:
    """``decode=vercel_ui()``: a stream of the Vercel AI SDK's `useChat`, as text, reasoning, tool calls and their results.

    Parts named ``data-…`` are signals of that name; steps and metadata are statuses. The answer is complete at ``[DONE]``, or
    where the stream ends after ``finish``.
    """
    return _VercelUI()


class _VercelUI(Protocol):
    name = "vercel.ui"

    def __init__(self) -> None:
        super().__init__()
        self._parts = Parts()
        self._finished = False
        self._reason: str | None = None

    def data(self, data: str, name: str | None) -> list[Event]:
        return [InferenceCompleted(self._reason)] if data == _DONE else super().data(data, name)

    def closing(self) -> list[Event] | None:
        return [InferenceCompleted(self._reason)] if self._finished else None

    def object(self, data: Mapping[str, Any], name: str | None) -> list[Event]:
        kind = text(data, "type")
        id, call = text(data, "id"), text(data, "toolCallId")
        parts = self._parts
        match kind:
            case "start":
                return [InferenceStarted(None, text(data, "messageId") or None)]
            case "text-delta":
                parts.text(id, delta := text(data, "delta"))
                return [TextDelta(delta, id or None)]
            case "reasoning-delta":
                parts.text(id, delta := text(data, "delta"))
                return [ReasoningDelta(delta, item=id or None)]
            case "text-end" | "reasoning-end":
                return parts.text_over(id, reasoning=kind == "reasoning-end")
            case "text-start" | "reasoning-start":
                return []
            case "tool-input-start":
                return parts.call(call, text(data, "toolName"))
            case "tool-input-delta":
                return parts.arguments(call, text(data, "inputTextDelta"))
            case "tool-input-available" | "tool-input-error":
                events = [*parts.call(call, text(data, "toolName")), *parts.call_over(call, data.get("input"))]
                return events if kind == "tool-input-available" else [*events, self._result(data, "failed")]
            case "tool-output-available" if data.get("preliminary"):
                return [ToolProgress(call, parts.name_of(call), data.get("output"))]
            case "tool-output-available":
                return [self._result(data, "completed")]
            case "tool-output-error":
                return [self._result(data, "failed")]
            case "tool-output-denied":
                return [self._result(data, "cancelled")]
            case "source-url" | "source-document":
                return [Citation(text(data, "url") or None, text(data, "title") or None, dict(data))]
            case "start-step" | "finish-step" | "message-metadata" | "tool-approval-request":
                return [Status(kind, {name: value for name, value in data.items() if name != "type"} or None)]
            case "finish":
                self._finished, self._reason = True, text(data, "finishReason") or None
                return []
            case "error":
                return [self.failed(text(data, "errorText"))]
            case "abort":
                said = self.said
                return [InferenceAborted(text(data, "reason"), "app", said.text, tuple(said.items), said.usage)]
        if kind.startswith("data-"):
            return [Signal(kind, data.get("data"))]
        return [ProviderEvent(self.name, kind or name, dict(data))]

    def _result(self, data: Mapping[str, Any], status: Any) -> ToolResult:
        call = text(data, "toolCallId")
        output = as_text(data["output"]) if "output" in data else text(data, "errorText")
        return ToolResult(call, self._parts.name_of(call), output, status)
