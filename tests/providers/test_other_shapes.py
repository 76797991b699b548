"""JSON that is not of the shape the API says: read with some sense, or a fault that names its byte. Never a TypeError."""

from __future__ import annotations

import pytest

from pytest_streamrt import fold
from tests.providers.response_events import added, done
from tests.providers.streams import (
    BEGINNING,
    END,
    assert_never_breaks,
    bare_chunk,
    calling,
    chunk,
    decode_or_fault,
    event,
    sse,
)


def choice(**fields):
    return bare_chunk(choices=[{"index": 0, "delta": {}, **fields}])


def content(*parts):
    return chunk({"content": list(parts)})


def call(entry):
    return chunk({"tool_calls": [entry]})


CHAT_SHAPES = {
    "model is a number": bare_chunk(model=7),
    "model is an object": bare_chunk(model={"a": 1}),
    "id is a number": bare_chunk(id=7),
    "choices is null": bare_chunk(choices=None),
    "choices is a number": bare_chunk(choices=7),
    "choices is a string": bare_chunk(choices="x"),
    "choices is an object": bare_chunk(choices={"index": 0}),
    "choices holds null": bare_chunk(choices=[None]),
    "choices holds a list": bare_chunk(choices=[[]]),
    "index is a string": choice(index="x", delta={"content": "b"}),
    "index is a list": choice(index=[0], delta={"content": "b"}, finish_reason="stop"),
    "index is null": choice(index=None, delta={"content": "b"}),
    "delta is a string": choice(delta="b"),
    "delta is a list": choice(delta=["b"]),
    "finish_reason is a number": choice(finish_reason=7),
    "finish_reason is a list": choice(finish_reason=["stop"]),
    "content is a number": chunk({"content": 7}),
    "content is true": chunk({"content": True}),
    "content is an object": chunk({"content": {"type": "text"}}),
    "content holds null": content(None),
    "content holds a string": content("b"),
    "a text part's text is a number": content({"type": "text", "text": 7}),
    "a thinking part's thinking is a number": content({"type": "thinking", "thinking": 7}),
    "a thinking part holds null": content({"type": "thinking", "thinking": [None]}),
    "a thinking part's text is a list": content({"type": "thinking", "thinking": [{"text": [1]}]}),
    "refusal is a number": chunk({"refusal": 7}),
    "reasoning is a list": chunk({"reasoning": ["b"]}),
    "reasoning_content is a number": chunk({"reasoning_content": 7}),
    "reasoning_details is a number": chunk({"reasoning_details": 7}),
    "reasoning_details holds null": chunk({"reasoning_details": [None]}),
    "a detail's text is a number": chunk({"reasoning_details": [{"text": 7}]}),
    "a detail's summary is a list": chunk({"reasoning_details": [{"summary": [1]}]}),
    "annotations is a number": chunk({"annotations": 7}),
    "annotations holds null": chunk({"annotations": [None]}),
    "url_citation is a string": chunk({"annotations": [{"url_citation": "x"}]}),
    "a citation's url is a number": chunk({"annotations": [{"url_citation": {"url": 7}}]}),
    "tool_calls is a number": chunk({"tool_calls": 7}),
    "tool_calls is an object": chunk({"tool_calls": {"index": 0}}),
    "tool_calls holds null": call(None),
    "a call's index is a list": call({"index": [], "id": "c1"}),
    "a call's index is an object": call({"index": {}, "id": "c1"}),
    "a call's id is a number": call({"index": 0, "id": 7}),
    "a call's id is a list": call({"id": []}),
    "a call's id is an object without index": call({"id": {"a": 1}}),
    "a call's function is a string": call({"index": 0, "id": "c1", "function": "f"}),
    "a call's name is a number": chunk(calling(index=0, id="c1", name=7)),
    "a call's arguments are a number": chunk(calling(index=0, id="c1", name="f", arguments=7)),
    "a call's arguments are a list": chunk(calling(index=0, id="c1", name="f", arguments=[1])),
    "function_call is a string": chunk({"function_call": "f"}),
    "usage is a list": chunk({"content": "b"}, usage=[1]),
    "usage is a number": chunk({"content": "b"}, usage=7),
    "tokens are a string": bare_chunk(usage={"prompt_tokens": "7", "completion_tokens": 1}),
    "tokens are a fraction": bare_chunk(usage={"prompt_tokens": 7.5, "completion_tokens": 1}),
    "tokens are an object": bare_chunk(usage={"prompt_tokens": {}, "completion_tokens": {"a": 1}}),
    "an error is a list": {"error": [1]},
    "an error's message is a number": {"error": {"message": 7}},
    "an empty object": {},
}
RESPONSES_SHAPES = {
    "type is null": {"type": None},
    "type is a number": {"type": 7},
    "type is a list": {"type": ["response.created"]},
    "type is an object": {"type": {"a": 1}},
    "response is a string": event("completed", response="x"),
    "response is a list": event("failed", response=[1]),
    "response is null": event("completed", response=None),
    "the response's model is a number": event("created", response={"model": 7, "id": 8}),
    "the response's status is a list": event("completed", response={"status": ["x"]}),
    "incomplete_details is a string": event("incomplete", response={"incomplete_details": "x"}),
    "the reason is a number": event("incomplete", response={"incomplete_details": {"reason": 7}}),
    "usage is a list": event("completed", response={"usage": [1]}),
    "tokens are a string": event("completed", response={"usage": {"input_tokens": "7"}}),
    "delta is an object": event("output_text.delta", item_id="m1", delta={"a": 1}),
    "delta is a number": event("output_text.delta", item_id="m1", delta=7),
    "item_id is a list": event("output_text.delta", item_id=[], delta="b"),
    "item_id is a number": event("output_text.delta", item_id=7, delta="b"),
    "a refusal's delta is a list": event("refusal.delta", item_id="m1", delta=["b"]),
    "a thought's delta is a number": event("reasoning_text.delta", item_id="m1", delta=7),
    "annotation is a string": event("output_text.annotation.added", annotation="x"),
    "annotation's url is a number": event("output_text.annotation.added", annotation={"url": 7}),
    "an added item is null": added(None),
    "an added item is a string": added("x"),
    "an added call's id is a list": added({"type": "function_call", "id": [1]}),
    "an added call's call_id is a number": added({"type": "function_call", "call_id": 7}),
    "an added call's name is a list": added({"type": "function_call", "name": [1]}),
    "an added item's type is a list": added({"type": []}),
    "arguments are for an item that is a list": event("function_call_arguments.delta", item_id=[1], delta="{"),
    "arguments are an object": event("function_call_arguments.delta", item_id="fc1", delta={"a": 1}),
    "done arguments are an object": event("function_call_arguments.done", item_id="fc1", arguments={"a": 1}),
    "a done item is null": done(None),
    "a done item is a list": done([1]),
    "a message's content is a string": done({"type": "message", "content": "b"}),
    "a message's content is a number": done({"type": "message", "content": 7}),
    "a message's content holds null": done({"type": "message", "content": [None]}),
    "a message's text is a number": done({"type": "message", "content": [{"type": "output_text", "text": 7}]}),
    "a thought's summary is a string": done({"type": "reasoning", "summary": "x"}),
    "a thought's content is a number": done({"type": "reasoning", "content": 7}),
    "what is encrypted is a number": done({"type": "reasoning", "encrypted_content": 7}),
    "a call's arguments are an object": done(
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": {"a": 1}}
    ),
    "a done call's id is a list": done({"type": "function_call", "call_id": [1]}),
    "an error is a list": event("failed", response={"error": [1]}),
    "an error's message is an object": {"type": "error", "error": {"message": {"a": 1}, "code": [1]}},
    "an empty object": {},
}


def cases(shapes):
    return [pytest.param(data, id=name) for name, data in shapes.items()]


@pytest.mark.parametrize("data", cases(CHAT_SHAPES))
def test_chat(data):
    for stream in (sse(data) + BEGINNING["openai.chat"], BEGINNING["openai.chat"] + sse(data)):
        assert_never_breaks(stream + END["openai.chat"], "openai.chat")


@pytest.mark.parametrize("data", cases(RESPONSES_SHAPES))
def test_responses(data):
    for stream in (sse(data) + BEGINNING["openai.responses"], BEGINNING["openai.responses"] + sse(data)):
        assert_never_breaks(stream + END["openai.responses"], "openai.responses")


# Python's JSON reads numbers that JSON has not, and reads those that are too large as infinite.
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1", "-0.5", "1e30", "1.0"])
def test_numbers_beyond_counting_are_read_or_are_a_fault(number):
    chunks = [
        bare_chunk(usage={"prompt_tokens": "N", "completion_tokens": 1}),
        choice(index="N", delta={"content": "b"}),
        call({"index": "N", "id": "c1", "function": {"name": "f", "arguments": "{}"}}),
    ]
    for data in chunks:
        stream = sse(data).replace(b'"N"', number.encode())
        events, _ = decode_or_fault(stream + END["openai.chat"], "openai.chat")

        assert fold(events).text in ("", "b")

    completed = event("completed", response={"usage": {"input_tokens": "N"}})
    decode_or_fault(sse(completed).replace(b'"N"', number.encode()), "openai.responses")
