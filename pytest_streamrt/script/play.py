"""From the steps of a script to events, without a wire between: what a model says that plays it in process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.items import FunctionCall, ModelMessage, Reasoning
from pytest_streamrt.events.types import (
    Citation,
    Event,
    InferenceCompleted,
    InferenceFailure,
    ItemCompleted,
    ReasoningDelta,
    RefusalDelta,
    Status,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from pytest_streamrt.script.build import Step
from pytest_streamrt.script.kinds import (
    CitationPart,
    Disconnect,
    ErrorPart,
    FinishPart,
    ReasoningPart,
    RefusalPart,
    StatusPart,
    TextPart,
    ToolCallPart,
    UsagePart,
)

__all__ = ["Player"]


class Player:
    """Holds the state of one answer."""

    def __init__(self) -> None:
        self._fold = Fold()
        self._called = False
        self._reason: str | None = None

    def events(self, step: Step) -> Iterator[Event]:
        """The events of one step."""
        for event in self._map(step):
            self._fold.add(event)
            yield event

    def end(self) -> Iterator[Event]:
        """What comes when the script has been played."""
        yield from self._finish()
        yield InferenceCompleted(self._reason or ("tool_calls" if self._called else "stop"))

    def _map(self, step: Step) -> Iterator[Event]:
        part, piece = step.part, step.piece or ""
        match part:
            case TextPart():
                yield TextDelta(piece, choice=part.choice)
            case RefusalPart():
                yield RefusalDelta(piece, choice=part.choice)
            case ReasoningPart(redacted=str(data)):
                yield ItemCompleted(Reasoning(encrypted=data, choice=part.choice))
            case ReasoningPart():
                yield ReasoningDelta(piece, summary=part.summary, choice=part.choice)
                if step.last and part.signature is not None:
                    yield from self._finish(part.choice, (Reasoning,), signature=part.signature)
            case ToolCallPart():
                if step.first:
                    yield from self._finish(part.choice, (ModelMessage, Reasoning))
                    self._called = True
                    yield ToolCallStarted(part.id or "", part.name, part.choice)
                if piece:
                    yield ToolCallDelta(part.id or "", piece, part.choice)
                if step.last:
                    yield from self._finish(part.choice, (FunctionCall,), call=part.id)
            case UsagePart():
                yield Usage(part.input_tokens, part.output_tokens)
            case CitationPart():
                cited = {"cited_text": part.text} if part.text else {}
                yield Citation(part.url or None, part.title or None, cited, part.choice)
            case StatusPart():
                yield Status(part.name)
            case FinishPart():
                self._reason = part.reason
            case Disconnect():
                yield InferenceFailure("transport", "scripted disconnect", self._fold.text)
            case ErrorPart():
                yield InferenceFailure("provider", f"{part.code}: {part.message}", self._fold.text)

    def _finish(
        self,
        choice: int | None = None,
        kinds: tuple[type, ...] = (),
        *,
        call: str | None = None,
        signature: str | None = None,
    ) -> Iterator[Event]:
        """Finish what is being written: all of it, or the items of one choice and some kinds, or one call."""
        for item in self._fold.open_items:
            if kinds and (not isinstance(item, kinds) or getattr(item, "choice", 0) != choice):
                continue
            if isinstance(item, FunctionCall) and call is not None and item.id != call:
                continue
            event = ItemCompleted(replace(item, signature=signature) if isinstance(item, Reasoning) else item)
            self._fold.add(event)
            yield event
