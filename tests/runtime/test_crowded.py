"""Too much waits for somebody whose inbox has no bound: a warning, at once; where warnings are errors, when the room is left."""

from __future__ import annotations

import warnings

import anyio
import pytest

from pytest_streamrt import Agent, Environment, FakeModel, Inbox, Observer, Signal, script, stall
from pytest_streamrt.errors import StreamrtWarning

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

CROWDED = "more than 10,000 events wait for 'stuck'"


class Stuck(Observer):
    """Hears nothing for the first second, and takes nothing in from then on."""

    async def on_external_event(self, source, event):
        await anyio.sleep(1)
        await self.environment.leave(self)
        self.on_external_event = super().on_external_event


def crowd(room):
    """As many events as may wait for somebody who has another in hand."""
    for _ in range(10_000):
        room.emit(Signal("more"))


async def stuck_in(room, virtual_clock):
    stuck = Stuck("stuck")
    await room.join(stuck)
    room.emit(Signal("first"))
    await virtual_clock.turn()
    crowd(room)
    return stuck


async def test_who_joins_as_it_is_found_out_is_there_and_hears(environment, virtual_clock):
    class Listener(Observer):
        heard = 0

        async def on_external_event(self, source, event):
            self.heard += 1

    with pytest.raises(StreamrtWarning, match=CROWDED):
        async with environment() as room:
            await stuck_in(room, virtual_clock)
            await room.join(listener := Listener("listener"))
            room.emit(Signal("welcome"))

    assert listener.heard == 2  # and that the other has left


async def test_a_stream_goes_on_as_it_is_found_out(environment, virtual_clock, transcript):
    agent = Agent("agent", FakeModel(script("a", "b", every=0.25)))
    with pytest.raises(StreamrtWarning, match=CROWDED):
        async with environment(agent) as room:
            await stuck_in(room, virtual_clock)
            assert (await agent.infer()).text == "ab"

    transcript.expect("agent").text("ab").completed().nothing_more()


async def test_an_abort_as_it_is_found_out_is_one(environment, virtual_clock):
    agent = Agent("agent", FakeModel(script(stall())))
    with pytest.raises(StreamrtWarning, match=CROWDED):
        async with environment(agent) as room:
            inference = agent.infer()
            await virtual_clock.turn()
            await stuck_in(room, virtual_clock)
            await inference.abort("enough")
            assert inference.status == "aborted"


async def test_it_is_raised_with_what_participants_raised(environment, virtual_clock):
    class Breaks(Observer):
        async def on_external_event(self, source, event):
            if event.type == "signal" and event.name == "break":
                raise LookupError("broken")

    with pytest.raises(ExceptionGroup) as caught:
        async with environment(Breaks("breaks", Inbox.drop_oldest(9))) as room:
            await stuck_in(room, virtual_clock)
            room.emit(Signal("break"))

    broken, crowded = caught.value.exceptions
    assert str(broken) == "broken"
    assert str(crowded).startswith(CROWDED)


async def test_it_is_raised_with_what_else_there_is_to_say(virtual_clock):
    with pytest.raises(StreamrtWarning, match=CROWDED) as caught:
        async with Environment(Agent("agent", FakeModel(script("never"))), failures="isolate") as room:
            await stuck_in(room, virtual_clock)
            room.emit(Signal("too much"))

    assert "was never played: 'never'" in caught.value.__notes__[0]


async def test_a_room_that_is_left_by_an_error_says_it_beside_that(environment, virtual_clock):
    with pytest.raises(LookupError) as caught:
        async with environment() as room:
            await stuck_in(room, virtual_clock)
            room.emit(Signal("too much"))
            raise LookupError

    assert caught.value.__notes__[0].startswith(f"before that, there was a warning: {CROWDED}")


async def test_a_plain_warning_is_given_at_once_and_once(environment, virtual_clock):
    async with environment() as room:
        await stuck_in(room, virtual_clock)
        with warnings.catch_warnings(record=True, action="always") as given:
            room.emit(Signal("too much"))
            room.emit(Signal("more"))

    assert [str(each.message)[: len(CROWDED)] for each in given] == [CROWDED]
    assert given[0].filename == __file__
