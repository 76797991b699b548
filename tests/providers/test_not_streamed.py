"""Answers that were not streamed: one JSON body, decoded to the events that a stream of it would have given."""

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
    TokenUsage,
)
from pytest_streamrt.providers import DIALECTS
from tests.providers.streams import assert_legal, assert_sound, items, response

EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)
TOOL = {"name": "f", "arguments": '{"x":1}'}


def whole(dialect, body):
    events = DIALECTS[dialect].decoder().whole(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert_legal(events)
    assert_sound(events)
    return events


def chat(*messages, **more):
    choices = [
        {"index": n, "finish_reason": "stop", "message": {"role": "assistant", **message}}
        for n, message in enumerate(messages)
    ]
    return whole("openai.chat", {"id": "chat-1", "model": "m", "choices": choices, **more})


def responses(*output, status="completed", **more):
    return whole("openai.responses", response(status, **more) | {"output": list(output)})


def test_a_chat_completion():
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}

    events = chat({"content": "a", "reasoning_content": "r"}, usage=usage)

    assert events[0] == InferenceStarted("m", "chat-1")
    assert events[-1] == InferenceCompleted("stop")
    said = fold(events)
    assert (said.text, said.reasoning, said.usage) == ("a", "r", TokenUsage(3, 4))
    assert said.contradictions == []


def test_a_chat_completion_with_tool_calls():
    calls = [{"id": f"c{n}", "type": "function", "function": TOOL} for n in range(2)]

    events = chat({"content": None, "tool_calls": calls})

    assert [item for item in items(events) if isinstance(item, FunctionCall)] == [
        FunctionCall("c0", "f", '{"x":1}'),
        FunctionCall("c1", "f", '{"x":1}'),
    ]


def test_tool_calls_without_ids_are_several_calls():
    calls = [{"type": "function", "function": TOOL} for _ in range(2)]

    assert [call.arguments for call in fold(chat({"tool_calls": calls})).tool_calls] == ['{"x":1}'] * 2


def test_a_chat_completion_of_several_choices():
    assert items(chat({"content": "a"}, {"content": "b"})) == [ModelMessage("a"), ModelMessage("b", choice=1)]


def test_a_chat_completion_that_refuses():
    assert items(chat({"content": None, "refusal": "no"})) == [ModelMessage("", "no")]


def test_a_chat_completion_without_a_message():
    assert chat({})[-1] == InferenceCompleted("stop")


def test_a_response():
    events = responses(
        {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "short"}]},
        {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": "a"}]},
        {"type": "function_call", "id": "fc1", "call_id": "c1", **TOOL},
        usage={"input_tokens": 3, "output_tokens": 4},
    )

    assert events[0] == InferenceStarted("m", "resp-1")
    assert events[-1] == InferenceCompleted("completed")
    said = fold(events)
    assert said.items == [Reasoning("", "short"), ModelMessage("a"), FunctionCall("c1", "f", '{"x":1}')]
    assert (said.text, said.reasoning, said.usage) == ("a", "short", TokenUsage(3, 4))
    assert said.contradictions == []


def test_a_response_that_refuses():
    parts = [{"type": "refusal", "refusal": "no"}, {"type": "output_text", "text": "a"}]

    said = fold(responses({"type": "message", "content": parts}))

    assert (said.text, said.refusal, said.contradictions) == ("a", "no", [])


def test_a_response_with_an_item_of_another_kind_keeps_it():
    search = {"type": "web_search_call", "id": "ws1"}

    assert ProviderEvent("openai.responses", "web_search_call", search) in responses(search)


def test_an_incomplete_response():
    events = responses(status="incomplete", incomplete_details={"reason": "max_output_tokens"})

    assert events[-1] == InferenceCompleted("max_output_tokens")


def test_a_failed_response():
    events = responses(status="failed", error={"code": "server_error", "message": "overloaded"})

    assert events[-1] == InferenceFailure("provider", "server_error: overloaded")


def test_a_failed_response_says_what_there_was_of_it():
    message = {"type": "message", "content": [{"type": "output_text", "text": "a"}]}

    assert responses(message, status="failed", error={"message": "overloaded"})[-1].partial == "a"


def test_a_response_that_cites():
    note = {"type": "url_citation", "url": "http://x.test", "title": "X"}
    message = {"type": "message", "content": [{"type": "output_text", "text": "a", "annotations": [note]}]}

    assert Citation("http://x.test", "X", note) in responses(message)


@EVERY_DIALECT
def test_an_error_body_is_a_failed_inference(dialect):
    events = whole(dialect, {"error": {"message": "no such model", "type": "invalid_request_error", "code": None}})

    assert isinstance(events[-1], InferenceFailure)
    assert "no such model" in events[-1].message


@EVERY_DIALECT
def test_a_body_with_a_byte_order_mark_is_read(dialect):
    assert whole(dialect, b'\xef\xbb\xbf{"id": "x", "model": "m", "responseId": "x", "modelVersion": "m"}')[
        0
    ] == InferenceStarted("m", "x")


@EVERY_DIALECT
@pytest.mark.parametrize(
    "body",
    [b"", b"no JSON", b'{"id": ', b"[]", b"null", b'"text"', b"7", b"\xff\xfe\xff", b'{"id": "\xff"}', b"<html>"],
    ids=repr,
)
def test_a_body_that_is_not_a_json_object_is_refused(dialect, body):
    with pytest.raises(StreamError, match=f"{dialect}: the body, from byte 0 on, is not a JSON object") as caught:
        DIALECTS[dialect].decoder().whole(body)

    assert caught.value.offset == 0
