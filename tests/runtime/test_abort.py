"""Abort at every point: what is said stays said, nothing is said after it, and the model's stream is closed."""

from __future__ import annotations

from contextlib import aclosing

import anyio
import pytest

from pytest_streamrt import Agent, FakeModel, Observer, pause, script, stall
from pytest_streamrt.events import InferenceCompleted, TextDelta

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

FIVE = script("a", "b", "c", "d", "e", every=0.1)


class Watched:
    """A model that notes when its stream is closed, and can refuse to be."""

    def __init__(self, script, clock, *, stubborn=0.0):
        self._fake = FakeModel(script)
        self._clock = clock
        self._stubborn = stubborn
        self.closed_at = None

    async def stream(self, context, tools):
        try:
            async with aclosing(self._fake.stream(context, tools)) as events:
                async for event in events:
                    yield event
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self._stubborn)
            self.closed_at = self._clock.now


@pytest.mark.parametrize("n", range(6))
async def test_after_any_number_of_deltas(n, environment, transcript, virtual_clock):
    model = Watched(FIVE, virtual_clock)
    agent = Agent("agent", model)
    async with environment(agent):
        inference = agent.infer()
        await anyio.sleep(0.1 * n + 0.05)
        await inference.abort("enough")
        assert model.closed_at == min(virtual_clock.now, 0.5)
        outcome = await inference

    if n == 5:
        assert outcome.status == "completed"
        transcript.expect("agent").text("abcde").completed(at=0.5).nothing_more()
    else:
        chain = transcript.expect("agent")
        if n:
            chain.text("abcde"[:n])
        chain.aborted(by="caller", reason="enough", at=0.1 * n + 0.05).nothing_more()


async def test_while_the_stream_stalls(environment, transcript):
    agent = Agent("agent", FakeModel(script("a", stall(), every=0.1)))
    async with environment(agent):
        inference = agent.infer()
        await anyio.sleep(60)
        await inference.abort("it hangs")

    transcript.expect("agent").text("a", at=0.1).aborted(reason="it hangs", at=60).nothing_more()


async def test_twice_and_after_the_end_changes_nothing(environment, transcript):
    agent = Agent("agent", FakeModel(FIVE, script("z")))
    async with environment(agent):
        first = agent.infer()
        await anyio.sleep(0.25)
        await first.abort("one")
        await first.abort("two")
        second = agent.infer()
        assert (await second).status == "completed"
        await second.abort("too late")
        assert (await second).status == "completed"

    transcript.expect("agent").text("ab").aborted(reason="one").text("z").completed().nothing_more()


async def test_by_two_peers_at_once_the_first_wins(environment, transcript):
    class Peer(Observer):
        async def on_external_event(self, source, event):
            if event.type == "text.delta" and event.text == "b":
                await self.abort(event.inference, f"{self.name} says so")

    agent = Agent("agent", FakeModel(FIVE))
    async with environment(Peer("left"), Peer("right"), agent):
        outcome = await agent.infer()

    assert outcome.by == "left"
    transcript.expect("agent").text("ab").aborted(by="left", reason="left says so", at=0.2).nothing_more()


async def test_by_the_agent_itself(environment, transcript):
    class Modest(Agent):
        async def on_internal_event(self, event):
            if event.type == "text.delta" and event.text == "c":
                await self.abort(event.inference, "I have said enough")

    agent = Modest("agent", FakeModel(FIVE))
    async with environment(agent):
        await agent.infer()

    transcript.expect("agent").text("abc").aborted(by="agent", reason="I have said enough", at=0.3).nothing_more()


async def test_by_a_deadline(environment, transcript):
    agent = Agent("agent", FakeModel(FIVE))
    async with environment(agent):
        await agent.infer(deadline=0.25)

    transcript.expect("agent").text("ab").aborted(by="deadline", reason="deadline of 0.25 s", at=0.25).nothing_more()


async def test_a_deadline_that_is_met_does_not_hold_up_the_room(environment, transcript, virtual_clock):
    agent = Agent("agent", FakeModel(FIVE))
    async with environment(agent):
        await agent.infer(deadline=3_600)

    transcript.expect("agent").text("abcde").completed(at=0.5).nothing_more()
    assert virtual_clock.now == 0.5


@pytest.mark.parametrize(("cap", "status"), [(3, "aborted"), (5, "completed")])
async def test_by_a_cap_on_deltas(cap, status, environment, transcript):
    agent = Agent("agent", FakeModel(FIVE))
    async with environment(agent):
        outcome = await agent.infer(max_deltas=cap)

    assert (outcome.status, outcome.text) == (status, "abcde"[:cap])
    transcript.expect("agent").deltas(cap).rest()


async def test_by_cancelling_what_surrounds_the_room(environment, transcript):
    agent = Agent("agent", FakeModel(FIVE))
    with anyio.move_on_after(0.25) as scope:
        async with environment(agent):
            await agent.infer()

    assert scope.cancelled_caught
    transcript.expect("agent").text("ab").aborted(at=0.25).nothing_more()


async def test_by_an_error_in_the_test(environment, transcript):
    agent = Agent("agent", FakeModel(FIVE))
    with pytest.raises(KeyError, match="mine"):
        async with environment(agent):
            agent.infer()
            await anyio.sleep(0.25)
            raise KeyError("mine")

    transcript.expect("agent").text("ab").aborted(by="environment", at=0.25).nothing_more()


async def test_by_id_and_an_unknown_id_is_named(environment, transcript):
    agent = Agent("agent", FakeModel(FIVE))
    observer = Observer("observer")
    async with environment(agent, observer):
        inference = agent.infer()
        await anyio.sleep(0.15)
        with pytest.raises(LookupError, match="no inference 'agent/7' in this room; there are: agent/1"):
            await observer.abort("agent/7")
        await observer.abort(inference.id, "enough")

    transcript.expect("agent").text("a").aborted(by="observer").nothing_more()


async def test_a_stream_that_takes_its_time_to_close_is_waited_for(environment, transcript, virtual_clock):
    agent = Agent("agent", Watched(FIVE, virtual_clock, stubborn=2))
    async with environment(agent):
        inference = agent.infer()
        await anyio.sleep(0.25)
        await inference.abort("enough")
        assert virtual_clock.now == 2.25

    transcript.expect("agent").text("ab").aborted(at=0.25).nothing_more()


async def test_a_stream_that_refuses_to_close_is_reported_after_five_seconds(environment, transcript, virtual_clock):
    agent = Agent("agent", Watched(FIVE, virtual_clock, stubborn=60))
    async with environment(agent):
        inference = agent.infer()
        await anyio.sleep(0.25)
        await inference.abort("enough")
        assert virtual_clock.now == 5.25

    chain = transcript.expect("agent").text("ab").aborted(at=0.25)
    chain.where(lambda event: event.type == "status" and event.name == "upstream.not_closed", at=5.25).nothing_more()


async def test_a_refusal_to_close_is_reported_once_however_many_abort(environment, transcript, virtual_clock):
    agent = Agent("agent", Watched(FIVE, virtual_clock, stubborn=60))
    async with environment(agent):
        inference = agent.infer()
        await anyio.sleep(0.25)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inference.abort, "one")
            tasks.start_soon(inference.abort, "two")
        await inference.abort("three")

    refusals = [event for event in transcript.events if event.type == "status"]
    assert [(event.name, event.time) for event in refusals] == [("upstream.not_closed", 5.25)]
    transcript.expect("agent").text("ab").aborted(at=0.25).nothing_more()


async def test_nothing_of_a_model_that_talks_on_is_heard(environment, transcript):
    class Talkative:
        async def stream(self, context, tools):
            for i in range(10):
                with anyio.CancelScope(shield=True):  # it does not care
                    await anyio.sleep(0.1)
                yield TextDelta(str(i))
            yield InferenceCompleted()

    agent = Agent("agent", Talkative())
    async with environment(agent):
        inference = agent.infer()
        await anyio.sleep(0.25)
        await inference.abort("enough")

    transcript.expect("agent").text("01").aborted(at=0.25).nothing_more()


async def test_the_abort_knows_what_caused_it(environment, transcript):
    class Peer(Observer):
        async def on_external_event(self, source, event):
            if event.type == "text.delta" and event.text == "b":
                await self.abort(event.inference)

    agent = Agent("agent", FakeModel(script("a", pause(1), "b", "c", every=0.1)))
    async with environment(Peer("peer"), agent):
        await agent.infer()

    aborted = next(event for event in transcript.events if event.type == "inference.aborted")
    cause = next(event for event in transcript.events if event.seq == aborted.cause)
    assert cause.text == "b"
    assert aborted.time == cause.time == 1.2
    transcript.expect("agent").deltas(2).aborted().nothing_more()
