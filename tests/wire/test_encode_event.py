"""Writing a frame: what is written reads back, and what could not be read back is refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt.wire import SSEDecoder, encode_event
from tests.strategies import examples, plain_texts
from tests.wire import whatwg

one_line = plain_texts.map(lambda text: text.replace("\r", " ").replace("\n", " "))
events = st.fixed_dictionaries(
    {},
    optional={
        "data": st.lists(plain_texts, max_size=3).map("".join),
        "event": one_line,
        "id": one_line.map(lambda text: text.replace("\0", " ")),
        "retry": st.integers(0, 10**9),
        "comments": st.lists(one_line, min_size=1, max_size=2).map(tuple),
    },
).filter(bool)
newlines = st.sampled_from(["\n", "\r\n", "\r"])


def read(data, rules="whatwg"):
    decoder = SSEDecoder(rules)
    return [*decoder.feed(data), *decoder.close()]


@pytest.mark.parametrize("rules", ["whatwg", "sdk"])
@given(event=events, newline=newlines)
@examples(100)
def test_what_was_written_reads_back(rules, event, newline):
    (frame,) = read(encode_event(**event, newline=newline), rules)

    expected = {**event, "data": event.get("data")}
    if expected["data"] is not None:
        expected["data"] = expected["data"].replace("\r\n", "\n").replace("\r", "\n")
    assert {key: getattr(frame, key) for key in expected} == expected
    assert frame.complete


@given(sent=st.lists(st.tuples(events, newlines), max_size=5))
@examples(80)
def test_frames_written_one_after_the_other_are_read_one_by_one(sent):
    written = [encode_event(**event, newline=newline) for event, newline in sent]

    # Between a CR and an LF of the next frame there is no telling two line ends from one: such frames run together.
    if all(not (a.endswith(b"\r") and b.startswith(b"\n")) for a, b in itertools.pairwise(written)):
        assert [frame.raw for frame in read(b"".join(written))] == written


@given(event=events, newline=newlines)
@examples(80)
def test_the_standard_reads_what_was_written(event, newline):
    messages = whatwg.read(encode_event(**event, newline=newline)).messages

    data = event.get("data")
    if data is None:
        assert messages == []
    else:
        lines = data.replace("\r\n", "\n").replace("\r", "\n")
        assert messages == [(event.get("event") or "message", lines, event.get("id", ""))]


def test_a_frame_is_written_field_by_field():
    frame = encode_event("one\ntwo", event="e", id="7", retry=15, comments=["note", " spaced"])

    assert frame == b":note\n: spaced\nevent: e\nid: 7\nretry: 15\ndata: one\ndata: two\n\n"


def test_empty_data_is_written_and_no_data_is_not():
    assert encode_event("") == b"data: \n\n"
    assert encode_event(event="ping") == b"event: ping\n\n"


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\r\n"])
@pytest.mark.parametrize("field", ["event", "id", "comment"])
def test_a_line_break_where_none_can_be_is_refused(field, text):
    arguments = {"comments": [text]} if field == "comment" else {field: text}

    with pytest.raises(ValueError, match=f"the {field} holds a line break"):
        encode_event("x", **arguments)


def test_an_id_that_every_reader_would_ignore_is_refused():
    with pytest.raises(ValueError, match=r"an id with U\+0000 is ignored by every reader"):
        encode_event("x", id="a\0b")


def test_a_negative_retry_is_refused():
    with pytest.raises(ValueError, match="retry is a time in milliseconds, not -1"):
        encode_event("x", retry=-1)


def test_an_event_without_fields_is_one_frame():
    assert len(read(encode_event())) == 1
