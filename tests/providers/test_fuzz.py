"""Random damage to streams that were sound: whatever a provider sends, decoding gives sound events or a fault."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import StreamError
from pytest_streamrt.providers import DIALECTS
from tests.providers.streams import (
    COMPLETED,
    CREATED,
    DONE,
    assert_legal,
    assert_never_breaks,
    assert_sound,
    bare_chunk,
    calling,
    chunk,
    decode_or_fault,
    event,
    response,
    sse,
)
from tests.strategies import chunked, examples, json_values, sizes

NOTE = {"type": "url_citation", "url": "u", "title": "t", "url_citation": {"url": "u", "title": "t"}}
CALL = {"type": "function_call", "id": "fc1", "call_id": "c1", "name": "f"}
SUMMARY = {"type": "summary_text", "text": "s"}

# Streams with everything in them that the mappers look at.
RICH = {
    "openai.chat": [
        bare_chunk(prompt_filter_results=[]),
        chunk({"role": "assistant", "content": "a", "refusal": None, "annotations": [NOTE]}),
        chunk({"reasoning_content": "r", "reasoning": "r", "reasoning_details": [{"text": "r"}]}),
        chunk({"reasoning_details": [{"text": "r"}, {"summary": "s"}, {"data": "x"}]}),
        chunk({"content": [{"type": "thinking", "thinking": [{"text": "t"}]}, {"type": "text", "text": "b"}]}),
        chunk({"refusal": "no", "channel": "x"}, index=1),
        chunk(calling(index=0, id="c1", type="function", name="f", arguments="{")),
        chunk({**calling(index=0, arguments="}"), "function_call": {"name": "f", "arguments": "}"}}),
        chunk({"function_call": {"name": "g", "arguments": "{}"}}, index=1),
        chunk({}, "stop", usage={"prompt_tokens": 1, "completion_tokens": 2}),
    ],
    "openai.responses": [
        CREATED,
        event("in_progress", response=response()),
        event("output_item.added", item={"type": "reasoning", "id": "r1", "summary": []}),
        event("reasoning_summary_text.delta", item_id="r1", delta="s"),
        event("reasoning_text.delta", item_id="r1", delta="r"),
        event(
            "output_item.done",
            item={
                "type": "reasoning",
                "id": "r1",
                "summary": [SUMMARY],
                "content": [{"type": "reasoning_text", "text": "r"}],
                "encrypted_content": "x",
            },
        ),
        event("output_text.delta", item_id="m1", delta="a"),
        event("output_text.annotation.added", annotation=NOTE),
        event("refusal.delta", item_id="m1", delta="no"),
        event(
            "output_item.done",
            item={
                "type": "message",
                "id": "m1",
                "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
            },
        ),
        event("output_item.added", item=CALL),
        event("function_call_arguments.delta", item_id="fc1", delta="{"),
        event("function_call_arguments.done", item_id="fc1", arguments="{"),
        event("output_item.done", item={**CALL, "arguments": "{"}),
        event("output_item.done", item={**CALL, "call_id": "c2", "arguments": "{}"}),
        event("output_item.done", item={"type": "web_search_call", "id": "w1"}),
        event(
            "incomplete",
            response=response("incomplete", usage={"input_tokens": 1}, incomplete_details={"reason": "max"}),
        ),
    ],
}
ENDS = {
    "openai.chat": [{"error": {"message": "m", "code": "c"}}, bare_chunk(usage={"prompt_tokens": 1})],
    "openai.responses": [
        COMPLETED,
        {"type": "error", "error": {"message": "m", "code": "c"}, "message": "m", "code": "c"},
        event("failed", response={"error": {"message": "m", "code": "c"}}),
    ],
}
OUTPUT = [each["item"] for each in RICH["openai.responses"] if each["type"].endswith("item.done")]
MESSAGES = [choice["delta"] for each in RICH["openai.chat"] for choice in each["choices"]]
BODIES = {
    "openai.chat": [
        {"id": "x", "choices": [{"index": n, "message": m, "finish_reason": "stop"} for n, m in enumerate(MESSAGES)]},
        {"error": {"message": "m", "code": "c"}},
    ],
    "openai.responses": [
        {"id": "x", "status": "completed", "output": OUTPUT, "usage": {"input_tokens": 1, "output_tokens": 2}},
        {"id": "x", "status": "failed", "output": OUTPUT, "error": {"message": "m", "code": "c"}},
    ],
}
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
    sound = sse(*RICH[dialect], named=dialect == "openai.responses") + DONE
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
