"""The dialect "openai.responses", read: OpenAI's Responses API, as OpenAI and the compatible providers stream it.

Shapes are from OpenAI's API reference ("Streaming events"), and from what recorded streams contain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.items import FunctionCall
from pytest_streamrt.events.quick import reasoning_delta, text_delta, tool_call_delta
from pytest_streamrt.events.types import (
    Event,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ItemCompleted,
    ProviderEvent,
    RefusalDelta,
    Status,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from pytest_streamrt.providers.fields import count, object_of, objects, text
from pytest_streamrt.providers.openai_items import (
    PROGRESS,
    RESPONSES_NAME,
    citation,
    item_of,
    same_item,
    untold,
    whole_item,
)

__all__ = ["ResponsesMapper"]

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


class ResponsesMapper:
    """From the events of one response to ours."""

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._fold = Fold()
        self._call_ids: dict[str, str] = {}  # item id -> call id: deltas name the item, results the call
        self._spoken: set[str] = set()  # ids of the items, and of the calls, that have come in deltas
        self._done: set[str] = set()  # ids of the items that are finished
        self._message: tuple[str, list[str]] | None = None  # the item whose text went on last, and its pieces
        self._unnamed: dict[str, list[str]] = {}  # arguments of calls whose beginning is missing, by item id

    def push(self, data: Mapping[str, Any], name: str | None) -> list[Event]:
        if self._started and data.get("type") == "response.output_text.delta":
            quick = self._more_text(data)
            if quick is not None:
                return [quick]
        self._message = None
        kind = text(data, "type") or name or ""
        if kind not in _HANDLERS and data.get("error"):
            kind = "error"  # OpenRouter and Groq send it without a type; the SDK raises for it, too
        events: list[Event] = []
        if not self._started:
            response = object_of(data, "response")
            events.append(InferenceStarted(text(response, "model") or None, text(response, "id") or None))
        if kind not in _SILENT and kind != "response.created":
            handle = _HANDLERS.get(kind)
            if handle is None and PROGRESS.fullmatch(kind) and "delta" not in data:
                handle = ResponsesMapper._status
            if handle is None:
                events.append(ProviderEvent(_NAME, kind or None, dict(data)))
            else:
                events.extend(self._kept(handle(self, data if "type" in data else {**data, "type": kind})))
        self._started = True
        return events

    def _more_text(self, data: Mapping[str, Any]) -> Event | None:
        """A delta of the item that went on last: nearly all of a stream. None for the first of an item."""
        item, said = data.get("item_id"), data.get("delta")
        if type(item) is not str or type(said) is not str or not item or not said:
            return None
        if self._message is None or self._message[0] != item:
            pieces = self._fold.text_so_far(0, item)
            if pieces is None or item not in self._spoken:
                return None
            self._message = item, pieces
        self._message[1].append(said)
        return text_delta(said, item)

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
            yield reasoning_delta(delta, item=text(data, "item_id") or None)

    def _summary(self, data: Mapping[str, Any]) -> Iterator[Event]:
        if delta := self._heard(data):
            yield reasoning_delta(delta, summary=True, item=text(data, "item_id") or None)

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
        yield tool_call_delta(call, arguments)

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
        name = text(data, "type").removeprefix("response.")
        about = {key: value for key, value in data.items() if key not in ("type", "sequence_number", "response")}
        yield Status(name, about or None)

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


_HANDLERS: Final[Mapping[str, Callable[[ResponsesMapper, Mapping[str, Any]], Iterator[Event]]]] = {
    "response.output_text.delta": ResponsesMapper._text,
    "response.refusal.delta": ResponsesMapper._refusal,
    "response.reasoning_text.delta": ResponsesMapper._reasoning,
    "response.reasoning_summary_text.delta": ResponsesMapper._summary,
    "response.output_text.annotation.added": ResponsesMapper._annotation,
    "response.output_item.added": ResponsesMapper._item_added,
    "response.output_item.done": ResponsesMapper._item_done,
    "response.function_call_arguments.delta": ResponsesMapper._arguments,
    "response.function_call_arguments.done": ResponsesMapper._arguments_done,
    "response.queued": ResponsesMapper._status,
    "response.in_progress": ResponsesMapper._status,
    "response.completed": ResponsesMapper._completed,
    "response.incomplete": ResponsesMapper._completed,
    "response.failed": ResponsesMapper._failed,
    "error": ResponsesMapper._failed,
}
