"""Wrong use is refused before it starts anything, and leaves nothing behind."""

from __future__ import annotations

import math
import re

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from pytest_streamrt import Agent, Environment, FakeModel, Observer, Participant, Signal, no_task_leaks, script
from pytest_streamrt.events import Status, TextDelta

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"message": ["hi"]}, TypeError, "the message is text or a Message, not ['hi']"),
        ({"message": b"hi"}, TypeError, "the message is text or a Message, not b'hi'"),
        ({"deadline": "2"}, TypeError, "deadline is a number of seconds from 0 on, not '2'"),
        ({"deadline": True}, TypeError, "deadline is a number of seconds from 0 on, not True"),
        ({"deadline": math.nan}, ValueError, "deadline is a number of seconds from 0 on, not nan"),
        ({"deadline": -1}, ValueError, "deadline is a number of seconds from 0 on, not -1"),
        ({"max_deltas": "3"}, TypeError, "max_deltas is a whole number from 1 on, not '3'"),
        ({"max_deltas": 2.0}, TypeError, "max_deltas is a whole number from 1 on, not 2.0"),
        ({"max_deltas": 0}, ValueError, "max_deltas is a whole number from 1 on, not 0"),
        ({"max_deltas": -1}, ValueError, "max_deltas is a whole number from 1 on, not -1"),
    ],
)
async def test_what_infer_cannot_do_is_refused_and_nothing_starts(arguments, error, message, environment, transcript):
    agent = Agent("agent", FakeModel(script("x")))
    async with environment(agent) as room:
        with pytest.raises(error, match=re.escape(f"agent.infer: {message}")):
            agent.infer(**arguments)
        assert room.inferences == {}
        assert (await agent.infer("Hello")).text == "x"

    transcript.expect("agent").text("x").completed().nothing_more()


async def test_a_deadline_at_once_and_one_that_never_comes(environment, transcript, virtual_clock):
    agent = Agent("agent", FakeModel(script("x", every=1), script("y", every=1)))
    async with environment(agent):
        assert (await agent.infer(deadline=0)).status == "aborted"
        assert virtual_clock.now == 0
        assert (await agent.infer(deadline=math.inf)).status == "completed"

    transcript.expect("agent").aborted(by="deadline", at=0).text("y").completed().nothing_more()


async def test_two_of_one_name_are_refused_before_anybody_is_in_the_room(environment, transcript):
    first, second = Agent("a", FakeModel()), Agent("a", FakeModel())
    room = environment(first, second)
    with no_task_leaks(), pytest.raises(ValueError, match="a participant 'a' in the room already"):
        await room.__aenter__()
    with no_task_leaks(), pytest.raises(ValueError, match="a participant 'a' in the room already"):
        await environment(first, first).__aenter__()

    assert not transcript.events
    async with environment(first), Environment(second):  # both are free
        pass


async def test_who_is_in_another_room_is_refused_before_anybody_is_in_this_one(environment):
    busy, free = Observer("busy"), Observer("free")
    async with environment(busy):
        with no_task_leaks(), pytest.raises(ValueError, match="<Observer 'busy'> is in an environment already"):
            await environment(free, busy).__aenter__()
        async with environment(free):
            pass


@pytest.mark.parametrize("what", ["a", None, [Observer("a")], FakeModel()])
async def test_what_is_no_participant_is_refused(what, environment):
    with (
        no_task_leaks(),
        pytest.raises(TypeError, match="an environment is for participants, such as Agent or Observer"),
    ):
        await environment(what).__aenter__()
    async with environment() as room:
        with pytest.raises(TypeError, match="Pass them one by one"):
            await room.join(what)


async def test_a_participant_that_is_refused_by_join_leaves_nothing_behind(environment, transcript):
    late = Observer("a")
    async with environment(Observer("a")) as room:
        with no_task_leaks(), pytest.raises(ValueError, match="a participant 'a' in the room already"):
            await room.join(late)

    assert [event.type for event in transcript.events] == ["participant.joined"]
    async with environment(late):
        pass


async def test_a_log_that_cannot_be_written_leaves_nobody_in_the_room():
    class Full:
        def elapsed(self):
            return 0.0

        def log(self, event, origin):
            raise OSError("no space left")

    agent = Observer("agent")
    with no_task_leaks(), pytest.raises(OSError, match="no space left"):
        await Environment(agent, transcript=Full()).__aenter__()
    async with Environment(agent):
        pass


async def test_other_wrong_arguments_are_named(environment):
    with pytest.raises(TypeError, match="a participant's name is text, not 3"):
        Participant(3)
    with pytest.raises(ValueError, match=r"Environment\(failures='ignore'\): it is one of 'raise', 'isolate'"):
        Environment(failures="ignore")

    observer = Observer("observer")
    async with environment(observer) as room:
        for emit in (room.emit, observer.emit):
            for what in ("ready", TextDelta("x"), Status("busy")):
                with pytest.raises(TypeError, match=r"are signals, not .* Write Signal\('ready', \{…\}\)"):
                    emit(what)
            emit(Signal("ready"))
        with pytest.raises(TypeError, match="leave: it takes the participant itself, not 'observer'"):
            await room.leave("observer")
        with pytest.raises(TypeError, match=r"observer\.abort: it takes an inference or its id, not 7"):
            await observer.abort(7)


async def test_to_abort_the_inference_of_an_event_that_has_none_is_explained(environment):
    class Hasty(Observer):
        async def on_external_event(self, source, event):
            await self.abort(event.inference)

    with pytest.raises(ExceptionGroup) as caught:
        async with environment(Hasty("hasty")) as room:
            room.emit(Signal("ready"))
            await anyio.sleep(1)

    assert re.search(r"hasty\.abort: .* not None\. Likely .* such as a signal", str(caught.value.exceptions[0]))


async def test_a_handler_that_is_not_async_is_named(environment):
    class Sync(Observer):
        def on_external_event(self, source, event):
            pass

    with pytest.raises(ExceptionGroup) as caught:
        async with environment(bot := Agent("bot", FakeModel(script("a"))), Sync("sync")):
            await bot.infer()

    assert "Likely: on_external_event of Sync is not async: write `async def`" in caught.value.exceptions[0].__notes__


async def test_with_instead_of_async_with_is_told_the_right_one(environment):
    with pytest.raises(RuntimeError, match=r"use `async with environment\(…\)`, not `with environment\(…\)`"):
        with environment():
            pass


async def test_a_signal_from_another_thread_is_refused_and_the_way_is_told(environment, transcript):
    observer = Observer("observer")
    async with environment(observer) as room:
        for emit in (room.emit, observer.emit):
            with pytest.raises(RuntimeError, match=re.escape("anyio.from_thread.run_sync(environment.emit, signal)")):
                await anyio.to_thread.run_sync(emit, Signal("lost"))
        await anyio.to_thread.run_sync(anyio.from_thread.run_sync, room.emit, Signal("heard"))

    assert [event.name for event in transcript.events if isinstance(event, Signal)] == ["heard"]
