"""Server-sent events of the app's own making, plain JSON or text, read into events by the names people give such things."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

from pytest_streamrt.edge.decoding import Protocol, as_text
from pytest_streamrt.events.types import (
    Event,
    InferenceCompleted,
    ReasoningDelta,
    Signal,
    Status,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    ToolResult,
)

__all__ = ["Lane", "sse_json"]

Lane = Literal["text", "reasoning", "tool_call", "tool_result", "status", "signal", "error", "end", "ignore"]
"""What an event of the app is."""

_NAMES: Final[Mapping[Lane, Sequence[str]]] = {
    "text": ("text", "token", "delta", "text_delta", "content", "chunk", "answer", "message"),
    "reasoning": ("reasoning", "reasoning_delta", "thinking", "thinking_delta", "thought", "thoughts"),
    "tool_call": ("tool_call", "tool", "function_call"),
    "tool_result": ("tool_result", "tool_output", "function_call_output"),
    "status": ("status", "progress", "step", "start", "ping", "heartbeat"),
    "error": ("error",),
    "end": ("done", "end", "close", "complete", "completed", "finish", "finished", "stop"),
}
_LANES: Final = {name: lane for lane, names in _NAMES.items() for name in names}
_TEXT: Final = ("text", "delta", "content", "token", "message", "answer", "value", "data")
_DONE: Final = "[DONE]"


def sse_json(
    *, text: str | Sequence[str] = _TEXT, kind: str = "type", kinds: Mapping[str, Lane] | None = None
) -> Protocol:
    """``decode=sse_json()``: events of the app's own making, such as ``data: {"type": "token", "content": "Hel"}``.

    What an event is, is told by its SSE name or, where it has none, by its field `kind`; the usual names are known, and others
    are signals. Data that is no JSON is text. ``[DONE]`` is an end, and so is the end of the stream.

    Args:
        text: the field that holds the text, or several, the first that there is counts; with dots, one within another:
            "delta.text".
        kind: the field that says what an event is.
        kinds: what the app's own names mean, such as ``{"analysis": "reasoning", "answer_part": "text"}``.

    Raises:
        ValueError: `kinds` names no lane; it says which there are.
    """
    for name, lane in (kinds or {}).items():
        if lane not in get_args(Lane):
            msg = (
                f"sse_json: kinds={{{name!r}: {lane!r}}}: there is no such lane; there are: {', '.join(get_args(Lane))}"
            )
            raise ValueError(msg)
    return _SSEJSON((text,) if isinstance(text, str) else tuple(text), kind, {**_LANES, **(kinds or {})})


class _SSEJSON(Protocol):
    name = "sse_json"

    def __init__(self, text: Sequence[str], kind: str, lanes: Mapping[str, Lane]) -> None:
        super().__init__()
        self._text = text
        self._kind = kind
        self._lanes = lanes
        self._started: set[str] = set()

    def data(self, data: str, name: str | None) -> list[Event]:
        if data == _DONE:
            return [InferenceCompleted()]
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = data
        if isinstance(value, dict):
            return self.object(value, name)
        name = None if name in (None, "message") else name
        return self._events(name, as_text(value), value)

    def object(self, data: Mapping[str, Any], name: str | None) -> list[Event]:
        own = data.get(self._kind)
        kind = name if name not in (None, "message") else own if isinstance(own, str) else None
        return self._events(kind, self._text_of(data), data)

    def closing(self) -> list[Event]:
        return [InferenceCompleted()]

    def _events(self, kind: str | None, text: str | None, data: Any) -> list[Event]:
        lane = self._lanes.get(kind, "signal") if kind is not None else "text" if text is not None else "signal"
        fields: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        match lane:
            case "text":
                return [TextDelta(text)] if text else []
            case "reasoning":
                return [ReasoningDelta(text)] if text else []
            case "status":
                return [Status(text or str(kind), dict(fields) or None)]
            case "error":
                return [self.failed(text or as_text(fields.get("error", data)))]
            case "end":
                return [*([TextDelta(text)] if text and not self.said.text else []), InferenceCompleted(kind)]
            case "tool_call":
                return self._call(fields)
            case "tool_result":
                id = str(fields.get("id") or fields.get("name") or "")
                output = next((fields[name] for name in ("output", "result") if name in fields), text or "")
                return [ToolResult(id, str(fields.get("name") or ""), as_text(output))]
            case "ignore":
                return []
            case _:
                return [Signal(kind or "data", dict(fields) if fields else data)]

    def _call(self, fields: Mapping[str, Any]) -> list[Event]:
        name = str(fields.get("name") or "")
        id = str(fields.get("id") or name)
        begun: list[Event] = [] if id in self._started else [ToolCallStarted(id, name)]
        self._started.add(id)
        given = next((fields[name] for name in ("arguments", "args", "input") if fields.get(name)), None)
        return begun if given is None else [*begun, ToolCallDelta(id, as_text(given))]

    def _text_of(self, data: Mapping[str, Any]) -> str | None:
        for path in self._text:
            value: Any = data
            for part in path.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if isinstance(value, str):
                return value
        return None
