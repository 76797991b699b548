"""Chains over what is said side by side: parallel tool calls, several choices, several inferences and environments."""

from __future__ import annotations

import json

import anyio
import pytest

from pytest_streamrt import Agent, Environment, FakeModel, Signal, Transcript, TranscriptError, script, tool_call
from pytest_streamrt.events import (
    InferenceAborted,
    InferenceCompleted,
    InferenceStarted,
    ItemCompleted,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    stamp,
)
from pytest_streamrt.events.items import FunctionCall
from tests.transcript.scenes import STREAM, exchange, say


def told(*events):
    """A transcript of one inference of "bot" with these events."""
    transcript = Transcript()
    for i, event in enumerate((InferenceStarted(), *events), start=1):
        stamped = stamp(event, seq=i, time=0.0, source="bot", inference="bot/1", inference_seq=i)
        transcript.log(stamped, "room")
    return transcript


def chat(*deltas, finish=()):
    """The chunks of a chat stream with these deltas, each with its choice."""
    choices = [*({"index": index, "delta": delta} for index, delta in deltas), *finish]
    frames = [json.dumps({"id": "x", "model": "m", "choices": [choice]}) for choice in choices]
    return [f"data: {data}\n\n".encode() for data in [*frames, "[DONE]"]]


def call(index, arguments, name=None):
    """A piece of a tool call, as Chat Completions sends it."""
    head = {"id": f"call_{index}"} if name else {}
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    return 0, {"tool_calls": [{"index": index, **head, "function": function}]}


# Parallel tool calls.


def test_tool_calls_that_are_written_at_the_same_time_are_expected_one_by_one():
    transcript = Transcript()
    chunks = chat(
        (0, {"content": "Well"}), call(0, '{"x"', "a"), call(1, '{"y":', "b"), call(0, ": 1}"), call(1, " 2}")
    )
    exchange(transcript, chunks=chunks, headers=STREAM)

    chain = transcript.expect("openai.chat").text("Well").tool_call("a", arguments={"x": 1})
    chain.tool_call("b", arguments={"y": 2}).completed().nothing_more()
    with pytest.raises(AssertionError, match=r"got: the arguments \{'y': 2\}"):
        transcript.expect("openai.chat").text().tool_call("a").tool_call("b", arguments={})
    with pytest.raises(AssertionError, match=r"got: tool_call.started 'b'"):
        transcript.expect("openai.chat").text().tool_call("a").completed()
    with pytest.raises(AssertionError, match=r"got: tool_call.started 'a'"):
        transcript.expect("openai.chat").text().tool_call("b")


def test_arguments_that_come_after_the_next_call_has_begun_are_arguments_all_the_same():
    transcript = Transcript()
    exchange(transcript, chunks=chat(call(0, "", "a"), call(1, "{}", "b"), call(0, '{"x": 1}')))

    with pytest.raises(AssertionError, match=r"got: the arguments \{'x': 1\}"):
        transcript.expect("openai.chat").tool_call("a", arguments={})
    chain = transcript.expect("openai.chat").tool_call("a", arguments={"x": 1})
    chain.tool_call("b", arguments={}).completed().nothing_more()


def test_a_call_that_was_cut_off_before_its_arguments_has_none():
    cut = told(ToolCallStarted("1", "a"), InferenceAborted("", "me"))

    with pytest.raises(AssertionError, match="got: none: the inference ended before they came"):
        cut.expect("bot").tool_call("a", arguments={})
    cut.expect("bot").tool_call("a").aborted().nothing_more()


@pytest.mark.parametrize(
    "end",
    [
        [InferenceCompleted()],
        [ItemCompleted(FunctionCall("1", "a", "")), InferenceAborted("", "me")],
        [ToolCallStarted("1", "b"), ToolCallDelta("1", '{"x": 1}'), InferenceCompleted()],
    ],
)
def test_a_call_that_is_finished_without_arguments_has_empty_ones(end):
    told(ToolCallStarted("1", "a"), *end).expect("bot").tool_call("a", arguments={}).rest()


def test_arguments_that_came_only_with_the_finished_item_count():
    transcript = told(
        ToolCallStarted("1", "a"), ItemCompleted(FunctionCall("1", "a", '{"x": 1}')), InferenceCompleted()
    )

    transcript.expect("bot").tool_call("a", arguments={"x": 1}).completed().nothing_more()


def test_calls_of_one_id_in_two_rounds_are_two_calls():
    transcript = told(
        ToolCallStarted("1", "a"),
        ToolCallDelta("1", "{}"),
        ItemCompleted(FunctionCall("1", "a", "{}")),
        ToolCallStarted("1", "a"),
        ToolCallDelta("1", '{"x": 1}'),
        InferenceCompleted(),
    )

    chain = transcript.expect("bot").tool_call("a", arguments={}).tool_call("a", arguments={"x": 1})
    chain.completed().nothing_more()


def test_arguments_nested_too_deeply_are_refused_as_no_json():
    transcript = told(ToolCallStarted("1", "a"), ToolCallDelta("1", "[" * 100_000), InferenceCompleted())

    with pytest.raises(AssertionError, match="arguments that are not JSON"):
        transcript.expect("bot").tool_call("a", arguments={})


# Choices.

TWO = chat(
    (0, {"content": "Hel"}),
    (1, {"content": "Bon"}),
    (0, {"content": "lo"}),
    (1, {"content": "jour"}),
    finish=[{"index": index, "delta": {}, "finish_reason": "stop"} for index in (0, 1)],
)


def test_text_is_of_the_first_choice_as_in_the_transcript():
    transcript = Transcript()
    exchange(transcript, chunks=TWO)

    assert transcript.text("openai.chat") == "Hello"
    transcript.expect("openai.chat").text("Hello").rest()
    transcript.expect("openai.chat").text("Hello").text("Bonjour", choice=1).completed().nothing_more()
    transcript.expect("openai.chat").text("Bonjour", choice=1).text("Hello").completed().nothing_more()


def test_a_choice_is_not_passed_over_in_silence():
    transcript = Transcript()
    exchange(transcript, chunks=TWO)

    with pytest.raises(AssertionError, match=r"got: text.delta 'Bon' \(choice 1\)"):
        transcript.expect("openai.chat").text("Hello").completed()
    with pytest.raises(AssertionError, match=r"got: text.delta 'Bon' \(choice 1\)"):
        transcript.expect("openai.chat").text("Hello").nothing_more()
    with pytest.raises(AssertionError, match=r"got: text.delta 'Bon' \(choice 1\)"):
        transcript.expect("openai.chat").text("Hello").text()


def test_every_step_of_speech_is_of_one_choice():
    transcript = Transcript()
    one = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}
    chunks = chat(
        (1, {"reasoning": "b"}), (0, {"reasoning": "a"}), (1, one), (0, {"refusal": "no"}), (1, {"refusal": "non"})
    )
    exchange(transcript, chunks=chunks)

    chain = transcript.expect("openai.chat").reasoning("a").refusal("no").reasoning("b", choice=1)
    chain.tool_call("f", arguments={}, choice=1).refusal("non", choice=1).completed().nothing_more()
    with pytest.raises(AssertionError, match=r"expected: a call of the tool 'f'"):
        transcript.expect("openai.chat").tool_call("f")


def test_deltas_are_of_any_choice():
    transcript = Transcript()
    exchange(transcript, chunks=TWO)

    transcript.expect("openai.chat").deltas(4).completed().nothing_more()
    transcript.expect("openai.chat").deltas(1).text("lo").text("Bonjour", choice=1).completed().nothing_more()


# Inferences.


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_what_an_agent_says_in_two_inferences_at_once_is_not_mixed():
    transcript = Transcript()
    bot = Agent("bot", FakeModel(script("Hel", "lo", every=1), script("Bon", "jour", every=1)))
    async with Environment(bot, transcript=transcript):
        bot.infer()
        await anyio.sleep(0.5)
        bot.infer()

    assert transcript.text("bot") == "HelloBonjour"
    transcript.expect("bot").text("Hello").text("Bonjour").completed().completed().nothing_more()
    transcript.expect("bot").inference(1).text("Hello").completed().nothing_more()
    transcript.expect("bot").inference(2).text("Bonjour").completed().nothing_more()


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_what_a_participant_signals_in_between_ends_a_run():
    class Pinger(Agent):
        async def on_internal_event(self, event):
            if event.type == "text.delta" and event.text == "a":
                self.emit(Signal("ping"))

    transcript = Transcript()
    bot = Pinger("bot", FakeModel(script("a", "b")))
    async with Environment(bot, transcript=transcript):
        bot.infer()

    transcript.expect("bot").text("a").signal("ping").text("b").completed().nothing_more()


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_the_inferences_of_two_environments_are_told_apart_also_where_their_ids_are_the_same():
    transcript = await say(script("first"))
    await say(script("second"), transcript=transcript)

    assert transcript.text("bot") == "firstsecond"
    transcript.expect("bot").inference(1).text("first").completed().nothing_more()
    transcript.expect("bot").inference(2).text("second").completed().nothing_more()
    with pytest.raises(AssertionError, match="2 inferences of 'bot'"):
        transcript.expect("bot").inference(3)
    transcript.assert_lawful()


@pytest.mark.anyio
async def test_an_inference_is_chosen_before_any_step():
    transcript = await say(script("a"), script("b"))

    for begun in (
        transcript.expect("bot").text("a"),
        transcript.expect("bot").skip_until("text.delta"),
        transcript.expect("bot").inference(2),
    ):
        with pytest.raises(TranscriptError, match="comes before any step"):
            begun.inference(1)


def test_a_tool_call_is_of_its_own_inference():
    transcript = Transcript()
    for room in ("one", "two"):
        for i, event in enumerate((InferenceStarted(), ToolCallStarted("1", "a")), start=1):
            transcript.log(stamp(event, seq=i, time=0, source="bot", inference="bot/1", inference_seq=i), room)
    for room, arguments in (("one", '{"x": 1}'), ("two", '{"x": 2}')):
        for i, event in enumerate((ToolCallDelta("1", arguments), TextDelta("ok"), InferenceCompleted()), start=3):
            transcript.log(stamp(event, seq=i, time=0, source="bot", inference="bot/1", inference_seq=i), room)

    chain = transcript.expect("bot").tool_call("a", arguments={"x": 1}).tool_call("a", arguments={"x": 2})
    chain.text("ok").completed().text("ok").completed().nothing_more()


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_a_tool_call_of_a_scripted_agent_is_one_step():
    transcript = await say(script(tool_call("a", {"x": 1}), tool_call("b", {}), "done"))

    chain = transcript.expect("bot").tool_call("a", arguments={"x": 1}).tool_call("b", arguments={})
    chain.text("done").completed().nothing_more()
