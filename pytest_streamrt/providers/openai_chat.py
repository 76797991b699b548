"""The dialect "openai.chat": OpenAI's Chat Completions, and what the compatible providers made of it.

Shapes are from OpenAI's API reference ("The chat completion chunk object"). Where providers differ (DeepSeek, Groq,
Mistral, OpenRouter, Perplexity, vLLM, llama.cpp, Azure), the mapper reads what recorded streams of theirs contain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pytest_streamrt.events.fold import Fold
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
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from pytest_streamrt.providers.dialect import Dialect, frame
from pytest_streamrt.script.build import Step
from pytest_streamrt.script.parts import ErrorPart, ReasoningPart, RefusalPart, TextPart, ToolCallPart, UsagePart

__all__ = ["CHAT"]

_NAME: Final = "openai.chat"

# What a delta may hold that is mapped, or says nothing: all else becomes a provider.event.
_KNOWN: Final = frozenset(
    {
        "annotations",
        "content",
        "function_call",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "refusal",
        "role",
        "tool_calls",
    }
)


class _ChatMapper:
    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._fold = Fold()
        self._finish: dict[int, str] = {}
        self._calls: dict[tuple[int, object], str] = {}  # (choice, index) -> the id of the call being written there
        self._usage: Mapping[str, Any] | None = None

    def push(self, data: Mapping[str, Any], name: str | None) -> list[Event]:
        events: list[Event] = []
        if not self._started:
            self._started = True
            events.append(InferenceStarted(data.get("model") or None, data.get("id") or None))
        if data.get("error"):
            self.ended = True
            events.append(InferenceFailure("provider", _error_text(data["error"]), self._fold.text))
            return events
        known = len(events)
        choices = data.get("choices") or []
        for choice in choices:
            self._choice(choice, events)
        usage = data.get("usage")
        if isinstance(usage, dict) and usage != self._usage:
            self._usage = usage
            events.append(_usage(usage))
        if not choices and len(events) == known:
            events.append(ProviderEvent(_NAME, name, dict(data)))
        return events

    def done(self) -> list[Event]:
        self.ended = True
        closing: list[Event] = [ItemCompleted(item) for item in self._fold.open_items]
        if not self._started:
            closing.insert(0, InferenceStarted())
        reasons = iter(self._finish.values())
        return [*closing, InferenceCompleted(self._finish.get(0) or next(reasons, None))]

    def close(self) -> list[Event] | None:
        # Cerebras and Perplexity never send [DONE]; a finish_reason says as much.
        return self.done() if self._finish else None

    def whole(self, data: Mapping[str, Any]) -> list[Event]:
        choices = [{**choice, "delta": choice.get("message") or {}} for choice in data.get("choices") or []]
        events = self.push({**data, "choices": choices}, None)
        return events if self.ended else [*events, *self.done()]

    def _choice(self, choice: Mapping[str, Any], events: list[Event]) -> None:
        index = choice.get("index") or 0
        delta = choice.get("delta") or {}
        before = len(events)
        events.extend(_reasoning(delta, index))
        content = delta.get("content")
        if isinstance(content, str):
            if content:
                events.append(TextDelta(content, choice=index))
        else:
            events.extend(_content_parts(content or [], index))
        if delta.get("refusal"):
            events.append(RefusalDelta(delta["refusal"], choice=index))
        for note in delta.get("annotations") or []:
            cited = note.get("url_citation") or {}
            events.append(Citation(cited.get("url"), cited.get("title"), note, index))
        for call in delta.get("tool_calls") or []:
            events.extend(self._tool_call(call.get("index"), call.get("id"), call.get("function"), index))
        # The form of 2023, still sent by some; llama.cpp's Python server says everything in both forms.
        if delta.get("function_call") and not delta.get("tool_calls"):
            events.extend(self._tool_call("function_call", None, delta["function_call"], index))
        unknown = {key: value for key, value in delta.items() if key not in _KNOWN and value}
        if unknown:
            events.append(ProviderEvent(_NAME, "delta", unknown))
        for event in events[before:]:
            self._fold.add(event)
        reason = choice.get("finish_reason")
        if reason and index not in self._finish:
            self._finish[index] = reason
            finished = [ItemCompleted(item) for item in self._fold.open_items if getattr(item, "choice", 0) == index]
            for event in finished:
                self._fold.add(event)
            events.extend(finished)

    def _tool_call(
        self, position: object, id: str | None, function: Mapping[str, Any] | None, choice: int
    ) -> Iterator[Event]:
        function = function or {}
        if position is None:  # without an index, a new id begins a new call, and no id goes on with the last
            position = id or next((at for (of, at) in reversed(self._calls) if of == choice), "only")
        current = self._calls.get((choice, position))
        # Gemini's compatible endpoint sends parallel calls whole, all at index 0: a new id with a name is a new call.
        if current is None or (id and id != current and function.get("name")):
            current = id or f"call_{len(self._calls)}"
            self._calls[choice, position] = current
            yield ToolCallStarted(current, function.get("name") or "", choice)
        arguments = function.get("arguments")
        if isinstance(arguments, dict):  # an object, where the API says a string
            arguments = json.dumps(arguments, separators=(",", ":"), ensure_ascii=False)
        if arguments:
            yield ToolCallDelta(current, arguments, choice)


def _reasoning(delta: Mapping[str, Any], choice: int) -> Iterator[Event]:
    """Three of the four shapes: DeepSeek's, vLLM's and OpenRouter's. The fourth, Mistral's, is in the content."""
    text = delta.get("reasoning_content") or delta.get("reasoning")
    if isinstance(text, str):
        yield ReasoningDelta(text, choice=choice)
        return  # OpenRouter repeats the same text in reasoning_details
    for detail in delta.get("reasoning_details") or []:
        if detail.get("text"):
            yield ReasoningDelta(detail["text"], choice=choice)
        elif detail.get("summary"):
            yield ReasoningDelta(detail["summary"], summary=True, choice=choice)
        else:
            yield ProviderEvent(_NAME, "reasoning_details", detail)


def _content_parts(parts: list[Mapping[str, Any]], choice: int) -> Iterator[Event]:
    """Mistral's content: a list of text and thinking parts."""
    for part in parts:
        if part.get("type") == "thinking":
            thinking = part.get("thinking") or []
            pieces = [thinking] if isinstance(thinking, str) else [piece.get("text") or "" for piece in thinking]
            yield from (ReasoningDelta(piece, choice=choice) for piece in pieces if piece)
        elif part.get("type") == "text":
            if part.get("text"):
                yield TextDelta(part["text"], choice=choice)
        else:
            yield ProviderEvent(_NAME, "content", part)


def _usage(usage: Mapping[str, Any]) -> Usage:
    return Usage(usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0, usage)


def _error_text(error: object) -> str:
    if isinstance(error, dict):
        return str(error.get("message") or error)
    return str(error)


class _ChatEncoder:
    def __init__(self) -> None:
        self._calls = 0
        self._usage: UsagePart | None = None

    def open(self) -> list[bytes]:
        return [self._chunk({"role": "assistant", "content": "", "refusal": None})]

    def step(self, step: Step) -> list[bytes]:
        part, piece = step.part, step.piece
        if isinstance(part, TextPart):
            return [self._chunk({"content": piece})]
        if isinstance(part, ReasoningPart):
            if part.summary:  # OpenRouter's form; OpenAI itself streams no reasoning in this API
                return [self._chunk({"reasoning_details": [{"type": "reasoning.summary", "summary": piece}]})]
            return [self._chunk({"reasoning_content": piece})]
        if isinstance(part, RefusalPart):
            return [self._chunk({"refusal": piece})]
        if isinstance(part, ToolCallPart):
            frames = []
            if step.first:
                id = part.id or f"call_{self._calls}"
                function = {"name": part.name, "arguments": ""}
                call = {"index": self._calls, "id": id, "type": "function", "function": function}
                frames.append(self._chunk({"tool_calls": [call]}))
                self._calls += 1
            if piece:
                frames.append(
                    self._chunk({"tool_calls": [{"index": self._calls - 1, "function": {"arguments": piece}}]})
                )
            return frames
        if isinstance(part, UsagePart):
            self._usage = part
        return []

    def error(self, part: ErrorPart) -> list[bytes]:
        error = {"message": part.message, "type": "server_error", "param": None, "code": part.code}
        return [frame({"error": error})]

    def end(self) -> list[bytes]:
        frames = [self._chunk({}, "tool_calls" if self._calls else "stop")]
        if self._usage is not None:
            read, written = self._usage.input_tokens, self._usage.output_tokens
            usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
            frames.append(frame({**self._head(), "choices": [], "usage": usage}))
        return [*frames, b"data: [DONE]\n\n"]

    def _head(self) -> dict[str, Any]:
        return {
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "scripted",
            "system_fingerprint": None,
        }

    def _chunk(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return frame({**self._head(), "choices": [choice]})


CHAT: Final = Dialect(_NAME, ("/chat/completions",), _ChatMapper, _ChatEncoder)
"""Chat Completions."""
