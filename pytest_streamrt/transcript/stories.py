"""Which events belong together: those of one inference, and the exchanges it made, each told from all others.

The id of an inference does not tell that: two environments may each have an agent of one name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pytest_streamrt.clock import NS
from pytest_streamrt.events.types import Event, InferenceStarted
from pytest_streamrt.transcript.exchange import Exchange

__all__ = ["Story", "Told", "nanoseconds", "story_of", "told"]

Story = tuple[int, str]
"""An inference, or an HTTP exchange that serves none, by who numbered it and its name."""


class Told(NamedTuple):
    """An event as a chain of expectations sees it.

    Attributes:
        event: the event.
        origin: who numbered it.
        story: the inference, or the exchange, that it is of, if any.
        at_hand: the inference that it is of, or else the last one of its source to start before it, if any.
        began_ns: when the inference at hand started.
    """

    event: Event
    origin: object
    story: Story | None
    at_hand: Story | None
    began_ns: int | None


def story_of(origin: object, event: Event) -> Story | None:
    """What an event belongs to, by who numbered it."""
    if isinstance(origin, Exchange):
        return origin.story
    return (id(origin), event.inference) if event.inference is not None else None


def told(logged: Iterable[tuple[object, Event]], source: str) -> list[Told]:
    """The events of a source, in order."""
    began: dict[Story, int] = {}
    last: Story | None = None
    result = []
    for origin, event in logged:
        if event.source != source:
            continue
        story = story_of(origin, event)
        if isinstance(event, InferenceStarted) and story is not None:
            began.setdefault(story, nanoseconds(event))
            last = story
        at_hand = story or last
        result.append(Told(event, origin, story, at_hand, began.get(at_hand) if at_hand is not None else None))
    return result


def nanoseconds(event: Event) -> int:
    """When it happened, in whole nanoseconds since the transcript began."""
    return round(event.time * NS)
