"""Events that a caller has given to a function: handed on, or refused where they are none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_streamrt.events.types import Event

__all__ = ["given"]

_SHOWN = 80  # characters of what is no event


def given(who: str, events: Iterable[Event], error: type[Exception] = TypeError) -> Iterator[Event]:
    """These events, one by one; raises that error where they are none. `who` begins its message."""
    __tracebackhide__ = True
    wanted = (
        f"{who}: it takes events, as decode(data, dialect), transcript.events or transcript.of(source) gives them, not"
    )
    if isinstance(events, Event):
        raise error(f"{wanted} one alone")
    if isinstance(events, str | bytes) or not isinstance(events, Iterable):
        raise error(f"{wanted} {events!r:.{_SHOWN}}")
    for event in events:
        if not isinstance(event, Event):
            raise error(f"{wanted} {event!r:.{_SHOWN}}")
        yield event
