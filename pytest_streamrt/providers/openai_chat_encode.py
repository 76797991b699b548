"""The dialect "openai.chat", written: a script as a server of Chat Completions would send it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pytest_streamrt.providers.encoder import comment, frame, obfuscation
from pytest_streamrt.providers.quirks import Quirks
from pytest_streamrt.script.build import Script, Step
from pytest_streamrt.script.kinds import (
    CitationPart,
    ErrorPart,
    FinishPart,
    ReasoningPart,
    RefusalPart,
    StatusPart,
    TextPart,
    ToolCallPart,
    UsagePart,
)

__all__ = ["ChatEncoder"]

_DONE: Final = "[DONE]"
_FILTERED: Final = {
    name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")
}


class _Choice:
    """One of the answer's choices, as far as it has been written."""

    def __init__(self) -> None:
        self.message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
        self.calls: list[dict[str, Any]] = []
        self.places: dict[str | None, int] = {}  # of each call, by its id
        self.thoughts = 0  # how many pieces of reasoning were encrypted
        self.reason: str | None = None

    @property
    def finish_reason(self) -> str:
        return self.reason or ("tool_calls" if self.calls else "stop")

    def add(self, field: str, piece: str) -> None:
        self.message[field] = (self.message.get(field) or "") + piece

    def whole(self) -> dict[str, Any]:
        return {**self.message, **({"tool_calls": self.calls} if self.calls else {})}


class ChatEncoder:
    """Writes one chat completion."""

    def __init__(self, script: Script | None = None, quirks: Quirks | None = None) -> None:
        self._quirks = quirks or Quirks()
        self._choices: dict[int, _Choice] = {}
        self._usage: UsagePart | None = None
        self._frames = 0
        # A server that will count says so in each chunk.
        self._counts = script is not None and any(isinstance(part, UsagePart) for part in script.spoken())

    def open(self) -> list[bytes]:
        frames = [comment(each, self._newline) for each in self._quirks.comments]
        if self._quirks.azure:
            checked = [{"prompt_index": 0, "content_filter_results": _FILTERED}]
            head = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": checked}
            frames.append(frame(head, newline=self._newline))
        return [*frames, *self._choice(0)]

    def step(self, step: Step) -> list[bytes]:
        return list(self._step(step))

    def _step(self, step: Step) -> Iterator[bytes]:
        part, piece = step.part, step.piece or ""
        if isinstance(part, UsagePart):
            self._usage = part
            return
        if isinstance(part, StatusPart):
            yield comment(part.name, self._newline)
            return
        if isinstance(part, FinishPart):
            for at in [part.choice] if part.choice is not None else list(self._choices):
                yield from self._choice(at)
                self._choices[at].reason = part.reason
            return
        if not isinstance(part, TextPart | RefusalPart | ReasoningPart | ToolCallPart | CitationPart):
            return
        yield from self._choice(part.choice)
        choice = self._choices[part.choice]
        if isinstance(part, TextPart):
            choice.add("content", piece)
            yield self._delta(part.choice, {"content": piece}, piece)
        elif isinstance(part, RefusalPart):
            choice.add("refusal", piece)
            yield self._delta(part.choice, {"refusal": piece}, piece)
        elif isinstance(part, ReasoningPart):
            yield from self._think(step, part, piece)
        elif isinstance(part, ToolCallPart):
            yield from self._call(step, part, piece)
        else:
            said = len(choice.message["content"] or "")
            note = {"end_index": said, "start_index": 0, "title": part.title, "url": part.url}
            choice.message["annotations"].append({"type": "url_citation", "url_citation": note})
            yield self._delta(part.choice, {"annotations": choice.message["annotations"][-1:]})

    def error(self, part: ErrorPart) -> list[bytes]:
        error = {"message": part.message, "type": "server_error", "param": None, "code": part.code}
        return [frame({"error": error}, newline=self._newline)]

    def end(self) -> list[bytes]:
        frames = []
        for n, (at, choice) in enumerate(self._choices.items()):
            last = n == len(self._choices) - 1 and self._quirks.usage == "last"
            frames.append(self._chunk(at, {}, choice.finish_reason, usage=self._count() if last else None))
        if self._usage is not None and self._quirks.usage == "chunk":
            frames.append(self._frame({**self._head(), "choices": [], "usage": self._count()}))
        done = f"data: {_DONE}{self._newline}{self._newline}".encode()
        return [*frames, done] if self._quirks.done else frames

    def body(self) -> dict[str, Any]:
        choices = [
            {"index": at, "message": choice.whole(), "logprobs": None, "finish_reason": choice.finish_reason}
            for at, choice in sorted(self._choices.items())
        ]
        usage = {"usage": self._count()} if self._usage is not None else {}
        return {**self._head(), "object": "chat.completion", "choices": choices, **usage}

    def _choice(self, at: int) -> Iterator[bytes]:
        """Begin a choice, if it has not begun."""
        if at not in self._choices:
            self._choices[at] = _Choice()
            yield self._delta(at, {"role": "assistant", "content": "", "refusal": None})

    def _think(self, step: Step, part: ReasoningPart, piece: str) -> Iterator[bytes]:
        choice = self._choices[part.choice]
        sealed = part.redacted if part.redacted is not None else part.signature if step.last else None
        shape = self._quirks.reasoning
        if not piece:
            pass
        elif part.summary or shape == "reasoning_details":  # OpenAI itself streams no reasoning in this API
            kind, field = ("reasoning.summary", "summary") if part.summary else ("reasoning.text", "text")
            details = choice.message.setdefault("reasoning_details", [])
            if not details or field not in details[-1]:
                details.append({"type": kind, field: "", "index": len(details)})
            details[-1][field] += piece
            delta: dict[str, Any] = {"reasoning_details": [{**details[-1], field: piece}]}
            if shape == "reasoning_details":
                choice.add("reasoning", piece)
                delta = {"reasoning": piece, **delta}
            yield self._delta(part.choice, delta, piece)
        elif shape == "content":
            thinking = [{"type": "text", "text": piece}]
            choice.add("reasoning_content", piece)
            yield self._delta(part.choice, {"content": [{"type": "thinking", "thinking": thinking}]}, piece)
        else:
            choice.add(shape, piece)
            yield self._delta(part.choice, {shape: piece}, piece)
        if sealed is not None:  # as OpenRouter sends it; nobody else does
            details = choice.message.setdefault("reasoning_details", [])
            details.append({"type": "reasoning.encrypted", "data": sealed, "index": len(details)})
            yield self._delta(part.choice, {"reasoning_details": details[-1:]})

    def _call(self, step: Step, part: ToolCallPart, piece: str) -> Iterator[bytes]:
        choice = self._choices[part.choice]
        if step.first:
            choice.places[part.id] = len(choice.calls)
            choice.calls.append({"id": part.id, "type": "function", "function": {"name": part.name, "arguments": ""}})
        at = choice.places[part.id]
        call = choice.calls[at]
        whole = self._quirks.whole_calls
        if step.first and not whole:
            yield self._delta(part.choice, {"tool_calls": [{"index": at, **call, "function": dict(call["function"])}]})
        call["function"]["arguments"] += piece
        if whole and step.last:
            yield self._delta(part.choice, {"tool_calls": [{"index": at, **call, "function": dict(call["function"])}]})
        elif piece and not whole:
            yield self._delta(part.choice, {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}, piece)

    @property
    def _newline(self) -> str:
        return self._quirks.newline or "\n"

    def _count(self) -> dict[str, int] | None:
        if self._usage is None:
            return None
        read, written = self._usage.input_tokens, self._usage.output_tokens
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

    def _head(self) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self._quirks.id}",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": self._quirks.model,
            "system_fingerprint": None,
        }

    def _delta(self, at: int, delta: Mapping[str, Any], piece: str = "") -> bytes:
        return self._chunk(at, {"role": "assistant", **delta} if self._quirks.roles else delta, None, piece)

    def _chunk(
        self,
        at: int,
        delta: Mapping[str, Any],
        finish_reason: str | None,
        piece: str = "",
        *,
        usage: Mapping[str, int] | None = None,
    ) -> bytes:
        choice: dict[str, Any] = {"index": at, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        if self._quirks.azure:
            choice["content_filter_results"] = _FILTERED if piece else {}
        counts = {"usage": usage} if self._counts or usage is not None else {}
        return self._frame({**self._head(), "choices": [choice], **counts}, piece)

    def _frame(self, data: Mapping[str, Any], piece: str = "") -> bytes:
        self._frames += 1
        noise = {"obfuscation": obfuscation(piece, self._frames)} if self._quirks.obfuscation else {}
        return frame({**data, **noise}, newline=self._newline)
