"""What random stories have found (`test_laws_hold`): a small test for each."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from pytest_streamrt import Agent, Environment, FakeModel, Inbox, Observer, disconnect, error, script, stall, usage
from pytest_streamrt.events import TERMINALS, TextDelta

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def test_a_handler_that_fails_because_the_room_is_being_left(environment, transcript):
    """It used to end the room with an error of its own, in place of what the room was left by."""

    class Late(Observer):
        async def on_external_event(self, source, event):
            try:
                await anyio.sleep_forever()
            finally:
                raise LookupError("too late")

    agent = Agent("agent", FakeModel(script("x", stall(), every=1)))
    with pytest.raises(ValueError, match="enough") as caught:
        async with environment(agent, Late("late")):
            agent.infer()
            await anyio.sleep(2)
            raise ValueError("enough")

    assert caught.value.__notes__ == ["before that, a participant failed: LookupError('too late')"]
    transcript.expect("agent").text("x").aborted(by="environment").nothing_more()


async def test_a_cancelled_scope_around_a_room_ends_all_in_the_order_in_which_they_began(environment, transcript):
    """Tasks are told in different orders by asyncio and trio, and the reasons differed with who was told first."""
    agents = [Agent(f"agent {i}", FakeModel(script(stall()), script(stall()))) for i in range(3)]
    with anyio.move_on_after(1):
        async with environment(*agents):
            for agent in (*agents, *reversed(agents)):
                agent.infer()
            await anyio.sleep_forever()

    ends = [event for event in transcript.events if event.type == "inference.aborted"]
    assert [event.inference for event in ends] == [
        f"agent {i}/{n}" for n, i in ((1, 0), (1, 1), (1, 2), (2, 2), (2, 1), (2, 0))
    ]
    assert {(event.by, event.reason) for event in ends} == {("scope", "cancelled")}


async def test_what_breaks_on_the_way_out_of_a_cancelled_scope_was_ended_by_that(environment, transcript):
    """It had failed, or was aborted, as asyncio or trio told it before the others or after."""

    class Breaks:
        async def stream(self, context, tools):
            try:
                yield TextDelta("x")
                await anyio.sleep_forever()
            finally:
                raise LookupError("on the way out")

    agents = [Agent(f"agent {i}", Breaks()) for i in range(3)]
    with anyio.move_on_after(1):
        async with environment(*agents):
            for agent in agents:
                agent.infer()
            await anyio.sleep_forever()

    ends = [(event.source, event.type) for event in transcript.events if event.type in TERMINALS]
    assert ends == [(agent.name, "inference.aborted") for agent in agents]
    failed = [event.data["inference"] for event in transcript.events if event.type == "status"]
    assert sorted(failed) == ["agent 0/1", "agent 1/1", "agent 2/1"]


async def test_a_cancelled_scope_has_no_cause_in_the_room(environment, transcript):
    """Its aborts were said to be caused by what had led to the inference that was told first, on trio."""

    class Starter(Observer):
        async def on_joined(self):
            agent.infer()

    agent = Agent("agent", FakeModel(script(stall())))
    with anyio.move_on_after(1):
        async with environment(agent, Starter("starter")):
            await anyio.sleep_forever()

    causes = {event.type: event.cause for event in transcript.events if event.inference}
    assert causes == {"inference.started": 2, "inference.aborted": None}


@pytest.mark.parametrize(
    "what", [disconnect(), error("server_error"), usage(1, 2)], ids=lambda part: type(part).__name__
)
async def test_who_decides_on_a_delta_acts_before_what_is_no_delta(what, environment, transcript):
    """A scripted model took its turn before deltas and the end alone; a fault came before anybody could act."""

    class Slow(Observer):
        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                for _ in range(7):
                    await anyio.lowlevel.checkpoint()
                await self.abort(event.inference, "enough")

    agent = Agent("agent", FakeModel(script("x", what)))
    async with environment(agent, Slow("slow")):
        await agent.infer()

    transcript.expect("agent").text("x").aborted(by="slow", reason="enough").nothing_more()
    assert not [event for event in transcript.events if event.type == "usage"]


async def test_a_handler_that_waits_for_a_fakes_deltas_lends_its_inbox(environment, transcript):
    """Streams waited for its inbox, and it for the streams."""
    model = FakeModel(script(*"abcdef"))

    class Patient(Observer):
        async def on_external_event(self, source, event):
            if event.type == "inference.started":
                await model.emitted(6)

    agent = Agent("agent", model)
    async with environment(agent, Patient("patient", Inbox.block(1))):
        await agent.infer()

    transcript.expect("agent").text("abcdef").completed().nothing_more()
    transcript.assert_lawful()


async def test_who_has_left_can_join_another_room_and_cannot_infer_in_the_one_it_left(environment):
    agent = Agent("agent", FakeModel(script("a")))
    async with environment(agent) as room, Environment() as other:
        await room.leave(agent)
        with pytest.raises(RuntimeError, match="agent cannot infer: it has left the environment"):
            agent.infer()
        await room.settled()
        with pytest.raises(RuntimeError, match="is in no environment"):
            agent.infer()
        await other.join(agent)
        assert (await agent.infer()).text == "a"
