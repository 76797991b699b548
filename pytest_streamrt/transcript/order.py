"""Whether things happened one after the other, across sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_streamrt.errors import TranscriptError
from pytest_streamrt.events.types import Event
from pytest_streamrt.transcript.chain import Chain
from pytest_streamrt.transcript.explain import show_event
from pytest_streamrt.transcript.values import asked, name_of
from pytest_streamrt.wording import counted

__all__ = ["check_order"]

_SHOWN = 3  # events around each moment in the message


def check_order(events: Sequence[Event], moments: Sequence[Chain | Event | Callable[[Event], bool]]) -> None:
    """See `Transcript.order`."""
    __tracebackhide__ = True
    if len(moments) < 2:
        raise TranscriptError(
            f"order(): {counted(len(moments), 'moment is', 'moments are')} always in order: give two or more"
        )
    places: list[int] = []
    for number, moment in enumerate(moments, start=1):
        after = places[-1] if places else -1
        if isinstance(moment, Chain | Event):
            place = _place_of(events, moment, number)
        else:
            place = _first(events, moment, after, number)
        if place <= after:
            raise AssertionError(_explain(events, number, after, place))
        places.append(place)


def _place_of(events: Sequence[Event], moment: Chain | Event, number: int) -> int:
    event = moment.moment if isinstance(moment, Chain) else moment
    place = next((i for i, each in enumerate(events) if each is event), None)
    if place is None:
        raise TranscriptError(f"order(): number {number}, {event!r}, is not an event of this transcript")
    return place


def _first(events: Sequence[Event], predicate: Callable[[Event], bool], after: int, number: int) -> int:
    __tracebackhide__ = True
    if not callable(predicate):
        raise TypeError(f"order(): number {number} is {predicate!r}; give a chain, an event, a mark or a predicate")
    held = [i for i, event in enumerate(events) if asked(predicate, event)]
    later = [i for i in held if i > after]
    if later:
        return later[0]
    if held:
        return held[-1]
    raise AssertionError(f"order: number {number}, an event where {name_of(predicate)} holds, never came")


def _explain(events: Sequence[Event], number: int, after: int, place: int) -> str:
    first, then = events[after], events[place]
    lines = [
        f"order: number {number} came before number {number - 1}" if place < after else "order: they are one event",
        f"  expected: {_line(first)}",
        f"    before: {_line(then)}",
        "",
        "What was logged:",
    ]
    shown = range(max(0, place - _SHOWN), min(len(events), after + _SHOWN + 1))
    for i in shown:
        if place + _SHOWN < i < after - _SHOWN:
            if i == place + _SHOWN + 1:
                lines.append(f"      … {counted(after - place - 2 * _SHOWN - 1, 'event')} between")
            continue
        mark = f"{number}>" if i == place else f"{number - 1}>" if i == after else ""
        lines.append(f"  {mark:>3} {_line(events[i])}")
    if first.time == then.time:
        lines += ["", f"Both are at t={first.time:.9g} s: what counts is the order in which they were logged."]
    return "\n".join(lines)


def _line(event: Event) -> str:
    return f"{event.time:>12.9f}  {event.source}: {show_event(event)}"
