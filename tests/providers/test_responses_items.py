"""The Responses API as OpenAI and the compatible providers really stream it: how an answer begins, and its items.

Each case is a habit of some provider that recorded streams show; the streams are written here.
"""

from __future__ import annotations

import pytest

from pytest_streamrt import fold
from pytest_streamrt.events import (
    Citation,
    FunctionCall,
    InferenceStarted,
    ModelMessage,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    Status,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from pytest_streamrt.providers import decode
from tests.providers.response_events import CALL, added, arguments, done, message, output_text, text
from tests.providers.streams import (
    COMPLETED,
    CREATED,
    assert_legal,
    event,
    items,
    response,
    responses,
    said,
    sse,
)

# --- how a stream begins


def test_the_model_and_the_id_are_those_of_the_first_event():
    assert responses()[0] == InferenceStarted("m", "resp-1")


def test_a_stream_that_is_resumed_begins_in_the_middle():
    events = decode(sse(text("b"), COMPLETED, named=True), "openai.responses")

    assert said(events) == [TextDelta("b", item="m1")]
    assert events[0] == InferenceStarted(None, None)
    assert_legal(events)


def test_being_queued_and_in_progress_are_states():
    events = responses(event("queued", response=response()), event("in_progress", response=response()))

    assert [e for e in events if e.type == "status"] == [Status("queued"), Status("in_progress")]


def test_events_without_names_and_with_obfuscation_are_the_same_events():
    plain = [CREATED, text("a"), COMPLETED]

    unnamed = decode(sse(*plain), "openai.responses")
    obfuscated = decode(sse(*({**e, "obfuscation": "x" * 9} for e in plain), named=True), "openai.responses")

    assert unnamed == obfuscated == responses(text("a"))


# --- text, refusal, citations


def test_what_only_announces_or_repeats_says_nothing():
    item = message(output_text("ab"))
    events = responses(
        added(message()),
        event("content_part.added", item_id="m1", part=output_text("")),
        text("a"),
        text(""),
        text("b"),
        event("output_text.done", item_id="m1", text="ab"),
        event("content_part.done", item_id="m1", part=output_text("ab")),
        done(item),
    )

    assert said(events) == [TextDelta("a", item="m1"), TextDelta("b", item="m1")]
    assert items(events) == [ModelMessage("ab")]
    assert_legal(events)


def test_a_refusal():
    events = responses(
        event("refusal.delta", item_id="m1", delta="No"),
        event("refusal.done", item_id="m1", refusal="No"),
        done(message({"type": "refusal", "refusal": "No"})),
    )

    assert said(events) == [RefusalDelta("No", item="m1")]
    assert items(events) == [ModelMessage("", "No")]
    assert fold(events).contradictions == []


def test_a_citation():
    note = {"type": "url_citation", "url": "http://x.test", "title": "X", "start_index": 0, "end_index": 1}

    events = responses(text("a"), event("output_text.annotation.added", item_id="m1", annotation=note))

    assert said(events)[1:] == [Citation("http://x.test", "X", note)]


def test_several_messages_are_several_items():
    events = responses(
        text("a", "m1"),
        done(message(output_text("a"))),
        text("b", "m2"),
        done({**message(output_text("b")), "id": "m2"}),
    )

    assert items(events) == [ModelMessage("a"), ModelMessage("b")]
    assert fold(events).text == "ab"
    assert fold(events).contradictions == []


def test_an_item_that_is_not_what_its_deltas_said_is_a_contradiction():
    assert fold(responses(text("a"), done(message(output_text("b"))))).contradictions


# --- reasoning


def test_reasoning_and_its_summary():
    thought = {
        "type": "reasoning",
        "id": "r1",
        "summary": [{"type": "summary_text", "text": "short"}],
        "content": [{"type": "reasoning_text", "text": "long"}],
        "encrypted_content": "xyz",
    }
    events = responses(
        added({"type": "reasoning", "id": "r1", "summary": []}),
        event("reasoning_summary_part.added", item_id="r1", part={"type": "summary_text", "text": ""}),
        event("reasoning_summary_text.delta", item_id="r1", delta="short"),
        event("reasoning_summary_text.done", item_id="r1", text="short"),
        event("reasoning_text.delta", item_id="r1", delta="long"),
        event("reasoning_text.done", item_id="r1", text="long"),
        done(thought),
    )

    assert said(events) == [ReasoningDelta("short", summary=True, item="r1"), ReasoningDelta("long", item="r1")]
    assert items(events) == [Reasoning("long", "short", "xyz")]
    assert fold(events).contradictions == []


@pytest.mark.parametrize("missing", [{}, {"summary": None, "content": None}], ids=["absent", "null"])
def test_reasoning_that_is_only_encrypted_is_an_item(missing):
    assert items(responses(done({"type": "reasoning", "id": "r1", "encrypted_content": "xyz", **missing}))) == [
        Reasoning(encrypted="xyz")
    ]


# --- tool calls


def test_a_tool_call_in_openais_own_form():
    events = responses(
        added({**CALL, "arguments": ""}),
        arguments("delta", item_id="fc1", delta='{"x"'),
        arguments("delta", item_id="fc1", delta=":1}"),
        arguments("done", item_id="fc1", arguments='{"x":1}'),
        done({**CALL, "arguments": '{"x":1}'}),
    )

    assert said(events) == [ToolCallStarted("c1", "f"), ToolCallDelta("c1", '{"x"'), ToolCallDelta("c1", ":1}")]
    assert items(events) == [FunctionCall("c1", "f", '{"x":1}')]
    assert fold(events).contradictions == []


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([added(CALL), arguments("done", item_id="fc1", arguments="{}")], id="in the arguments' done"),
        pytest.param([added(CALL)], id="in the finished item"),
        pytest.param([], id="in the finished item, which was never added"),
    ],
)
def test_arguments_that_never_came_in_deltas_are_one_delta(events):
    events = responses(*events, done({**CALL, "arguments": "{}"}))

    assert said(events) == [ToolCallStarted("c1", "f"), ToolCallDelta("c1", "{}")]
    assert items(events) == [FunctionCall("c1", "f", "{}")]
    assert fold(events).contradictions == []


def test_parallel_calls_whose_deltas_are_mixed():
    other = {**CALL, "id": "fc2", "call_id": "c2", "name": "g"}
    events = responses(
        added(CALL),
        added(other),
        arguments("delta", item_id="fc2", delta="[2]"),
        arguments("delta", item_id="fc1", delta="[1]"),
        done({**other, "arguments": "[2]"}),
        done({**CALL, "arguments": "[1]"}),
    )

    assert [(call.id, call.arguments) for call in fold(events).tool_calls] == [("c1", "[1]"), ("c2", "[2]")]
    assert fold(events).contradictions == []


def test_a_call_without_an_item_id_is_known_by_its_call_id():
    call = {"type": "function_call", "call_id": "c1", "name": "f"}
    events = responses(added(call), arguments("delta", item_id="c1", delta="{}"), done({**call, "arguments": "{}"}))

    assert said(events) == [ToolCallStarted("c1", "f"), ToolCallDelta("c1", "{}")]


@pytest.mark.parametrize(
    ("item", "deltas"),
    [
        pytest.param(message(output_text("a")), [TextDelta("a", item="m1")], id="a message"),
        pytest.param(message({"type": "refusal", "refusal": "No"}), [RefusalDelta("No", item="m1")], id="a refusal"),
        pytest.param(
            {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "short"}]},
            [ReasoningDelta("short", summary=True, item="r1")],
            id="a summary",
        ),
    ],
)
def test_an_item_that_never_came_in_deltas_is_one_delta(item, deltas):
    events = responses(done(item))

    assert said(events) == deltas  # law 5: the deltas of an item, joined, are the item's text
    assert fold(events).contradictions == []


def test_what_only_the_completed_response_says_is_not_lost():
    whole = response("completed") | {"output": [message(output_text("a"))]}

    assert items(responses(end=event("completed", response=whole))) == [ModelMessage("a")]


def test_what_the_completed_response_repeats_is_not_told_twice_even_under_other_ids():
    # OpenRouter's: in the completed response, each item has another id than it had in the stream.
    streamed, repeated = (
        [
            {"type": "reasoning", "id": f"rs{n}", "summary": [], "content": [{"type": "reasoning_text", "text": "r"}]},
            {**message(output_text("a")), "id": f"msg{n}"},
            {**CALL, "id": f"fc{n}", "arguments": "{}"},
        ]
        for n in range(2)
    )

    events = responses(
        event("reasoning_text.delta", item_id="rs0", delta="r"),
        text("a", "msg0"),
        added({**CALL, "id": "fc0"}),
        arguments("delta", item_id="fc0", delta="{}"),
        *map(done, streamed),
        end=event("completed", response=response("completed") | {"output": repeated}),
    )

    assert items(events) == [Reasoning("r"), ModelMessage("a"), FunctionCall("c1", "f", "{}")]
    assert (fold(events).reasoning, fold(events).text, len(fold(events).tool_calls)) == ("r", "a", 1)


@pytest.mark.parametrize("item_id", [None, "", "other"], ids=repr)
def test_a_text_whose_deltas_do_not_name_its_item_is_not_told_twice(item_id):
    events = responses(added(message()), text("a", item_id), done(message(output_text("a"))))

    assert fold(events).text == "a"
    assert fold(events).contradictions == []
    assert items(events) == [ModelMessage("a")]


def test_a_call_whose_beginning_is_missing_is_one_call():
    # As in a stream that is resumed: its deltas name the item, and only the finished item says which call that is.
    events = responses(arguments("delta", item_id="fc1", delta="{}"), done({**CALL, "arguments": "{}"}))

    assert len(fold(events).tool_calls) == 1
    assert [item.name for item in items(events)] == ["f"]


def test_a_call_without_arguments_that_was_never_added_is_a_call():
    events = responses(done({**CALL, "arguments": ""}))

    assert said(events) == [ToolCallStarted("c1", "f")]
