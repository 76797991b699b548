"""Encoded Messages streams through the real Anthropic SDK: iterated, accumulated, and held against its types."""

from __future__ import annotations

import json

import anthropic
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given
from pydantic import TypeAdapter

from pytest_streamrt import ScriptError, fold, script
from pytest_streamrt.providers import Quirks, dialect, encode, encode_whole
from tests.providers.sdk_others import final_message, message_events, whole_message
from tests.providers.sdk_types import extras
from tests.strategies import chunked, examples, plain_texts, said, sizes

NAME = "anthropic.messages"
EVENT = TypeAdapter(RawMessageStreamEvent)


def encoded(said):
    return encode(said.script, NAME)


def payloads(chunks):
    return [json.loads(chunk.partition(b"data: ")[2]) for chunk in chunks]


def blocks(message, kind):
    return [block for block in message.content if block.type == kind]


def assert_says(message, said):
    """The message, however it came, says what the script says."""
    assert "".join(block.text for block in blocks(message, "text")) == said.text
    assert "".join(block.thinking for block in blocks(message, "thinking")) == said.thoughts
    calls = blocks(message, "tool_use")
    assert [(call.name, call.input) for call in calls] == [(name, json.loads(text)) for _, name, text in said.calls]
    assert all(id in (None, call.id) for call, (id, *_) in zip(calls, said.calls, strict=True))
    assert (message.stop_details.explanation if message.stop_details else "") == said.refusal
    assert message.stop_reason == ("refusal" if said.refusal else "tool_use" if said.calls else "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (said.usage or (0, 0))


@given(said=said(texts=plain_texts), sizes=sizes)
@examples(30)
def test_the_sdk_reads_what_the_script_says(said, sizes):
    events = message_events(chunked(b"".join(encoded(said)), sizes))

    def deltas(kind, field):
        return "".join(
            getattr(event.delta, field)
            for event in events
            if event.type == "content_block_delta" and event.delta.type == f"{kind}_delta"
        )

    assert deltas("text", "text") == said.text
    assert deltas("thinking", "thinking") == said.thoughts
    assert deltas("input_json", "partial_json") == "".join(arguments for _, _, arguments in said.calls)


@given(said=said(texts=plain_texts))
@examples(30)
def test_the_accumulator_of_the_sdk_says_what_the_script_says(said):
    assert_says(final_message(encoded(said)), said)


@given(said=said(texts=plain_texts))
@examples(30)
def test_an_answer_that_is_not_streamed_says_what_the_script_says(said):
    body = encode_whole(said.script, NAME)

    assert_says(whole_message(body), said)
    assert extras(Message.model_validate_json(body, strict=True)) == []
    folded = fold(dialect(NAME).decoder().whole(body))
    assert (folded.text, folded.reasoning, folded.refusal) == (said.text, said.thoughts, said.refusal)
    assert [json.loads(call.arguments or "{}") for call in folded.tool_calls] == [json.loads(c[2]) for c in said.calls]


@given(said=said(texts=plain_texts))
@examples(30)
def test_each_event_is_of_the_sdks_own_type_in_every_field(said):
    for data in payloads(encoded(said)):
        if data["type"] != "ping":  # which the SDK does not hand on
            assert extras(EVENT.validate_json(json.dumps(data), strict=True)) == []


@given(said=said())
@examples(30)
def test_events_are_named_by_their_type_and_each_block_ends_once(said):
    open_blocks, begun = set(), 0
    for chunk, data in zip(encoded(said), payloads(encoded(said)), strict=True):
        assert chunk.startswith(f"event: {data['type']}\n".encode())
        if data["type"] == "content_block_start":
            assert data["index"] == begun
            begun += 1
            open_blocks.add(data["index"])
        elif data["type"] == "content_block_delta":
            assert data["index"] in open_blocks
        elif data["type"] == "content_block_stop":
            open_blocks.remove(data["index"])
    assert not open_blocks


def test_thinking_is_signed_after_its_last_delta():
    s = script(script.reasoning("Let ", "me.", signature="c2ln"), script.reasoning(redacted="eA=="), "a")

    thinking, redacted, text = final_message(encode(s, NAME)).content

    assert (thinking.thinking, thinking.signature) == ("Let me.", "c2ln")
    assert redacted.data == "eA=="
    assert text.text == "a"
    assert [
        event["delta"]["type"] for event in payloads(encode(s, NAME)) if event["type"] == "content_block_delta"
    ] == [
        "thinking_delta",
        "thinking_delta",
        "signature_delta",
        "text_delta",
    ]


def test_arguments_begin_with_an_empty_piece():
    s = script(script.tool_call("f", '{"x":1}', pieces=['{"x"', ":1}"]))

    deltas = [event["delta"] for event in payloads(encode(s, NAME)) if event["type"] == "content_block_delta"]

    assert [delta["partial_json"] for delta in deltas] == ["", '{"x"', ":1}"]


def test_the_beginning_counts_what_was_read_and_the_end_what_was_written():
    first, *_, last, _ = message_events(encode(script("a", script.usage(30, 4)), NAME))

    assert (first.message.usage.input_tokens, first.message.usage.output_tokens) == (30, 1)
    assert (last.usage.input_tokens, last.usage.output_tokens) == (30, 4)


def test_events_are_padded_inside_the_json_unless_they_are_asked_not_to_be():
    s = script("a", "b", "c")
    padded = b"".join(encode(s, NAME))
    plain = b"".join(encode(s, NAME, Quirks(padding=False)))

    assert b"  }\n" in padded
    assert b" }\n" not in plain
    assert payloads(encode(s, NAME)) == payloads(encode(s, NAME, Quirks(padding=False)))


def test_a_ping_comes_with_the_first_block_unless_it_is_asked_not_to():
    def names(quirks):
        return [data["type"] for data in payloads(encode(script("a"), NAME, quirks))]

    assert names(Quirks())[1:4] == ["content_block_start", "ping", "content_block_delta"]
    assert names(Quirks(pings=False))[1:3] == ["content_block_start", "content_block_delta"]


def test_the_answer_names_the_model_it_is_told():
    assert final_message(encode(script("a"), NAME, Quirks(model="claude-x"))).model == "claude-x"


def test_an_error_in_mid_stream_is_raised_by_the_sdk():
    with pytest.raises(anthropic.APIStatusError, match="Overloaded") as caught:
        message_events(encode(script("a", script.error("overloaded_error", "Overloaded")), NAME))

    assert caught.value.body["error"]["type"] == "overloaded_error"


def test_the_sdk_takes_a_broken_stream_for_a_whole_one():
    # Why `disconnect` has to break the connection too: from the bytes alone the SDK cannot tell.
    assert final_message(encode(script("a", script.disconnect()), NAME)).content[0].text == "a"


def test_broken_arguments_can_be_said_in_a_stream_only():
    s = script(script.tool_call("f", '{"x":'))

    assert payloads(encode(s, NAME))[4]["delta"]["partial_json"] == '{"x":'
    with pytest.raises(ScriptError, match=r"arguments of 'f' are not JSON, and anthropic\.messages can say that in a"):
        encode_whole(s, NAME)
