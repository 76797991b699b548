"""LangChain: what ``astream_events(…, version="v2")`` gives, and message chunks as ``astream()`` of a chat model gives them.

Shapes are from `langchain_core.runnables.schema` and `langchain_core.messages`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.items import FunctionCallOutput
from pytest_streamrt.events.types import (
    Event,
    ItemCompleted,
    ProviderEvent,
    ReasoningDelta,
    Signal,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    ToolResult,
    Usage,
)
from pytest_streamrt.transcript.adapters.shape import field, json_text, plain, shown

__all__ = ["LangChainAdapter"]

_LIBRARY: Final = "langchain"
_ENDS: Final = ("on_chat_model_end", "on_llm_end")
_STARTS: Final = ("on_chat_model_start", "on_llm_start")


class LangChainAdapter:
    """A run over all its rounds: the chat model's chunks, tools' outputs, custom events."""

    def __init__(self) -> None:
        self.round = 1
        self._asked = 0
        self._writing: dict[tuple[Any, Any], str] = {}  # ids of the calls being written, by run and index
        self._last: str | None = None
        self._heard: dict[Any, Fold] = {}  # what each run of a model has said in chunks
        self._open: list[tuple[str, str]] = []  # calls without an answer: name and id
        self._read: tuple[int, int] | None = None  # tokens in and out, where chunks alone tell

    @staticmethod
    def knows(piece: Any) -> bool:
        """Whether a piece is of this library."""
        if isinstance(piece, dict):
            return str(piece.get("event", "")).startswith("on_") and "run_id" in piece and "data" in piece
        return bool(field(piece, "type") == "AIMessageChunk")

    def push(self, piece: Any) -> Iterable[Event]:
        """The events in the next piece."""
        if not isinstance(piece, dict):
            return self._message(piece, None)
        kind, data, run = piece["event"], piece["data"], piece["run_id"]
        if kind in _STARTS:
            self._asked += 1
            self.round = max(self._asked, 1)
            self._heard[run] = Fold()
            return []
        if kind == "on_chat_model_stream":
            return self._message(field(data, "chunk"), run)
        if kind == "on_llm_stream":
            text = field(field(data, "chunk"), "text")
            return self._kept([TextDelta(text)] if text else [], run)
        if kind in _ENDS:
            return self._model_ends(field(data, "output"), run)
        if kind in ("on_tool_end", "on_tool_error"):
            return self._tool_ends(piece, data, failed=kind == "on_tool_error")
        if kind == "on_custom_event":
            return [Signal(str(piece.get("name")), plain(data))]
        return [ProviderEvent(_LIBRARY, kind, {"name": piece.get("name"), "data": plain(data)})]

    def end(self) -> Iterable[Event]:
        """The usage, where only chunks told it."""
        return [Usage(*self._read)] if self._read is not None else []

    def _message(self, chunk: Any, run: Any) -> Iterator[Event]:
        for event in self._kept(self._said(chunk, run), run):
            if isinstance(event, ToolCallStarted):
                self._open.append((event.name, event.id))
            yield event
        usage = _usage(chunk)
        if usage is not None and run is None:
            read, written = self._read or (0, 0)
            self._read = read + usage.input_tokens, written + usage.output_tokens

    def _said(self, chunk: Any, run: Any) -> Iterator[Event]:
        thought = field(field(chunk, "additional_kwargs", {}), "reasoning_content")
        if isinstance(thought, str) and thought:
            yield ReasoningDelta(thought)
        content = field(chunk, "content")
        for block in [content] if isinstance(content, str) else content or ():
            yield from _block(block)
        for piece in field(chunk, "tool_call_chunks") or ():
            yield from self._call(piece, run)

    def _call(self, piece: Any, run: Any) -> Iterator[Event]:
        name, arguments = field(piece, "name"), field(piece, "args")
        id, at = field(piece, "id"), (run, field(piece, "index"))
        known = self._writing.get(at)
        if known is None or (id and name and id != known):
            known = self._writing[at] = str(id or f"call_{len(self._writing)}")
            yield ToolCallStarted(known, str(name or ""))
        if arguments:
            yield ToolCallDelta(known, json_text(arguments))

    def _model_ends(self, output: Any, run: Any) -> Iterator[Event]:
        """The round's end: what chunks have not said, as of a model that does not stream, and its usage."""
        said = self._heard.setdefault(run, Fold())
        if not said.items:
            for event in self._kept(self._whole(output), run):
                if isinstance(event, ToolCallStarted):
                    self._open.append((event.name, event.id))
                yield event
        for item in said.open_items:
            yield ItemCompleted(item)
        usage = _usage(output)
        if usage is not None:
            yield usage

    def _whole(self, output: Any) -> Iterator[Event]:
        content = field(output, "content")
        for block in [content] if isinstance(content, str) else content or ():
            yield from _block(block)
        for call in field(output, "tool_calls") or ():
            id = str(field(call, "id") or f"call_{len(self._writing)}")
            yield ToolCallStarted(id, str(field(call, "name")))
            yield ToolCallDelta(id, json_text(field(call, "args")))

    def _tool_ends(self, piece: Any, data: Any, *, failed: bool) -> Iterator[Event]:
        output = field(data, "output")
        name = str(piece.get("name") or "")
        call = field(output, "tool_call_id") or next((id for of, id in self._open if of == name), None)
        call = str(call or piece["run_id"])
        self._open = [each for each in self._open if each[1] != call]
        error = field(data, "error")
        text = shown(plain(field(output, "content", output))) if error is None else str(error)
        failed = failed or field(output, "status") == "error"
        status: Literal["completed", "failed"] = "failed" if failed else "completed"
        yield ToolResult(call, name, text, status)
        yield ItemCompleted(FunctionCallOutput(call, text))

    def _kept(self, events: Iterable[Event], run: Any) -> Iterator[Event]:
        said = self._heard.get(run)
        for event in events:
            if said is not None:
                said.add(event)
            yield event


def _block(block: Any) -> Iterator[Event]:
    """One block of a message's content; plain strings are text."""
    if isinstance(block, str):
        if block:
            yield TextDelta(block)
        return
    kind = field(block, "type")
    if kind == "text":
        if text := field(block, "text"):
            yield TextDelta(text)
    elif kind in ("reasoning", "thinking"):
        thought = field(block, "reasoning") or field(block, "thinking")
        if thought:
            yield ReasoningDelta(thought)
        for part in field(block, "summary") or ():
            if text := field(part, "text"):
                yield ReasoningDelta(text, summary=True)
    elif kind not in ("tool_call_chunk", "tool_call", "tool_use", "function_call", "input_json_delta"):
        yield ProviderEvent(_LIBRARY, kind, plain(block))


def _usage(message: Any) -> Usage | None:
    usage = field(message, "usage_metadata")
    if not usage:
        return None
    return Usage(int(field(usage, "input_tokens", 0)), int(field(usage, "output_tokens", 0)))
