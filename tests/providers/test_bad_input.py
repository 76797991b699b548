"""Streams that are broken: cut, not UTF-8, not JSON, or JSON of another shape. Each is a fault that says where."""

from __future__ import annotations

import pytest

from pytest_streamrt import StreamError, fold
from pytest_streamrt.events import InferenceStarted
from pytest_streamrt.providers import DIALECTS, decode
from pytest_streamrt.wire import rechunk
from tests.providers.streams import BEGINNING, END, NO_END_MARKER, bare_chunk, chunk, event, sse

EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)


def fault_of(data, dialect):
    """The fault of a stream, the same however it is cut; and the text that was said before it."""
    with pytest.raises(StreamError) as caught:
        decode(data, dialect)
    for how in ("byte", "event", 7):
        with pytest.raises(StreamError) as other:
            decode(rechunk(data, how), dialect)
        assert str(other.value) == str(caught.value)
        assert other.value.events == caught.value.events
        assert other.value.cut_short == caught.value.cut_short
    return caught.value, fold(caught.value.events).text


@EVERY_DIALECT
def test_a_stream_that_ends_inside_an_event(dialect):
    data = BEGINNING[dialect] + b'data: {"id": "x"'

    fault, text = fault_of(data, dialect)

    begin = len(BEGINNING[dialect])
    assert (
        f"{dialect}: the stream ends at byte {len(data)} inside an event: the one that begins at byte {begin}"
        in str(fault)
    )
    assert "not closed by a blank line" in str(fault)
    assert (fault.offset, fault.cut_short, text) == (begin, True, "a")


@EVERY_DIALECT
def test_a_stream_that_ends_between_two_events(dialect):
    data = BEGINNING[dialect]

    fault, text = fault_of(data, dialect)

    assert f"{dialect}: the stream ends at byte {len(data)} before the answer does" in str(fault)
    assert (fault.offset, fault.cut_short, text) == (len(data), True, "a")


@EVERY_DIALECT
@pytest.mark.parametrize("left", [1, 2, 3])
def test_a_stream_that_ends_inside_a_character(dialect, left):
    data = BEGINNING[dialect] + b'data: {"id": "' + "🙂".encode()[:left]

    fault, text = fault_of(data, dialect)

    at = len(data) - left
    assert f"ends inside a UTF-8 character at byte {at}" in str(fault)
    assert (fault.offset, fault.cut_short, text) == (at, True, "a")


@EVERY_DIALECT
@pytest.mark.parametrize("bad", [b"\xff", b"\x80", b"\xc3", b"\xf0\x9f\x99", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_a_stream_that_is_not_utf_8(dialect, bad):
    before = BEGINNING[dialect] + b'data: {"id": "'

    fault, text = fault_of(before + bad + b'"}\n\n' + END[dialect], dialect)

    assert f"not UTF-8 at byte {len(before)}" in str(fault)
    assert (fault.offset, fault.cut_short, text) == (len(before), False, "a")


@EVERY_DIALECT
@pytest.mark.parametrize(
    "bad", ["no JSON", '{"id": ', '{"id": "x"} {', "{'id': 1}", "<html>", '{"a": "\t"}', '{"a":\ud83d}'], ids=ascii
)
def test_an_event_that_is_not_json(dialect, bad):
    at = len(BEGINNING[dialect])
    frame = f"data: {bad}\n\n".encode("utf-8", "replace")

    fault, text = fault_of(BEGINNING[dialect] + frame + END[dialect], dialect)

    assert f"{dialect}: the data of the event at byte {at} is not a JSON object" in str(fault)
    assert (fault.offset, fault.cut_short, text) == (at, False, "a")


@EVERY_DIALECT
@pytest.mark.parametrize("bad", ["[]", "null", '"text"', "7", "true", "[DONE"])
def test_an_event_that_is_json_but_no_object(dialect, bad):
    at = len(BEGINNING[dialect])

    fault, text = fault_of(BEGINNING[dialect] + f"data: {bad}\n\n".encode() + END[dialect], dialect)

    assert f"the event at byte {at} is not a JSON object" in str(fault)
    assert (fault.offset, text) == (at, "a")


@pytest.mark.parametrize(
    ("dialect", "bad", "field"),
    [
        ("openai.chat", {"choices": 7}, "its field 'choices' is not a list but int"),
        ("openai.chat", chunk({"content": 7}), "its field 'content' is not a string but int"),
        ("openai.chat", bare_chunk(usage=[]), "its field 'usage' is not an object but list"),
        ("openai.responses", event("output_text.delta", delta={}), "its field 'delta' is not a string but dict"),
        ("openai.responses", event("completed", response="x"), "its field 'response' is not an object but str"),
    ],
)
def test_an_event_of_another_shape_is_a_fault_that_names_the_field(dialect, bad, field):
    at = len(BEGINNING[dialect])

    fault, text = fault_of(BEGINNING[dialect] + sse(bad) + END[dialect], dialect)

    assert f"{dialect}: the event at byte {at} is not of this API: {field}" in str(fault)
    assert (fault.offset, fault.cut_short, text) == (at, False, "a")


@EVERY_DIALECT
def test_long_bad_data_is_quoted_only_in_part(dialect):
    fault, _ = fault_of(b"data: " + b"x" * 10_000 + b"\n\n", dialect)

    assert len(str(fault)) < 300


@EVERY_DIALECT
@pytest.mark.parametrize(
    "body", [b"", b"\n\n", b": note\n\n", b"<html>Bad gateway</html>", b'{"error": {"code": 500}}']
)
def test_a_body_that_is_no_stream_at_all_is_cut_short(dialect, body):
    fault, _ = fault_of(body, dialect)

    assert fault.cut_short
    assert fault.events == []


@EVERY_DIALECT
def test_events_with_empty_data_say_nothing(dialect):
    data = BEGINNING[dialect] + b"data:\n\ndata\n\nevent: ping\n\n" + END[dialect]

    assert decode(data, dialect) == decode(BEGINNING[dialect] + END[dialect], dialect)


@EVERY_DIALECT
def test_a_fault_is_raised_again_by_whoever_goes_on(dialect):
    decoder = DIALECTS[dialect].decoder()

    assert isinstance(decoder.feed(BEGINNING[dialect] + b"data: x\n\n")[0], InferenceStarted)
    for go_on in (lambda: decoder.feed(END[dialect]), decoder.close):
        with pytest.raises(StreamError, match="not a JSON object"):
            go_on()


@EVERY_DIALECT
def test_an_unknown_dialect_is_answered_with_those_there_are(dialect):
    with pytest.raises(ValueError, match=f"no dialect 'openai.chad'; there are: .*{dialect}"):
        decode(b"", "openai.chad")


@pytest.mark.parametrize("dialect", sorted(set(DIALECTS) - NO_END_MARKER))
def test_bad_bytes_after_the_end_are_ignored_however_they_are_cut(dialect):
    data = BEGINNING[dialect] + END[dialect]

    for how in ("whole", "event", "byte"):
        assert decode(rechunk(data + b"\xff\n\n", how), dialect) == decode(data, dialect)


@EVERY_DIALECT
def test_json_that_is_nested_too_deeply_is_a_fault(dialect):
    deep = b'{"a":' * 20_000 + b"1" + b"}" * 20_000

    fault, text = fault_of(BEGINNING[dialect] + b"data: " + deep + b"\n\n" + END[dialect], dialect)

    assert (fault.offset, text) == (len(BEGINNING[dialect]), "a")


@EVERY_DIALECT
def test_a_number_of_thousands_of_digits_is_a_fault(dialect):
    data = BEGINNING[dialect] + b'data: {"a": ' + b"9" * 5000 + b"}\n\n" + END[dialect]

    fault, text = fault_of(data, dialect)

    assert (fault.offset, text) == (len(BEGINNING[dialect]), "a")
