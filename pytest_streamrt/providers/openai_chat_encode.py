"""The dialect "openai.chat", written: a script as a server of Chat Completions would send it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_streamrt.providers.encoder import frame
from pytest_streamrt.providers.openai_items import openai_error
from pytest_streamrt.providers.quirks import Quirks
from pytest_streamrt.script.build import Script, Step
from pytest_streamrt.script.parts import ErrorPart, ReasoningPart, RefusalPart, TextPart, ToolCallPart, UsagePart

__all__ = ["ChatEncoder"]


class ChatEncoder:
    """Writes one chat completion."""

    def __init__(self, script: Script | None = None, quirks: Quirks | None = None) -> None:
        del script
        self._quirks = quirks or Quirks()
        self._message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
        self._calls = 0
        self._usage: UsagePart | None = None

    def open(self) -> list[bytes]:
        return [self._chunk({"role": "assistant", "content": "", "refusal": None})]

    def step(self, step: Step) -> list[bytes]:
        part, piece = step.part, step.piece
        self._keep(step)
        if isinstance(part, TextPart):
            return [self._chunk({"content": piece})]
        if isinstance(part, ReasoningPart):
            if part.summary:  # OpenRouter's form; OpenAI itself streams no reasoning in this API
                detail = {"type": "reasoning.summary", "summary": piece, "index": 0}
                return [self._chunk({"reasoning_details": [detail]})]
            return [self._chunk({"reasoning_content": piece})]
        if isinstance(part, RefusalPart):
            return [self._chunk({"refusal": piece})]
        if isinstance(part, ToolCallPart):
            frames = []
            if step.first:
                function = {"name": part.name, "arguments": ""}
                call = {"index": self._calls, "id": part.id, "type": "function", "function": function}
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
            frames.append(frame({**self._head(), "choices": [], "usage": self._counts(self._usage)}))
        return [*frames, b"data: [DONE]\n\n"]

    def body(self) -> dict[str, Any]:
        finish_reason = "tool_calls" if self._calls else "stop"
        choice = {"index": 0, "message": self._message, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": self._counts(self._usage)} if self._usage is not None else {}
        return {**self._head(), "object": "chat.completion", "choices": [choice], **usage}

    def error_body(self, part: ErrorPart) -> dict[str, Any]:
        return openai_error(part)

    def _keep(self, step: Step) -> None:
        """Write the step into the message as it stands in an answer that is not streamed."""
        part, piece = step.part, step.piece or ""
        if isinstance(part, ToolCallPart):
            calls = self._message.setdefault("tool_calls", [])
            if step.first:
                calls.append({"id": part.id, "type": "function", "function": {"name": part.name, "arguments": ""}})
            calls[-1]["function"]["arguments"] += piece
        elif isinstance(part, ReasoningPart) and part.summary:
            details = self._message.setdefault("reasoning_details", [{"type": "reasoning.summary", "summary": ""}])
            details[0]["summary"] += piece
        elif isinstance(part, TextPart | RefusalPart | ReasoningPart):
            field = {TextPart: "content", RefusalPart: "refusal", ReasoningPart: "reasoning_content"}[type(part)]
            self._message[field] = (self._message.get(field) or "") + piece

    @staticmethod
    def _counts(part: UsagePart) -> dict[str, int]:
        read, written = part.input_tokens, part.output_tokens
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

    def _head(self) -> dict[str, Any]:
        return {
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": self._quirks.model,
            "system_fingerprint": None,
        }

    def _chunk(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return frame({**self._head(), "choices": [choice]})
