"""From deltas to what was said: the fold, with its items, its usage, and the contradictions it finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import fold
from pytest_streamrt.events import (
    Fold,
    FunctionCall,
    FunctionCallOutput,
    InferenceAborted,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ItemCompleted,
    ModelMessage,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenUsage,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
    stamp,
)
from tests.events.any_event import events
from tests.strategies import examples, texts


def of(name, round, *events):
    """The events as an environment would stamp them, in that inference and round."""
    return [
        stamp(event, seq=n, time=0.0, source="planner", inference=name, inference_seq=n, round=round)
        for n, event in enumerate(events, 1)
    ]


def test_nothing_said_is_nothing():
    said = fold([])

    assert (said.text, said.reasoning, said.refusal, said.tool_calls, said.items) == ("", "", "", [], [])
    assert (said.usage, said.finish_reason, said.contradictions) == (None, None, [])


def test_each_kind_adds_up_on_its_own():
    said = fold(
        [
            InferenceStarted(),
            ReasoningDelta("Let "),
            TextDelta("a"),
            ReasoningDelta("me."),
            RefusalDelta("n"),
            TextDelta("b"),
            RefusalDelta("o"),
            Usage(1, 2),
            InferenceCompleted("stop"),
        ]
    )

    assert (said.text, said.reasoning, said.refusal) == ("ab", "Let me.", "no")
    assert said.usage == TokenUsage(1, 2)
    assert said.finish_reason == "stop"


@given(pieces=st.lists(texts))
@examples(50)
def test_the_text_is_its_deltas_joined(pieces):
    assert fold(map(TextDelta, pieces)).text == "".join(pieces)


def test_tool_calls_come_in_the_order_they_began_with_their_arguments_as_sent():
    said = fold(
        [
            ToolCallStarted("1", "f"),
            ToolCallStarted("2", "g"),
            ToolCallDelta("2", '{"y"'),
            ToolCallDelta("1", "{"),
            ToolCallDelta("2", ":2}"),
        ]
    )

    assert said.tool_calls == [ToolCall("1", "f", "{"), ToolCall("2", "g", '{"y":2}')]


def test_a_summary_stands_in_for_reasoning_that_was_not_given():
    assert fold([ReasoningDelta("in short", summary=True)]).reasoning == "in short"


def test_reasoning_comes_before_its_summary():
    said = fold([ReasoningDelta("in short", summary=True), ReasoningDelta("at length")])

    assert said.reasoning == "at length"
    assert said.items == [Reasoning("at length", "in short")]


def test_the_choices_are_kept_apart():
    said = fold([TextDelta("a"), TextDelta("b", choice=1), TextDelta("c")])

    assert (said.text, said.text_of(1), said.text_of(2)) == ("ac", "b", "")
    assert said.items == [ModelMessage("ac"), ModelMessage("b", choice=1)]


def test_the_items_of_an_answer_are_kept_apart():
    said = fold([TextDelta("a", item="1"), TextDelta("b", item="2"), TextDelta("c", item="1")])

    assert said.items == [ModelMessage("ac"), ModelMessage("b")]


def test_what_is_still_being_written_is_an_open_item():
    said = fold([TextDelta("a"), ItemCompleted(ModelMessage("a")), ToolCallStarted("1", "f"), ToolCallDelta("1", "{")])

    assert said.items == [ModelMessage("a"), FunctionCall("1", "f", "{")]
    assert said.open_items == [FunctionCall("1", "f", "{")]


def test_the_fold_can_be_read_at_any_time():
    said = Fold()
    heard = []
    for piece in "abc":
        said.add(TextDelta(piece))
        heard.append(said.text)

    assert heard == ["a", "ab", "abc"]


def test_items_without_deltas_are_items_too():
    items = [Reasoning(encrypted="xyz"), FunctionCallOutput("1", "42")]

    assert fold(map(ItemCompleted, items)).items == items


@given(events=st.lists(events, max_size=8))
@examples(50)
def test_any_events_in_any_order_fold_without_an_error(events):
    said = fold(events)

    assert "".join(e.text for e in events if isinstance(e, TextDelta) and not e.choice) == said.text
    assert all(item in said.items for item in (e.item for e in events if isinstance(e, ItemCompleted)))


# --- contradictions


def test_an_item_that_says_what_its_deltas_said_is_no_contradiction():
    said = fold(
        [
            TextDelta("a"),
            RefusalDelta("n"),
            ItemCompleted(ModelMessage("a", "n")),
            ReasoningDelta("r"),
            ReasoningDelta("s", summary=True),
            ItemCompleted(Reasoning("r", "s")),
            ToolCallStarted("1", "f"),
            ToolCallDelta("1", "{}"),
            ItemCompleted(FunctionCall("1", "f", "{}")),
        ]
    )

    assert said.contradictions == []
    assert said.open_items == []


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        pytest.param(
            [TextDelta("a"), ItemCompleted(ModelMessage("b"))],
            "the deltas of the text say 'a', the finished item 'b'",
            id="text",
        ),
        pytest.param(
            [RefusalDelta("a"), ItemCompleted(ModelMessage("", "b"))],
            "the deltas of the refusal say 'a', the finished item 'b'",
            id="refusal",
        ),
        pytest.param(
            [ReasoningDelta("a"), ItemCompleted(Reasoning("b"))],
            "the deltas of the reasoning say 'a', the finished item 'b'",
            id="reasoning",
        ),
        pytest.param(
            [ReasoningDelta("a", summary=True), ItemCompleted(Reasoning("", "b"))],
            "the deltas of the reasoning summary say 'a', the finished item 'b'",
            id="summary",
        ),
        pytest.param(
            [ToolCallStarted("1", "f"), ToolCallDelta("1", "{"), ItemCompleted(FunctionCall("1", "f", "{}"))],
            "the deltas of the arguments of f say '{', the finished item '{}'",
            id="arguments",
        ),
        pytest.param(
            [ToolCallDelta("1", "{}")], "arguments for the tool call '1', which never started", id="no such call"
        ),
    ],
)
def test_a_contradiction_is_one_sentence(events, sentence):
    assert fold(events).contradictions == [sentence]


def test_an_item_is_held_against_the_deltas_of_its_own_choice():
    said = fold([TextDelta("a"), TextDelta("b", choice=1), ItemCompleted(ModelMessage("b", choice=1))])

    assert said.contradictions == []
    assert said.open_items == [ModelMessage("a")]


# --- several inferences


def test_several_inferences_one_after_the_other_add_up():
    said = fold(
        [
            *of("a", 1, InferenceStarted(), TextDelta("one "), Usage(1, 2), InferenceCompleted("stop")),
            *of("b", 1, InferenceStarted(), TextDelta("two"), Usage(10, 20), InferenceCompleted("length")),
        ]
    )

    assert said.text == "one two"
    assert said.usage == TokenUsage(11, 22)
    assert said.finish_reason == "length"


def test_the_last_usage_of_a_round_holds_and_rounds_add_up():
    said = fold([*of("a", 1, Usage(1, 1), Usage(5, 2)), *of("a", 2, Usage(7, 3))])

    assert said.usage == TokenUsage(12, 5)


def test_an_abort_tells_what_was_used_where_nobody_else_did():
    aborted = InferenceAborted("enough", "reviewer", usage=TokenUsage(3, 4))

    assert fold(of("a", 1, TextDelta("x"), aborted)).usage == TokenUsage(3, 4)
    assert fold(of("a", 1, Usage(3, 4), aborted)).usage == TokenUsage(3, 4)


def test_an_abort_tells_what_was_used_in_its_own_inference():
    aborted = InferenceAborted("enough", "reviewer", usage=TokenUsage(3, 4))

    said = fold([*of("a", 1, Usage(1, 1), InferenceCompleted("stop")), *of("b", 1, TextDelta("x"), aborted)])

    assert said.usage == TokenUsage(4, 5)


@pytest.mark.parametrize(
    "terminal", [InferenceAborted("enough", "reviewer"), InferenceFailure("provider", "overloaded")], ids=repr
)
def test_there_is_no_finish_reason_where_it_was_aborted_or_failed(terminal):
    assert fold([InferenceStarted(), TextDelta("a"), terminal]).finish_reason is None


def test_of_two_messages_written_at_once_the_second_may_be_finished_first():
    said = fold(
        [
            TextDelta("a", item="1"),
            TextDelta("b", item="2"),
            ItemCompleted(ModelMessage("b")),
            ItemCompleted(ModelMessage("a")),
        ]
    )

    assert said.contradictions == []
