"""A script made from what was recorded says the same, when it said it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import ScriptError, Signal, fold, script
from pytest_streamrt.events import (
    DELTAS,
    InferenceAborted,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ItemCompleted,
    Reasoning,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from pytest_streamrt.script.play import Player
from tests.strategies import examples, said


def played(s, start=0.0):
    """The events of a script, each with its time."""
    player, now = Player(), round(start * 1e9)
    yield InferenceStarted(time=start)
    for step in s.steps():
        now += step.delay
        for event in player.events(step):
            yield dataclasses.replace(event, time=now / 1e9)
        if step.part.ends:
            return
    for event in player.end():
        yield dataclasses.replace(event, time=now / 1e9)


def deltas(events):
    return [event for event in events if event.type in DELTAS]


@given(said=said(), every=st.sampled_from([0, 0.05, 0.333]), start=st.sampled_from([0.0, 12.5]))
@examples(80)
def test_it_says_the_same_at_the_same_times(said, every, start):
    first = list(played(script(*said.script.parts, every=every, ttft=1.5, jitter=0.3), start))

    again = list(played(script.from_events(first), start))

    assert deltas(again) == deltas(first)
    assert fold(again).items == fold(first).items
    assert fold(again).usage == fold(first).usage
    assert again[-1] == first[-1]


@given(said=said())
@examples(40)
def test_untimed_it_comes_all_at_once(said):
    events = list(played(script(*said.script.parts, every=1)))

    assert all(step.delay == 0 for step in script.from_events(events, timed=False).steps())


def test_calls_by_turns_are_by_turns_again():
    s = script(
        script.interleave(
            script.tool_call("f", "{}", pieces=["{", "}"]),
            "text",
            script.tool_call("g", "[]", pieces=["[", "]"]),
        ),
        every=0.1,
    )
    first = list(played(s))

    assert deltas(played(script.from_events(first))) == deltas(first)


def test_an_uneven_order_of_turns_is_kept():
    events = [
        InferenceStarted(),
        ToolCallStarted("1", "f"),
        ToolCallStarted("2", "g"),
        ToolCallDelta("2", "a", time=1),
        ToolCallDelta("2", "b", time=3),
        ToolCallDelta("1", "c", time=4),
        ToolCallDelta("2", "d", time=4),
        InferenceCompleted("tool_calls", time=5),
    ]

    s = script.from_events(events)

    assert [(event.time, event.arguments) for event in deltas(played(s))] == [(1, "a"), (3, "b"), (4, "c"), (4, "d")]
    assert s.prefix(3).prefix(2) == s.prefix(2)
    assert [step.piece for step in s.prefix(3).steps()] == ["a", "b", "c"]


def test_signed_and_redacted_thoughts_stay_so():
    s = script(script.reasoning("a", "b", signature="sig"), script.reasoning(redacted="x"), "c")

    assert script.from_events(played(s)) == s


def test_what_only_the_finished_item_says_is_said():
    events = [InferenceStarted(), ItemCompleted(Reasoning(encrypted="x")), TextDelta("a"), InferenceCompleted("stop")]

    assert script.from_events(events) == script(script.reasoning(redacted="x"), "a")


def test_choices_citations_and_notes_stay():
    s = script("a", script.choice(1, "b"), script.citation("http://x.test", "X"), script.status("searching"), "c")

    assert script.from_events(played(s)) == s


@pytest.mark.parametrize(
    ("end", "part"),
    [
        (InferenceCompleted("stop"), None),
        (InferenceCompleted("end_turn"), None),
        (InferenceCompleted(None), None),
        (InferenceCompleted("max_tokens"), script.finish("length")),
        (InferenceCompleted("pause_turn"), script.finish("pause_turn")),
        (InferenceFailure("transport", "broken"), script.disconnect()),
        (InferenceFailure("provider", "overloaded_error: too much"), script.error("overloaded_error", "too much")),
        (InferenceFailure("provider", "It went wrong: so"), script.error("server_error", "It went wrong: so")),
        (InferenceAborted("enough", "me"), script.stall()),
        (None, script.disconnect()),
    ],
    ids=repr,
)
def test_it_ends_as_the_recording_ends(end, part):
    s = script.from_events([InferenceStarted(), TextDelta("a"), *([end] if end else [])])

    assert s == script("a", *([part] if part else []))


def test_the_end_comes_when_it_came():
    s = script.from_events([InferenceStarted(time=1), TextDelta("a", time=2), InferenceCompleted("stop", time=4.5)])

    assert sum(step.delay for step in s.steps()) == 3_500_000_000


def test_several_inferences_are_no_script():
    with pytest.raises(ScriptError, match="the events of several inferences"):
        script.from_events([InferenceStarted(), InferenceStarted()])


@pytest.mark.parametrize("events", [[], [Signal("ready")]], ids=["no events", "none of an answer"])
def test_where_there_is_no_answer_there_is_no_script(events):
    with pytest.raises(ScriptError, match="no answer is in these events"):
        script.from_events(events)
