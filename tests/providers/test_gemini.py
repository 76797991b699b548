"""Streams of Gemini's generateContent, chunk by chunk: text, thoughts, calls, sources, counts, ends, and JSON arrays."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import StreamError, fold, script
from pytest_streamrt.events import (
    Citation,
    FunctionCall,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ModelMessage,
    ProviderEvent,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from pytest_streamrt.providers import Quirks, decode, encode
from tests.providers.streams import (
    assert_legal,
    assert_sound,
    gemini,
    gemini_chunk,
    items,
    part,
    said,
    sse,
    usages,
)
from tests.strategies import chunked, examples, sizes
from tests.strategies import said as scripts

NAME = "gemini.generate"


def candidate(**more):
    return {"candidates": [{"content": {"parts": [{"text": "a"}]}, "index": 0, **more}]}


def test_text():
    events = gemini(part(text="Hel"), part(text="lo"))

    assert_legal(events)
    assert events[0] == InferenceStarted("m", "gem-1")
    assert said(events) == [TextDelta("Hel"), TextDelta("lo")]
    assert items(events) == [ModelMessage("Hello")]
    assert events[-1] == InferenceCompleted("STOP")


def test_thoughts_and_text_are_items_in_their_order():
    events = gemini(
        part(text="Let ", thought=True), part(text="me.", thought=True), part(text="a"), part(text="Hm", thought=True)
    )

    assert ReasoningDelta("Let ") in events
    assert items(events) == [Reasoning("Let me."), ModelMessage("a"), Reasoning("Hm")]


def test_a_signature_belongs_to_the_thought_before_it():
    events = gemini(part(text="t", thought=True), part(text="", thoughtSignature="sig"), part(text="a"))

    assert items(events) == [Reasoning("t", signature="sig"), ModelMessage("a")]


def test_a_signature_without_a_thought_is_all_there_is_of_it():
    assert items(gemini(part(text="", thoughtSignature="sig"), part(text="a"))) == [
        Reasoning(encrypted="sig"),
        ModelMessage("a"),
    ]


def test_a_signature_on_text_or_a_call_is_kept():
    call = {"functionCall": {"name": "f", "args": {}, "id": "c1"}, "thoughtSignature": "sig"}

    events = gemini(part(text="a", thoughtSignature="other"), gemini_chunk([call]))

    assert ProviderEvent(NAME, "thoughtSignature", call) in events
    assert ProviderEvent(NAME, "thoughtSignature", {"thoughtSignature": "other"}) in events


def test_several_calls_in_one_chunk():
    events = gemini(
        gemini_chunk(
            [
                {"functionCall": {"name": "f", "args": {"x": "é"}, "id": "c1"}},
                {"functionCall": {"name": "g", "args": {}}},
                {"functionCall": {"name": "h"}},
            ]
        )
    )

    assert said(events) == [
        ToolCallStarted("c1", "f"),
        ToolCallDelta("c1", '{"x":"é"}'),
        ToolCallStarted("call_0", "g"),
        ToolCallDelta("call_0", "{}"),
        ToolCallStarted("call_1", "h"),
    ]
    assert items(events) == [
        FunctionCall("c1", "f", '{"x":"é"}'),
        FunctionCall("call_0", "g", "{}"),
        FunctionCall("call_1", "h", ""),
    ]


def test_what_else_a_call_says_is_kept():
    pieces = {"name": "f", "partialArgs": [{"jsonPath": "$.x", "stringValue": "a"}], "willContinue": True}

    assert ProviderEvent(NAME, "functionCall", {k: v for k, v in pieces.items() if k != "name"}) in gemini(
        part(functionCall=pieces)
    )


def test_an_empty_part_says_nothing():
    assert gemini(part(text=""), part(text="a")) == gemini(part(text="a"))


def test_parts_of_other_kinds_are_kept():
    code = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "s"}

    assert said(gemini(gemini_chunk([code]))) == [ProviderEvent(NAME, "executableCode", code)]


def test_candidates_are_choices():
    events = gemini(part(text="a"), part(1, text="b", thought=True), part(1, text="x"), part(text="c"))

    assert (fold(events).text, fold(events).text_of(1)) == ("ac", "x")
    assert items(events) == [Reasoning("b", choice=1), ModelMessage("ac"), ModelMessage("x", choice=1)]


def test_thoughts_and_tools_count():
    counts = {"promptTokenCount": 3, "toolUsePromptTokenCount": 1, "candidatesTokenCount": 5, "thoughtsTokenCount": 7}

    events = gemini(
        part(text="a") | {"usageMetadata": {"promptTokenCount": 3}}, part(text="b") | {"usageMetadata": counts}
    )

    assert usages(events) == [(3, 0), (4, 12)]
    assert [event.details for event in events if event.type == "usage"][-1] == counts


def test_sources_are_cited_once_however_often_they_are_told():
    first, second = ({"web": {"uri": f"http://{n}.test", "title": n}} for n in "xy")
    support = [{"segment": {"endIndex": 1}, "groundingChunkIndices": [0]}]

    events = gemini(
        candidate(groundingMetadata={"groundingChunks": [first]}),
        candidate(groundingMetadata={"groundingChunks": [first, second], "groundingSupports": support}),
    )

    cited = [event for event in events if isinstance(event, Citation)]
    assert cited == [Citation("http://x.test", "x", first), Citation("http://y.test", "y", second)]
    assert any(
        event.data.get("groundingMetadata", {}).get("groundingSupports")
        for event in events
        if event.type == "provider.event"
    )


@pytest.mark.parametrize("field", ["citations", "citationSources"])
def test_a_recitation_is_a_citation(field):
    source = {"startIndex": 0, "endIndex": 1, "uri": "http://x.test"}

    assert Citation("http://x.test", None, source) in gemini(candidate(citationMetadata={field: [source]}))


def test_why_the_provider_ends_it_is_a_refusal():
    events = gemini(candidate(finishReason="SAFETY", finishMessage="It is not safe."), end=None)

    assert RefusalDelta("It is not safe.") in events
    assert items(events) == [ModelMessage("a", "It is not safe.")]
    assert events[-1] == InferenceCompleted("SAFETY")


def test_what_else_the_end_says_is_kept():
    events = gemini(candidate(finishReason="MALFORMED_FUNCTION_CALL", finishMessage="print(f)"), end=None)

    assert ProviderEvent(NAME, "finishMessage", {"finishMessage": "print(f)"}) in events
    assert fold(events).refusal == ""


def test_a_prompt_that_is_blocked():
    feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "Never."}

    events = gemini({"promptFeedback": feedback}, end=None)

    assert_legal(events)
    assert fold(events).refusal == "Never."
    assert ProviderEvent(NAME, "promptFeedback", feedback) in events
    assert events[-1] == InferenceCompleted("PROHIBITED_CONTENT")


def test_what_comes_after_the_finish_reason_still_counts():
    events = gemini(part(text="a", finish="STOP"), gemini_chunk([], usageMetadata={"promptTokenCount": 1}))

    assert usages(events) == [(1, 0)]


def test_an_error_in_mid_stream():
    error = {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}

    assert gemini(part(text="a"), error)[-1] == InferenceFailure("provider", "UNAVAILABLE: Overloaded", "a")


def test_without_a_finish_reason_the_answer_is_cut_short():
    with pytest.raises(StreamError, match="before the answer does") as caught:
        gemini(part(text="a"), end=None)

    assert caught.value.cut_short


# --- JSON arrays


def array(*chunks, indent=None):
    return b"[" + b",\r\n".join(json.dumps(chunk, indent=indent).encode() for chunk in chunks) + b"\n]\n"


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("text", ["a", "]}[{", '"', "\\", '\\"', "é🙂", "", '{"a": [', "\n"])
def test_an_array_says_the_same_as_events(indent, text):
    chunks = [part(text=text), part(functionCall={"name": "f", "args": {"x": text}}), part(text="b", finish="STOP")]
    data = array(*chunks, indent=indent)

    for size in (1, 2, 7, len(data)):
        assert decode(chunked(data, [size]), NAME) == gemini(*chunks, end=None)


@given(said=scripts(max_parts=4), sizes=sizes)
@examples(40)
def test_a_script_as_an_array_says_the_same_however_it_is_cut(said, sizes):
    data = b"".join(encode(said.script, NAME, Quirks(array=True)))

    assert isinstance(json.loads(data), list)
    assert decode(chunked(data, sizes), NAME) == decode(encode(said.script, NAME), NAME)


def test_an_error_closes_an_array():
    data = b"".join(encode(script("a", script.error("UNAVAILABLE", "x")), NAME, Quirks(array=True)))

    assert json.loads(data)[-1] == {"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}}


@given(data=st.binary(max_size=40), sizes=sizes)
@examples(60)
def test_an_array_of_anything_is_read_the_same_however_it_is_cut(data, sizes):
    results = []
    for chunks in ([b"[" + data], chunked(b"[" + data, sizes)):
        try:
            results.append((decode(chunks, NAME), None))
        except StreamError as error:
            results.append((error.events, str(error)))
            assert_sound(error.events)

    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("cut", "what"),
    [(b'[{"candidates": [{"con', "inside an event"), (b'[{"candidates": []},\r\n', "before the answer does")],
)
def test_an_array_that_is_cut_short(cut, what):
    with pytest.raises(StreamError, match=what) as caught:
        decode(cut, NAME)

    assert caught.value.cut_short


@pytest.mark.parametrize("bad", [b'{"a": \xff}', b"{'a': 1}", b"[1]"])
def test_an_element_that_is_no_object_names_its_byte(bad):
    begin = array(part(text="a"))[:-3] + b","

    with pytest.raises(StreamError) as caught:
        decode(begin + bad + b"]", NAME)

    assert f"byte {caught.value.offset}" in str(caught.value)
    assert len(begin) <= caught.value.offset < len(begin + bad)
    assert fold(caught.value.events).text == "a"


def test_comments_and_white_space_are_no_difference():
    assert decode(sse(part(text="a", finish="STOP")), NAME) == gemini(part(text="a", finish="STOP"), end=None)


def test_half_a_character_can_be_cited():
    assert fold(decode(encode(script("a\ud800b", script.citation("http://x.test")), NAME), NAME)).text == "a\ud800b"
