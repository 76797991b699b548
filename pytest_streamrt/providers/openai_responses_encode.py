"""The dialect "openai.responses", written: a script as a server of the Responses API would send it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pytest_streamrt.providers.encoder import frame
from pytest_streamrt.providers.openai_items import openai_error
from pytest_streamrt.providers.quirks import Quirks
from pytest_streamrt.script.build import Script, Step
from pytest_streamrt.script.parts import (
    ErrorPart,
    ReasoningPart,
    RefusalPart,
    Speech,
    TextPart,
    ToolCallPart,
    UsagePart,
)

__all__ = ["ResponsesEncoder"]


class ResponsesEncoder:
    """Writes one response."""

    def __init__(self, script: Script | None = None, quirks: Quirks | None = None) -> None:
        del script
        self._quirks = quirks or Quirks()
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

    def body(self) -> dict[str, Any]:
        return self._response("completed")

    def error_body(self, part: ErrorPart) -> dict[str, Any]:
        return openai_error(part)

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
            "model": self._quirks.model,
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
