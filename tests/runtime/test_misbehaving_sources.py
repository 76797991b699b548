"""Sources that break the rules: what is wrong is noticed and told of, and nobody in the room hears it."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from pytest_streamrt import Agent, Observer
from pytest_streamrt.events import (
    DELTAS,
    FunctionCall,
    InferenceCompleted,
    InferenceFailure,
    ItemCompleted,
    ModelMessage,
    TextDelta,
    ToolCallDelta,
)

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


class Says:
    """A source that gives these events, and goes on when it is told to stop, if it is stubborn."""

    def __init__(self, *events, stubborn=False):
        self.events = events
        self.stubborn = stubborn

    async def stream(self, context, tools):
        for event in self.events:
            yield event
        if self.stubborn:
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                yield TextDelta("and another thing")


def numbered(*numbers, texts="abcdef"):
    """Deltas with these numbers of the source's own, each with a text of its own number."""
    return [replace(TextDelta(texts[n - 1]), seq=n) for n in numbers]


class Listener(Observer):
    heard = ""

    async def on_external_event(self, source, event):
        if event.type in DELTAS:
            self.heard += event.text


async def hear(environment, *events):
    agent, listener = Agent("agent", Says(*events)), Listener("listener")
    async with environment(agent, listener):
        outcome = await agent.infer().outcome()
    return outcome, listener.heard


async def test_what_comes_after_the_stop_is_not_heard(environment, transcript):
    agent = Agent("agent", Says(TextDelta("a"), stubborn=True))
    async with environment(agent):
        inference = agent.infer()
        await anyio.sleep(1)
        await inference.abort("enough")

    transcript.expect("agent").text("a").aborted(reason="enough").nothing_more()
    transcript.assert_lawful()


async def test_the_first_of_two_ends_counts(environment, transcript):
    ends = [InferenceCompleted("stop"), InferenceFailure("provider", "no, wait"), InferenceCompleted("stop")]
    outcome, _ = await hear(environment, TextDelta("a"), *ends, TextDelta("b"))

    assert (outcome.status, outcome.text) == ("completed", "a")
    transcript.expect("agent").text("a").completed().nothing_more()


async def test_no_end_is_one(environment, transcript):
    outcome, _ = await hear(environment, TextDelta("a"))

    assert (outcome.status, outcome.items) == ("completed", (ModelMessage("a"),))
    transcript.expect("agent").text("a").completed().nothing_more()


async def test_the_same_event_again_is_told_of_and_left_out(environment, transcript):
    a, b, c = numbered(1, 2, 3)
    outcome, heard = await hear(environment, a, b, b, b, c)

    assert (outcome.status, heard) == ("completed", "abc")
    again = [event.data for event in transcript.events if event.type == "status" and event.name == "source.repeated"]
    assert again == [{"inference": "agent/1", "type": "text.delta", "number": 2}] * 2
    transcript.expect("agent").text("abc").completed().nothing_more()


@pytest.mark.parametrize(
    ("numbers", "heard", "what"),
    [
        ([1, 2, 4], "ab", "event 4, text.delta, comes after its event 2"),
        ([1, 3, 2], "a", "event 3, text.delta, comes after its event 1"),
        ([2, 3, 1], "bc", "event 1, text.delta, comes after its event 3"),
    ],
    ids=["missing", "reordered", "begun again"],
)
async def test_what_is_missing_or_in_the_wrong_order_ends_it(numbers, heard, what, environment, transcript):
    outcome, was_heard = await hear(environment, *numbered(*numbers))

    assert (outcome.status, outcome.kind, was_heard) == ("failed", "provider", heard)
    assert what in outcome.reason
    transcript.expect("agent").text(heard).failed(kind="provider").nothing_more()


async def test_a_number_given_to_two_events_ends_it(environment, transcript):
    outcome, heard = await hear(environment, *numbered(1, 2), replace(TextDelta("other"), seq=2))

    assert (outcome.status, heard) == ("failed", "ab")
    transcript.expect("agent").text("ab").failed(kind="provider").nothing_more()


@pytest.mark.parametrize(
    ("events", "what"),
    [
        (
            [TextDelta("a"), TextDelta("a"), ItemCompleted(ModelMessage("ab"))],
            "the deltas of the text say 'aa', the finished",
        ),
        (
            [TextDelta("b"), TextDelta("a"), ItemCompleted(ModelMessage("ab"))],
            "the deltas of the text say 'ba', the finished",
        ),
        ([TextDelta("a"), ToolCallDelta("c1", "{}")], "arguments for the tool call 'c1', which never started"),
    ],
    ids=["twice", "reordered", "a call that never began"],
)
async def test_without_numbers_the_finished_item_gives_it_away(events, what, environment, transcript):
    outcome, _ = await hear(environment, *events)

    assert (outcome.status, outcome.kind) == ("failed", "provider")
    assert what in outcome.reason
    assert not [e for e in transcript.events if e.type == "item.completed" and e.item == ModelMessage("ab")]
    transcript.expect("agent").skip_until("inference.failed").failed(kind="provider").nothing_more()


async def test_a_contradiction_runs_no_tool(environment, transcript):
    ran = []

    def pay(amount: int) -> None:
        ran.append(amount)

    source = Says(ToolCallDelta("c1", '{"amount": 1'), ItemCompleted(FunctionCall("c1", "pay", '{"amount": 10}')))
    agent = Agent("agent", source, tools=[pay])
    async with environment(agent):
        outcome = await agent.infer().outcome()

    assert (outcome.status, ran) == ("failed", [])
    transcript.expect("agent").rest()
