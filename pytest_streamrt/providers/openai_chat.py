"""The dialect "openai.chat", read: OpenAI's Chat Completions, and what the compatible providers made of it.

Shapes are from OpenAI's API reference ("The chat completion chunk object"). Where providers differ (DeepSeek, Groq,
Mistral, OpenRouter, Perplexity, vLLM, llama.cpp, Azure), the mapper reads what recorded streams of theirs contain.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.quick import reasoning_delta, text_delta, tool_call_delta
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
    ToolCallStarted,
    Usage,
)
from pytest_streamrt.providers.fields import Malformed, count, object_of, objects, text

__all__ = ["CHAT_NAME", "ChatMapper"]

CHAT_NAME: Final = "openai.chat"

# What is mapped, or says nothing of the answer; all else becomes a provider.event.
_KNOWN_AT_TOP: Final = frozenset(
    {
        "choices",
        "created",
        "error",
        "id",
        "model",
        "object",
        "obfuscation",
        "provider",
        "service_tier",
        "system_fingerprint",
        "usage",
    }
)
_KNOWN_IN_DELTA: Final = frozenset(
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

_BESIDE_TEXT: Final = frozenset({"content", "role"})


@dataclass
class _Call:
    """A tool call in the making."""

    id: str
    name: str = ""
    arguments: str = ""
    started: bool = False


class ChatMapper:
    """From the chunks of one chat completion to events."""

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._fold = Fold()
        self._finish: dict[int, str] = {}
        self._calls: dict[tuple[int, object], _Call] = {}  # by choice and index: the call that is being written there
        self._ids = 0
        self._last_usage: Mapping[str, Any] = {}
        self._last_rest: Mapping[str, Any] = {}
        self._message: tuple[int, list[str]] | None = None  # the choice whose text went on last, and its pieces

    def push(self, data: Mapping[str, Any], name: str | None) -> list[Event]:
        if self._started:
            quick = self._only_text(data)
            if quick is not None:
                return [quick]
        self._message = None
        events: list[Event] = []
        if not self._started:
            events.append(InferenceStarted(text(data, "model") or None, text(data, "id") or None))
        if data.get("error"):
            self._started = self.ended = True
            events.append(InferenceFailure("provider", _error_text(data["error"]), self._fold.text))
            return events
        for choice in objects(data, "choices"):
            events.extend(self._choice(choice))
        usage = object_of(data, "usage")
        if usage and usage != self._last_usage:
            self._last_usage = usage
            read, written = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
            events.append(Usage(read, written, usage))
        rest = {key: value for key, value in data.items() if key not in _KNOWN_AT_TOP and value}
        if rest and rest != self._last_rest:  # some repeat the same in every chunk
            self._last_rest = rest
            events.append(ProviderEvent(CHAT_NAME, name, rest))
        self._started = True
        return events

    def _only_text(self, data: Mapping[str, Any]) -> Event | None:
        """The one delta of a chunk that says nothing but more of the answer, as nearly all do; None for any other."""
        choices = data.get("choices")
        if type(choices) is not list or len(choices) != 1 or data.get("usage") or data.get("error"):
            return None
        choice = choices[0]
        if type(choice) is not dict or choice.get("finish_reason") or not _KNOWN_AT_TOP.issuperset(data):
            return None
        index, delta = choice.get("index"), choice.get("delta")
        if type(index) is not int or index < 0 or type(delta) is not dict:
            return None
        said = delta.get("content")
        if type(said) is not str or not said or any(value for key, value in delta.items() if key not in _BESIDE_TEXT):
            return None
        if self._message is None or self._message[0] != index:
            pieces = self._fold.text_so_far(index, None)
            if pieces is None:
                return None
            self._message = index, pieces
        self._message[1].append(said)
        return text_delta(said, None, index)

    def done(self) -> list[Event]:
        self.ended = True
        closing: list[Event] = [] if self._started else [InferenceStarted()]
        for (choice, _), call in self._calls.items():
            closing.extend(self._kept(self._start(call, choice)))
        closing.extend(self._finished(None))
        reasons = iter(self._finish.values())
        return [*closing, InferenceCompleted(self._finish.get(0) or next(reasons, None))]

    def close(self) -> list[Event] | None:
        # Cerebras and Perplexity never send [DONE]; a finish_reason says as much.
        return self.done() if self._finish else None

    def whole(self, data: Mapping[str, Any]) -> list[Event]:
        choices = []
        for choice in objects(data, "choices"):
            message = dict(object_of(choice, "message"))
            # Here every call stands by itself, with or without an index.
            calls = [{**call, "index": index} for index, call in enumerate(objects(message, "tool_calls"))]
            choices.append({**choice, "delta": {**message, "tool_calls": calls}, "message": None})
        events = self.push({**data, "choices": choices}, None)
        return events if self.ended else [*events, *self.done()]

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[Event]:
        index = count(choice, "index")
        delta = object_of(choice, "delta")
        yield from self._kept(self._delta(delta, index))
        reason = text(choice, "finish_reason")
        if reason and index not in self._finish:
            self._finish[index] = reason
            for (of, _), call in self._calls.items():
                if of == index:
                    yield from self._kept(self._start(call, index))
            yield from self._finished(index)

    def _delta(self, delta: Mapping[str, Any], choice: int) -> Iterator[Event]:
        yield from _reasoning(delta, choice)
        if isinstance(delta.get("content"), list):
            yield from _content_parts(delta, choice)
        elif text(delta, "content"):
            yield TextDelta(text(delta, "content"), choice=choice)
        if text(delta, "refusal"):
            yield RefusalDelta(text(delta, "refusal"), choice=choice)
        for note in objects(delta, "annotations"):
            cited = object_of(note, "url_citation")
            yield Citation(text(cited, "url") or None, text(cited, "title") or None, note, choice)
        calls = list(objects(delta, "tool_calls"))
        for call in calls:
            yield from self._call(call.get("index"), text(call, "id"), object_of(call, "function"), choice)
        # The form of 2023, still sent by some; llama.cpp's Python server says everything in both forms.
        if delta.get("function_call") and not calls:
            yield from self._call("function_call", "", object_of(delta, "function_call"), choice)
        unknown = {key: value for key, value in delta.items() if key not in _KNOWN_IN_DELTA and value}
        if unknown:
            yield ProviderEvent(CHAT_NAME, "delta", unknown)

    def _call(self, index: object, id: str, function: Mapping[str, Any], choice: int) -> Iterator[Event]:
        """A piece of a tool call: the first with id and name, the others with more of its arguments."""
        name, arguments = text(function, "name"), function.get("arguments")
        if isinstance(arguments, dict):  # an object, where the API says a string
            arguments = json.dumps(arguments, separators=(",", ":"), ensure_ascii=False)
        else:
            arguments = text(function, "arguments")
        if index is None:  # without an index, a new id begins a new call, and no id goes on with the last
            index = id or next((at for (of, at) in reversed(self._calls) if of == choice), "only")
        elif not isinstance(index, int | float | str):
            raise Malformed(f"the index of a tool call is {index!r}")
        call = self._calls.get((choice, index))
        if call is None or self._is_another(call, id, name):
            if call is not None:
                yield from self._start(call, choice)
            call = self._calls[choice, index] = _Call(id or self._new_id())
        call.name = call.name or name
        if call.name or arguments:
            yield from self._start(call, choice)
        if arguments:
            call.arguments += arguments
            yield tool_call_delta(call.id, arguments, choice)

    def _is_another(self, call: _Call, id: str, name: str) -> bool:
        """Whether a piece at the place of a call begins another: Gemini's compatible endpoint sends all at index 0."""
        if not name:
            return False
        if id:
            return id != call.id
        return bool(call.name and call.arguments) and _is_json(call.arguments)

    def _start(self, call: _Call, choice: int) -> Iterator[Event]:
        if not call.started:
            call.started = True
            yield ToolCallStarted(call.id, call.name, choice)

    def _new_id(self) -> str:
        self._ids += 1
        return f"call_{self._ids - 1}"

    def _kept(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            self._fold.add(event)
            yield event

    def _finished(self, choice: int | None) -> Iterator[Event]:
        """The items that deltas have begun, of one choice or of all, finished."""
        for item in self._fold.open_items:
            if choice is None or getattr(item, "choice", choice) == choice:
                yield from self._kept([ItemCompleted(item)])


def _reasoning(delta: Mapping[str, Any], choice: int) -> Iterator[Event]:
    """Three of the four shapes: DeepSeek's, vLLM's and OpenRouter's. The fourth, Mistral's, is in the content."""
    whole = text(delta, "reasoning_content") or text(delta, "reasoning")
    if whole:
        yield reasoning_delta(whole, choice=choice)
    for detail in objects(delta, "reasoning_details"):
        if text(detail, "text") or text(detail, "summary"):
            if not whole:  # else OpenRouter says the same a second time
                summary = not text(detail, "text")
                yield ReasoningDelta(text(detail, "text") or text(detail, "summary"), summary=summary, choice=choice)
        else:
            yield ProviderEvent(CHAT_NAME, "reasoning_details", detail)


def _content_parts(delta: Mapping[str, Any], choice: int) -> Iterator[Event]:
    """Mistral's content: a list of text and thinking parts."""
    for part in objects(delta, "content"):
        kind = text(part, "type")
        if kind == "thinking":
            pieces = (
                [{"text": part["thinking"]}] if isinstance(part.get("thinking"), str) else objects(part, "thinking")
            )
            yield from (ReasoningDelta(text(piece, "text"), choice=choice) for piece in pieces if text(piece, "text"))
        elif kind == "text":
            if text(part, "text"):
                yield TextDelta(text(part, "text"), choice=choice)
        else:
            yield ProviderEvent(CHAT_NAME, "content", part)


def _is_json(written: str) -> bool:
    try:
        json.loads(written)
    except (ValueError, RecursionError):
        return False
    return True


def _error_text(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    code, message = error.get("code"), error.get("message")
    return f"{code}: {message}" if code and message else str(message or error)
