"""An event as an object: frozen, stamped by copy, short to read, and in its legal order."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt.events import DELTAS, TERMINALS, InferenceStarted, Signal, TextDelta, Usage, stamp
from pytest_streamrt.events.order import next_state
from pytest_streamrt.events.quick import reasoning_delta, text_delta, tool_call_delta
from pytest_streamrt.events.types import ReasoningDelta, ToolCallDelta
from tests.events.any_event import EVENT_TYPES, events, of_class
from tests.strategies import examples

HEADER = ("seq", "time", "source", "inference", "inference_seq", "round", "cause")
stamps = st.fixed_dictionaries(
    {
        "seq": st.integers(1, 2**40),
        "time": st.floats(0, 1e6),
        "source": st.text(max_size=5),
        "inference": st.none() | st.just("planner#1"),
        "inference_seq": st.integers(0, 2**40),
        "round": st.integers(0, 9),
        "cause": st.none() | st.integers(1, 2**40),
    }
)


@given(event=events, place=stamps)
@examples(50)
def test_a_stamp_changes_the_place_and_nothing_else(event, place):
    assert stamp(event, **place) == dataclasses.replace(event, **place)


@given(event=events, place=stamps)
@examples(40)
def test_a_stamp_leaves_the_event_it_was_made_from_as_it_was(event, place):
    before = dict(vars(event))

    stamped = stamp(event, **place)

    assert vars(event) == before
    assert stamped is not event
    assert type(stamped) is type(event)


@given(event=events, first=stamps, second=stamps)
@examples(50)
def test_the_last_stamp_holds(event, first, second):
    assert stamp(stamp(event, **first), **second) == stamp(event, **second)


def test_a_stamp_needs_only_the_place_in_the_order():
    stamped = stamp(TextDelta("a"), seq=3, time=0.5, source="planner")

    assert stamped == TextDelta("a", seq=3, time=0.5, source="planner")


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda cls: cls.__name__)
@given(data=st.data(), place=stamps)
@examples(3)
def test_no_event_can_be_changed_stamped_or_not(event_type, data, place):
    event = data.draw(of_class(event_type))

    for one in (event, stamp(event, **place)):
        for field in dataclasses.fields(one):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(one, field.name, None)


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda cls: cls.__name__)
@given(data=st.data())
@examples(3)
def test_every_event_carries_what_the_design_says(event_type, data):
    event = data.draw(of_class(event_type))

    assert {"type", *HEADER} <= vars(event).keys()


def test_an_event_is_unstamped_when_it_is_made():
    event = TextDelta("a")

    assert [getattr(event, name) for name in HEADER] == [0, 0.0, "", None, 0, 0, None]


def test_a_repr_shows_only_what_differs_from_the_default():
    assert repr(TextDelta("a")) == "TextDelta(text='a')"
    assert repr(InferenceStarted()) == "InferenceStarted()"
    assert repr(Usage(0, 0)) == "Usage(input_tokens=0, output_tokens=0)"
    assert repr(Signal("s", data=[1])) == "Signal(name='s', data=[1])"


def test_a_repr_shows_the_events_own_fields_before_its_place():
    event = stamp(TextDelta("a", choice=1), seq=3, time=0.5, source="planner", inference="planner#1", inference_seq=2)

    assert repr(event) == (
        "TextDelta(text='a', choice=1, seq=3, time=0.5, source='planner', inference='planner#1', inference_seq=2)"
    )


@given(event=events)
@examples(40)
def test_a_repr_names_every_field_that_was_given(event):
    shown = repr(event)

    assert shown.startswith(type(event).__name__ + "(")
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if field.name != "type" and value not in (field.default, {}):
            assert f"{field.name}={value!r}" in shown


# --- the legal order

TYPES = sorted(event_type.__dataclass_fields__["type"].default for event_type in EVENT_TYPES)
OUTSIDE = {"participant.joined", "participant.left", "participant.failed", "exchange.opened", "exchange.closed",
           "deltas.dropped", "mark"}  # fmt: skip


@pytest.mark.parametrize("event_type", TYPES)
def test_an_inference_begins_with_its_start_and_with_nothing_else(event_type):
    assert next_state("idle", event_type) == ("running" if event_type == "inference.started" else None)


@pytest.mark.parametrize("event_type", TYPES)
def test_a_running_inference_goes_on_until_its_terminal(event_type):
    if event_type in TERMINALS:
        assert next_state("running", event_type) == "ended"
    elif event_type == "inference.started" or event_type in OUTSIDE:
        assert next_state("running", event_type) is None
    else:
        assert next_state("running", event_type) == "running"


@pytest.mark.parametrize("event_type", TYPES)
def test_nothing_comes_after_the_end(event_type):
    assert next_state("ended", event_type) is None


def test_an_event_nobody_knows_is_legal_nowhere():
    assert [next_state(state, "text.gamma") for state in ("idle", "running", "ended")] == [None] * 3


def test_terminals_and_deltas_are_types_there_are_and_differ():
    assert set(TYPES) >= TERMINALS | DELTAS
    assert not TERMINALS & DELTAS


def test_every_type_is_one_events_alone():
    assert all(a != b for a, b in itertools.pairwise(TYPES))


def test_a_delta_that_is_made_quickly_is_like_any_other():
    pairs = [
        (text_delta("a", "i", 1), TextDelta("a", "i", 1)),
        (reasoning_delta("a", summary=True, item="i"), ReasoningDelta("a", summary=True, item="i")),
        (tool_call_delta("c", "{", 2), ToolCallDelta("c", "{", 2)),
    ]
    for quick, usual in pairs:
        assert quick == usual
        assert vars(quick) == vars(usual)
        assert (repr(quick), hash(quick)) == (repr(usual), hash(usual))
        with pytest.raises(dataclasses.FrozenInstanceError):
            quick.seq = 1
