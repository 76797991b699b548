"""The dialect "anthropic.messages", written: a script as Anthropic's Messages API would send it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pytest_streamrt.errors import ScriptError
from pytest_streamrt.providers.anthropic_messages import ANTHROPIC_NAME
from pytest_streamrt.providers.encoder import comment, frame, refuse_choices
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

__all__ = ["MessagesEncoder"]


_REASONS: Final = {"length": "max_tokens", "content_filter": "refusal", "stop": "end_turn", "tool_calls": "tool_use"}

# The names of HTTP errors, from Anthropic's API reference ("Errors").


class MessagesEncoder:
    """Writes one message."""

    def __init__(self, script: Script | None = None, quirks: Quirks | None = None) -> None:
        self._quirks = quirks or Quirks()
        self._frames = 0
        self._content: list[dict[str, Any]] = []  # the blocks so far, as far as they are written
        self._open: int | None = None  # the block of text or thinking that is being written
        self._calls: dict[str | None, int] = {}  # the calls that are being written: id -> block
        self._pinged = False
        self._refusal = ""
        self._reason: str | None = None
        # The beginning of the stream says already what the end will say again: known where the script is.
        refuse_choices(script, ANTHROPIC_NAME)
        counted = [part for part in script.spoken() if isinstance(part, UsagePart)] if script is not None else []
        self._usage = counted[-1] if counted else UsagePart(0, 0)

    def open(self) -> list[bytes]:
        return [
            *(comment(each, self._newline) for each in self._quirks.comments),
            self._event("message_start", message=self._message(self._counts(output=min(self._usage.output_tokens, 1)))),
        ]

    def step(self, step: Step) -> list[bytes]:
        return list(self._step(step))

    def _step(self, step: Step) -> Iterator[bytes]:
        part, piece = step.part, step.piece or ""
        if isinstance(part, TextPart):
            yield from self._speak("text", piece, {"text": ""})
        elif isinstance(part, ReasoningPart):  # a summary, too: this API does not say whether its thinking is one
            yield from self._think(step, part, piece)
        elif isinstance(part, RefusalPart):
            self._refusal += piece  # there are no deltas of it: the end of the message says it
        elif isinstance(part, ToolCallPart):
            yield from self._call(step, part, piece)
        elif isinstance(part, CitationPart):
            yield from self._cite(part)
        elif isinstance(part, StatusPart):
            yield comment(part.name, self._newline)
        elif isinstance(part, FinishPart):
            self._reason = _REASONS.get(part.reason, part.reason)
        elif isinstance(part, UsagePart):
            self._usage = part

    def error(self, part: ErrorPart) -> list[bytes]:
        return [self._event("error", error={"type": str(part.code), "message": part.message})]

    def end(self) -> list[bytes]:
        end = {"stop_reason": self._stop_reason(), "stop_sequence": None, "stop_details": self._stop_details()}
        counts = {key: count for key, count in self._counts().items() if key.endswith("_tokens")}
        return [
            *self._close(),
            self._event("message_delta", delta=end, usage=counts),
            self._event("message_stop"),
        ]

    def body(self) -> dict[str, Any]:
        end = {"stop_reason": self._stop_reason(), "stop_details": self._stop_details()}
        return {**self._message(self._counts()), "content": [_whole(block) for block in self._content], **end}

    def _speak(self, kind: str, piece: str, empty: Mapping[str, Any]) -> Iterator[bytes]:
        if self._open is None or self._content[self._open]["type"] != kind:
            yield from self._close()
            self._open = len(self._content)
            yield from self._begin({"type": kind, **empty})
        self._content[self._open][kind] += piece
        yield self._delta(self._open, f"{kind}_delta", **{kind: piece})

    def _think(self, step: Step, part: ReasoningPart, piece: str) -> Iterator[bytes]:
        if part.redacted is not None:
            yield from self._close()
            self._open = len(self._content)
            yield from self._begin({"type": "redacted_thinking", "data": part.redacted})
            yield from self._close()
            return
        yield from self._speak("thinking", piece, {"thinking": "", "signature": ""})
        if step.last and part.signature is not None and self._open is not None:
            self._content[self._open]["signature"] = part.signature
            yield self._delta(self._open, "signature_delta", signature=part.signature)
            yield from self._close()

    def _cite(self, part: CitationPart) -> Iterator[bytes]:
        if self._open is None or self._content[self._open]["type"] != "text":
            yield from self._close()
            self._open = len(self._content)
            yield from self._begin({"type": "text", "text": "", "citations": []})
        note = {
            "type": "web_search_result_location",
            "cited_text": part.text,
            "url": part.url,
            "title": part.title,
            "encrypted_index": "scripted",
        }
        block = self._content[self._open or 0]
        block["citations"] = [*block.get("citations", ()), note]
        yield self._event("content_block_delta", index=self._open, delta={"type": "citations_delta", "citation": note})

    def _call(self, step: Step, part: ToolCallPart, piece: str) -> Iterator[bytes]:
        if step.first:
            yield from self._close()
            self._calls[part.id] = len(self._content)
            yield from self._begin({"type": "tool_use", "id": part.id, "name": part.name, "input": {}})
            yield self._delta(self._calls[part.id], "input_json_delta", partial_json="")
            self._content[self._calls[part.id]]["arguments"] = ""
        index = self._calls[part.id]
        if piece:
            self._content[index]["arguments"] += piece
            yield self._delta(index, "input_json_delta", partial_json=piece)
        if step.last:
            del self._calls[part.id]
            yield self._event("content_block_stop", index=index)

    def _begin(self, block: dict[str, Any]) -> Iterator[bytes]:
        self._content.append(block)
        yield self._event("content_block_start", index=len(self._content) - 1, content_block=dict(block))
        if self._quirks.pings and not self._pinged:
            self._pinged = True
            yield f'event: ping{self._newline}data: {{"type": "ping"}}{self._newline * 2}'.encode()  # with a space in it, as sent

    def _close(self) -> Iterator[bytes]:
        if self._open is not None:
            index, self._open = self._open, None
            yield self._event("content_block_stop", index=index)

    def _delta(self, index: int, kind: str, **fields: str) -> bytes:
        return self._event("content_block_delta", index=index, delta={"type": kind, **fields})

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._frames += 1
        # Of white space before the last brace, recorded streams have 0 to 15 characters, without a pattern.
        padding = self._frames * 7 % 16 if self._quirks.padding else 0
        return frame({"type": kind, **fields}, kind, newline=self._newline, padding=padding)

    def _message(self, counts: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "model": self._quirks.model,
            "id": f"msg_{self._quirks.id}",
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": counts,
        }

    def _counts(self, output: int | None = None) -> dict[str, Any]:
        return {
            "input_tokens": self._usage.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": self._usage.output_tokens if output is None else output,
            "service_tier": "standard",
            "inference_geo": "not_available",
        }

    @property
    def _newline(self) -> str:
        return self._quirks.newline or "\n"

    def _stop_reason(self) -> str:
        if self._reason is not None:
            return self._reason
        if self._refusal:
            return "refusal"
        called = any(block["type"] == "tool_use" for block in self._content)
        return "tool_use" if called else "end_turn"

    def _stop_details(self) -> dict[str, Any] | None:
        return {"type": "refusal", "category": None, "explanation": self._refusal} if self._refusal else None


def _whole(block: Mapping[str, Any]) -> dict[str, Any]:
    """A finished block as it stands in an answer that is not streamed."""
    whole = dict(block)
    if "arguments" in block:
        arguments = whole.pop("arguments")
        try:
            whole["input"] = json.loads(arguments) if arguments else {}
        except ValueError as reason:
            msg = (
                f"encode: the arguments of {block['name']!r} are not JSON, and {ANTHROPIC_NAME} can say that in a "
                f"stream only: {arguments!r} ({reason})"
            )
            raise ScriptError(msg) from None
    return whole
