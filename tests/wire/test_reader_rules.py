"""What counts as an event: the decoder against the standard, and against the SDK that reads the real streams."""

from __future__ import annotations

import pytest
from anthropic._streaming import SSEDecoder as AnthropicDecoder
from hypothesis import example, given
from openai._streaming import SSEDecoder as OpenAIDecoder

from pytest_streamrt import StreamError
from pytest_streamrt.wire import SSEDecoder
from tests.strategies import chunked, examples, sizes, sse_soup
from tests.wire import whatwg


def frames_of(data, rules):
    decoder = SSEDecoder(rules)
    return [*decoder.feed(data), *decoder.close()]


def messages(data):
    """What a reader by the standard sees, in the form of the reference reader."""
    frames = frames_of(data, "whatwg")
    return [(frame.event or "message", frame.data, frame.last_event_id) for frame in frames if frame.dispatched]


def ours_as_sdk(chunks):
    """What a reader by the SDK's rules sees, up to the fault, and whether there was one.

    The SDK gives "" for data or an id that never came, and None for an event name that is empty; there is no telling
    them apart, so neither do we here.
    """
    decoder = SSEDecoder("sdk")
    seen, fault = [], False
    try:
        for chunk in chunks:
            seen += decoder.feed(chunk)
        seen += decoder.close()
    except StreamError:
        fault = True
    return [(e.event or None, e.data or "", e.last_event_id, e.retry) for e in seen if e.dispatched], fault


def sdk(chunks, decoder=OpenAIDecoder):
    seen = []
    try:
        for e in decoder().iter_bytes(iter(chunks)):
            seen.append((e.event, e.data, e.id or "", e.retry))  # noqa: PERF401 - what came before the fault counts
    except UnicodeDecodeError:
        return seen, True
    return seen, False


@given(data=sse_soup)
@example(data=b"id: 1\nid: a\x00b\ndata: x\n\n")
@example(data=b"\xef\xbb\xbf\xef\xbb\xbfdata: 1\n\ndata: 2\n\n")
@examples(180)
def test_a_reader_by_the_standard_sees_what_the_standard_says(data):
    assert messages(data) == whatwg.read(data).messages


@given(data=sse_soup)
@examples(200)
def test_the_reconnection_time_is_the_last_that_the_standard_accepts(data):
    data += b"\n\n"  # in the standard a retry counts at once, not with its frame: so every frame is closed here

    times = [frame.retry for frame in frames_of(data, "whatwg") if frame.retry is not None]

    assert (times or [None])[-1] == whatwg.read(data).reconnection_time


@given(data=sse_soup, sizes=sizes)
@example(data=b"id: 1\rdata: x\r\r\n", sizes=[1])
@examples(180)
def test_a_reader_by_the_rules_of_the_sdks_sees_what_the_openai_sdk_sees(data, sizes):
    chunks = chunked(data, sizes)

    assert ours_as_sdk(chunks) == sdk(chunks)


@given(data=sse_soup, sizes=sizes)
@examples(100)
def test_the_anthropic_sdk_sees_the_same_where_lines_end_in_line_feeds(data, sizes):
    # With carriage returns, what it sees depends on where the bytes were cut.
    chunks = chunked(data.replace(b"\r", b"\n"), sizes)

    assert ours_as_sdk(chunks) == sdk(chunks, AnthropicDecoder)


# The cases of which somebody has once been wrong, one by one. The facts are those that the web platform's tests
# (eventsource/format-*) and the decoders of the SDKs show.
STANDARD = [
    pytest.param(b"data: 1\n\n", [("message", "1", "")], id="one line"),
    pytest.param(b"data:1\n\n", [("message", "1", "")], id="no space after the colon"),
    pytest.param(b"data:  1\n\n", [("message", " 1", "")], id="only one space is dropped"),
    pytest.param(b"data:\t1\n\n", [("message", "\t1", "")], id="a tab is no space"),
    pytest.param(b"data\n\n", [("message", "", "")], id="a name alone has an empty value"),
    pytest.param(b"data:\n\n", [("message", "", "")], id="empty data is an event"),
    pytest.param(b"data\ndata:\n\n", [("message", "\n", "")], id="two empty lines of data"),
    pytest.param(b"data: 1\ndata: 2\n\n", [("message", "1\n2", "")], id="several lines of data"),
    pytest.param(b"data: 1\n\n\n\ndata: 2\n\n", [("message", "1", ""), ("message", "2", "")], id="more blank lines"),
    pytest.param(b"data: 1\n", [], id="no blank line"),
    pytest.param(b"data: 1\n\ndata: 2", [("message", "1", "")], id="an unfinished last line"),
    pytest.param(b"data: 1\r\n\r\n", [("message", "1", "")], id="CRLF"),
    pytest.param(b"data: 1\r\r", [("message", "1", "")], id="CR"),
    pytest.param(b"data:1\r\ndata:2\ndata:3\r\r", [("message", "1\n2\n3", "")], id="all line ends mixed"),
    pytest.param(b": a note\ndata: 1\n\n", [("message", "1", "")], id="a comment"),
    pytest.param(b": a note\n\n", [], id="a comment alone"),
    pytest.param(b"event: e\ndata: 1\n\n", [("e", "1", "")], id="an event name"),
    pytest.param(b"data: 1\nevent: e\n\n", [("e", "1", "")], id="the event name after the data"),
    pytest.param(b"event: e\nevent:\ndata: 1\n\n", [("message", "1", "")], id="the last event name holds"),
    pytest.param(b"event: e\n\ndata: 1\n\n", [("message", "1", "")], id="an event name without data is dropped"),
    pytest.param(b"id: 7\n\ndata: 1\n\n", [("message", "1", "7")], id="an id stays"),
    pytest.param(b"id: 7\ndata: 1\n\nid\ndata: 2\n\n", [("message", "1", "7"), ("message", "2", "")], id="an id ends"),
    pytest.param(b"id: 7\n\nid: 8\x00\ndata: 1\n\n", [("message", "1", "7")], id="an id with U+0000"),
    pytest.param(b"Data: 1\ndata : 2\n data: 3\ndata: 4\n\n", [("message", "4", "")], id="other names"),
    pytest.param(b"\xef\xbb\xbfdata: 1\n\n", [("message", "1", "")], id="a byte order mark"),
    pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: 1\n\n", [], id="a second byte order mark"),
    pytest.param(b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [("message", "1", "")], id="a byte order mark further on"),
    pytest.param(b"data: \x00\n\n", [("message", "\0", "")], id="U+0000 in the data"),
    pytest.param(
        "data: a\u2028b\u0085c\x0bd\n\n".encode(), [("message", "a\u2028b\u0085c\x0bd", "")], id="no line end"
    ),
    pytest.param(b"data: a\xffb\xf0\x9f\n\n", [("message", "a\ufffdb\ufffd", "")], id="invalid UTF-8"),
]


@pytest.mark.parametrize(("data", "expected"), STANDARD)
def test_the_standard(data, expected):
    assert messages(data) == expected
    assert whatwg.read(data).messages == expected  # the reference reader is held to the same table


DIFFERENT = [
    pytest.param(b"event: ping\n\n", [("ping", "", "", None)], id="an event name alone"),
    pytest.param(b"retry: 15\n\n", [(None, "", "", 15)], id="a retry alone"),
    pytest.param(b"retry: -15\n\n", [(None, "", "", -15)], id="a negative retry"),
    pytest.param(b"id: 7\n\n\n", [(None, "", "7", None)] * 2, id="each blank line after an id"),
    pytest.param(
        b"\xef\xbb\xbfdata: 1\n\ndata: 2\n\n", [(None, "2", "", None)], id="the field after a byte order mark"
    ),
    pytest.param(b": OPENROUTER PROCESSING\n\n", [], id="a comment alone"),
    pytest.param(b"event:\n\n", [], id="an empty event name alone"),
]


@pytest.mark.parametrize(("data", "expected"), DIFFERENT)
def test_where_the_sdks_differ_from_the_standard(data, expected):
    assert ours_as_sdk([data]) == (expected, False)
    assert sdk([data]) == (expected, False)


def test_fields_are_given_as_they_were_sent():
    (frame,) = frames_of(b": one\n:two\nevent: e\nid: 7\nretry: 15\ndata: 1\ndata: 2\n\n", "whatwg")

    assert frame.comments == (" one", "two")
    assert (frame.event, frame.id, frame.retry, frame.data) == ("e", "7", 15, "1\n2")
    assert frame.last_event_id == "7"


def test_what_did_not_occur_is_none_and_what_was_empty_is_empty():
    empty, absent = frames_of(b"data\nevent\nid\n\n: note\n\n", "whatwg")

    assert (empty.data, empty.event, empty.id, empty.retry) == ("", "", "", None)
    assert (absent.data, absent.event, absent.id, absent.retry) == (None, None, None, None)


def test_extra_blank_lines_are_frames_that_nobody_sees():
    frames = frames_of(b"data: 1\n\n\n\ndata: 2\n\n", "whatwg")

    assert [(frame.raw, frame.dispatched) for frame in frames] == [
        (b"data: 1\n\n", True),
        (b"\n", False),
        (b"\n", False),
        (b"data: 2\n\n", True),
    ]


@pytest.mark.parametrize("rules", ["whatwg", "sdk"])
def test_an_id_before_one_with_a_null_stays(rules):
    (frame,) = frames_of(b"id: 1\nid: a\x00b\ndata: x\n\n", rules)

    assert frame.last_event_id == "1"


def test_a_crlf_that_closes_an_event_of_bare_carriage_returns_is_one_blank_line():
    frames = frames_of(b"id: 1\rdata: x\r\r\n", "sdk")

    assert [frame.data for frame in frames if frame.dispatched] == ["x"]


@pytest.mark.parametrize("rules", ["whatwg", "sdk"])
def test_a_retry_of_thousands_of_digits_breaks_nothing(rules):
    (frame,) = frames_of(b"retry: " + b"9" * 5000 + b"\ndata: x\n\n", rules)

    assert frame.data == "x"
