"""Chat Completions as providers really stream it: how an answer begins, its text, and its reasoning.

Each case is a habit of some provider that recorded streams show; the streams are written here.
"""

from __future__ import annotations

import pytest

from pytest_streamrt.events import (
    Citation,
    InferenceStarted,
    ModelMessage,
    ProviderEvent,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from tests.providers.streams import (
    assert_legal,
    bare_chunk,
    chat,
    chunk,
    items,
    said,
)

STOP = chunk({}, "stop")
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


# --- how a stream begins


def test_the_model_and_the_id_are_those_of_the_first_chunk():
    assert chat(chunk({"content": "a"}), STOP)[0] == InferenceStarted("m", "chat-1")


def test_what_azures_first_chunk_says_without_choices_is_kept():
    results = [{"prompt_index": 0, "content_filter_results": {}}]
    first = bare_chunk(id="", model="", object="", prompt_filter_results=results)

    events = chat(first, chunk({"role": "assistant", "content": ""}), chunk({"content": "a"}), STOP)

    assert events[0] == InferenceStarted(None, None)
    kept, *others = said(events)
    assert isinstance(kept, ProviderEvent)
    assert kept.data["prompt_filter_results"] == results
    assert others == [TextDelta("a")]
    assert_legal(events)


def test_a_role_on_every_chunk_says_nothing():
    events = chat(*(chunk({"role": "assistant", "content": text}) for text in ("", "a", "b")), STOP)

    assert said(events) == [TextDelta("a"), TextDelta("b")]


def test_ids_and_times_that_vary_within_a_stream_say_nothing():
    events = chat(chunk({"content": "a"}, id="1", created=1), chunk({"content": "b"}, id="2", created=2), STOP)

    assert said(events) == [TextDelta("a"), TextDelta("b")]
    assert items(events) == [ModelMessage("ab")]


# --- text and refusal


def test_empty_and_absent_content_is_no_delta():
    events = chat(*(chunk(delta) for delta in ({"content": ""}, {"content": None}, {}, {"refusal": None})), STOP)

    assert said(events) == []
    assert items(events) == []


def test_a_delta_that_is_null_says_nothing():
    events = chat(chunk({"content": "a"}), bare_chunk(choices=[{"index": 0, "delta": None, "finish_reason": "stop"}]))

    assert said(events) == [TextDelta("a")]


def test_a_refusal_is_kept_apart_from_the_text():
    events = chat(chunk({"refusal": "No"}), chunk({"refusal": "."}), STOP)

    assert said(events) == [RefusalDelta("No"), RefusalDelta(".")]
    assert items(events) == [ModelMessage("", "No.")]


def test_escapes_in_the_json_are_read():
    raw = rb'data: {"choices":[{"index":0,"delta":{"content":"\u00e9\ud83d\ude42\n\"\u2028"}}]}' + b"\n\n"

    assert said(chat(raw, STOP)) == [TextDelta('é🙂\n"\u2028')]


def test_half_a_surrogate_pair_in_the_json_is_kept():
    raw = rb'data: {"choices":[{"index":0,"delta":{"content":"a\ud83d"}}]}' + b"\n\n"

    assert said(chat(raw, STOP)) == [TextDelta("a\ud83d")]


def test_white_space_in_the_json_says_nothing():
    raw = b'data:   {"choices" : [ {"index": 0,\t"delta" :{"content":"a"}} ]                }   \n\n'

    assert said(chat(raw, STOP)) == [TextDelta("a")]


def test_json_over_several_data_lines_is_one_event():
    raw = b'data: {"choices": [{"index": 0,\ndata: "delta": {"content": "a"}}]}\n\n'

    assert said(chat(raw, STOP)) == [TextDelta("a")]


def test_a_citation_is_an_event_of_its_own():
    note = {"type": "url_citation", "url_citation": {"url": "http://x.test", "title": "X", "start_index": 0}}

    events = chat(chunk({"content": "a", "annotations": [note]}), STOP)

    assert said(events) == [TextDelta("a"), Citation("http://x.test", "X", note)]


def test_what_a_delta_holds_beyond_what_is_known_is_kept():
    events = chat(chunk({"content": "a", "channel": "final", "empty": None}), STOP)

    assert said(events) == [TextDelta("a"), ProviderEvent("openai.chat", "delta", {"channel": "final"})]


def test_what_a_chunk_holds_at_its_top_beyond_what_is_known_is_kept():
    events = chat(chunk({"content": "a"}, citations=["http://x.test"]), STOP)

    assert any("http://x.test" in str(event) for event in events)


# --- the four shapes of reasoning

THOUGHT = [ReasoningDelta("Let "), ReasoningDelta("me.")]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_beside_the_content(field):
    events = chat(chunk({field: "Let "}), chunk({field: "me.", "content": ""}), chunk({"content": "a"}), STOP)

    assert said(events) == [*THOUGHT, TextDelta("a")]
    assert items(events) == [Reasoning("Let me."), ModelMessage("a")]


def test_reasoning_in_details():
    events = chat(
        chunk({"content": "", "reasoning_details": [{"type": "reasoning.text", "text": "Let "}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "me."}]}),
        STOP,
    )

    assert said(events) == THOUGHT


def test_reasoning_given_as_text_and_in_details_is_told_once():
    events = chat(
        chunk({"reasoning": "Let ", "reasoning_details": [{"type": "reasoning.text", "text": "Let "}]}),
        chunk({"reasoning": "me.", "reasoning_details": [{"type": "reasoning.text", "text": "me."}]}),
        STOP,
    )

    assert said(events) == THOUGHT


def test_a_summary_and_what_is_encrypted_in_details_are_told_apart():
    sealed = {"type": "reasoning.encrypted", "data": "xyz"}
    events = chat(chunk({"reasoning_details": [{"type": "reasoning.summary", "summary": "In short."}, sealed]}), STOP)

    assert said(events) == [
        ReasoningDelta("In short.", summary=True),
        ProviderEvent("openai.chat", "reasoning_details", sealed),
    ]


def test_reasoning_in_a_list_of_content_parts():
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]} for text in ("Let ", "me.")]
    events = chat(
        chunk({"content": [thinking[0]]}),
        chunk({"content": [thinking[1], {"type": "text", "text": "a"}]}),
        chunk({"content": "b"}),
        STOP,
    )

    assert said(events) == [*THOUGHT, TextDelta("a"), TextDelta("b")]


def test_thinking_that_is_a_plain_string_is_read_too_and_an_empty_part_is_no_delta():
    parts = [{"type": "thinking", "thinking": "Let me."}, {"type": "thinking"}, {"type": "text", "text": ""}]

    assert said(chat(chunk({"content": parts}), STOP)) == [ReasoningDelta("Let me.")]


def test_a_content_part_of_another_kind_is_kept():
    part = {"type": "reference", "reference_ids": [1]}

    assert said(chat(chunk({"content": [part]}), STOP)) == [ProviderEvent("openai.chat", "content", part)]


@pytest.mark.parametrize("delta", [{"reasoning": ""}, {"reasoning": "", "content": "a"}, {"reasoning_content": "",
                                   "reasoning": ""}], ids=repr)  # fmt: skip
def test_empty_reasoning_is_no_delta(delta):
    assert not [event for event in chat(chunk(delta), STOP) if event.type == "reasoning.delta"]


def test_empty_reasoning_does_not_hide_its_details():
    delta = {"reasoning": "", "reasoning_details": [{"type": "reasoning.text", "text": "Let me."}]}

    assert said(chat(chunk(delta), STOP)) == [ReasoningDelta("Let me.")]


def test_what_is_encrypted_beside_reasoning_is_kept():
    sealed = {"type": "reasoning.encrypted", "data": "xyz"}
    events = chat(chunk({"reasoning": "Let me.", "reasoning_details": [sealed]}), STOP)

    assert ProviderEvent("openai.chat", "reasoning_details", sealed) in events
