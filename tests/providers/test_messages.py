"""Streams of Anthropic's Messages API, event by event: text, thinking, tools, citations, counts and ends."""

from __future__ import annotations

import json

import pytest

from pytest_streamrt import StreamError, fold
from pytest_streamrt.events import (
    Citation,
    FunctionCall,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ModelMessage,
    ProviderEvent,
    Reasoning,
    RefusalDelta,
    Status,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from pytest_streamrt.providers import decode, detect, dialect
from tests.providers.streams import (
    MESSAGE_DELTA,
    MESSAGE_START,
    MESSAGE_STOP,
    assert_legal,
    assert_sound,
    block,
    block_delta,
    block_stop,
    items,
    message_event,
    messages,
    said,
    sse,
    usages,
)

NAME = "anthropic.messages"


def text_block(index, *pieces, **more):
    return [
        block(index, "text", text="", **more),
        *(block_delta(index, "text", text=p) for p in pieces),
        block_stop(index),
    ]


def tool(index, *pieces, id="c1", name="f", input=None):
    """A tool call as it is streamed: its arguments begin with an empty piece."""
    deltas = [block_delta(index, "input_json", partial_json=piece) for piece in ("", *pieces)]
    return [block(index, "tool_use", id=id, name=name, input=input or {}), *deltas, block_stop(index)]


def end(stop_reason, usage=None, **delta):
    delta = {"stop_reason": stop_reason, "stop_sequence": None, **delta}
    return [message_event("message_delta", delta=delta, usage=usage or {}), MESSAGE_STOP]


def test_text():
    events = messages(*text_block(0, "Hel", "lo"))

    assert_legal(events)
    assert events[0] == InferenceStarted("m", "msg-1")
    assert said(events) == [TextDelta("Hel", item="0"), TextDelta("lo", item="0")]
    assert items(events) == [ModelMessage("Hello")]
    assert events[-1] == InferenceCompleted("end_turn")


def test_text_that_comes_with_its_block_is_a_delta():
    assert fold(messages(block(0, "text", text="a"), block_delta(0, "text", text="b"), block_stop(0))).text == "ab"


def test_blocks_of_text_one_after_the_other_are_one_message():
    note = {"type": "web_search_result_location", "url": "http://x.test", "title": "X", "cited_text": "b"}

    events = messages(
        *text_block(0, "a"),
        block(1, "text", text="", citations=[]),
        block_delta(1, "citations", citation=note),
        block_delta(1, "text", text="b"),
        block_stop(1),
        *text_block(2, "c"),
    )

    assert items(events) == [ModelMessage("abc")]
    assert Citation("http://x.test", "X", note) in events


def test_a_document_is_cited_by_its_title():
    note = {"type": "page_location", "document_title": "Report", "start_page_number": 1}

    assert Citation(None, "Report", note) in messages(
        block(0, "text", text=""), block_delta(0, "citations", citation=note)
    )


def test_thinking_with_its_signature():
    events = messages(
        block(0, "thinking", thinking="", signature=""),
        block_delta(0, "thinking", thinking="Let "),
        block_delta(0, "thinking", thinking="me."),
        block_delta(0, "signature", signature="c2ln"),
        block_stop(0),
        *text_block(1, "a"),
    )

    assert fold(events).reasoning == "Let me."
    assert items(events) == [Reasoning("Let me.", signature="c2ln"), ModelMessage("a")]


def test_thinking_that_is_not_shown_is_an_item_with_its_signature_alone():
    events = messages(
        block(0, "thinking", thinking="", signature=""), block_delta(0, "signature", signature="s"), block_stop(0)
    )

    assert items(events) == [Reasoning(signature="s")]


def test_redacted_thinking():
    events = messages(block(0, "redacted_thinking", data="EuYB"), block_stop(0))

    assert said(events) == []
    assert items(events) == [Reasoning(encrypted="EuYB")]


def test_a_tool_call_in_pieces():
    events = messages(*tool(0, '{"x"', ":1}"), end=end("tool_use"))

    assert said(events) == [ToolCallStarted("c1", "f"), ToolCallDelta("c1", '{"x"'), ToolCallDelta("c1", ":1}")]
    assert items(events) == [FunctionCall("c1", "f", '{"x":1}')]
    assert events[-1] == InferenceCompleted("tool_use")


def test_a_tool_call_without_arguments():
    assert items(messages(*tool(0))) == [FunctionCall("c1", "f", "")]


def test_a_tool_call_whose_arguments_come_with_its_block():
    events = messages(block(0, "tool_use", id="c1", name="f", input={"x": [1, "é"]}), block_stop(0))

    assert items(events) == [FunctionCall("c1", "f", '{"x":[1,"é"]}')]
    assert fold(events).contradictions == []


def test_calls_whose_pieces_alternate_are_kept_apart():
    events = messages(
        block(0, "tool_use", id="c0", name="f", input={}),
        block(1, "tool_use", id="c1", name="g", input={}),
        block_delta(0, "input_json", partial_json="{"),
        block_delta(1, "input_json", partial_json="["),
        block_delta(0, "input_json", partial_json="}"),
        block_delta(1, "input_json", partial_json="]"),
        block_stop(1),
        block_stop(0),
    )

    assert [(call.id, call.arguments) for call in fold(events).tool_calls] == [("c0", "{}"), ("c1", "[]")]
    assert items(events) == [FunctionCall("c1", "g", "[]"), FunctionCall("c0", "f", "{}")]


def test_tools_of_the_provider_s_own_are_kept_as_they_came():
    asked = block(1, "server_tool_use", id="s1", name="web_search", input={})
    piece = block_delta(1, "input_json", partial_json='{"query"')
    found = block(2, "web_search_tool_result", tool_use_id="s1", content=[])

    events = messages(*text_block(0, "a"), asked, piece, block_stop(1), found, block_stop(2), *text_block(3, "b"))

    kept = [event.data for event in events if isinstance(event, ProviderEvent)]
    assert kept == [asked, piece, found]
    assert fold(events).tool_calls == []
    assert items(events) == [ModelMessage("a"), ModelMessage("b")]


def test_a_ping_is_a_status_wherever_it_comes():
    ping = message_event("ping")

    events = messages(ping, *text_block(0, "a", "b")[:2], ping, *text_block(0, "a", "b")[2:])

    assert [event for event in events if event.type == "status"] == [Status("ping"), Status("ping")]
    assert items(events) == [ModelMessage("ab")]


def test_the_counts_of_the_end_replace_those_of_the_beginning_and_what_it_leaves_out_stays():
    start = {
        **MESSAGE_START["message"],
        "usage": {"input_tokens": 30, "cache_read_input_tokens": 7, "output_tokens": 1},
    }

    events = decode(
        sse(
            message_event("message_start", message=start), *end("end_turn", {"output_tokens": 9, "input_tokens": None})
        ),
        NAME,
    )

    assert usages(events) == [(30, 1), (30, 9)]
    last = [event for event in events if event.type == "usage"][-1]
    assert last.details == {"input_tokens": 30, "cache_read_input_tokens": 7, "output_tokens": 9}


@pytest.mark.parametrize("reason", ["max_tokens", "stop_sequence", "pause_turn", "model_context_window_exceeded"])
def test_the_stop_reason_is_the_provider_s_word(reason):
    assert messages(*text_block(0, "a"), end=end(reason))[-1] == InferenceCompleted(reason)


def test_a_refusal_s_explanation_is_what_the_model_says_in_refusing():
    details = {"type": "refusal", "category": "bio", "explanation": "I cannot."}

    events = messages(*text_block(0, "a"), end=end("refusal", stop_details=details))

    assert RefusalDelta("I cannot.", item="0") in events
    assert items(events) == [ModelMessage("a", "I cannot.")]
    assert ProviderEvent(NAME, "message_delta", {"category": "bio"}) in events
    assert events[-1] == InferenceCompleted("refusal")


def test_a_refusal_without_text():
    details = {"type": "refusal", "category": None, "explanation": "I cannot."}

    assert items(messages(end=end("refusal", stop_details=details))) == [ModelMessage("", "I cannot.")]


def test_what_the_end_says_beside_is_kept():
    delta = message_event(
        "message_delta",
        delta={"stop_reason": "stop_sequence", "stop_sequence": "END", "container": {"id": "k"}},
        usage={},
        context_management={"applied_edits": [1]},
    )

    events = messages(end=(delta, MESSAGE_STOP))

    rest = {"context_management": {"applied_edits": [1]}, "stop_sequence": "END", "container": {"id": "k"}}
    assert ProviderEvent(NAME, "message_delta", rest) in events


def test_white_space_inside_the_json_is_read_over():
    data = sse(MESSAGE_START, *text_block(0, "a"), MESSAGE_DELTA, MESSAGE_STOP, named=True)

    assert decode(data.replace(b"}\n\n", b"           }\n\n"), NAME) == decode(data, NAME)


def test_an_error_in_mid_stream():
    error = message_event("error", error={"type": "overloaded_error", "message": "Overloaded"})

    events = messages(*text_block(0, "a"), error, end=())

    assert events[-1] == InferenceFailure("provider", "overloaded_error: Overloaded", "a")


def test_without_message_stop_the_answer_is_cut_short():
    with pytest.raises(StreamError, match="before the answer does") as caught:
        messages(*text_block(0, "a"), end=(MESSAGE_DELTA,))

    assert caught.value.cut_short


def test_the_marker_of_another_api_is_passed_over_as_the_sdk_does():
    data = sse(MESSAGE_START, *text_block(0, "a")) + b"data: [DONE]\n\n" + sse(MESSAGE_DELTA, MESSAGE_STOP)

    assert decode(data, NAME) == messages(*text_block(0, "a"))


def test_a_message_that_is_not_streamed():
    body = {
        **MESSAGE_START["message"],
        "content": [
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "text", "text": "a", "citations": None},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 4},
        "container": {"id": "k"},
    }

    events = dialect(NAME).decoder().whole(json.dumps(body).encode())

    assert_legal(events)
    assert_sound(events)
    assert items(events) == [Reasoning("t", signature="s"), ModelMessage("a"), FunctionCall("c1", "f", '{"x":1}')]
    assert usages(events) == [(3, 4)]
    assert ProviderEvent(NAME, "message", {"container": {"id": "k"}}) in events
    assert events[-1] == InferenceCompleted("tool_use")


@pytest.mark.parametrize("call", ["streamRawPredict", "rawPredict"])
def test_vertex_is_known_by_the_publisher(call):
    host = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers"

    assert detect("POST", f"{host}/anthropic/models/claude@2025:{call}") == NAME
    assert detect("POST", f"{host}/mistralai/models/large:{call}") is None


def test_messages_of_other_apis_are_not_taken_for_it():
    assert detect("POST", "https://api.anthropic.com/v1/messages?beta=true") == NAME
    assert detect("POST", "https://api.openai.com/v1/threads/t1/messages") is None
    assert detect("POST", "https://api.anthropic.com/v1/messages/count_tokens") is None
    assert detect("POST", "https://api.anthropic.com/v1/messages/batches") is None
