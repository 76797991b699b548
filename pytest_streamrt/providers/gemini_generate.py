"""The dialect "gemini.generate", read: Gemini's generateContent, from Google's API and from Vertex, streamed and not.

Shapes are from Google's API reference ("GenerateContentResponse"), and from what recorded streams contain. There is no end
marker: the stream ends when each candidate has a reason to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_streamrt.events.items import FunctionCall, ModelMessage, Reasoning
from pytest_streamrt.events.quick import reasoning_delta, text_delta
from pytest_streamrt.events.types import (
    Citation,
    Event,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ItemCompleted,
    ProviderEvent,
    RefusalDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from pytest_streamrt.providers.fields import count, object_of, objects, text

__all__ = ["GEMINI_NAME", "GenerateMapper"]

GEMINI_NAME: Final = "gemini.generate"

# What is mapped, or says nothing of the answer; all else becomes a provider.event.
_KNOWN_AT_TOP: Final = frozenset(
    {"candidates", "createTime", "error", "modelVersion", "promptFeedback", "responseId", "usageMetadata"}
)
_KNOWN_IN_CANDIDATE: Final = frozenset({"content", "finishMessage", "finishReason", "index"})
_QUICK_AT_TOP: Final = frozenset({"candidates", "createTime", "modelVersion", "responseId"})
_QUICK_IN_CANDIDATE: Final = frozenset({"content", "finishReason", "index"})
_KNOWN_IN_PART: Final = frozenset({"functionCall", "text", "thought", "thoughtSignature"})

# Reasons by which the provider, and not the model, ends an answer: what is said about them is a refusal.
_REFUSALS: Final = frozenset(
    {
        "BLOCKLIST",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_SAFETY",
        "MODEL_ARMOR",
        "PROHIBITED_CONTENT",
        "RECITATION",
        "SAFETY",
        "SPII",
    }
)


@dataclass
class _Candidate:
    """One of the answer's choices, as far as it has come."""

    kind: str = ""  # of the item that is being written: "text", "thought" or ""
    said: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    unsigned: bool = False  # whether its last thought is still open to a signature
    finish_reason: str | None = None
    rest: Mapping[str, Any] = field(default_factory=dict)
    grounding: Mapping[str, Any] = field(default_factory=dict)


class GenerateMapper:
    """From the chunks of one answer to events."""

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._text: list[str] = []  # all that the first candidate has said
        self._candidates: dict[int, _Candidate] = {}
        self._calls = 0
        self._usage: Mapping[str, Any] = {}
        self._rest: Mapping[str, Any] = {}
        self._blocked: str | None = None

    def push(self, data: Mapping[str, Any], name: str | None) -> list[Event]:
        if self._started:
            quick = self._only_text(data)
            if quick is not None:
                return [quick]
        events: list[Event] = []
        if not self._started:
            events.append(InferenceStarted(text(data, "modelVersion") or None, text(data, "responseId") or None))
            self._started = True
        if data.get("error"):
            return [*events, *self._error(data["error"])]
        for raw in objects(data, "candidates"):
            events.extend(self._candidate(raw))
        events.extend(self._feedback(object_of(data, "promptFeedback")))
        usage = object_of(data, "usageMetadata")
        if usage and usage != self._usage:
            self._usage = usage
            read = count(usage, "promptTokenCount") + count(usage, "toolUsePromptTokenCount")
            written = count(usage, "candidatesTokenCount") + count(usage, "thoughtsTokenCount")
            events.append(Usage(read, written, usage))
        rest = {key: value for key, value in data.items() if key not in _KNOWN_AT_TOP and value}
        if rest and rest != self._rest:
            self._rest = rest
            events.append(ProviderEvent(GEMINI_NAME, name, rest))
        return events

    def _only_text(self, data: Mapping[str, Any]) -> Event | None:
        """The one delta of a chunk that says nothing but more of the answer; None for any other."""
        raws = data.get("candidates")
        if type(raws) is not list or len(raws) != 1 or not _QUICK_AT_TOP.issuperset(data):
            return None
        raw = raws[0]
        if type(raw) is not dict or not _QUICK_IN_CANDIDATE.issuperset(raw) or raw.get("finishReason"):
            return None
        content = raw.get("content")
        parts = content.get("parts") if type(content) is dict else None
        if type(parts) is not list or len(parts) != 1 or type(parts[0]) is not dict or parts[0].keys() != {"text"}:
            return None
        at, said = raw.get("index", 0), parts[0]["text"]
        candidate = self._candidates.get(at) if type(at) is int else None
        if candidate is None or candidate.kind != "text" or type(said) is not str or not said:
            return None
        candidate.said.append(said)
        if at == 0:
            self._text.append(said)
        return text_delta(said, None, at)

    def done(self) -> list[Event]:
        return []  # no marker of this API

    def close(self) -> list[Event] | None:
        finished = any(candidate.finish_reason for candidate in self._candidates.values())
        if self._blocked is None and not finished:
            return None
        self.ended = True
        events: list[Event] = []
        for at, candidate in self._candidates.items():
            events += self._finish_item(at, candidate)
        reasons = (candidate.finish_reason for candidate in self._candidates.values() if candidate.finish_reason)
        first = self._candidates.get(0)
        reason = (first.finish_reason if first is not None else None) or next(reasons, None) or self._blocked
        return [*events, InferenceCompleted(reason)]

    def whole(self, data: Mapping[str, Any]) -> list[Event]:
        events = self.push(data, None)
        if self.ended:
            return events
        closing = self.close()
        return [*events, *(closing if closing is not None else [InferenceCompleted()])]

    def _candidate(self, raw: Mapping[str, Any]) -> Iterator[Event]:
        at = count(raw, "index")
        candidate = self._candidates.setdefault(at, _Candidate())
        for part in objects(object_of(raw, "content"), "parts"):
            yield from self._part(at, candidate, part)
        yield from self._cited(at, candidate, raw)
        candidate.finish_reason = text(raw, "finishReason") or candidate.finish_reason
        why = text(raw, "finishMessage")
        if why and candidate.finish_reason in _REFUSALS:
            yield from self._refuse(at, candidate, why)
        elif why:
            yield ProviderEvent(GEMINI_NAME, "finishMessage", {"finishMessage": why})
        rest = {key: value for key, value in raw.items() if key not in _KNOWN_IN_CANDIDATE and value}
        if rest and rest != candidate.rest:
            candidate.rest = rest
            yield ProviderEvent(GEMINI_NAME, "candidate", rest)

    def _part(self, at: int, candidate: _Candidate, part: Mapping[str, Any]) -> Iterator[Event]:
        said, signature = text(part, "text"), text(part, "thoughtSignature")
        if part.get("thought") is True:
            if said:
                yield from self._write(at, candidate, "thought", said)
                yield reasoning_delta(said, choice=at)
            if signature:
                yield from self._sign(at, candidate, signature)
        elif part.get("functionCall"):
            yield from self._call(at, candidate, object_of(part, "functionCall"))
            if signature:
                yield ProviderEvent(GEMINI_NAME, "thoughtSignature", part)
        elif said:
            yield from self._write(at, candidate, "text", said)
            if at == 0:
                self._text.append(said)
            yield text_delta(said, choice=at)
            if signature:
                yield ProviderEvent(GEMINI_NAME, "thoughtSignature", {"thoughtSignature": signature})
        elif signature and part.keys() <= _KNOWN_IN_PART:
            yield from self._sign(at, candidate, signature)
        rest = part.keys() - _KNOWN_IN_PART
        if rest:
            yield ProviderEvent(GEMINI_NAME, min(rest), part)

    def _write(self, at: int, candidate: _Candidate, kind: str, piece: str) -> Iterator[Event]:
        if candidate.kind != kind:
            yield from self._finish_item(at, candidate)
            candidate.kind = kind
        candidate.said.append(piece)

    def _sign(self, at: int, candidate: _Candidate, signature: str) -> Iterator[Event]:
        """The signature of the thought before it; or, where none was shown, all there is of it."""
        if candidate.kind == "thought":
            yield from self._finish_item(at, candidate, signature)
        else:
            yield from self._finish_item(at, candidate)
            yield ItemCompleted(Reasoning(encrypted=signature, choice=at))

    def _finish_item(self, at: int, candidate: _Candidate, signature: str | None = None) -> Iterator[Event]:
        kind, said, refusal = candidate.kind, "".join(candidate.said), "".join(candidate.refusal)
        candidate.kind, candidate.said, candidate.refusal = "", [], []
        if kind == "thought":
            yield ItemCompleted(Reasoning(said, choice=at, signature=signature))
        elif kind == "text":
            yield ItemCompleted(ModelMessage(said, refusal, at))

    def _call(self, at: int, candidate: _Candidate, call: Mapping[str, Any]) -> Iterator[Event]:
        yield from self._finish_item(at, candidate)
        id = text(call, "id")
        if not id:
            id = f"call_{self._calls}"
            self._calls += 1
        name = text(call, "name")
        yield ToolCallStarted(id, name, at)
        arguments = ""
        if call.get("args") is not None:
            arguments = json.dumps(object_of(call, "args"), separators=(",", ":"), ensure_ascii=False)
            yield ToolCallDelta(id, arguments, at)
        rest = {key: value for key, value in call.items() if key not in ("args", "id", "name") and value}
        if rest:
            yield ProviderEvent(GEMINI_NAME, "functionCall", rest)
        yield ItemCompleted(FunctionCall(id, name, arguments, at))

    def _refuse(self, at: int, candidate: _Candidate, why: str) -> Iterator[Event]:
        if candidate.kind != "text":
            yield from self._finish_item(at, candidate)
            candidate.kind = "text"
        candidate.refusal.append(why)
        yield RefusalDelta(why, choice=at)

    def _cited(self, at: int, candidate: _Candidate, raw: Mapping[str, Any]) -> Iterator[Event]:
        grounding = object_of(raw, "groundingMetadata")
        known = list(objects(candidate.grounding, "groundingChunks"))
        for chunk in objects(grounding, "groundingChunks"):
            if chunk not in known:  # each chunk of the stream repeats those before it
                web = object_of(chunk, "web") or object_of(chunk, "retrievedContext")
                yield Citation(text(web, "uri") or None, text(web, "title") or None, chunk, at)
        if grounding:
            candidate.grounding = grounding
        cited = object_of(raw, "citationMetadata")
        for source in (*objects(cited, "citationSources"), *objects(cited, "citations")):
            yield Citation(text(source, "uri") or None, text(source, "title") or None, source, at)

    def _feedback(self, feedback: Mapping[str, Any]) -> Iterator[Event]:
        """The prompt was refused: there are no candidates."""
        if not feedback:
            return
        self._blocked = text(feedback, "blockReason") or self._blocked
        why = text(feedback, "blockReasonMessage")
        if why:
            yield from self._refuse(0, self._candidates.setdefault(0, _Candidate()), why)
        yield ProviderEvent(GEMINI_NAME, "promptFeedback", feedback)

    def _error(self, error: object) -> Iterator[Event]:
        self.ended = True
        shown = str(error)
        if isinstance(error, dict):
            status, message = error.get("status") or error.get("code"), error.get("message")
            shown = f"{status}: {message}" if status and message else str(message or error)
        yield InferenceFailure("provider", shown, "".join(self._text))
