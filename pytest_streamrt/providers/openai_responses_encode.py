"""The dialect "openai.responses", written: a script as a server of the Responses API would send it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_streamrt.providers.encoder import comment, frame, obfuscation, refuse_choices
from pytest_streamrt.providers.openai_items import PROGRESS, RESPONSES_NAME
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

__all__ = ["ResponsesEncoder"]

_FIELD: Final = {"output_text": "text", "refusal": "refusal", "summary_text": "text", "reasoning_text": "text"}
_EVENT: Final = {
    "output_text": "output_text",
    "refusal": "refusal",
    "summary_text": "reasoning_summary_text",
    "reasoning_text": "reasoning_text",
}
_LOGPROBS: Final[Mapping[str, dict[str, Any]]] = {"output_text": {"logprobs": []}}
_COMPLETE: Final = frozenset({"completed", "stop", "tool_calls"})
_INCOMPLETE: Final = {"length": "max_output_tokens"}


@dataclass
class _Item:
    """An output item that is being written."""

    index: int
    raw: dict[str, Any]
    parts: list[dict[str, Any]] = field(default_factory=list)  # its content; the last may be open
    said: list[str] = field(default_factory=list)  # of the open part, or of a call's arguments


class ResponsesEncoder:
    """Writes one response."""

    def __init__(self, script: Script | None = None, quirks: Quirks | None = None) -> None:
        refuse_choices(script, RESPONSES_NAME)
        self._quirks = quirks or Quirks()
        self._sequence = 0
        self._output: list[_Item] = []
        self._open: _Item | None = None  # the message or the reasoning that is being written
        self._calls: dict[str | None, _Item] = {}  # the calls that are being written
        self._usage: UsagePart | None = None
        self._incomplete: str | None = None

    def open(self) -> list[bytes]:
        return [
            *(comment(each, self._newline) for each in self._quirks.comments),
            self._frame("response.created", response=self._response("in_progress")),
            self._frame("response.in_progress", response=self._response("in_progress")),
        ]

    def step(self, step: Step) -> list[bytes]:
        return list(self._step(step))

    def _step(self, step: Step) -> Iterator[bytes]:
        part, piece = step.part, step.piece or ""
        if isinstance(part, ToolCallPart):
            yield from self._call(step, part, piece)
        elif isinstance(part, ReasoningPart):
            yield from self._think(step, part, piece)
        elif isinstance(part, RefusalPart):
            yield from self._speak("message", "refusal", piece)
        elif isinstance(part, TextPart):
            yield from self._speak("message", "output_text", piece)
        elif isinstance(part, CitationPart):
            yield from self._cite(part)
        elif isinstance(part, StatusPart):
            if PROGRESS.fullmatch(f"response.{part.name}"):
                yield self._frame(f"response.{part.name}", item_id="item_scripted", output_index=len(self._output))
            else:
                yield comment(part.name, self._newline)
        elif isinstance(part, FinishPart):
            self._incomplete = None if part.reason in _COMPLETE else _INCOMPLETE.get(part.reason, part.reason)
        elif isinstance(part, UsagePart):
            self._usage = part

    def error(self, part: ErrorPart) -> list[bytes]:
        return [self._frame("error", code=str(part.code), message=part.message, param=None)]

    def end(self) -> list[bytes]:
        status = "completed" if self._incomplete is None else "incomplete"
        frames = list(self._close())
        return [*frames, self._frame(f"response.{status}", response=self._response(status))]

    def body(self) -> dict[str, Any]:
        return self._response("completed" if self._incomplete is None else "incomplete")

    def _call(self, step: Step, part: ToolCallPart, piece: str) -> Iterator[bytes]:
        if step.first:
            yield from self._close()
            raw = {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": ""}
            self._calls[part.id] = item = self._new("fc", raw)
            yield self._item_frame(item, "added")
        item = self._calls[part.id]
        if piece:
            item.said.append(piece)
            yield self._at(item, "response.function_call_arguments.delta", delta=piece, **self._noise(piece))
        if step.last:
            del self._calls[part.id]
            item.raw["arguments"] = "".join(item.said)
            yield self._at(item, "response.function_call_arguments.done", arguments=item.raw["arguments"])
            yield from self._done(item)

    def _think(self, step: Step, part: ReasoningPart, piece: str) -> Iterator[bytes]:
        if part.redacted is not None:
            yield from self._close()
            self._open = self._new("rs", {"type": "reasoning", "summary": [], "encrypted_content": part.redacted})
            yield self._item_frame(self._open, "added")
            yield from self._close()
            return
        yield from self._speak("reasoning", "summary_text" if part.summary else "reasoning_text", piece)
        if step.last and part.signature is not None and self._open is not None:
            self._open.raw["encrypted_content"] = part.signature
            yield from self._close()

    def _speak(self, kind: str, content: str, piece: str) -> Iterator[bytes]:
        yield from self._begin(kind, content)
        item = self._open
        assert item is not None
        item.said.append(piece)
        more = {**_LOGPROBS.get(content, {}), **self._noise(piece)}
        yield self._at(item, f"response.{_EVENT[content]}.delta", **_place(item), delta=piece, **more)

    def _cite(self, part: CitationPart) -> Iterator[bytes]:
        yield from self._begin("message", "output_text")
        item = self._open
        assert item is not None
        end = sum(map(len, item.said))
        note = {"type": "url_citation", "start_index": 0, "end_index": end, "title": part.title, "url": part.url}
        notes = item.parts[-1]["annotations"]
        notes.append(note)
        where = {**_place(item), "annotation_index": len(notes) - 1}
        yield self._at(item, "response.output_text.annotation.added", **where, annotation=note)

    def _begin(self, kind: str, content: str) -> Iterator[bytes]:
        """Make sure that a content part of that type is open, in an item of that kind."""
        if self._open is None or self._open.raw["type"] != kind:
            yield from self._close()
            if kind == "message":
                self._open = self._new("msg", {"type": "message", "role": "assistant", "content": []})
            else:
                self._open = self._new("rs", {"type": "reasoning", "summary": []})
            yield self._item_frame(self._open, "added")
        item = self._open
        if not item.parts or item.parts[-1]["type"] != content:
            yield from self._close_part(item)
            extra: dict[str, Any] = {"annotations": [], "logprobs": []} if content == "output_text" else {}
            item.parts.append({"type": content, _FIELD[content]: "", **extra})
            yield self._part_frame(item, "added")

    def _close_part(self, item: _Item) -> Iterator[bytes]:
        if item.parts:
            kind = item.parts[-1]["type"]
            said = {_FIELD[kind]: "".join(item.said)}
            item.said.clear()
            item.parts[-1].update(said)
            yield self._at(item, f"response.{_EVENT[kind]}.done", **_place(item), **said, **_LOGPROBS.get(kind, {}))
            yield self._part_frame(item, "done")

    def _close(self) -> Iterator[bytes]:
        item, self._open = self._open, None
        if item is None:
            return
        yield from self._close_part(item)
        if item.raw["type"] == "message":
            item.raw["content"] = list(item.parts)
        elif item.parts:
            item.raw["summary"] = [part for part in item.parts if part["type"] == "summary_text"]
            item.raw["content"] = [part for part in item.parts if part["type"] == "reasoning_text"]
        yield from self._done(item)

    def _new(self, prefix: str, raw: Mapping[str, Any]) -> _Item:
        at = len(self._output)
        id = f"{prefix}_{self._quirks.answer}_{at}" if self._quirks.answer else f"{prefix}_{at}"
        item = _Item(at, {**raw, "id": id, "status": "in_progress"})
        self._output.append(item)
        return item

    def _done(self, item: _Item) -> Iterator[bytes]:
        item.raw["status"] = "completed"
        yield self._item_frame(item, "done")

    def _part_frame(self, item: _Item, what: str) -> bytes:
        part = item.parts[-1]
        stem = "reasoning_summary_part" if part["type"] == "summary_text" else "content_part"
        return self._at(item, f"response.{stem}.{what}", **_place(item), part=dict(part))

    def _item_frame(self, item: _Item, what: str) -> bytes:
        return self._frame(f"response.output_item.{what}", output_index=item.index, item=dict(item.raw))

    def _at(self, item: _Item, kind: str, **fields: Any) -> bytes:
        """A frame about that item."""
        return self._frame(kind, item_id=item.raw["id"], output_index=item.index, **fields)

    def _frame(self, kind: str, **fields: Any) -> bytes:
        data = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return frame(data, kind, newline=self._newline)

    @property
    def _newline(self) -> str:
        return self._quirks.newline or "\n"

    def _noise(self, piece: str) -> dict[str, str]:
        return {"obfuscation": obfuscation(piece, self._sequence)} if self._quirks.obfuscation else {}

    def _response(self, status: str) -> dict[str, Any]:
        ended = status != "in_progress"
        usage = None
        if ended and self._usage is not None:
            read, written = self._usage.input_tokens, self._usage.output_tokens
            usage = {
                "input_tokens": read,
                "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
                "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": read + written,
            }
        return {
            "id": f"resp_{self._quirks.id}",
            "object": "response",
            "created_at": 1_700_000_000,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": self._incomplete} if ended and self._incomplete else None,
            "instructions": None,
            "metadata": {},
            "model": self._quirks.model,
            "output": [dict(item.raw) for item in self._output] if ended else [],
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": usage,
        }


def _place(item: _Item) -> dict[str, int]:
    """Where the open part stands among those of its kind."""
    summary = item.parts[-1]["type"] == "summary_text"
    same = [part for part in item.parts if (part["type"] == "summary_text") == summary]
    return {"summary_index" if summary else "content_index": len(same) - 1}
