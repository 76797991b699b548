"""What streaming runtimes get wrong, each shown to go right here.

Found by running them, or in what their users had to write around them; named in each test's docstring.
"""

from __future__ import annotations

import dataclasses

import anyio
import pytest

from pytest_streamrt import (
    Agent,
    FakeModel,
    Gate,
    Hold,
    Inbox,
    Observer,
    Pass,
    Signal,
    Stop,
    pause,
    script,
    stall,
    usage,
)
from pytest_streamrt.events import ModelMessage, TextDelta

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


class Recorder(Observer):
    """Writes down what it hears, in order."""

    def __init__(self, name, inbox=None):
        super().__init__(name, inbox)
        self.heard = []

    async def on_external_event(self, source, event):
        self.heard.append(event)


class Stopper(Observer):
    """Stops an answer at its nth delta, after some steps."""

    def __init__(self, name, nth=1, takes=0):
        super().__init__(name)
        self.nth, self.takes = nth, takes

    async def on_external_event(self, source, event):
        if event.type == "text.delta":
            self.nth -= 1
            if self.nth == 0:
                for _ in range(self.takes):
                    await anyio.lowlevel.checkpoint()
                await self.abort(event.inference, "enough")


# Delivery.


async def test_handlers_are_awaited(environment):
    """Mozaik calls its listeners and goes on: nobody awaits them, and there is no end to wait for."""

    class Slow(Observer):
        done = 0

        async def on_external_event(self, source, event):
            await anyio.sleep(1)
            self.done += 1

    slow = Slow("slow")
    async with environment(slow) as room:
        for _ in range(3):
            room.emit(Signal("x"))

    assert slow.done == 3


async def test_nobody_sees_an_effect_before_its_cause(environment):
    """Mozaik delivers depth first: what a listener emits reaches the later listeners before what it answers."""

    class Echo(Observer):
        async def on_external_event(self, source, event):
            if event.type == "signal" and event.name == "call":
                self.emit(Signal("answer"))

    last = Recorder("last")
    async with environment(Echo("echo"), last) as room:
        room.emit(Signal("call"))

    assert [event.name for event in last.heard if event.type == "signal"] == ["call", "answer"]


async def test_a_listener_that_raises_is_told_of_and_the_rest_go_on(environment, transcript):
    """In Mozaik a rejected handler ends the run; autogen-core swallows what listeners raise, and the listener is deaf after."""

    class Clumsy(Observer):
        async def on_external_event(self, source, event):
            raise LookupError("where is it")

    steady, agent = Recorder("steady"), Agent("agent", FakeModel(script("a", "b")))
    with pytest.raises(ExceptionGroup) as caught:
        async with environment(agent, Clumsy("clumsy"), steady):
            assert (await agent.infer()).text == "ab"

    assert repr(caught.value.exceptions[0]) == "LookupError('where is it')"
    (failed,) = [event for event in steady.heard if event.type == "participant.failed"]
    assert (failed.name, failed.error) == ("clumsy", "LookupError: where is it")
    assert "where is it" in failed.traceback
    transcript.expect("agent").text("ab").completed().nothing_more()


async def test_every_event_has_its_place_its_inference_and_its_cause(environment, transcript):
    """Of Mozaik, pipecat, autogen-core, openai-agents, pydantic-ai and the AI SDK, none numbers the events of a room."""
    agent = Agent("agent", FakeModel(script("a")))

    class Curious(Observer):
        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                self.emit(Signal("heard", event.text))

    async with environment(agent, Curious("curious")):
        await agent.infer()

    events = transcript.events
    delta, answer = (next(e for e in events if e.type == type) for type in ("text.delta", "signal"))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert (delta.inference, delta.inference_seq, delta.round, answer.cause) == ("agent/1", 2, 1, delta.seq)


async def test_events_cannot_be_changed_by_who_hears_them_first(environment):
    """Mozaik hands one mutable object round."""

    class Vandal(Observer):
        refused = 0

        async def on_external_event(self, source, event):
            try:
                event.name = "changed"
            except dataclasses.FrozenInstanceError:
                self.refused += 1

    vandal, last = Vandal("vandal"), Recorder("last")
    async with environment(vandal, last) as room:
        room.emit(Signal("as it was"))

    assert vandal.refused
    assert last.heard[-1].name == "as it was"


async def test_slow_listeners_hold_streams_up_and_queues_are_bounded(environment):
    """pipecat, autogen-core and openai-agents queue without bound; Mozaik's example buffers in a listener of its own."""

    class Slow(Recorder):
        async def on_external_event(self, source, event):
            self.most = max(getattr(self, "most", 0), self._mailbox.waiting)
            await anyio.sleep(1)

    slow = Slow("slow", Inbox.block(3))
    agent = Agent("agent", FakeModel(script(*"x" * 50)))
    async with environment(agent, slow):
        await agent.infer()

    assert slow.most <= 3


# Stopping.


@pytest.mark.parametrize("takes", [0, 1, 20])
async def test_not_one_delta_comes_after_the_one_that_was_too_much(takes, environment, transcript):
    """After a peer's abort, openai-agents hands out one more delta, pydantic-ai's stream.cancel 47 of 50 with its FunctionModel."""
    agent = Agent("agent", FakeModel(script(*"0123456789", every=0)))
    async with environment(agent, Stopper("stopper", nth=4, takes=takes)):
        outcome = await agent.infer()

    assert outcome.text == "0123"
    transcript.expect("agent").text("0123").aborted(by="stopper", reason="enough").nothing_more()


async def test_what_was_said_before_the_stop_is_heard_by_all(environment):
    """Pipecat drops 6 to 7 of 10 deltas that were said before the interruption, and nobody is told."""

    class Slow(Recorder):
        async def on_external_event(self, source, event):
            await super().on_external_event(source, event)
            await anyio.sleep(1)

    slow = Slow("slow")
    agent = Agent("agent", FakeModel(script(*"0123456789", every=0.01)))
    async with environment(agent, slow, Stopper("stopper", nth=7)):
        await agent.infer()

    assert [event.text for event in slow.heard if isinstance(event, TextDelta)] == list("0123456")


async def test_a_stalled_stream_ends_when_it_is_stopped(environment, transcript):
    """Mozaik looks at its signal after the next chunk: a stalled stream ended 480 ms late, or never."""
    agent = Agent("agent", FakeModel(script("a", stall())))
    async with environment(agent):
        inference = agent.infer()
        await anyio.sleep(0.48)
        await inference.abort("no more")

    transcript.expect("agent").text("a").aborted(at=0.48).nothing_more()


async def test_a_stop_has_an_end_a_reason_an_actor_a_partial_and_its_usage(environment, transcript):
    """openai-agents and autogen-core end without an event; langgraph, adk and others without who or what had been said."""
    agent = Agent("agent", FakeModel(script("Ste", usage(3, 1), "p 1", "p 2")))
    async with environment(agent, Stopper("stopper", nth=2)):
        await agent.infer()

    end = next(event for event in transcript.events if event.type == "inference.aborted")
    assert (end.by, end.reason, end.partial, end.items) == ("stopper", "enough", "Step 1", (ModelMessage("Step 1"),))
    assert (end.usage.input_tokens, end.usage.output_tokens) == (3, 1)


async def test_the_source_stops_as_well(environment, virtual_clock):
    """In the AI SDK the source ran on, from 4 chunks to 24; Mozaik does not close it."""

    class Source:
        asked = 0
        closed = None

        async def stream(self, context, tools):
            try:
                for n in range(24):
                    self.asked += 1
                    await anyio.sleep(0.1)
                    yield TextDelta(str(n))
            finally:
                self.closed = virtual_clock.now

    source = Source()
    agent = Agent("agent", source)
    async with environment(agent, Stopper("stopper", nth=4)):
        await agent.infer()
        await anyio.sleep(10)

    assert (source.asked, source.closed) == (5, 0.4)


# What stays, and who may act.


async def test_a_streamed_answer_becomes_an_item_that_the_others_hear(environment):
    """In Mozaik a streamed run emits raw events alone: onExternalModelMessage never fires for it."""

    class Reader(Observer):
        read = None

        async def on_external_model_message(self, source, item):
            self.read = (source.name, item.text)

    reader, agent = Reader("reader"), Agent("agent", FakeModel(script("Hel", "lo")))
    async with environment(agent, reader):
        await agent.infer()

    assert reader.read == ("agent", "Hello")


async def test_a_listener_needs_no_knowledge_of_whom_it_stops(environment, transcript):
    """Mozaik's example asks for `instanceof PlannerAgent`, and calls a method of that class."""
    agents = [Agent(name, FakeModel(script("a", pause(9), "b"))) for name in ("one", "two")]
    async with environment(*agents, Stopper("stopper")):
        outcomes = [await inference for inference in [agent.infer() for agent in agents]]

    assert [outcome.status for outcome in outcomes] == ["aborted", "completed"]


async def test_an_answer_is_handed_over_in_the_middle(environment, transcript):
    """No runtime has that: what was said is lost, or said again."""
    junior = Agent("junior", FakeModel(script("It is either ", "this", stall())))
    senior = Agent("senior", FakeModel(script(" or that.")))
    async with environment(junior, senior):
        first = junior.infer("Which is it?")
        await anyio.sleep(1)
        second = await first.handoff(senior, "too hard")
        await second

    assert [item.text for item in senior.context.items] == ["Which is it?", "It is either this", " or that."]
    link = next(event for event in transcript.events if event.type == "status" and event.name == "handoff")
    assert link.data == {"from": "junior/1", "to": "senior/1", "reason": "too hard"}


async def test_a_delta_is_held_back_before_anyone_hears_it(environment, transcript):
    """No runtime has a gate before fan-out: by the time a listener objects, everyone has heard."""

    class Censor(Gate):
        def check(self, event):
            if event.type != "text.delta":
                return Pass
            said = "".join(e.text for e in self.held) + event.text
            if "drop table" in said:
                return Stop("not that")
            return Hold if self.held or "drop table".startswith(event.text) else Pass

    everyone = Recorder("everyone")
    agent = Agent("agent", FakeModel(script("First ", "drop", " table", " users")))
    async with environment(agent, everyone, gates=[Censor()]):
        outcome = await agent.infer()

    assert "drop" not in "".join(event.text for event in everyone.heard if isinstance(event, TextDelta))
    assert (outcome.status, outcome.by, outcome.text) == ("aborted", "Censor", "First ")


# Testing it.


async def test_an_hour_of_silence_takes_no_time_and_is_exact(environment, transcript):
    """Other test kits sleep for real (pipecat's run_test), or have no times at all (openai-agents, pydantic-ai)."""
    agent = Agent("agent", FakeModel(script("a", pause(3600), "b", every=0.05)))
    async with environment(agent):
        await agent.infer()

    transcript.expect("agent").text("ab", at=3600.1).completed().nothing_more()
