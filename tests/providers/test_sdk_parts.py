"""What else a script can say, through the real SDKs and their accumulators: calls by turns, choices, sources, ends, seals."""

from __future__ import annotations

import json

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from pytest_streamrt import script
from pytest_streamrt.providers import Quirks, encode, encode_whole
from tests.providers.sdk import chat_chunks, chat_completion, final_response, response_events
from tests.providers.sdk_others import final_message, gemini_chunks
from tests.providers.sdk_types import extras

CALLS = script(
    script.interleave(
        script.tool_call("f", '{"x":1}', pieces=['{"x"', ":1}"]),
        script.tool_call("g", '{"y":[2]}', pieces=["{", '"y":', "[2]}"]),
    )
)
CITED = script("It is so.", script.citation("http://x.test", "X", text="so"), " Yes.")
CHOICES = script("a", script.choice(1, "x", script.finish("length")), "b", script.choice(1, "y"))
PROVIDERS = ["azure", "cerebras", "deepseek", "groq", "llama.cpp", "mistral", "openai", "openrouter", "vllm", "xai"]


def test_calls_by_turns_in_chat():
    (choice,) = chat_completion(encode(CALLS, "openai.chat")).choices

    assert [(c.function.name, c.function.arguments) for c in choice.message.tool_calls] == [
        ("f", '{"x":1}'),
        ("g", '{"y":[2]}'),
    ]


def test_calls_by_turns_in_responses():
    assert [(each.name, each.arguments) for each in final_response(encode(CALLS, "openai.responses")).output] == [
        ("f", '{"x":1}'),
        ("g", '{"y":[2]}'),
    ]


def test_calls_by_turns_in_messages():
    assert [(each.name, each.input) for each in final_message(encode(CALLS, "anthropic.messages")).content] == [
        ("f", {"x": 1}),
        ("g", {"y": [2]}),
    ]


def test_calls_by_turns_in_gemini():
    parts = [part for chunk in gemini_chunks(encode(CALLS, "gemini.generate")) for part in chunk.parts or ()]

    assert [(p.function_call.name, p.function_call.args) for p in parts if p.function_call] == [
        ("f", {"x": 1}),
        ("g", {"y": [2]}),
    ]


def test_several_choices_in_chat():
    with pytest.raises(openai.LengthFinishReasonError):  # its accumulator's own rule, for an answer that is too long
        chat_completion(encode(CHOICES, "openai.chat"))

    first, second = chat_completion(encode(script("a", script.choice(1, "x")), "openai.chat")).choices

    assert (first.message.content, second.message.content) == ("a", "x")


def test_sources_in_chat():
    message = chat_completion(encode(CITED, "openai.chat")).choices[0].message

    (note,) = message.annotations
    assert message.content == "It is so. Yes."
    assert (note["url_citation"] if isinstance(note, dict) else note.url_citation.model_dump())[
        "url"
    ] == "http://x.test"


def test_sources_in_responses():
    (message,) = final_response(encode(CITED, "openai.responses")).output

    (part,) = message.content
    assert part.text == "It is so. Yes."
    assert [(note.url, note.title) for note in part.annotations] == [("http://x.test", "X")]


def test_sources_in_messages():
    (block,) = final_message(encode(CITED, "anthropic.messages")).content

    assert block.text == "It is so. Yes."
    assert [(note.url, note.title, note.cited_text) for note in block.citations] == [("http://x.test", "X", "so")]


def test_an_incomplete_response():
    *_, last = response_events(encode(script("a", script.finish("length")), "openai.responses"))

    assert last.type == "response.incomplete"
    assert last.response.status == "incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.output_text == "a"


def test_sealed_thoughts_in_responses():
    s = script(script.reasoning("short", summary=True, signature="c2ln"), script.reasoning(redacted="eA=="), "a")

    shown, hidden, message = final_response(encode(s, "openai.responses")).output

    assert (shown.summary[0].text, shown.encrypted_content) == ("short", "c2ln")
    assert (hidden.summary, hidden.encrypted_content) == ([], "eA==")
    assert message.content[0].text == "a"


def test_a_pause_of_anthropic_s():
    assert (
        final_message(encode(script("a", script.finish("pause_turn")), "anthropic.messages")).stop_reason
        == "pause_turn"
    )


def test_notes_are_no_events_of_the_sdks():
    s = script("a", script.status("Searching…"), "b")

    assert chat_completion(encode(s, "openai.chat")).choices[0].message.content == "ab"
    assert final_response(encode(s, "openai.responses")).output_text == "ab"
    assert final_message(encode(s, "anthropic.messages")).content[0].text == "ab"


def test_the_provider_s_own_tools_tell_how_far_they_are():
    events = response_events(encode(script(script.status("web_search_call.searching"), "a"), "openai.responses"))

    (note,) = (event for event in events if event.type == "response.web_search_call.searching")
    assert extras(note) == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_habits_of_other_servers_pass_through_the_sdk(provider):
    s = script(
        script.reasoning("Hm, ", "well."),
        "Let me look. ",
        script.tool_call("f", '{"x":1}', pieces=['{"x"', ":1}"]),
        script.tool_call("g", "{}"),
        script.usage(3, 4),
    )
    if provider == "mistral":  # whose lists of parts the accumulator cannot add up
        s = s.prefix(0) + "Let me look. " + script(*s.parts[2:])

    completion = chat_completion(encode(s, "openai.chat", Quirks.of(provider, model="m")))

    (choice,) = completion.choices
    assert choice.message.content == "Let me look. "
    assert [(c.function.name, c.function.arguments) for c in choice.message.tool_calls] == [
        ("f", '{"x":1}'),
        ("g", "{}"),
    ]
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (3, 4)
    assert completion.model == "m"


def test_azure_begins_with_a_chunk_without_choices():
    first, *_ = chat_chunks(encode(script("a"), "openai.chat", Quirks.of("azure")))

    assert (first.choices, first.id) == ([], "")
    assert first.model_extra["prompt_filter_results"][0]["content_filter_results"]["hate"]["filtered"] is False


def test_noise_makes_deltas_of_one_length():
    sizes = set()
    for frame in encode(script("a", "bc", "def", "🙂"), "openai.chat")[1:5]:
        data = json.loads(frame[6:])
        sizes.add(len(data["choices"][0]["delta"]["content"].encode()) + len(data["obfuscation"]))

    assert sizes == {16}


@pytest.mark.parametrize("s", [CALLS, CITED, CHOICES], ids=["calls", "cited", "choices"])
def test_chat_is_of_the_sdks_own_types(s):
    for frame in encode(s, "openai.chat")[:-1]:
        chunk = ChatCompletionChunk.model_validate_json(frame.removeprefix(b"data: "), strict=True)
        assert set(chunk.model_extra) <= {"obfuscation"}
        assert all(set(choice.delta.model_extra) <= {"annotations"} for choice in chunk.choices)
    assert extras(ChatCompletion.model_validate_json(encode_whole(s, "openai.chat"), strict=True)) == []


@pytest.mark.parametrize("s", [CALLS, CITED], ids=["calls", "cited"])
def test_a_whole_response_is_of_the_sdks_own_type(s):
    assert extras(Response.model_validate_json(encode_whole(s, "openai.responses"), strict=True)) == []
