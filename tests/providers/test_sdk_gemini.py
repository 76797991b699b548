"""Encoded Gemini streams through the real google-genai SDK: iterated, put together, and held against its types."""

from __future__ import annotations

import json

import pytest
from google.genai import errors, types
from hypothesis import assume, given

from pytest_streamrt import ScriptError, fold, script
from pytest_streamrt.providers import Quirks, dialect, encode, encode_whole
from tests.providers.sdk_others import gemini_answer, gemini_chunks
from tests.strategies import chunked, examples, plain_texts, said, sizes

NAME = "gemini.generate"


def encoded(said):
    return encode(said.script, NAME)


def parts_of(responses):
    return [part for each in responses for part in each.candidates[0].content.parts or ()]


def assert_says(responses, said):
    """The responses, one or many, say what the script says."""
    parts = parts_of(responses)
    assert "".join(part.text or "" for part in parts if not part.thought) == said.text
    assert "".join(part.text or "" for part in parts if part.thought) == said.thoughts
    calls = [part.function_call for part in parts if part.function_call]
    assert [(call.name, call.args) for call in calls] == [(name, json.loads(text)) for _, name, text in said.calls]
    assert all(id in (None, call.id) for call, (id, *_) in zip(calls, said.calls, strict=True))
    last = responses[-1]
    # What is said in refusing the SDK does not hand on: of Google's own API it reads no finishMessage.
    assert last.candidates[0].finish_reason == ("SAFETY" if said.refusal else "STOP")
    if said.usage:
        counts = last.usage_metadata
        assert (counts.prompt_token_count, counts.candidates_token_count) == said.usage
        assert counts.total_token_count == sum(said.usage)
    else:
        assert last.usage_metadata is None


@given(said=said(texts=plain_texts), sizes=sizes)
@examples(30)
def test_the_sdk_reads_what_the_script_says(said, sizes):
    assert_says(gemini_chunks(chunked(b"".join(encoded(said)), sizes)), said)


@given(said=said(texts=plain_texts))
@examples(30)
def test_an_answer_that_is_not_streamed_says_what_the_script_says(said):
    body = encode_whole(said.script, NAME)

    assert_says([gemini_answer(body)], said)
    folded = fold(dialect(NAME).decoder().whole(body))
    assert (folded.text, folded.reasoning, folded.refusal) == (said.text, said.thoughts, said.refusal)
    assert [call.arguments for call in folded.tool_calls] == [text for _, _, text in said.calls]


@given(said=said(texts=plain_texts))
@examples(30)
def test_each_chunk_is_of_the_sdks_own_type_in_every_field(said):
    for frame in encoded(said):
        # Its types forbid what they do not know.
        types.GenerateContentResponse.model_validate_json(frame.removeprefix(b"data: "))


def test_a_cited_source_reaches_the_reader_of_the_sdk():
    chunks = gemini_chunks(encode(script("It is so.", script.citation("http://x.test", "X")), NAME))

    grounding = chunks[-1].candidates[0].grounding_metadata
    assert [(each.web.uri, each.web.title) for each in grounding.grounding_chunks] == [("http://x.test", "X")]
    assert grounding.grounding_supports[0].segment.text == "It is so."


def test_several_candidates_reach_the_reader_of_the_sdk():
    chunks = gemini_chunks(encode(script("a", script.choice(1, "b")), NAME))

    texts = {0: "", 1: ""}
    for each in (candidate for chunk in chunks for candidate in chunk.candidates):
        texts[each.index or 0] += "".join(part.text or "" for part in each.content.parts)
    assert texts == {0: "a", 1: "b"}


def test_a_signature_reaches_the_reader_of_the_sdk():
    s = script(script.reasoning("Let me.", signature="c2ln"), "a")

    assert [part.thought_signature for part in parts_of(gemini_chunks(encode(s, NAME)))][1] == b"sig"


def test_lines_end_in_crlf_and_the_json_has_a_space_after_its_colons():
    frame = encode(script("a"), NAME)[0]

    assert frame.startswith(b'data: {"candidates": [{"content": {"parts": [{"text": "a"}],"role": "model"}')
    assert frame.endswith(b"}\r\n\r\n")


def test_the_answer_names_the_model_it_is_told():
    assert gemini_chunks(encode(script("a"), NAME, Quirks(model="gemini-x")))[0].model_version == "gemini-x"


def test_an_error_in_mid_stream_is_raised_by_the_sdk():
    with pytest.raises(errors.ServerError, match="Overloaded") as caught:
        gemini_chunks(encode(script("a", script.error("UNAVAILABLE", "Overloaded")), NAME))

    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")


@pytest.mark.parametrize("arguments", ['{"x":', "[1]", "7"])
def test_arguments_that_are_no_object_cannot_be_said(arguments):
    s = script("a", script.tool_call("f", arguments))

    for write in (encode, encode_whole):
        with pytest.raises(
            ScriptError, match=r"arguments of 'f' are not a JSON object, and gemini\.generate has no other"
        ):
            write(s, NAME)


@given(said=said(texts=plain_texts, max_parts=3))
@examples(15)
def test_the_sdk_reads_the_same_however_the_stream_is_cut(said):
    data = b"".join(encoded(said))
    assume(len(data) < 4000)

    assert gemini_chunks(chunked(data, [1])) == gemini_chunks([data]) == gemini_chunks(encoded(said))
