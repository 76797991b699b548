"""The dialect "openai.responses": OpenAI's Responses API, as OpenAI and the compatible providers stream it.

Shapes are from OpenAI's API reference ("Streaming events"), and from what recorded streams contain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.items import FunctionCall
from pytest_streamrt.events.types import (
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
from pytest_streamrt.providers.fields import count, object_of, objects, text
from pytest_streamrt.providers.openai_items import RESPONSES_NAME, citation, item_of, same_item, untold, whole_item
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

_NAME: Final = RESPONSES_NAME

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
        self._spoken: set[str] = set()  # ids of the items, and of the calls, that have come in deltas
        self._done: set[str] = set()  # ids of the items that are finished
        self._unnamed: dict[str, list[str]] = {}  # arguments of calls whose beginning is missing, by item id

    def push(self, data: Mapping[str, Any], name: str | None) -> list[Event]:
        kind = text(data, "type") or name or ""
        if kind not in _HANDLERS and data.get("error"):
            kind = "error"  # OpenRouter and Groq send it without a type; the SDK raises for it, too
        events: list[Event] = []
        if not self._started:
            response = object_of(data, "response")
            events.append(InferenceStarted(text(response, "model") or None, text(response, "id") or None))
        if kind not in _SILENT and kind != "response.created":
            handle = _HANDLERS.get(kind)
            if handle is None:
                events.append(ProviderEvent(_NAME, kind or None, dict(data)))
            else:
                events.extend(self._kept(handle(self, data if "type" in data else {**data, "type": kind})))
        self._started = True
        return events

    def done(self) -> list[Event]:
        # OpenRouter and LiteLLM close Responses with [DONE], after the terminal event. Without one it is still an end.
        self.ended = True
        start: list[Event] = [] if self._started else [InferenceStarted()]
        return [*start, *self._finished(), InferenceCompleted()]

    def close(self) -> list[Event] | None:
        return None  # without response.completed the answer is cut short, whatever came before

    def whole(self, data: Mapping[str, Any]) -> list[Event]:
        events: list[Event] = [InferenceStarted(text(data, "model") or None, text(data, "id") or None)]
        self._started = True
        for output in objects(data, "output"):
            events.extend(self._kept(whole_item(output)))
        failed = text(data, "status") == "failed" or (data.get("error") and "output" not in data)
        if failed and "response" not in data and "status" not in data:
            return [*events, *self._kept(self._failed(data))]  # the body of an HTTP error
        terminal = "response.failed" if failed else "response.completed"
        return [*events, *self.push({"type": terminal, "response": data}, None)]

    def _text(self, data: Mapping[str, Any]) -> Iterator[Event]:
        if delta := self._heard(data):
            yield TextDelta(delta, item=text(data, "item_id") or None)

    def _refusal(self, data: Mapping[str, Any]) -> Iterator[Event]:
        if delta := self._heard(data):
            yield RefusalDelta(delta, item=text(data, "item_id") or None)

    def _reasoning(self, data: Mapping[str, Any]) -> Iterator[Event]:
        if delta := self._heard(data):
            yield ReasoningDelta(delta, item=text(data, "item_id") or None)

    def _summary(self, data: Mapping[str, Any]) -> Iterator[Event]:
        if delta := self._heard(data):
            yield ReasoningDelta(delta, summary=True, item=text(data, "item_id") or None)

    def _heard(self, data: Mapping[str, Any]) -> str:
        """The delta; the item it belongs to comes in deltas."""
        delta = text(data, "delta")
        if delta:
            self._spoken.add(text(data, "item_id"))
        return delta

    def _annotation(self, data: Mapping[str, Any]) -> Iterator[Event]:
        yield citation(object_of(data, "annotation"))

    def _item_added(self, data: Mapping[str, Any]) -> Iterator[Event]:
        item = object_of(data, "item")
        kind = text(item, "type")
        if kind == "function_call":
            call = text(item, "call_id") or text(item, "id")
            self._call_ids[text(item, "id") or call] = call
            yield ToolCallStarted(call, text(item, "name"))
        elif kind not in ("message", "reasoning"):
            yield ProviderEvent(_NAME, "response.output_item.added", dict(data))

    def _arguments(self, data: Mapping[str, Any]) -> Iterator[Event]:
        yield from self._speak(text(data, "item_id"), text(data, "delta"))

    def _arguments_done(self, data: Mapping[str, Any]) -> Iterator[Event]:
        item = text(data, "item_id")
        if self._call_ids.get(item, item) not in self._spoken:  # some providers send no deltas, only the whole
            yield from self._speak(item, text(data, "arguments"))

    def _speak(self, item: str, arguments: str) -> Iterator[Event]:
        call = self._call_ids.get(item)
        if not arguments:
            return
        if call is None:  # its beginning is missing, as in a stream that was resumed: its end will give id and name
            self._spoken.add(item)
            self._unnamed.setdefault(item, []).append(arguments)
            return
        self._spoken.add(call)
        yield ToolCallDelta(call, arguments)

    def _item_done(self, data: Mapping[str, Any]) -> Iterator[Event]:
        raw = object_of(data, "item")
        item = item_of(raw)
        self._done.add(text(raw, "id"))
        if item is None:
            yield ProviderEvent(_NAME, "response.output_item.done", dict(data))
        elif isinstance(item, FunctionCall):
            unnamed = self._unnamed.pop(text(raw, "id"), None)
            if item.id not in self._call_ids.values():
                yield ToolCallStarted(item.id, item.name)
            if unnamed is not None:
                yield from (ToolCallDelta(item.id, piece) for piece in unnamed)
            elif item.arguments and item.id not in self._spoken:
                yield ToolCallDelta(item.id, item.arguments)
            yield ItemCompleted(item)
        elif text(raw, "id") in self._spoken or any(same_item(part, item) for part in self._fold.open_items):
            yield ItemCompleted(item)  # some deltas do not name the item they belong to, or give it another id
        else:
            yield from whole_item(raw)

    def _status(self, data: Mapping[str, Any]) -> Iterator[Event]:
        yield Status(text(data, "type").removeprefix("response."))

    def _completed(self, data: Mapping[str, Any]) -> Iterator[Event]:
        response = object_of(data, "response")
        usage = object_of(response, "usage")
        if usage:
            yield Usage(count(usage, "input_tokens"), count(usage, "output_tokens"), usage)
        incomplete = text(object_of(response, "incomplete_details"), "reason")
        reason = incomplete or text(response, "status") or text(data, "type").removeprefix("response.")
        announced = [part for part in self._fold.open_items if isinstance(part, FunctionCall) and not part.arguments]
        told = [item for item in self._fold.items if item not in announced]
        for output in untold(objects(response, "output"), told, self._spoken | self._done):
            yield from self._item_done({"item": output})
        yield from self._finished()
        self.ended = True
        yield InferenceCompleted(reason)

    def _failed(self, data: Mapping[str, Any]) -> Iterator[Event]:
        self.ended = True
        error = object_of(data, "response").get("error") or data.get("error") or data
        message = error.get("message") if isinstance(error, dict) else error
        code = error.get("code") if isinstance(error, dict) else None
        shown = str(message or error)
        yield InferenceFailure("provider", f"{code}: {shown}" if code else shown, self._fold.text)

    def _kept(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            self._fold.add(event)
            yield event

    def _finished(self) -> Iterator[Event]:
        """The items that deltas have begun and nobody has finished, finished."""
        for item, pieces in self._unnamed.items():
            yield from self._kept([ToolCallStarted(item, ""), *(ToolCallDelta(item, piece) for piece in pieces)])
        self._unnamed.clear()
        yield from [ItemCompleted(item) for item in self._fold.open_items]


_HANDLERS: Final[Mapping[str, Callable[[_ResponsesMapper, Mapping[str, Any]], Iterator[Event]]]] = {
    "response.output_text.delta": _ResponsesMapper._text,
    "response.refusal.delta": _ResponsesMapper._refusal,
    "response.reasoning_text.delta": _ResponsesMapper._reasoning,
    "response.reasoning_summary_text.delta": _ResponsesMapper._summary,
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


class _ResponsesEncoder:
    def __init__(self) -> None:
        self._sequence = 0
        self._output: list[dict[str, Any]] = []  # the items so far; the last may be open
        self._open: type[Speech] | None = None  # the kind of part the open item is being written from
        self._parts: list[dict[str, Any]] = []  # the content parts of the open item; the last may be open
        self._said: list[str] = []  # what has been said of the open part, or of the open call's arguments
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
                self._said.append(piece)
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
        self._open = ToolCallPart
        self._output.append(
            {
                "type": "function_call",
                "id": f"fc_{len(self._output)}",
                "call_id": part.id,
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
        self._said.append(piece)
        return self._at(f"response.{_EVENT[kind]}.delta", **self._index(), delta=piece, **_LOGPROBS.get(kind, {}))

    def _close_part(self) -> list[bytes]:
        if not self._parts:
            return []
        kind = self._parts[-1]["type"]
        said = {_FIELD[kind]: self._all_said()}
        self._parts[-1].update(said)
        done = self._at(f"response.{_EVENT[kind]}.done", **self._index(), **said, **_LOGPROBS.get(kind, {}))
        return [done, self._part_frame("done")]

    def _close_item(self) -> list[bytes]:
        if self._open is None:
            return []
        item = self._output[-1]
        frames = self._close_part()
        if self._open is ToolCallPart:
            item["arguments"] = self._all_said()
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

    def _all_said(self) -> str:
        said, self._said = "".join(self._said), []
        return said

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
                "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
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
