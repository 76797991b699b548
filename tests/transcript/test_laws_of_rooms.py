"""The laws that are checked against what a room knows beside its transcript: who acted on what, who heard what as whose, and aborts."""

from __future__ import annotations

import anyio
import pytest

from pytest_streamrt import Agent, Environment, FakeModel, Observer, Signal, Transcript, script, stall
from pytest_streamrt.events import TextDelta

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


class Stopper(Observer):
    """Says so, and stops the answer, when it hears the first delta; and hears itself."""

    async def on_external_event(self, source, event):
        if event.type == "text.delta":
            self.emit(Signal("enough"))
            await self.abort(event.inference, "enough")


async def stopped():
    """A transcript of an answer that was stopped, its room, and what the room took down about who stopped it."""
    transcript, stopper = Transcript(), Stopper("stopper")
    agent = Agent("agent", FakeModel(script("x", stall())))
    async with Environment(agent, stopper, transcript=transcript) as room:
        await agent.infer()
    return transcript, room, next(stay for stay in room._stays if stay.name == "stopper")


async def test_all_laws_of_one_run_are_checked():
    transcript, _, _ = await stopped()

    report = transcript.assert_lawful()

    assert report.checked == [1, 2, 3, 4, 5, 6, 7, 11]
    assert "no agent that inferred has tools" in report.unchecked[8]


def forget_cause(room, stay):
    stay.heard[:] = [event for event in stay.heard if event.type != "text.delta"]


def hear_as_anothers(room, stay):
    stay.called.clear()


def hear_as_own(room, stay):
    stay.called.append(1)


def left_open(room, stay):
    room.inferences["agent/1"]._stopped.append(False)


@pytest.mark.parametrize(
    ("law", "damage", "what"),
    [
        (4, forget_cause, "'stopper' has not been handed seq 4, and yet acted on it: Signal"),
        (6, left_open, r"abort\(\) of agent/1 has returned while its model's stream was open"),
        (7, hear_as_anothers, r"'stopper' has emitted .*, and heard it as another's"),
        (7, hear_as_own, "'stopper' heard seq 1 as its own, and has not emitted it"),
    ],
)
async def test_a_breach_is_named(law, damage, what):
    transcript, room, stay = await stopped()
    damage(room, stay)

    with pytest.raises(AssertionError, match=what) as caught:
        transcript.assert_lawful(skip=[3])
    assert f"law {law} is broken" in str(caught.value)
    transcript.assert_lawful(skip=[3, law])


async def test_a_refusal_to_close_is_lawful_when_it_is_on_the_record():
    class Stubborn:
        async def stream(self, context, tools):
            try:
                yield TextDelta("x")
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(9)

    transcript, agent = Transcript(), Agent("agent", Stubborn())
    async with Environment(agent, transcript=transcript) as room:
        inference = agent.infer()
        await anyio.sleep(1)
        await inference.abort("enough")

    assert inference._stopped == [False]
    assert 6 in transcript.assert_lawful().checked
    assert room.inferences["agent/1"].status == "aborted"


async def test_what_led_to_it_in_another_room_is_no_cause():
    """Each room counts for itself: the number of an event of one means another event in the other."""
    transcript = Transcript()

    class Messenger(Observer):
        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                there.emit(Signal("heard of it"))
                await answering.infer()

    agent, answering = Agent("agent", FakeModel(script("x"))), Agent("answering", FakeModel(script("y")))
    async with (
        Environment(answering, transcript=transcript) as there,
        Environment(agent, Messenger("messenger"), transcript=transcript),
    ):
        await agent.infer()

    transcript.assert_lawful()
    of_there = [event for origin, event in transcript.logged if origin is there]
    assert {event.cause for event in of_there} == {None}
    assert [event.source for event in of_there if event.type == "signal"] == ["messenger"]
