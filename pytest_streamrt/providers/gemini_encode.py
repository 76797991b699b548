"""The dialect "gemini.generate", written: a script as Gemini's generateContent would send it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pytest_streamrt.errors import ScriptError
from pytest_streamrt.providers.encoder import compact
from pytest_streamrt.providers.gemini_generate import GEMINI_NAME
from pytest_streamrt.providers.quirks import Quirks
from pytest_streamrt.providers.refusals import GOOGLE_ERRORS
from pytest_streamrt.script.build import Script, Step
from pytest_streamrt.script.kinds import (
    CitationPart,
    ErrorPart,
    FinishPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    UsagePart,
)
from pytest_streamrt.wire.sse import encode_event

__all__ = ["GenerateEncoder"]

_REASONS: Final = {"length": "MAX_TOKENS", "content_filter": "SAFETY", "stop": "STOP", "tool_calls": "STOP"}


class _Candidate:
    """One of the answer's choices, as far as it has been written."""

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self.said = ""
        self.refusal = ""
        self.reason: str | None = None
        self.chunks: list[dict[str, Any]] = []  # the sources that it cites
        self.supports: list[dict[str, Any]] = []

    def end(self) -> dict[str, Any]:
        """What is said at its end."""
        refused = {"finishMessage": self.refusal} if self.refusal else {}
        return {"finishReason": self.reason or ("SAFETY" if self.refusal else "STOP"), **refused}

    def grounding(self) -> dict[str, Any]:
        if not self.chunks:
            return {}
        return {"groundingMetadata": {"groundingChunks": self.chunks, "groundingSupports": self.supports}}


class GenerateEncoder:
    """Writes one answer. Notes (`status`) are left out: this API has none, and its SDK fails on a comment."""

    def __init__(self, script: Script | None = None, quirks: Quirks | None = None) -> None:
        self._quirks = quirks or Quirks()
        self._candidates: dict[int, _Candidate] = {}
        self._pieces: dict[str | None, str] = {}  # what has been said of each call's arguments
        self._usage: UsagePart | None = None
        self._frames = 0
        for part in script.spoken() if script is not None else ():
            if isinstance(part, ToolCallPart):
                _arguments(part.name, "".join(part.pieces))

    def open(self) -> list[bytes]:
        return []

    def step(self, step: Step) -> list[bytes]:
        return list(self._step(step))

    def _step(self, step: Step) -> Iterator[bytes]:
        part, piece = step.part, step.piece or ""
        if isinstance(part, TextPart):
            self._candidate(part.choice).said += piece
            yield self._part(part.choice, {"text": piece})
        elif isinstance(part, ReasoningPart):  # summaries, too: this API says of all thoughts that they are
            if piece:
                yield self._part(part.choice, {"text": piece, "thought": True})
            sealed = part.redacted if part.redacted is not None else part.signature if step.last else None
            if sealed is not None:
                yield self._part(part.choice, {"text": "", "thoughtSignature": sealed})
        elif isinstance(part, RefusalPart):
            self._candidate(part.choice).refusal += piece  # there are no deltas of it: the end says it
        elif isinstance(part, ToolCallPart):
            self._pieces[part.id] = self._pieces.get(part.id, "") + piece
            if step.last:  # a call comes whole
                args = _arguments(part.name, self._pieces.pop(part.id))
                call = {"name": part.name, **({"args": args} if args is not None else {}), "id": part.id}
                yield self._part(part.choice, {"functionCall": call})
        elif isinstance(part, CitationPart):
            yield self._cite(part)
        elif isinstance(part, FinishPart):
            for at in [part.choice] if part.choice is not None else list(self._candidates) or [0]:
                self._candidate(at).reason = _REASONS.get(part.reason, part.reason)
        elif isinstance(part, UsagePart):
            self._usage = part

    def error(self, part: ErrorPart) -> list[bytes]:
        status = next((number for number, name in GOOGLE_ERRORS.items() if name == part.code), 500)
        return self._closed([self._frame({"error": {"code": status, "message": part.message, "status": part.code}})])

    def end(self) -> list[bytes]:
        self._candidate(0)
        frames = []
        last = len(self._candidates) - 1
        for n, (at, candidate) in enumerate(self._candidates.items()):
            content = {"parts": [{"text": ""}], "role": "model"}
            raw = {"content": content, **candidate.end(), "index": at, **candidate.grounding()}
            frames.append(self._frame({"candidates": [raw], **(self._counts() if n == last else {}), **self._head()}))
        return self._closed(frames)

    def body(self) -> dict[str, Any]:
        candidates = [
            {
                "content": {"parts": candidate.parts, "role": "model"},
                **candidate.end(),
                "index": at,
                **candidate.grounding(),
            }
            for at, candidate in sorted(self._candidates.items())
        ]
        return {"candidates": candidates, **self._counts(), **self._head()}

    def _candidate(self, at: int) -> _Candidate:
        return self._candidates.setdefault(at, _Candidate())

    def _part(self, at: int, part: dict[str, Any]) -> bytes:
        parts = self._candidate(at).parts
        before = parts[-1] if parts else {}
        if part.keys() == before.keys() and set(part) <= {"text", "thought"}:
            before["text"] += part["text"]
        else:
            parts.append(dict(part))
        return self._frame(
            {"candidates": [{"content": {"parts": [part], "role": "model"}, "index": at}], **self._head()}
        )

    def _cite(self, part: CitationPart) -> bytes:
        candidate = self._candidate(part.choice)
        segment = {
            "startIndex": 0,
            "endIndex": len(candidate.said.encode(errors="surrogatepass")),
            "text": part.text or candidate.said,
        }
        candidate.supports.append({"segment": segment, "groundingChunkIndices": [len(candidate.chunks)]})
        candidate.chunks.append({"web": {"uri": part.url, "title": part.title}})
        raw = {"content": {"parts": [{"text": ""}], "role": "model"}, "index": part.choice, **candidate.grounding()}
        return self._frame({"candidates": [raw], **self._head()})

    def _counts(self) -> dict[str, Any]:
        if self._usage is None:
            return {}
        read, written = self._usage.input_tokens, self._usage.output_tokens
        counts = {"promptTokenCount": read, "candidatesTokenCount": written, "totalTokenCount": read + written}
        return {"usageMetadata": counts}

    def _head(self) -> dict[str, str]:
        return {"modelVersion": self._quirks.model, "responseId": self._quirks.id}

    def _frame(self, data: Mapping[str, Any]) -> bytes:
        written = compact(data, separators=(",", ": "))
        self._frames += 1
        newline = self._quirks.newline or "\r\n"
        if self._quirks.array:
            return f"{'[' if self._frames == 1 else f',{newline}'}{written}{newline}".encode()
        return encode_event(written, newline="\n" if newline == "\n" else "\r\n")

    def _closed(self, frames: list[bytes]) -> list[bytes]:
        return [*frames[:-1], frames[-1] + b"]\n"] if self._quirks.array else frames


def _arguments(name: str, written: str) -> dict[str, Any] | None:
    """The arguments of a call as the object that this API has instead of text; None where there are none."""
    if not written:
        return None
    why: object = "not an object"
    try:
        arguments = json.loads(written)
    except ValueError as error:
        why = error
    else:
        if isinstance(arguments, dict):
            return arguments
    msg = (
        f"encode: the arguments of {name!r} are not a JSON object, and {GEMINI_NAME} has no other: {written!r} ({why})"
    )
    raise ScriptError(msg)
