"""Random damage to streams that were sound: whatever a provider sends, decoding gives sound events or a fault."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import StreamError
from pytest_streamrt.providers import DIALECTS
from tests.providers.rich import BODIES, ENDS, RICH
from tests.providers.streams import DONE, assert_legal, assert_never_breaks, assert_sound, decode_or_fault, sse
from tests.strategies import chunked, examples, json_values, sizes

EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)


def names_in(value):
    """The names of all fields and the strings in a JSON value: of what a damaged stream is to be made."""
    if isinstance(value, dict):
        return set(value) | {name for each in value.values() for name in names_in(each)}
    if isinstance(value, list):
        return {name for each in value for name in names_in(each)}
    return {value} if isinstance(value, str) else set()


def places_in(value, path=()):
    """The paths to everything within a JSON value."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in below:
        yield (*path, key)
        yield from places_in(each, (*path, key))


@st.composite
def damaged(draw, value):
    """A JSON value with one to three of the values within it replaced by others, or left away."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(list(places_in(value)) or [(None,)]))
        if last is None:
            return value
        holder = value
        for key in path:
            holder = holder[key]
        if draw(st.integers(0, 4)) == 0:
            del holder[last]
        else:
            holder[last] = draw(json_values)
    return value


def streams(dialect):
    """The rich stream as far as some event, and then one of the ends."""
    rich = RICH[dialect]
    return st.builds(lambda n, end: [*rich[:n], end], st.integers(1, len(rich)), st.sampled_from(ENDS[dialect]))


def strange(dialect):
    """Any JSON, of the names that the dialect knows."""
    known = st.sampled_from(sorted(names_in(RICH[dialect]) | names_in(ENDS[dialect])))
    return st.recursive(
        st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-1, 1) | known,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(known, inner, max_size=4),
        max_leaves=12,
    )


def written(events):
    """The events on the wire. What the damage has made no object is a fault of its own, with its own tests."""
    return sse(*(event for event in events if isinstance(event, dict)))


@EVERY_DIALECT
@given(data=st.data())
@examples(80)
def test_a_damaged_stream_is_sound_or_a_fault(dialect, data):
    assert_never_breaks(written(data.draw(streams(dialect).flatmap(damaged))) + DONE, dialect)


@EVERY_DIALECT
@given(data=st.data())
@examples(40)
def test_a_stream_of_anything_is_sound_or_a_fault(dialect, data):
    events = data.draw(
        st.lists(
            st.dictionaries(st.sampled_from(sorted(names_in(RICH[dialect]))), strange(dialect), max_size=4), max_size=4
        )
    )

    assert_never_breaks(written(events) + DONE, dialect)


@EVERY_DIALECT
@given(data=st.data())
@examples(80)
def test_anything_in_the_place_of_one_event_is_sound_or_a_fault(dialect, data):
    events = list(RICH[dialect])
    at = data.draw(st.integers(0, len(events) - 1))
    known = {key: value for key, value in events[at].items() if data.draw(st.booleans())}
    events[at] = {**known, **data.draw(st.dictionaries(st.sampled_from(sorted(events[at])), strange(dialect)))}

    assert_never_breaks(written(events) + DONE, dialect)


@EVERY_DIALECT
@given(data=st.data())
@examples(80)
def test_a_whole_body_of_anything_is_sound_or_a_fault(dialect, data):
    body = json.dumps(data.draw(st.sampled_from(BODIES[dialect]).flatmap(damaged))).encode()

    try:
        events = DIALECTS[dialect].decoder().whole(body)
    except StreamError as fault:
        assert "byte 0" in str(fault)
    else:
        assert_sound(events)
        assert_legal(events)


@EVERY_DIALECT
@given(data=st.data())
@examples(80)
def test_bytes_left_away_or_put_in_are_a_fault_or_change_what_is_said_but_never_break(dialect, data):
    sound = sse(*RICH[dialect], named=dialect in ("openai.responses", "anthropic.messages")) + DONE
    begin = data.draw(st.integers(0, len(sound)))
    end = data.draw(st.integers(begin, min(begin + 30, len(sound))))
    put_in = data.draw(st.sampled_from([b"", b"\n", b"\r", b'"', b"{", b"}", b"\xff", b"\\", b"data", b":", b"null"]))

    decode_or_fault(sound[:begin] + put_in + sound[end:], dialect)


@EVERY_DIALECT
@given(data=st.binary(max_size=60), sizes=sizes)
@examples(80)
def test_any_bytes_are_sound_or_a_fault_and_the_same_however_they_are_cut(dialect, data, sizes):
    events, fault = decode_or_fault(data, dialect)
    again, other = decode_or_fault(chunked(data, sizes), dialect)

    assert again == events
    assert str(other) == str(fault)


@EVERY_DIALECT
@given(data=st.data(), sizes=sizes)
@examples(40)
def test_the_rich_stream_is_sound_however_it_is_cut_and_wherever_it_ends(dialect, data, sizes):
    whole = sse(*RICH[dialect]) + DONE
    part = whole[: data.draw(st.integers(0, len(whole)))]

    assert_never_breaks(chunked(part, sizes), dialect)
