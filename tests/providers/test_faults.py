"""Scripted faults on the wire: a stream that breaks off says what it said before, and an error is a failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import ScriptError, StreamError, fold, script
from pytest_streamrt.events import TERMINALS, InferenceFailure
from pytest_streamrt.providers import DIALECTS, decode, encode
from tests.providers.streams import NO_END_MARKER, REFUSES_AT_THE_END, assert_legal
from tests.strategies import chunked, examples, said, sizes

EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)

a_script = script("a", script.tool_call("f", {"x": 1}), "b", script.usage(3, 4))


@EVERY_DIALECT
@pytest.mark.parametrize("fault", [script.disconnect(), script.stall()], ids=repr)
@given(said=said(max_parts=3), sizes=sizes)
@examples(25)
def test_a_broken_stream_is_cut_short_and_says_what_it_said_before(dialect, fault, said, sizes):
    chunks = encode(script(*said.script.parts, fault), dialect)

    with pytest.raises(StreamError, match="before the answer does") as caught:
        decode(chunked(b"".join(chunks), sizes), dialect)

    assert caught.value.cut_short
    assert caught.value.offset == len(b"".join(chunks))
    folded = fold(caught.value.events)
    assert (folded.text, folded.refusal) == (said.text, "" if dialect in REFUSES_AT_THE_END else said.refusal)
    assert [(call.name, call.arguments) for call in folded.tool_calls] == [call[1:] for call in said.calls]
    assert not any(event.type in TERMINALS for event in caught.value.events)


@EVERY_DIALECT
@pytest.mark.parametrize("fault", [script.disconnect(), script.stall()], ids=repr)
def test_a_broken_stream_is_the_beginning_of_the_whole_one(dialect, fault):
    whole = b"".join(encode(script("a", "b"), dialect))

    assert whole.startswith(b"".join(encode(script("a", "b", fault), dialect)))


@EVERY_DIALECT
@given(said=said(max_parts=3), sizes=sizes)
@examples(25)
def test_an_error_in_mid_stream_fails_the_inference(dialect, said, sizes):
    chunks = encode(script(*said.script.parts, script.error("server_error", "overloaded")), dialect)

    events = decode(chunked(b"".join(chunks), sizes), dialect)

    assert_legal(events)
    failed = events[-1]
    assert isinstance(failed, InferenceFailure)
    assert failed.kind == "provider"
    assert "overloaded" in failed.message
    assert failed.partial == said.text == fold(events).text


@EVERY_DIALECT
def test_the_code_of_an_error_is_in_its_message(dialect):
    assert (
        "rate_limit_exceeded"
        in decode(encode(script(script.error("rate_limit_exceeded")), dialect), dialect)[-1].message
    )


@EVERY_DIALECT
def test_the_code_of_an_error_is_in_its_message_beside_what_the_provider_says(dialect):
    events = decode(encode(script(script.error("rate_limit_exceeded", "too fast")), dialect), dialect)

    assert events[-1].message == "rate_limit_exceeded: too fast"


@EVERY_DIALECT
@pytest.mark.parametrize("before", [(), ("a",)], ids=["at once", "after a delta"])
def test_an_http_status_cannot_be_written_as_a_stream(dialect, before):
    with pytest.raises(ScriptError, match=r'error\(429\) is an HTTP status.*error\("server_error"\)'):
        encode(script(*before, script.error(429)), dialect)


@EVERY_DIALECT
@given(data=st.data())
@examples(60)
def test_a_stream_cut_anywhere_is_cut_short_or_complete(dialect, data):
    whole = b"".join(encode(a_script, dialect))
    cut = data.draw(st.integers(0, len(whole) - 1))

    try:
        events = decode(whole[:cut], dialect)
    except StreamError as error:
        assert error.cut_short
        assert error.events == decode(whole, dialect)[: len(error.events)]
    else:
        assert_legal(events)
        assert fold(events).text == "ab"


@EVERY_DIALECT
def test_an_event_is_decoded_with_the_last_byte_of_its_frame(dialect):
    decoder = DIALECTS[dialect].decoder()

    for chunk in encode(a_script, dialect):
        assert decoder.feed(chunk[:-1]) == []
        decoder.feed(chunk[-1:])

    assert decoder.ended == (dialect not in NO_END_MARKER)
