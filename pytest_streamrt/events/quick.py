"""Deltas, made quickly: the constructor of a frozen event sets its attributes one by one, at five times the cost."""

from __future__ import annotations

from typing import Final

from pytest_streamrt.events.types import ReasoningDelta, TextDelta, ToolCallDelta

__all__ = ["reasoning_delta", "text_delta", "tool_call_delta"]

# What a delta's attributes are but for its own, to be copied.
_TEXT: Final = dict(TextDelta("").__dict__)
_REASONING: Final = dict(ReasoningDelta("").__dict__)
_TOOL_CALL: Final = dict(ToolCallDelta("", "").__dict__)


def text_delta(text: str, item: str | None = None, choice: int = 0) -> TextDelta:
    """``TextDelta(text, item, choice)``, made quickly: streams are made of it."""
    event = object.__new__(TextDelta)
    event.__dict__.update(_TEXT, text=text, item=item, choice=choice)
    return event


def reasoning_delta(text: str, *, summary: bool = False, item: str | None = None, choice: int = 0) -> ReasoningDelta:
    """``ReasoningDelta(text, summary, item, choice)``, made quickly."""
    event = object.__new__(ReasoningDelta)
    event.__dict__.update(_REASONING, text=text, summary=summary, item=item, choice=choice)
    return event


def tool_call_delta(id: str, arguments: str, choice: int = 0) -> ToolCallDelta:
    """``ToolCallDelta(id, arguments, choice)``, made quickly."""
    event = object.__new__(ToolCallDelta)
    event.__dict__.update(_TOOL_CALL, id=id, arguments=arguments, choice=choice)
    return event
