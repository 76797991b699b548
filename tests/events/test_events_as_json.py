"""Events as JSON Lines and back: the same event, whatever it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt.errors import StreamError
from pytest_streamrt.events import (
    ItemCompleted,
    Message,
    ModelMessage,
    ProviderEvent,
    Signal,
    TextDelta,
    ToolResult,
    event_adapter,
    from_json,
    to_json,
)
from tests.events.any_event import EVENT_TYPES, events, of_class
from tests.strategies import LONE_SURROGATES, examples


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda cls: cls.__name__)
@given(data=st.data())
@examples(10)
def test_each_event_reads_back_as_what_it_was(event_type, data):
    event = data.draw(of_class(event_type))

    (again,) = from_json(to_json([event]))

    assert again == event
    assert type(again) is event_type


@given(events=st.lists(events, max_size=5))
@examples(30)
def test_many_events_read_back_in_their_order(events):
    assert from_json(to_json(events)) == events


@given(events=st.lists(events, max_size=5))
@examples(25)
def test_each_event_is_one_line_of_json_with_every_field_in_it(events):
    lines = to_json(events).decode().split("\n")

    assert lines.pop() == ""
    assert len(lines) == len(events)
    for line, event in zip(lines, events, strict=True):
        assert json.loads(line).keys() == vars(event).keys()


def test_no_events_are_no_bytes():
    assert to_json([]) == b""
    assert from_json(b"") == []


def test_non_ascii_text_is_written_as_it_is():
    assert "你好 🙂".encode() in to_json([TextDelta("你好 🙂")])


def test_blank_lines_between_events_are_passed_over():
    assert from_json(b"\n" + to_json([TextDelta("a")]) + b"\n\n") == [TextDelta("a")]


def test_the_types_are_told_apart_by_their_names():
    names = [json.loads(to_json([event]))["type"] for event in (TextDelta("a"), Signal("a"), ToolResult("1", "f", "x"))]

    assert names == ["text.delta", "signal", "tool.result"]


def test_a_message_of_the_user_and_one_of_the_model_stay_apart():
    sent = [ItemCompleted(Message("hi")), ItemCompleted(ModelMessage("hi"))]

    assert from_json(to_json(sent)) == sent


@pytest.mark.parametrize("number", [2**63, -(2**64), 10**30], ids=str)
def test_large_numbers_in_data_keep_every_digit(number):
    sent = [ProviderEvent("openai.chat", None, {"n": number})]

    assert from_json(to_json(sent)) == sent


@pytest.mark.parametrize("text", LONE_SURROGATES, ids=ascii)
def test_half_a_character_is_written_as_the_sign_for_what_cannot_be_written(text):
    # UTF-8 has no half characters; JSON's escapes would, but pydantic reads none.
    sent = [TextDelta(text, item="i", seq=3), ItemCompleted(ModelMessage(text)), Signal("s", {text: [text, 1, None]})]

    shown = f"a\ufffd{text[-1]}"
    assert from_json(to_json(sent)) == [
        TextDelta(shown, item="i", seq=3),
        ItemCompleted(ModelMessage(shown)),
        Signal("s", {shown: [shown, 1, None]}),
    ]


def test_two_halves_of_a_character_are_written_as_the_character():
    assert from_json(to_json([TextDelta("\ud83d\ude42")])) == [TextDelta("🙂")]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        pytest.param(b"{}", "type", id="no type"),
        pytest.param(b'{"type":"text.gamma"}', "text.gamma", id="an unknown type"),
        pytest.param(b'{"type":"text.delta"}', "text", id="a field is missing"),
        pytest.param(b'{"type":"text.delta","text":7}', "text", id="a field of another type"),
        pytest.param(b"[]", "object", id="no object"),
        pytest.param(b"{", "JSON", id="no JSON"),
    ],
)
def test_a_line_that_is_no_event_is_refused_with_what_is_wrong(line, names):
    first = to_json([TextDelta("a")])

    with pytest.raises(StreamError, match=rf"line 2 is no event of a transcript: .*{names}") as caught:
        from_json(first + line)

    assert (caught.value.offset, caught.value.events) == (len(first), [TextDelta("a")])


@pytest.mark.parametrize("what", ["{}", None, Path("events.jsonl")], ids=repr)
def test_what_are_no_bytes_is_refused(what):
    with pytest.raises(TypeError, match="from_json: it reads bytes, as to_json writes them"):
        from_json(what)


def test_the_adapter_has_a_schema_of_every_event():
    schema = event_adapter().json_schema()

    assert len(schema["oneOf"]) == len(EVENT_TYPES)
