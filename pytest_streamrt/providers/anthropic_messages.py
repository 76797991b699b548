"""The dialect "anthropic.messages", read: Anthropic's Messages API, as Anthropic, Azure and Vertex stream it.

Shapes are from Anthropic's API reference ("Streaming messages"), and from what recorded streams contain.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_streamrt.events.items import FunctionCall, Item, ModelMessage, Reasoning
from pytest_streamrt.events.quick import reasoning_delta, text_delta, tool_call_delta
from pytest_streamrt.events.types import (
    Citation,
    Event,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ItemCompleted,
    ProviderEvent,
    RefusalDelta,
    Status,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from pytest_streamrt.providers.fields import Malformed, count, object_of, objects, text

__all__ = ["ANTHROPIC_NAME", "MessagesMapper"]

ANTHROPIC_NAME: Final = "anthropic.messages"

# What is mapped, or says nothing of the answer; all else becomes a provider.event.
_KNOWN_IN_MESSAGE: Final = frozenset(
    {"content", "id", "model", "role", "stop_details", "stop_reason", "stop_sequence", "type", "usage"}
)


@dataclass
class _Block:
    """A content block in the making."""

    kind: str
    id: str = ""
    name: str = ""
    said: list[str] = field(default_factory=list)
    input: Mapping[str, Any] = field(default_factory=dict)  # of a call, where it came whole
    signature: str = ""
    data: str = ""  # of thinking that was redacted


class MessagesMapper:
    """From the events of one message to ours."""

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._blocks: dict[int, _Block] = {}  # those that are open, by index
        self._text: list[str] = []  # all of the answer
        self._message: list[str] | None = None  # the text of the message that is being written
        self._message_item = ""
        self._refusal: list[str] = []
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None

    def push(self, data: Mapping[str, Any], name: str | None) -> list[Event]:
        if self._message is not None and data.get("type") == "content_block_delta":
            quick = self._more_text(data)
            if quick is not None:
                return [quick]
        kind = text(data, "type") or name or ""
        if kind == "message_start":
            return list(self._start(object_of(data, "message")))
        events: list[Event] = [] if self._started else list(self._start({}))
        handle = _HANDLERS.get(kind)
        if handle is None:
            events.append(ProviderEvent(ANTHROPIC_NAME, kind or None, dict(data)))
        else:
            events.extend(handle(self, data))
        return events

    def _more_text(self, data: Mapping[str, Any]) -> Event | None:
        """A delta of a message that is being written: nearly all of a stream. None for any other."""
        index, delta = data.get("index"), data.get("delta")
        if type(index) is not int or type(delta) is not dict or delta.get("type") != "text_delta":
            return None
        block, said = self._blocks.get(index), delta.get("text")
        if block is None or block.kind != "text" or type(said) is not str or not said or self._message is None:
            return None
        self._message.append(said)
        self._text.append(said)
        return text_delta(said, self._message_item)

    def done(self) -> list[Event]:
        return []  # no marker of this API, and its SDK passes over it

    def close(self) -> list[Event] | None:
        return None  # without message_stop the answer is cut short

    def whole(self, data: Mapping[str, Any]) -> list[Event]:
        if text(data, "type") == "error" or "error" in data:
            return [*self._start({}), *self._error(data)]
        events = list(self._start(data))
        events.extend(self._message_delta({"delta": data, "usage": None}))
        return [*events, *self._message_stop(data)]

    def _start(self, message: Mapping[str, Any]) -> Iterator[Event]:
        if not self._started:
            self._started = True
            yield InferenceStarted(text(message, "model") or None, text(message, "id") or None)
        rest = {key: value for key, value in message.items() if key not in _KNOWN_IN_MESSAGE and value}
        if rest:
            yield ProviderEvent(ANTHROPIC_NAME, "message", rest)
        for index, block in enumerate(objects(message, "content")):
            yield from self._block_start({"index": index, "content_block": block})
            yield from self._block_stop({"index": index})
        yield from self._used(object_of(message, "usage"))

    def _used(self, usage: Mapping[str, Any]) -> Iterator[Event]:
        """Counts are totals: those of a later event replace the earlier ones, and what it leaves out stays."""
        merged = {**self._usage, **{key: value for key, value in usage.items() if value is not None}}
        if merged == self._usage:
            return
        self._usage = merged
        read, written = count(merged, "input_tokens"), count(merged, "output_tokens")
        if read or written:  # the API always has the fields; where both are nothing, nobody has counted
            yield Usage(read, written, merged)

    def _block_start(self, data: Mapping[str, Any]) -> Iterator[Event]:
        raw = object_of(data, "content_block")
        block = _Block(text(raw, "type"))
        self._blocks[_index(data)] = block
        if block.kind != "text":
            yield from self._message_done()
        if block.kind == "text":
            yield from self._say(data, text(raw, "text"))
            yield from (_citation(each) for each in objects(raw, "citations"))
        elif block.kind == "thinking":
            block.signature = text(raw, "signature")
            yield from self._think(data, text(raw, "thinking"))
        elif block.kind == "redacted_thinking":
            block.data = text(raw, "data")
        elif block.kind == "tool_use":
            block.id, block.name, block.input = text(raw, "id"), text(raw, "name"), object_of(raw, "input")
            yield ToolCallStarted(block.id, block.name)
        else:  # tools that run at the provider's, and their results
            yield ProviderEvent(ANTHROPIC_NAME, "content_block_start", dict(data))

    def _block_delta(self, data: Mapping[str, Any]) -> Iterator[Event]:
        delta = object_of(data, "delta")
        kind = text(delta, "type")
        block = self._blocks.get(_index(data))
        of = block.kind if block is not None else None
        if kind == "text_delta" and of in ("text", None):
            yield from self._say(data, text(delta, "text"))
        elif kind == "input_json_delta" and block is not None and of == "tool_use":
            piece = text(delta, "partial_json")
            if piece:
                block.said.append(piece)
                yield tool_call_delta(block.id, piece)
        elif kind == "thinking_delta" and of in ("thinking", None):
            yield from self._think(data, text(delta, "thinking"))
        elif kind == "signature_delta" and block is not None and of == "thinking":
            block.signature = text(delta, "signature")
        elif kind == "citations_delta":
            yield _citation(object_of(delta, "citation"))
        else:
            yield ProviderEvent(ANTHROPIC_NAME, "content_block_delta", dict(data))

    def _say(self, data: Mapping[str, Any], piece: str) -> Iterator[Event]:
        if not piece:
            return
        if self._message is None:
            # A citation begins a block of its own: blocks of text one after the other are one message, however many.
            self._message, self._message_item = [], str(_index(data))
        self._message.append(piece)
        self._text.append(piece)
        yield text_delta(piece, self._message_item)

    def _think(self, data: Mapping[str, Any], piece: str) -> Iterator[Event]:
        if not piece:
            return
        index = _index(data)
        self._blocks.setdefault(index, _Block("thinking")).said.append(piece)
        yield reasoning_delta(piece, item=str(index))

    def _block_stop(self, data: Mapping[str, Any]) -> Iterator[Event]:
        block = self._blocks.pop(_index(data), None)
        if block is None:
            return
        if block.kind == "tool_use" and block.input and not block.said:
            block.said.append(json.dumps(block.input, separators=(",", ":"), ensure_ascii=False))
            yield ToolCallDelta(block.id, block.said[0])
        item = _item_of(block)
        if item is not None:
            yield ItemCompleted(item)

    def _message_done(self) -> Iterator[Event]:
        said, self._message = self._message, None
        if said is not None:
            refusal, self._refusal = "".join(self._refusal), []
            yield ItemCompleted(ModelMessage("".join(said), refusal))

    def _message_delta(self, data: Mapping[str, Any]) -> Iterator[Event]:
        delta = object_of(data, "delta")
        self._stop_reason = text(delta, "stop_reason") or self._stop_reason
        details = object_of(delta, "stop_details")
        if text(details, "explanation"):
            if self._message is None:
                self._message, self._message_item = [], "refusal"
            self._refusal.append(text(details, "explanation"))
            yield RefusalDelta(self._refusal[-1], item=self._message_item)
        yield from self._used(object_of(data, "usage"))
        if data.get("type") != "message_delta":
            return
        rest = {key: value for key, value in data.items() if key not in ("type", "delta", "usage") and value}
        rest |= {key: value for key, value in delta.items() if key not in ("stop_reason", "stop_details") and value}
        rest |= {key: value for key, value in details.items() if key not in ("type", "explanation") and value}
        if rest:
            yield ProviderEvent(ANTHROPIC_NAME, "message_delta", rest)

    def _message_stop(self, data: Mapping[str, Any]) -> Iterator[Event]:
        del data
        for index in list(self._blocks):
            yield from self._block_stop({"index": index})
        yield from self._message_done()
        self.ended = True
        yield InferenceCompleted(self._stop_reason)

    def _ping(self, data: Mapping[str, Any]) -> Iterator[Event]:
        del data
        yield Status("ping")

    def _error(self, data: Mapping[str, Any]) -> Iterator[Event]:
        self.ended = True
        error = data.get("error")
        shown = str(error or data)
        if isinstance(error, dict):
            kind, message = error.get("type"), error.get("message")
            shown = f"{kind}: {message}" if kind and message else str(message or error)
        yield InferenceFailure("provider", shown, "".join(self._text))


_HANDLERS: Final[Mapping[str, Callable[[MessagesMapper, Mapping[str, Any]], Iterator[Event]]]] = {
    "content_block_delta": MessagesMapper._block_delta,
    "content_block_start": MessagesMapper._block_start,
    "content_block_stop": MessagesMapper._block_stop,
    "error": MessagesMapper._error,
    "message_delta": MessagesMapper._message_delta,
    "message_stop": MessagesMapper._message_stop,
    "ping": MessagesMapper._ping,
}


def _index(data: Mapping[str, Any]) -> int:
    value = data.get("index")
    if value is None:
        return 0
    if not isinstance(value, int):
        raise Malformed(f"the index of a content block is {value!r}")
    return value


def _item_of(block: _Block) -> Item | None:
    """What a finished block is. Text is no item by itself: it is finished with its message."""
    said = "".join(block.said)
    if block.kind == "thinking":
        return Reasoning(said, signature=block.signature or None)
    if block.kind == "redacted_thinking":
        return Reasoning(encrypted=block.data or None)
    if block.kind == "tool_use":
        return FunctionCall(block.id, block.name, said)
    return None


def _citation(raw: Mapping[str, Any]) -> Citation:
    title = text(raw, "title") or text(raw, "document_title")
    return Citation(text(raw, "url") or text(raw, "source") or None, title or None, raw)
