"""The room: one order for everyone, who is in it, what leaving it waits for, and what it does with failures."""

from __future__ import annotations

import re

import anyio
import pytest

from pytest_streamrt import (
    Agent,
    Environment,
    FakeModel,
    Observer,
    Participant,
    Signal,
    script,
    virtual_time,
)
from pytest_streamrt.events import Message, ModelMessage
from tests.runtime.recorder import Recorder

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def test_everyone_hears_everything_in_one_order(environment):
    first, second = Recorder("first"), Recorder("second")
    agent = Agent("agent", FakeModel(script("x", "y")))
    async with environment(first, second, agent):
        await agent.infer("Hello?")

    expected = [("agent", "was asked", "Hello?"), ("agent", "x"), ("agent", "y"), ("agent", "said", "xy")]
    assert first.heard[3:] == second.heard[2:] == expected


async def test_an_event_is_internal_to_its_source_and_external_to_everyone_else(environment):
    first, second = Recorder("first"), Recorder("second")
    async with environment(first, second):
        first.emit(Signal("ping"))

    assert ("internal", "ping") in first.heard
    assert ("first", "ping") in second.heard
    assert ("internal", "ping") not in second.heard


async def test_what_a_handler_emits_comes_after_what_caused_it_for_everyone(environment, transcript):
    class Answering(Participant):
        async def on_external_event(self, source, event):
            if event.type == "signal" and event.name == "ping":
                self.emit(Signal("pong"))

    late = Recorder("late")
    async with environment(Answering("answering"), late) as room:
        room.emit(Signal("ping"))

    assert late.heard[-2:] == [("test", "ping"), ("answering", "pong")]
    ping, pong = (event for event in transcript.events if event.type == "signal")
    assert pong.cause == ping.seq


async def test_events_are_numbered_without_a_gap_and_say_what_they_belong_to(environment, transcript):
    agent = Agent("agent", FakeModel(script("x", "y"), script("z")))
    async with environment(agent):
        await agent.infer()
        await agent.infer()

    events = transcript.events
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    of_second = [event for event in events if event.inference == "agent/2"]
    assert [event.inference_seq for event in of_second] == list(range(1, len(of_second) + 1))
    assert {event.source for event in events} == {"agent"}


async def test_handlers_of_one_participant_run_one_at_a_time(environment):
    class Slow(Participant):
        running = 0
        most = 0

        async def on_external_event(self, source, event):
            self.running += 1
            self.most = max(self.most, self.running)
            await anyio.sleep(0.3)
            self.running -= 1

    slow = Slow("slow")
    agent = Agent("agent", FakeModel(script(*"abcdef", every=0.01)))
    async with environment(slow, agent):
        await agent.infer()

    assert slow.most == 1


async def test_streams_wait_for_a_slow_listener_whose_inbox_is_full(environment, transcript):
    class Slow(Participant):
        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                await anyio.sleep(1)

    agent = Agent("agent", FakeModel(script(*("x" * 200))))
    async with environment(Slow("slow"), agent):
        await agent.infer()

    times = [event.time for event in transcript.of("agent") if event.type == "text.delta"]
    assert max(times) >= 200 - 65
    transcript.expect("agent").deltas(200).completed().nothing_more()


async def test_no_stream_waits_for_an_observer(environment, transcript):
    class Slow(Observer):
        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                await anyio.sleep(1)

    agent = Agent("agent", FakeModel(script(*("x" * 200))))
    async with environment(Slow("slow"), agent):
        await agent.infer()

    transcript.expect("agent").deltas(200).completed(at=0).nothing_more()


async def test_a_handler_that_waits_for_an_answer_does_not_hold_that_answer_up(environment, transcript):
    class Asking(Participant):
        outcome = None

        async def on_external_event(self, source, event):
            if event.type == "signal":
                self.outcome = await source.infer("Go on.")

    class Agreeing(Agent):
        async def on_joined(self):
            self.emit(Signal("ready"))

    asking = Asking("asking")
    agent = Agreeing("agent", FakeModel(script(*("x" * 200))))
    async with environment(asking, agent):
        pass

    assert asking.outcome.text == "x" * 200
    transcript.expect("agent").signal("ready").deltas(200).completed().nothing_more()


async def test_leaving_waits_for_inferences_inboxes_and_handlers(environment, virtual_clock):
    class Slow(Observer):
        done = False

        async def on_external_event(self, source, event):
            if event.type == "inference.completed":
                await anyio.sleep(5)
                self.done = True

    slow = Slow("slow")
    agent = Agent("agent", FakeModel(script("x", every=1)))
    async with environment(slow, agent):
        agent.infer()

    assert slow.done
    assert virtual_clock.now == 6


async def test_settled_in_a_handler_waits_for_all_but_the_one_that_asks(environment, virtual_clock):
    class Patient(Observer):
        settled_at = None

        async def on_external_event(self, source, event):
            if event.type == "inference.started":
                await self.environment.settled()
                self.settled_at = virtual_clock.now

    patient = Patient("patient")
    agent = Agent("agent", FakeModel(script("x", every=2)))
    async with environment(agent, patient):
        agent.infer()

    assert patient.settled_at == 2


async def test_who_joins_hears_from_then_on_and_who_leaves_hears_its_own_leaving_last(environment):
    guest = Recorder("guest")
    host = Recorder("host")
    async with environment(host) as room:
        room.emit(Signal("before"))
        await room.join(guest)
        room.emit(Signal("during"))
        await room.leave(guest)
        room.emit(Signal("after"))

    assert guest.heard == ["joined", ("test", "during"), "left"]
    assert host.heard == [
        "joined",
        ("test", "before"),
        ("joined", "guest"),
        ("test", "during"),
        ("left", "guest"),
        ("test", "after"),
    ]


async def test_the_inferences_of_who_leaves_are_aborted(environment, transcript):
    agent = Agent("agent", FakeModel(script("x", "y", every=1)))
    async with environment(agent) as room:
        agent.infer()
        await anyio.sleep(1.5)
        await room.leave(agent)

    transcript.expect("agent").text("x").aborted(reason="its agent left", at=1.5).nothing_more()


async def test_what_is_asked_and_answered_becomes_context(environment):
    model = FakeModel(script("one"), script("two"))
    agent = Agent("agent", model)
    async with environment(agent):
        await agent.infer("first")
        await agent.infer(Message("second", role="developer"))

    assert [call.items for call in model.calls] == [
        (Message("first"),),
        (Message("first"), ModelMessage("one"), Message("second", role="developer")),
    ]


async def test_without_a_transcript_times_count_from_the_opening():
    class Clock(Observer):
        times = ()

        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                self.times += (event.time,)

    clock = Clock("clock")
    agent = Agent("agent", FakeModel(script("x", "y", every=0.5)))
    await anyio.sleep(3)
    async with Environment(clock, agent):
        await agent.infer()

    assert clock.times == (0.5, 1.0)


async def test_wrong_use_is_named(environment):
    agent = Agent("agent", FakeModel())
    with pytest.raises(RuntimeError, match=re.escape("<Agent 'agent'> is in no environment")):
        agent.infer()
    with pytest.raises(ValueError, match="needs a name"):
        Participant("")

    room = environment(agent)
    async with room:
        with pytest.raises(ValueError, match="is in an environment already"):
            await room.join(agent)
        with pytest.raises(ValueError, match="a participant 'agent' in the room already"):
            await room.join(Observer("agent"))
    with pytest.raises(RuntimeError, match="is closed"):
        await room.join(Observer("late"))
    with pytest.raises(RuntimeError, match="can be entered once"):
        async with room:
            pass


async def test_the_same_script_gives_the_same_transcript_on_every_run(transcript, environment):
    agent = Agent("agent", FakeModel(script("x", "y", every=0.1)))
    async with environment(agent):
        await agent.infer("Hello?")

    assert [(event.type, event.time, event.seq) for event in transcript.events] == [
        ("participant.joined", 0.0, 1),
        ("inference.started", 0.0, 2),
        ("item.completed", 0.0, 3),
        ("text.delta", 0.1, 4),
        ("text.delta", 0.2, 5),
        ("item.completed", 0.2, 6),
        ("inference.completed", 0.2, 7),
    ]
    with pytest.raises(Exception, match="on already"), virtual_time():
        pass
