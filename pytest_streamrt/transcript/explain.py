"""How a failed expectation explains itself: expected and got, where in the transcript, and what the cause may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_streamrt.events.types import (
    Citation,
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
    Status,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    ToolProgress,
    ToolResult,
    Usage,
)
from pytest_streamrt.wording import counted, did_you_mean

__all__ = ["alike", "explain", "no_such_inference", "no_such_source", "no_such_step", "show_event", "where_they_differ"]

_BEFORE: Final = 6  # events shown before the one in question
_AFTER: Final = 3  # and after it
_WIDTH: Final = 100  # characters of one event shown
_SAID: Final = 40  # characters of what one inference of several said
_AROUND: Final = 12  # characters of text shown on either side of a difference
_LONG: Final = 24  # characters from which on it is worth while to say where two texts differ


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
        case ToolProgress():
            shown = f"tool.progress {event.name!r} {event.data!r}"
        case ToolResult():
            how = "" if event.status == "completed" else f" ({event.status})"
            shown = f"tool.result{how} {event.name!r} -> {event.output!r}"
        case ItemCompleted():
            shown = f"item.completed {event.item.type}"
        case Citation():
            shown = f"citation {event.url or event.title!r}"
        case Usage():
            shown = f"usage {event.input_tokens} in, {event.output_tokens} out"
        case Status() | Signal():
            shown = f"{event.type} {event.name!r}" + ("" if event.data is None else f" {event.data!r}")
        case InferenceAborted():
            shown = f"inference.aborted by {event.by!r}, reason {event.reason!r}"
        case InferenceFailure():
            shown = f"inference.failed ({event.kind}): {event.message}"
        case InferenceCompleted():
            shown = f"inference.completed ({event.finish_reason})"
        case ExchangeOpened():
            shown = f"exchange.opened {event.method} {event.url} -> {event.status}"
        case ExchangeClosed():
            shown = f"exchange.closed ({event.how}, {counted(event.unread_chunks, 'chunk')} unread)"
        case ProviderEvent():
            shown = f"provider.event {event.name!r} {event.data!r}"
        case Mark():
            shown = f"mark {event.name!r}"
        case _:
            shown = event.type
    return (shown if len(shown) <= _WIDTH else f"{shown[:_WIDTH]}…") + choice


def explain(
    source: str,
    events: Sequence[Event],
    at: int,
    expected: str,
    got: str,
    *,
    step: str = "",
    described: str = "",
    still_open: bool = False,
    carried: bool = True,
    again: str = "",
) -> str:
    """The message of a failed expectation.

    Args:
        source: whose events they are.
        events: the events of the chain.
        at: the index of the event at which it failed.
        expected: what was expected.
        got: what came instead.
        step: the step's name.
        described: what the test says that the step is about.
        still_open: whether an HTTP exchange of that source has not been closed.
        carried: whether there was any.
        again: the source that is the same request, made again.
    """
    if at < len(events):
        when = f"at t={events[at].time:.9g} s"
    else:
        when = f"at the end, after t={events[-1].time:.9g} s" if events else "at the end"
    about = f" ({described})" if described else ""
    lines = [
        f"{source}{about}, {when}",
        f"  expected: {expected}",
        f"       got: {got}",
        "",
        f"What came from {source}:",
    ]
    first = max(0, at - _BEFORE)
    if first:
        lines.append(f"    … {counted(first, 'event')} before")
    for i, event in enumerate(events[first : at + _AFTER], start=first):
        lines.append(f"{'  > ' if i == at else '    '}{event.time:>12.9f}  {show_event(event)}")
    if at + _AFTER < len(events):
        lines.append(f"    … {counted(len(events) - at - _AFTER, 'event')} after")
    if at >= len(events):
        lines.append("  > (the end)")
    cause = _likely(step, events, at, still_open=still_open, carried=carried, again=again)
    if cause:
        lines += ["", f"Likely: {cause}"]
    return "\n".join(lines)


def _likely(step: str, events: Sequence[Event], at: int, *, still_open: bool, carried: bool, again: str) -> str:
    """What the cause may be, and what mends it, where that is known; else ""."""
    event = events[at] if at < len(events) else None
    if step == "upstream_closed":
        return "" if carried else "a FakeModel has no upstream: use fake_provider, or a cassette, and a real client"
    if step == "nothing_more":
        return _what_to_do_with(event) if event is not None else ""
    if event is None:
        if step in ("completed", "aborted", "failed") and not any(e.type in _TERMINALS for e in events):
            if still_open:
                return (
                    "the response is still open: nothing has read it to its end, or closed it. A `break` closes nothing "
                    "until Python collects what it left: use `async with`, or contextlib.aclosing(…)"
                )
            return "it is still running, or its reader has left it unclosed: await its end, or close it (aclosing(…))"
        if step in ("completed", "aborted", "failed"):
            return "its end was consumed by an earlier step, or the mark of since= came after it"
        return ""
    if isinstance(event, InferenceFailure) and step != "failed":
        broke_off = f"the answer broke off ({event.kind}): {event.message[:_WIDTH]}"
        return f"{broke_off}. The client asked again: expect({again!r}) is that" if again else broke_off
    if isinstance(event, InferenceAborted) and step != "aborted":
        return f"{event.by!r} aborted it, {f'for {event.reason!r}' if event.reason else 'without a reason'}"
    if isinstance(event, InferenceCompleted) and step == "aborted":
        return "nobody aborted it in time: it had said all by then. Look at when the decision was made"
    if step == "text" and isinstance(event, TextDelta) and event.text.startswith(_SSE_FIELDS):
        return "these are lines of an SSE stream, not what they say: record(…, decode=pytest_streamrt.edge.sse_json())"
    own = _STEP_OF.get(event.type)
    if own is not None and step not in (own, *_LOOKING_ANYWHERE):
        return f"{event.type} is never passed over in silence: expect it first, .{own}(…), or go on with skip_until(…)"
    return ""


def _what_to_do_with(event: Event) -> str:
    """What mends a chain that ends before that event."""
    own = _END_OF.get(event.type) or f"{_STEP_OF.get(event.type, 'where')}(…)"
    return f"the chain leaves it out: put .{own} before .nothing_more(), or, if it does not matter, end with .rest() instead"


_END_OF: Final = {
    "inference.aborted": "aborted()",
    "inference.completed": "completed()",
    "inference.failed": "failed()",
}
_SSE_FIELDS: Final = ("data:", "event:", "id:", "retry:")
_LOOKING_ANYWHERE: Final = ("deltas", "inference", "silence", "skip_until")
_TERMINALS: Final = frozenset({"inference.completed", "inference.aborted", "inference.failed"})
_STEP_OF: Final = {
    "citation": "citation",
    "reasoning.delta": "reasoning",
    "refusal.delta": "refusal",
    "signal": "signal",
    "text.delta": "text",
    "tool.progress": "tool_progress",
    "tool.result": "tool_result",
    "tool_call.delta": "tool_call",
    "tool_call.started": "tool_call",
}


def alike(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    shorter = min(len(one), len(other))
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), shorter)


def where_they_differ(expected: str, got: str) -> str:
    """Where two texts part, on a line of its own; "" where they are short enough to see."""
    if max(len(expected), len(got)) < _LONG:
        return ""
    at = alike(expected, got)
    if at == len(expected):
        return f"\n   differs: it goes on after character {at}: {got[at : at + 2 * _AROUND]!r}"
    if at == len(got):
        return f"\n   differs: it ends after character {at}; to come was {expected[at : at + 2 * _AROUND]!r}"
    begin = max(0, at - _AROUND)
    one, other = expected[begin : at + _AROUND], got[begin : at + _AROUND]
    return f"\n   differs: from character {at + 1} on: {one!r} was to come, and {other!r} came"


def no_such_inference(source: str, number: int, inferences: Sequence[Sequence[Event]], *, described: str = "") -> str:
    """That a source has no inference of that number; those that it has, each by its events."""
    about = f" ({described})" if described else ""
    lines = [
        f"{source}{about}",
        f"  expected: an inference number {number}",
        f"       got: {counted(len(inferences), 'inference')} of {source!r}",
        "",
        f"What {source} inferred:",
    ]
    for i, events in enumerate(inferences, start=1):
        said = "".join(event.text for event in events if isinstance(event, TextDelta))
        shown = f"{said[:_SAID]!r}{'…' if len(said) > _SAID else ''}" if said else "no text"
        end = next((show_event(event) for event in events if event.type in _TERMINALS), "no end")
        lines.append(f"  {i:>3}. {events[0].time:.9f} to {events[-1].time:.9f}  {shown}, {end}")
    if number < 1:
        lines += ["", "Likely: the first is number 1"]
    return "\n".join(lines)


def no_such_step(name: str, chain: type) -> str:
    """That a chain has no such step; which there are, and which may have been meant."""
    steps = [each for each in dir(chain) if not each.startswith("_") and callable(getattr(chain, each))]
    return f"a chain of expectations has no step {name!r}.{did_you_mean(name, steps)} There are: {', '.join(steps)}"


def no_such_source(source: str, sources: Sequence[str]) -> str:
    """That nothing came from it; who there is, and who may have been meant."""
    if not isinstance(source, str):
        name = getattr(source, "name", None)
        hint = f" Write {name!r}." if isinstance(name, str) else ""
        return f"a source is called by its name, such as 'agent', not by {source!r}.{hint} Sources in this transcript: {', '.join(sources) or 'none'}"
    if not sources:
        return (
            f"nothing came from {source!r}: nothing was logged at all. Likely: what should write here has no transcript. "
            "Environment(…, transcript=transcript), the fixture environment, fake_provider, or transcript.record(…) do"
        )
    hint = did_you_mean(source, sources)
    return f"nothing came from {source!r}.{hint} Sources in this transcript: {', '.join(sources)}"
