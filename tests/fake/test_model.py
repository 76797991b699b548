"""The fake model: it says what its script says, when it says it, breaks where it is told to, and keeps count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import (
    Agent,
    FakeModel,
    ModelContext,
    ScriptError,
    disconnect,
    error,
    fold,
    pause,
    reasoning,
    refusal,
    script,
    stall,
    tool_call,
    usage,
)
from pytest_streamrt.clock import active_clock
from pytest_streamrt.events import FunctionCall, Message, ModelMessage, Reasoning, TokenUsage

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def play(model):
    """What the model says to one question, with the times."""
    return [(active_clock().now, event) async for event in model.stream(ModelContext(), ())]


async def test_everything_a_script_can_say_is_said_in_its_order():
    told = await play(
        FakeModel(
            script(
                reasoning("Hm, ", "well. "),
                reasoning("In short.", summary=True),
                "Hel",
                "lo",
                refusal("No."),
                tool_call("weather", {"city": "Paris"}, pieces=['{"city":', '"Paris"}']),
                tool_call("time", {}, id="mine"),
                usage(3, 4),
            )
        )
    )

    said = fold(event for _, event in told)
    assert (said.text, said.reasoning, said.refusal) == ("Hello", "Hm, well. ", "No.")
    assert said.usage == TokenUsage(3, 4)
    assert said.finish_reason == "tool_calls"
    assert said.items == [
        Reasoning("Hm, well. ", "In short."),
        ModelMessage("Hello", "No."),
        FunctionCall("call_0", "weather", '{"city":"Paris"}'),
        FunctionCall("mine", "time", "{}"),
    ]
    assert said.contradictions == []


async def test_it_says_each_delta_at_its_time():
    told = await play(FakeModel(script("a", "b", pause(1), "c", every=0.25)))

    assert [(when, event.text) for when, event in told if event.type == "text.delta"] == [
        (0.25, "a"),
        (0.5, "b"),
        (1.75, "c"),
    ]


async def test_the_first_delta_can_take_longer_and_the_rest_come_at_a_speed():
    told = await play(FakeModel(script("a", "b", "c", ttft=2, tps=10)))

    assert [when for when, event in told if event.type == "text.delta"] == [2.0, 2.1, 2.2]


@given(pieces=st.lists(st.text(min_size=1, max_size=3), max_size=8), every=st.sampled_from([0, 0.05, 1 / 3]))
async def test_any_script_of_text(pieces, every):
    began = active_clock().ns
    told = await play(FakeModel(script(*pieces, every=every)))

    assert [event.text for _, event in told if event.type == "text.delta"] == pieces
    assert told[-1][1].type == "inference.completed"
    assert active_clock().ns - began == len(pieces) * round(every * 1e9)


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (disconnect(), "transport", "scripted disconnect"),
        (error(503), "provider", "503"),
        (error("overloaded", "come back later"), "provider", "overloaded: come back later"),
    ],
)
async def test_a_fault_ends_it(fault, kind, message):
    told = await play(FakeModel(script("a", fault)))

    assert [event.type for _, event in told] == ["text.delta", "inference.failed"]
    failed = told[-1][1]
    assert failed.kind == kind
    assert message in failed.message


async def test_a_stall_goes_on_for_ever(environment, transcript):
    agent = Agent("agent", FakeModel(script("a", stall(), every=1)))
    async with environment(agent):
        await agent.infer(deadline=1_000)

    transcript.expect("agent").text("a", at=1).aborted(by="deadline", at=1_000).nothing_more()


async def test_it_notes_what_it_was_asked(environment):
    model = FakeModel(script("a"), script("b"))
    agent = Agent("agent", model)
    async with environment(agent):
        await agent.infer("one")
        await agent.infer("two")

    assert [call.items[-1] for call in model.calls] == [Message("one"), Message("two")]


async def test_scripts_can_be_added_later(environment):
    model = FakeModel()
    agent = Agent("agent", model)
    async with environment(agent):
        model.enqueue(script("a"))
        assert (await agent.infer()).text == "a"


async def test_one_can_wait_until_so_many_deltas_are_out(environment, virtual_clock):
    model = FakeModel(script("a", "b", "c", every=1), script("d", every=1))
    agent = Agent("agent", model)
    async with environment(agent):
        first = agent.infer()
        await model.emitted(0)
        assert virtual_clock.now == 0
        await model.emitted(2)
        assert (virtual_clock.now, first.text) == (2, "ab")
        await model.emitted(1)
        assert virtual_clock.now == 2
        await first
        agent.infer()
        await model.emitted(4)
        assert virtual_clock.now == 4


async def test_only_scripts_can_be_played():
    with pytest.raises(ScriptError, match=r"'Hello' is none\. Write script\('Hello'\)"):
        FakeModel("Hello")


async def test_the_same_on_every_run():
    answer = script("a", "b", "c", every=0.1, jitter=0.5, seed=7)
    first = await play(FakeModel(answer))
    assert [event for _, event in first] == [event for _, event in await play(FakeModel(answer))]
    times = [when for when, _ in first]
    assert times != [0.1, 0.2, 0.3, 0.3, 0.3]


async def test_a_function_answers_what_no_script_is_left_for(environment):
    model = FakeModel(script("first"))
    model.respond(lambda call: script(f"You said {call.items[-1].text}"))
    agent = Agent("agent", model)
    async with environment(agent):
        assert (await agent.infer("one")).text == "first"
        assert (await agent.infer("two")).text == "You said two"


@pytest.mark.parametrize("n", range(6))
async def test_an_abort_at_every_point_keeps_what_was_said_by_then(n, environment, transcript):
    answer = script(reasoning("Hm."), "a", "b", tool_call("t", {}, pieces=["{", "}"]), every=0.1)
    model = FakeModel(answer)
    agent = Agent("agent", model)
    async with environment(agent):
        inference = agent.infer()
        await model.emitted(n)
        await inference.abort("enough")
        outcome = await inference.outcome()

    said = answer.prefix(n)
    assert outcome.status == "aborted"
    assert outcome.text == said.text
    assert (
        sum(event.type in ("reasoning.delta", "text.delta", "tool_call.delta") for event in transcript.of("agent")) == n
    )
    assert transcript.of("agent")[-1].time == pytest.approx(n * 0.1)


def test_an_unknown_argument_is_refused_by_the_name_that_the_user_wrote():
    with pytest.raises(TypeError, match=r"^script\(\) got an unexpected keyword argument 'evry'"):
        script("a", evry=1)


@pytest.mark.parametrize("n", ["1", 1.0, True, None])
async def test_deltas_are_waited_for_in_whole_numbers(n):
    with pytest.raises(TypeError, match="how many deltas is a whole number from 0 on"):
        await FakeModel(script("a")).emitted(n)


async def test_answers_that_wait_for_who_waited_go_on_in_their_order(environment, transcript):
    """On trio, in any: an event of its own wakes those who wait for it in the order of a set."""
    model = FakeModel(*(script(str(n)) for n in range(6)))
    agent = Agent("agent", model)
    async with environment(agent):
        for _ in range(6):
            agent.infer()
        await model.emitted(0)

    assert "".join(event.text for event in transcript.events if event.type == "text.delta") == "012345"
