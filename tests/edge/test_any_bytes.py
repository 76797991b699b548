"""Laws of the edge over any bytes: decoding does not depend on the cuts, nothing but the project's own errors comes out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt.edge import (
    Arrived,
    ag_ui,
    check_end,
    check_frames,
    check_headers,
    check_ids,
    check_keep_alive,
    check_resumed,
    sse_json,
    vercel_ui,
)
from pytest_streamrt.edge.checks import NotChecked
from pytest_streamrt.errors import StreamError
from pytest_streamrt.events import TextDelta, fold
from pytest_streamrt.wire import SSEDecoder, encode_event, rechunk
from tests.strategies import examples

TYPES = {
    vercel_ui: [
        *(
            "start",
            "text-start",
            "text-delta",
            "text-end",
            "reasoning-delta",
            "reasoning-end",
            "finish",
            "error",
            "abort",
        ),
        *("tool-input-start", "tool-input-delta", "tool-input-available", "tool-input-error", "tool-output-available"),
        *("tool-output-error", "tool-output-denied", "source-url", "file", "data-x", "start-step", "other"),
    ],
    ag_ui: [
        *("RUN_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "TEXT_MESSAGE_CHUNK"),
        *("TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_CHUNK", "TOOL_CALL_RESULT", "CUSTOM", "RAW"),
        *("REASONING_MESSAGE_CONTENT", "REASONING_MESSAGE_END", "STATE_DELTA", "RUN_ERROR", "RUN_FINISHED", "OTHER"),
    ],
    sse_json: ["text", "token", "thinking", "tool_call", "tool_result", "status", "error", "done", "mood"],
}
FIELDS = [
    *(
        "type",
        "id",
        "delta",
        "toolCallId",
        "toolCallName",
        "toolName",
        "inputTextDelta",
        "input",
        "output",
        "errorText",
    ),
    *(
        "messageId",
        "content",
        "name",
        "value",
        "message",
        "outcome",
        "reason",
        "preliminary",
        "data",
        "text",
        "arguments",
    ),
]
PROTOCOLS = pytest.mark.parametrize("protocol", TYPES)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "c1", "m1", "ü🦔", "{"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "x"]), inner, max_size=2),
    max_leaves=3,
)


@st.composite
def objects(draw, protocol):
    fields = draw(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
    if draw(st.integers(0, 9)):
        fields["type"] = draw(st.sampled_from(TYPES[protocol]))
    return fields


def read(decode, pieces):
    """What it says, and of what kind its complaint was."""
    events = []
    try:
        for piece in pieces:
            events += decode(piece)
        return events + decode.end(), None
    except StreamError as error:
        return events, type(error)


@PROTOCOLS
@examples(100)
@given(st.data())
def test_any_objects(protocol, data):
    sent = data.draw(st.lists(objects(protocol), max_size=8))
    stream = b"".join(encode_event(json.dumps(each)) for each in sent)
    cut = data.draw(st.sampled_from(["byte", "event", 1, 2, 3]))

    events, complaint = read(protocol(), [stream])

    again, complaint_again = read(protocol(), rechunk(stream, cut))
    assert complaint_again is complaint
    assert again[: len(events)] == events  # in one piece, what comes before a fault in it is lost with it
    if complaint is None:
        assert again == events
    assert sum(event.type in ("inference.completed", "inference.aborted", "inference.failed") for event in events) <= 1
    assert fold(again).contradictions == []


@PROTOCOLS
@examples(100)
@given(st.binary(max_size=60) | st.text('data:[DONE]{}" \n\r', max_size=60).map(str.encode))
def test_any_bytes(protocol, stream):
    events, complaint = read(protocol(), [stream])
    again, complaint_again = read(protocol(), rechunk(stream, "byte"))

    assert (again[: len(events)], complaint_again) == (events, complaint)


@examples(100)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
def test_plain_text_is_read_as_it_was_sent(texts, newline):
    stream = b"".join(encode_event(json.dumps(text), newline=newline) for text in texts)

    assert fold(read(sse_json(), [stream])[0]).text == "".join(texts)
    assert all(isinstance(event, TextDelta) for event in read(sse_json(), [stream])[0][:-1])


@examples(100)
@given(
    st.binary(max_size=80) | st.text("data:id: 123event [DONE]\n\r\0", max_size=80).map(str.encode),
    st.dictionaries(
        st.sampled_from(["content-type", "cache-control", "content-encoding", "server"]), st.text(max_size=9)
    ),
)
def test_the_checks_have_an_opinion_on_everything(body, headers):
    arrived = Arrived(headers=headers, chunks=[(1, body)] if body else [], ended=2)

    problems = [
        *check_headers(arrived),
        *check_frames(arrived),
        *check_end(arrived),
        *check_keep_alive(arrived, 1),
    ]
    try:
        problems += check_ids(arrived)
    except NotChecked:
        assert all(event.id is None for event in arrived.events)

    assert all(str(problem) for problem in problems)
    assert isinstance(arrived.summary(), str)
    for event in arrived.events:
        if event.id is not None:
            check_resumed(arrived, event.id, arrived)


@examples(100)
@given(st.lists(st.tuples(st.text("ab\n\r: ", max_size=9), st.text("ab", max_size=3)), max_size=5))
def test_what_our_encoder_writes_has_no_fault(events):
    body = b"".join(encode_event(data, event=name or None) for data, name in events)

    assert check_frames(Arrived(chunks=[(1, body)], ended=2)) == []
    assert len(SSEDecoder().feed(body)) == len(events)
