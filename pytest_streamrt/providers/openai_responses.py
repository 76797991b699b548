"""The dialect "openai.responses": OpenAI's Responses API, as OpenAI and the compatible providers stream it.

Shapes are from OpenAI's API reference ("Streaming events"), and from what recorded streams contain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.items import FunctionCall, Item, ModelMessage, Reasoning
from pytest_streamrt.events.types import (
    Citation,
    Event,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ItemCompleted,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    Status,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from pytest_streamrt.providers.dialect import Dialect, frame
from pytest_streamrt.script.build import Step
from pytest_streamrt.script.parts import (
    ErrorPart,
    ReasoningPart,
    RefusalPart,
    Speech,
    TextPart,
    ToolCallPart,
    UsagePart,
)

__all__ = ["RESPONSES"]

_NAME: Final = "openai.responses"

# Events that only repeat, or announce, what other events say.
_SILENT: Final = frozenset(
    {
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.done",
        "response.reasoning_part.added",
        "response.reasoning_part.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "response.reasoning_summary_text.done",
        "response.reasoning_text.done",
        "response.refusal.done",
    }
)


class _ResponsesMapper:
    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._fold = Fold()
        self._call_ids: dict[str, str] = {}  # item id -> call id: deltas name the item, results the call
        self._spoken: set[str] = set()  # ids of the calls whose arguments have come in deltas

    def push(self, data: Mapping[str, Any], name: str | None) -> list[Event]:
        kind = data.get("type") or name or ""
        events: list[Event] = []
        if not self._started:
            self._started = True
            response = data.get("response") or {}
            events.append(InferenceStarted(response.get("model") or None, response.get("id") or None))
            if kind == "response.created":
                return events
        if kind in _SILENT:
            return events
        handle = _HANDLERS.get(kind)
        mapped = list(handle(self, data)) if handle is not None else [ProviderEvent(_NAME, kind or None, dict(data))]
        for event in mapped:
            self._fold.add(event)
        return events + mapped

    def done(self) -> list[Event]:
        # OpenRouter closes Responses with [DONE]; by then the terminal event has come, unless the answer was cut short.
        self.ended = True
        closing: list[Event] = [ItemCompleted(item) for item in self._fold.open_items]
        return [*closing, InferenceCompleted()]

    def close(self) -> list[Event] | None:
        return None  # without response.completed the answer is cut short, whatever came before

    def whole(self, data: Mapping[str, Any]) -> list[Event]:
        events: list[Event] = [InferenceStarted(data.get("model") or None, data.get("id") or None)]
        for output in data.get("output") or []:
            item = _item(output)
            if isinstance(item, ModelMessage):
                if item.refusal:
                    events.append(RefusalDelta(item.refusal))
                if item.text:
                    events.append(TextDelta(item.text))
            elif isinstance(item, Reasoning):
                if item.text:
                    events.append(ReasoningDelta(item.text))
                if item.summary:
                    events.append(ReasoningDelta(item.summary, summary=True))
            elif isinstance(item, FunctionCall):
                events.append(ToolCallStarted(item.id, item.name))
                if item.arguments:
                    events.append(ToolCallDelta(item.id, item.arguments))
            events.append(ItemCompleted(item) if item else ProviderEvent(_NAME, output.get("type"), output))
        terminal = "response.failed" if data.get("status") == "failed" else "response.completed"
        self._started = True
        return [*events, *self.push({"type": terminal, "response": data}, None)]

    def _text(self, data: Mapping[str, Any]) -> Iterator[Event]:
        if data.get("delta"):
            yield TextDelta(data["delta"], item=data.get("item_id"))

    def _refusal(self, data: Mapping[str, Any]) -> Iterator[Event]:
        if data.get("delta"):
            yield RefusalDelta(data["delta"], item=data.get("item_id"))

    def _reasoning(self, data: Mapping[str, Any]) -> Iterator[Event]:
        if data.get("delta"):
            summary = "summary" in data["type"]
            yield ReasoningDelta(data["delta"], summary=summary, item=data.get("item_id"))

    def _annotation(self, data: Mapping[str, Any]) -> Iterator[Event]:
        note = data.get("annotation") or {}
        yield Citation(note.get("url"), note.get("title"), note)

    def _item_added(self, data: Mapping[str, Any]) -> Iterator[Event]:
        item = data.get("item") or {}
        if item.get("type") == "function_call":
            call = item.get("call_id") or item.get("id") or ""
            self._call_ids[item.get("id") or call] = call
            yield ToolCallStarted(call, item.get("name") or "")
        elif item.get("type") not in ("message", "reasoning"):
            yield ProviderEvent(_NAME, data.get("type"), dict(data))

    def _arguments(self, data: Mapping[str, Any]) -> Iterator[Event]:
        item = data.get("item_id") or ""
        call = self._call_ids.get(item, item)
        if data.get("delta"):
            self._spoken.add(call)
            yield ToolCallDelta(call, data["delta"])

    def _arguments_done(self, data: Mapping[str, Any]) -> Iterator[Event]:
        item = data.get("item_id") or ""
        call = self._call_ids.get(item, item)
        if call not in self._spoken and data.get("arguments"):  # some providers send no deltas, only the whole
            self._spoken.add(call)
            yield ToolCallDelta(call, data["arguments"])

    def _item_done(self, data: Mapping[str, Any]) -> Iterator[Event]:
        raw = data.get("item") or {}
        item = _item(raw)
        if item is None:
            yield ProviderEvent(_NAME, data.get("type"), dict(data))
            return
        if isinstance(item, FunctionCall) and item.id not in self._spoken and item.arguments:
            if item.id not in self._call_ids.values():
                yield ToolCallStarted(item.id, item.name)
            yield ToolCallDelta(item.id, item.arguments)
        yield ItemCompleted(item)

    def _status(self, data: Mapping[str, Any]) -> Iterator[Event]:
        yield Status(str(data["type"]).removeprefix("response."))

    def _completed(self, data: Mapping[str, Any]) -> Iterator[Event]:
        self.ended = True
        response = data.get("response") or {}
        usage = response.get("usage")
        if isinstance(usage, dict):
            yield Usage(usage.get("input_tokens") or 0, usage.get("output_tokens") or 0, usage)
        incomplete = response.get("incomplete_details") or {}
        reason = incomplete.get("reason") or response.get("status") or str(data["type"]).removeprefix("response.")
        for item in self._fold.open_items:
            yield ItemCompleted(item)
        yield InferenceCompleted(reason)

    def _failed(self, data: Mapping[str, Any]) -> Iterator[Event]:
        self.ended = True
        response = data.get("response") or {}
        error = response.get("error") or data.get("error") or data
        message = error.get("message") if isinstance(error, dict) else error
        code = error.get("code") if isinstance(error, dict) else None
        text = str(message or error)
        yield InferenceFailure("provider", f"{code}: {text}" if code else text, self._fold.text)


_HANDLERS: Final[Mapping[str, Callable[[_ResponsesMapper, Mapping[str, Any]], Iterator[Event]]]] = {
    "response.output_text.delta": _ResponsesMapper._text,
    "response.refusal.delta": _ResponsesMapper._refusal,
    "response.reasoning_text.delta": _ResponsesMapper._reasoning,
    "response.reasoning_summary_text.delta": _ResponsesMapper._reasoning,
    "response.output_text.annotation.added": _ResponsesMapper._annotation,
    "response.output_item.added": _ResponsesMapper._item_added,
    "response.output_item.done": _ResponsesMapper._item_done,
    "response.function_call_arguments.delta": _ResponsesMapper._arguments,
    "response.function_call_arguments.done": _ResponsesMapper._arguments_done,
    "response.queued": _ResponsesMapper._status,
    "response.in_progress": _ResponsesMapper._status,
    "response.completed": _ResponsesMapper._completed,
    "response.incomplete": _ResponsesMapper._completed,
    "response.failed": _ResponsesMapper._failed,
    "error": _ResponsesMapper._failed,
}


def _item(raw: Mapping[str, Any]) -> Item | None:
    """A provider's finished output item as one of ours, or None where it is of another kind."""
    kind = raw.get("type")
    if kind == "message":
        parts = raw.get("content") or []
        text = "".join(part.get("text") or "" for part in parts if part.get("type") == "output_text")
        return ModelMessage(text, "".join(part.get("refusal") or "" for part in parts if part.get("type") == "refusal"))
    if kind == "reasoning":
        text = "".join(part.get("text") or "" for part in raw.get("content") or [])
        summary = "".join(part.get("text") or "" for part in raw.get("summary") or [])
        return Reasoning(text, summary, raw.get("encrypted_content"))
    if kind == "function_call":
        return FunctionCall(
            raw.get("call_id") or raw.get("id") or "", raw.get("name") or "", raw.get("arguments") or ""
        )
    return None


class _ResponsesEncoder:
    def __init__(self) -> None:
        self._sequence = 0
        self._output: list[dict[str, Any]] = []  # the items so far; the last may be open
        self._open: type[Speech] | None = None  # the kind of part the open item is being written from
        self._parts: list[dict[str, Any]] = []  # the content parts of the open item
        self._usage: UsagePart | None = None

    def open(self) -> list[bytes]:
        return [
            self._frame("response.created", response=self._response("in_progress")),
            self._frame("response.in_progress", response=self._response("in_progress")),
        ]

    def step(self, step: Step) -> list[bytes]:
        part, piece = step.part, step.piece or ""
        if isinstance(part, UsagePart):
            self._usage = part
            return []
        frames: list[bytes] = []
        if isinstance(part, ToolCallPart):
            if step.first:
                frames += [*self._close_item(), *self._open_call(part)]
            if piece:
                frames.append(self._at("response.function_call_arguments.delta", delta=piece))
                self._output[-1]["arguments"] += piece
            if step.last:
                frames += self._close_item()
        elif isinstance(part, ReasoningPart):
            frames += self._open_part(ReasoningPart, "summary_text" if part.summary else "reasoning_text")
            frames.append(self._delta(piece))
        elif isinstance(part, RefusalPart):
            frames += self._open_part(TextPart, "refusal")
            frames.append(self._delta(piece))
        elif isinstance(part, TextPart):
            frames += self._open_part(TextPart, "output_text")
            frames.append(self._delta(piece))
        return frames

    def error(self, part: ErrorPart) -> list[bytes]:
        return [self._frame("error", code=str(part.code), message=part.message, param=None)]

    def end(self) -> list[bytes]:
        frames = self._close_item()
        return [*frames, self._frame("response.completed", response=self._response("completed"))]

    def _open_call(self, part: ToolCallPart) -> list[bytes]:
        number = sum(item["type"] == "function_call" for item in self._output)
        self._open = ToolCallPart
        self._output.append(
            {
                "type": "function_call",
                "id": f"fc_{len(self._output)}",
                "call_id": part.id or f"call_{number}",
                "name": part.name,
                "arguments": "",
                "status": "in_progress",
            }
        )
        return [self._item_frame("response.output_item.added")]

    def _open_part(self, kind: type[Speech], content: str) -> list[bytes]:
        """Make sure that a content part of that type is open, in an item of that kind."""
        frames: list[bytes] = []
        if self._open is not kind:
            frames += self._close_item()
            self._open = kind
            item: dict[str, Any] = {"type": "reasoning", "id": f"rs_{len(self._output)}", "summary": []}
            if kind is TextPart:
                item = {"type": "message", "id": f"msg_{len(self._output)}", "role": "assistant", "content": []}
            self._output.append({**item, "status": "in_progress"})
            frames.append(self._item_frame("response.output_item.added"))
        if not self._parts or self._parts[-1]["type"] != content:
            frames += self._close_part()
            extra: dict[str, Any] = {"annotations": [], "logprobs": []} if content == "output_text" else {}
            self._parts.append({"type": content, _FIELD[content]: "", **extra})
            frames.append(self._part_frame("added"))
        return frames

    def _delta(self, piece: str) -> bytes:
        kind = self._parts[-1]["type"]
        self._parts[-1][_FIELD[kind]] += piece
        return self._at(f"response.{_EVENT[kind]}.delta", **self._index(), delta=piece, **_LOGPROBS.get(kind, {}))

    def _close_part(self) -> list[bytes]:
        if not self._parts:
            return []
        kind = self._parts[-1]["type"]
        said = {_FIELD[kind]: self._parts[-1][_FIELD[kind]]}
        done = self._at(f"response.{_EVENT[kind]}.done", **self._index(), **said, **_LOGPROBS.get(kind, {}))
        return [done, self._part_frame("done")]

    def _close_item(self) -> list[bytes]:
        if self._open is None:
            return []
        item = self._output[-1]
        frames = self._close_part()
        if self._open is ToolCallPart:
            frames.append(self._at("response.function_call_arguments.done", arguments=item["arguments"]))
        elif self._open is ReasoningPart:
            item["summary"] = [part for part in self._parts if part["type"] == "summary_text"]
            item["content"] = [part for part in self._parts if part["type"] == "reasoning_text"]
        else:
            item["content"] = list(self._parts)
        item["status"] = "completed"
        frames.append(self._item_frame("response.output_item.done"))
        self._open = None
        self._parts = []
        return frames

    def _index(self) -> dict[str, int]:
        kind = self._parts[-1]["type"]
        name = "summary_index" if kind == "summary_text" else "content_index"
        same = [part for part in self._parts if (part["type"] == "summary_text") == (kind == "summary_text")]
        return {name: len(same) - 1}

    def _part_frame(self, what: str) -> bytes:
        part = self._parts[-1]
        stem = "reasoning_summary_part" if part["type"] == "summary_text" else "content_part"
        return self._at(f"response.{stem}.{what}", **self._index(), part=dict(part))

    def _item_frame(self, kind: str) -> bytes:
        return self._frame(kind, output_index=len(self._output) - 1, item=dict(self._output[-1]))

    def _at(self, kind: str, **fields: Any) -> bytes:
        """A frame about the open item."""
        where = {"item_id": self._output[-1]["id"], "output_index": len(self._output) - 1}
        return self._frame(kind, **where, **fields)

    def _frame(self, kind: str, **fields: Any) -> bytes:
        data = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return frame(data, kind)

    def _response(self, status: str) -> dict[str, Any]:
        usage = None
        if status == "completed" and self._usage is not None:
            read, written = self._usage.input_tokens, self._usage.output_tokens
            usage = {
                "input_tokens": read,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": read + written,
            }
        return {
            "id": "resp_scripted",
            "object": "response",
            "created_at": 1_700_000_000,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": "scripted",
            "output": [dict(item) for item in self._output] if status == "completed" else [],
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": usage,
        }


_FIELD: Final = {"output_text": "text", "refusal": "refusal", "summary_text": "text", "reasoning_text": "text"}
_EVENT: Final = {
    "output_text": "output_text",
    "refusal": "refusal",
    "summary_text": "reasoning_summary_text",
    "reasoning_text": "reasoning_text",
}
_LOGPROBS: Final[Mapping[str, dict[str, Any]]] = {"output_text": {"logprobs": []}}

RESPONSES: Final = Dialect(_NAME, ("/responses",), _ResponsesMapper, _ResponsesEncoder)
"""The Responses API."""
