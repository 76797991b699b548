"""Whoever is in a room, whatever they say, do and break: the laws hold.

1 to 8 and 11 are checked on each story's transcript; 9 and 10 compare two tellings of a story. Search longer, with other
stories each time: ``STREAMRT_EXAMPLES=90 pytest --timeout=0 tests/runtime/test_laws_hold.py`` is 10,000 and more, in some ten
minutes.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from hypothesis import example, given
from hypothesis import strategies as st

from pytest_streamrt import Inbox, Observer
from pytest_streamrt.events import TERMINALS, from_json, to_json
from tests.runtime import found
from tests.runtime.scenario import NESTS, scenarios
from tests.runtime.story import Boom, play
from tests.strategies import examples

BACKENDS = ("asyncio", "trio")


def check(story):
    """The laws, and that what is asked of an inference agrees with what is on the record of it."""
    assert not story.transcript.assert_lawful().broken
    events = story.transcript.events
    ends = {e.inference: e for e in events if e.type in TERMINALS}
    assert set(ends) == set(story.room.inferences)
    for id, inference in story.room.inferences.items():
        assert ends[id].type == f"inference.{inference.status}"
        assert getattr(ends[id], "partial", inference.text) == inference.text
    assert from_json(to_json(events)) == list(events)
    # Everybody is free to go to another room.
    assert all(each._environment is None for each in story.cast)


@given(scenario=scenarios)
@example(scenario=found.JUST_WOKEN)
@example(scenario=found.NOT_BEGUN)
@example(scenario=found.WOKEN_AND_CANCELLED)
@example(scenario=found.OUT_OF_A_GROUP)
@example(scenario=found.BETWEEN_NANOSECONDS)
@example(scenario=found.HELD_TOGETHER)
@example(scenario=found.NOT_LENT)
@examples(60)
def test_the_laws_hold_and_asyncio_and_trio_tell_the_same_story(scenario):
    """Law 10: to the byte."""
    asyncio, trio = (play(scenario, backend) for backend in BACKENDS)

    check(asyncio)
    check(trio)
    assert to_json(asyncio.transcript.events) == to_json(trio.transcript.events)
    assert asyncio.raised == trio.raised


@given(scenario=scenarios, backend=st.sampled_from(BACKENDS))
@examples(15)
def test_a_story_is_the_same_each_time_it_is_told(scenario, backend):
    """Law 10 again: nothing hangs on addresses, hashes, or what ran before."""
    first, second = (play(scenario, backend) for _ in range(2))

    assert to_json(first.transcript.events) == to_json(second.transcript.events)


class Guest(Observer):
    """Somebody who listens, and raises at its nth event, or never."""

    def __init__(self, inbox, nth):
        super().__init__("guest", inbox)
        self.left_to_hear = nth

    async def on_external_event(self, source, event):
        self.left_to_hear -= 1
        if self.left_to_hear == 0:
            raise Boom


def indifferent(scenario):
    """The same story, where no stream waits for anybody, nobody acts on who comes and goes, or waits for all, and nobody races.

    That somebody has failed is an event like any other: it fills inboxes, whoever wants to can act on it, and who has been woken
    to hear it hears the next one a step sooner.
    """
    return replace(scenario, members=tuple(map(_indifferent, scenario.members)), steps=_in_turn(scenario.steps))


def _indifferent(member):
    rules = (
        replace(rule, does=_without_settling(_in_turn(rule.does)))
        for rule in member.rules
        if not rule.on.startswith(("participant.", "on_participant_"))
    )
    return replace(member, inbox=Inbox.unbounded(), rules=tuple(rules))


def _in_turn(steps):
    """What is done at once in a task group, one after the other instead."""
    every = (
        (_in_turn(step.does) if step.verb == "together" else (replace(step, does=_in_turn(step.does)),))
        for step in steps
    )
    return tuple(chain.from_iterable(every))


def _without_settling(steps):
    some = (replace(step, does=_without_settling(step.does)) for step in steps if step.verb != "settled")
    return tuple(step for step in some if step.does or step.verb not in NESTS)


def told_by_others(story):
    """What the others in the story did, by their own numbers, and why."""
    events = [e for e in story.transcript.events if e.source != "guest" and getattr(e, "participant", None) != "guest"]
    number = {event.seq: n for n, event in enumerate(events) if event.seq}
    told = [replace(event, seq=0, cause=number.get(event.cause)) for event in events]
    # A traceback ends with the event that was being handled, with its number.
    return [replace(event, traceback="") if event.type == "participant.failed" else event for event in told]


no_brakes = st.sampled_from([Inbox.unbounded(), Inbox.drop_oldest(1), Inbox.drop_oldest(2)])
"""Inboxes that no stream waits for: where streams have waited for somebody, they no longer do so when he has failed."""


@given(scenario=scenarios.map(indifferent), inbox=no_brakes, nth=st.integers(1, 20), backend=st.sampled_from(BACKENDS))
@examples(40)
def test_who_fails_changes_nobody_elses_story(scenario, inbox, nth, backend):
    """Law 9."""
    calm, failing = (play(scenario, backend, Guest(inbox, n)) for n in (0, nth))

    check(failing)
    assert told_by_others(calm) == told_by_others(failing)
