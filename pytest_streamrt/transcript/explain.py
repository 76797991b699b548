"""How a failed expectation explains itself: expected and got, where in the transcript, and what the cause may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_streamrt.events.types import (
    Event,
    ExchangeClosed,
    ExchangeOpened,
    InferenceAborted,
    InferenceCompleted,
    InferenceFailure,
    ItemCompleted,
    Mark,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    Signal,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)

__all__ = ["explain", "show_event"]

_BEFORE: Final = 6  # events shown before the one in question
_AFTER: Final = 3  # and after it
_WIDTH: Final = 100  # characters of one event shown


def show_event(event: Event) -> str:
    """An event in a few words, without its time."""
    choice = f" (choice {number})" if (number := getattr(event, "choice", 0)) else ""
    match event:
        case TextDelta() | ReasoningDelta() | RefusalDelta():
            shown = f"{event.type} {event.text!r}"
        case ToolCallStarted():
            shown = f"tool_call.started {event.name!r}"
        case ToolCallDelta():
            shown = f"tool_call.delta {event.arguments!r}"
        case ItemCompleted():
            shown = f"item.completed {event.item.type}"
        case Signal():
            shown = f"signal {event.name!r}" + ("" if event.data is None else f" {event.data!r}")
        case InferenceAborted():
            shown = f"inference.aborted by {event.by!r}, reason {event.reason!r}"
        case InferenceFailure():
            shown = f"inference.failed ({event.kind}): {event.message}"
        case InferenceCompleted():
            shown = f"inference.completed ({event.finish_reason})"
        case ExchangeOpened():
            shown = f"exchange.opened {event.method} {event.url} -> {event.status}"
        case ExchangeClosed():
            shown = f"exchange.closed ({event.how}, {event.unread_chunks} chunks unread)"
        case ProviderEvent():
            shown = f"provider.event {event.name!r} {event.data!r}"
        case Mark():
            shown = f"mark {event.name!r}"
        case _:
            shown = event.type
    return (shown if len(shown) <= _WIDTH else f"{shown[:_WIDTH]}…") + choice


def explain(source: str, events: Sequence[Event], at: int, expected: str, got: str) -> str:
    """The message of a failed expectation.

    Args:
        source: whose events they are.
        events: the events of the chain.
        at: the index of the event at which it failed.
        expected: what was expected.
        got: what came instead.
    """
    when = f", at t={events[at].time:.9g} s" if at < len(events) else ", at the end"
    lines = [f"{source}{when}", f"  expected: {expected}", f"       got: {got}", "", f"What came from {source}:"]
    first = max(0, at - _BEFORE)
    if first:
        lines.append(f"    … {first} events before")
    for i, event in enumerate(events[first : at + _AFTER], start=first):
        lines.append(f"{'  > ' if i == at else '    '}{event.time:>12.9f}  {show_event(event)}")
    if at + _AFTER < len(events):
        lines.append(f"    … {len(events) - at - _AFTER} events after")
    if at >= len(events):
        lines.append("  > (the end)")
    return "\n".join(lines)
