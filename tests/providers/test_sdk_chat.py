"""Encoded chat streams through the real OpenAI SDK: iterated, accumulated, and held against its types."""

from __future__ import annotations

import json

import openai
import pytest
from hypothesis import given
from openai.types.chat import ChatCompletionChunk

from pytest_streamrt import script
from pytest_streamrt.providers import encode
from pytest_streamrt.wire import rechunk
from tests.providers.sdk import chat_chunks, chat_completion
from tests.strategies import chunked, examples, plain_texts, said, sizes

# The parts that OpenAI's own API has: it streams no reasoning here.
OPENAI = ("text", "refusal", "call", "usage", "pause")


def encoded(said):
    return encode(said.script, "openai.chat")


def deltas(chunks):
    return [chunk.choices[0].delta for chunk in chunks if chunk.choices]


def joined(pieces):
    return "".join(piece for piece in pieces if piece)


@given(said=said(texts=plain_texts), sizes=sizes)
@examples(30)
def test_the_sdk_reads_what_the_script_says(said, sizes):
    chunks = chat_chunks(chunked(b"".join(encoded(said)), sizes))

    assert joined(delta.content for delta in deltas(chunks)) == said.text
    assert joined(delta.refusal for delta in deltas(chunks)) == said.refusal
    assert joined(getattr(delta, "reasoning_content", None) for delta in deltas(chunks)) == said.reasoning
    calls = [call for delta in deltas(chunks) for call in delta.tool_calls or []]
    for n, (id, name, arguments) in enumerate(said.calls):
        own = [call for call in calls if call.index == n]
        assert (own[0].function.name, own[0].type) == (name, "function")
        assert own[0].id == id or (id is None and own[0].id)
        assert joined(call.function.arguments for call in own) == arguments
    assert (chunks[-1].usage is not None) == (said.usage is not None)


@given(said=said(texts=plain_texts, kinds=OPENAI))
@examples(30)
def test_the_accumulator_of_the_sdk_says_what_the_script_says(said):
    completion = chat_completion(encoded(said))

    message = completion.choices[0].message
    assert (message.content or "") == said.text
    assert (message.refusal or "") == said.refusal
    calls = message.tool_calls or []
    assert [(call.function.name, call.function.arguments) for call in calls] == [call[1:] for call in said.calls]
    assert completion.choices[0].finish_reason == ("tool_calls" if said.calls else "stop")
    if said.usage:
        assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == said.usage
        assert completion.usage.total_tokens == sum(said.usage)
    else:
        assert completion.usage is None


@given(said=said(texts=plain_texts))  # pydantic refuses a lone surrogate
@examples(60)
def test_each_chunk_is_of_the_sdks_own_type_in_every_field(said):
    for frame in encoded(said)[:-1]:
        chunk = ChatCompletionChunk.model_validate_json(frame.removeprefix(b"data: "), strict=True)

        # Beside OpenAI's fields there are only those by which others stream their reasoning; openai 2 has no noise.
        assert set(chunk.model_extra) <= {"obfuscation"}
        for choice in chunk.choices:
            assert not choice.model_extra
            assert set(choice.delta.model_extra) <= {"reasoning_content", "reasoning_details"}


@given(said=said())
@examples(50)
def test_the_stream_ends_with_done(said):
    assert encoded(said)[-1] == b"data: [DONE]\n\n"


def test_the_first_chunk_has_the_role_and_the_last_the_finish_reason():
    chunks = chat_chunks(encode(script("a", "b"), "openai.chat"))

    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]


def test_usage_comes_in_a_chunk_of_its_own_without_choices():
    *_, last = chat_chunks(encode(script("a", script.usage(3, 4)), "openai.chat"))

    assert last.choices == []
    assert last.usage.total_tokens == 7


@given(said=said(texts=plain_texts, max_parts=3))
@examples(20)
def test_the_sdk_reads_the_same_however_the_stream_is_cut(said):
    chunks = encoded(said)

    assert chat_chunks(rechunk(chunks, "byte")) == chat_chunks(rechunk(chunks, "whole")) == chat_chunks(chunks)


def test_reasoning_passes_through_the_accumulator():
    completion = chat_completion(encode(script(script.reasoning("Let ", "me."), "a"), "openai.chat"))

    assert completion.choices[0].message.model_extra["reasoning_content"] == "Let me."


def test_a_summary_in_two_pieces_passes_through_the_accumulator():
    s = script(script.reasoning("In ", "short.", summary=True), "a")

    completion = chat_completion(encode(s, "openai.chat"))

    (detail,) = completion.choices[0].message.model_extra["reasoning_details"]
    assert detail["summary"] == "In short."


def test_an_error_in_mid_stream_is_raised_by_the_sdk():
    with pytest.raises(openai.APIError, match="overloaded") as caught:
        chat_chunks(encode(script("a", script.error("server_error", "overloaded")), "openai.chat"))

    assert caught.value.code == "server_error"


def test_the_sdk_takes_a_broken_stream_for_a_whole_one():
    # Why `disconnect` has to break the connection too: from the bytes alone the SDK cannot tell.
    chunks = chat_chunks(encode(script("a", script.disconnect()), "openai.chat"))

    assert joined(delta.content for delta in deltas(chunks)) == "a"


def test_a_lone_surrogate_reaches_the_reader_of_the_sdk():
    chunks = chat_chunks(encode(script("a\ud83d"), "openai.chat"))

    assert joined(delta.content for delta in deltas(chunks)) == "a\ud83d"


def test_a_tool_call_is_announced_before_its_arguments():
    frames = encode(script(script.tool_call("f", {"x": 1}, id="c1")), "openai.chat")

    first, second = (json.loads(frame[6:])["choices"][0]["delta"]["tool_calls"][0] for frame in frames[1:3])
    assert first == {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert second == {"index": 0, "function": {"arguments": '{"x":1}'}}
