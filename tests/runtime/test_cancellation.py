"""Cancelling what surrounds a room ends it, natively too; a cancellation that nobody asked for is an error, and not the end."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import anyio
import pytest

from pytest_streamrt import (
    Agent,
    Environment,
    FakeModel,
    InferenceFailed,
    Observer,
    Signal,
    no_task_leaks,
    script,
    stall,
)
from pytest_streamrt.events import FunctionCall, ItemCompleted, TextDelta, ToolCallDelta, ToolCallStarted

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


class Stuck(Observer):
    """Its handler never returns."""

    stopped = False

    async def on_external_event(self, source, event):
        try:
            await anyio.sleep_forever()
        finally:
            self.stopped = True


@on_asyncio
async def test_a_native_timeout_ends_a_room_that_waits_for_a_handler(environment, transcript, virtual_clock):
    stuck, agent = Stuck("stuck"), Agent("agent", FakeModel(script("x")))
    with no_task_leaks(), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), environment(agent, stuck):
            await agent.infer()

    assert (stuck.stopped, virtual_clock.now) == (True, 0.5)
    assert not asyncio.current_task().cancelling()
    transcript.expect("agent").text("x").completed().nothing_more()


@on_asyncio
async def test_a_native_timeout_ends_a_room_that_waits_for_an_answer(environment, transcript, virtual_clock):
    agent = Agent("agent", FakeModel(script("x", stall(), every=0.1)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), environment(agent):
            agent.infer()

    assert virtual_clock.now == 0.5
    transcript.expect("agent").text("x").aborted(by="environment", at=0.5).nothing_more()


@on_asyncio
async def test_a_task_that_waits_to_leave_a_room_can_be_cancelled(environment, transcript):
    agent = Agent("agent", FakeModel(script("x", stall(), every=0.1)))

    async def visit():
        async with environment(agent):
            agent.infer()

    task = asyncio.create_task(visit())
    await asyncio.sleep(1)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task

    transcript.expect("agent").text("x").aborted(at=1).nothing_more()


@on_asyncio
async def test_a_native_timeout_while_a_stream_refuses_to_close(environment, transcript, virtual_clock):
    class Stubborn:
        async def stream(self, context, tools):
            try:
                yield TextDelta("x")
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(3)

    agent = Agent("agent", Stubborn())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2), environment(agent):
            inference = agent.infer()
            await anyio.sleep(1)
            await inference.abort("enough")

    assert virtual_clock.now == 4
    transcript.expect("agent").text("x").aborted(by="caller", at=1).nothing_more()


@on_asyncio
@pytest.mark.parametrize("when", [0.5, 1.0, 1.5])
async def test_two_cancellations_at_once(when, environment, virtual_clock):
    agent = Agent("agent", FakeModel(script(stall())))
    with pytest.raises(TimeoutError), anyio.fail_after(1.0):
        async with asyncio.timeout(when), environment(agent):
            agent.infer()

    assert virtual_clock.now == min(when, 1)


async def test_a_scope_around_ends_a_room_that_waits_for_a_handler(environment, transcript, virtual_clock):
    stuck, agent = Stuck("stuck"), Agent("agent", FakeModel(script("x")))
    with pytest.raises(TimeoutError), anyio.fail_after(0.5):
        async with environment(agent, stuck):
            await agent.infer()

    assert (stuck.stopped, virtual_clock.now) == (True, 0.5)
    transcript.expect("agent").text("x").completed().nothing_more()


@on_asyncio
async def test_the_timeout_that_ends_a_room_says_which_participants_had_failed(environment):
    class Clumsy(Observer):
        async def on_external_event(self, source, event):
            raise RuntimeError("oops")

    agent = Agent("agent", FakeModel(script("x", stall())))
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(1), environment(agent, Clumsy("clumsy")):
            agent.infer()

    assert "a participant failed: RuntimeError('oops')" in caught.value.__cause__.__notes__[0]


async def test_a_failure_that_is_no_exception_ends_a_room_that_waits(environment):
    class Strict(Observer):
        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                pytest.fail("not that")

    agent = Agent("agent", FakeModel(script("x", stall())))
    with pytest.raises(pytest.fail.Exception, match="not that"):
        async with environment(agent, Strict("strict")):
            agent.infer()


async def test_the_error_that_a_room_is_left_by_is_told_with_such_a_failure(environment):
    class Strict(Observer):
        async def on_external_event(self, source, event):
            try:
                await anyio.sleep_forever()
            finally:
                pytest.fail("not that")

    with pytest.raises(pytest.fail.Exception, match="not that") as caught:
        async with environment(Strict("strict")) as room:
            room.emit(Signal("go"))
            await anyio.sleep(1)
            raise LookupError("this first")

    assert str(caught.value.__cause__) == "this first"


async def cancelled_helper():
    """What many await at their end: a task of their own, that they have cancelled."""
    helper = asyncio.create_task(asyncio.sleep(60))
    helper.cancel()
    await helper


@on_asyncio
async def test_a_handler_that_awaits_a_cancelled_task_fails_and_the_rest_go_on(environment, transcript):
    class Careless(Observer):
        async def on_external_event(self, source, event):
            await cancelled_helper()

    agent = Agent("agent", FakeModel(script("x", "y", every=1)))
    with pytest.raises(ExceptionGroup) as caught:
        async with environment(agent, Careless("careless")):
            assert (await agent.infer()).text == "xy"

    failure = caught.value.exceptions[0]
    assert "CancelledError, but nobody has cancelled it" in str(failure)
    assert isinstance(failure.__cause__, asyncio.CancelledError)
    transcript.expect("agent").text("xy").completed().nothing_more()


@on_asyncio
async def test_so_it_is_after_a_task_group_that_failed(environment):
    """Before Python 3.13, such a group leaves its task with a request to cancel that is never taken back."""

    class Careless(Observer):
        async def on_external_event(self, source, event):
            if event.name == "group":
                with pytest.raises(ExceptionGroup):
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(breaks())
                        tasks.create_task(anyio.sleep(1))
            else:
                await cancelled_helper()

    careless = Careless("careless")
    with pytest.raises(ExceptionGroup) as caught:
        async with environment(careless) as room:
            room.emit(Signal("group"))
            room.emit(Signal("helper"))
            await room.settled()

    failure = caught.value.exceptions[0]
    assert "CancelledError, but nobody has cancelled it" in str(failure)
    assert "while it handled Signal(name='helper'" in failure.__notes__[0]


@on_asyncio
async def test_a_model_that_awaits_a_cancelled_task_fails_its_inference(environment, transcript):
    class Careless:
        async def stream(self, context, tools):
            yield TextDelta("x")
            await cancelled_helper()

    agent = Agent("agent", Careless())
    async with environment(agent):
        with pytest.raises(InferenceFailed, match="nobody has cancelled it"):
            await agent.infer()

    transcript.expect("agent").text("x").failed(kind="model").nothing_more()


@on_asyncio
@pytest.mark.parametrize("slow", [False, True], ids=["while it waits", "while it is waited for"])
async def test_a_model_that_awaits_a_cancelled_task_when_it_is_aborted(slow, environment, transcript):
    class Careless:
        async def stream(self, context, tools):
            try:
                async with aclosing(FakeModel(script(*("x" * 70), stall())).stream(context, tools)) as events:
                    async for event in events:
                        yield event
            finally:
                await cancelled_helper()

    class Listener(Agent):
        async def on_external_event(self, source, event):
            if slow:
                await anyio.sleep(0.1)

    agent = Agent("agent", Careless())
    async with environment(agent, Listener("listener", FakeModel())):
        inference = agent.infer()
        await anyio.sleep(0.35)
        await inference.abort("enough")
        await anyio.sleep(1)

    transcript.expect("agent").deltas(66 if slow else 70).aborted(at=0.35).rest()


@on_asyncio
async def test_a_handler_that_cancels_the_task_it_runs_in_does_not_end_the_room_without_a_word():
    class Reckless(Observer):
        async def on_external_event(self, source, event):
            asyncio.current_task().cancel()
            await anyio.sleep(1)

    with pytest.raises(
        RuntimeError, match="a task of the environment was cancelled, .* nobody has cancelled the environment"
    ):
        async with Environment(Reckless("reckless"), agent := Agent("agent", FakeModel(script("x", stall())))):
            await agent.infer()


class BreaksWhenCancelled:
    """A model that is written as most are, as a generator: it learns of a cancellation where it waits."""

    async def stream(self, context, tools):
        yield ToolCallStarted(id="call", name="wait")
        yield ToolCallDelta(id="call", arguments="{}")
        yield ItemCompleted(FunctionCall("call", "wait", "{}"))
        try:
            await anyio.sleep_forever()
        finally:
            await breaks()


async def breaks():
    with anyio.CancelScope(shield=True):
        await anyio.sleep(0.01)
    raise ValueError


class TellsWhenCancelled(Observer):
    async def on_external_event(self, source, event):
        try:
            await anyio.sleep_forever()
        finally:
            self.emit(Signal(self.name))


async def test_all_in_a_room_are_cancelled_in_one_order(environment, transcript):
    async def wait():
        try:
            await anyio.sleep_forever()
        finally:
            await breaks()

    names = [f"agent {n}" for n in range(6)]
    agents = [Agent(name, BreaksWhenCancelled(), tools=[wait]) for name in names]
    with anyio.move_on_after(1):
        async with environment(*agents, *(TellsWhenCancelled(f"observer {n}") for n in range(6))):
            for agent in agents:
                agent.infer()
            await anyio.sleep(9)

    after = [event for event in transcript.events if event.time >= 1]
    assert [event.source for event in after if event.type == "inference.aborted"] == names
    assert [event.name for event in after if event.type == "signal"] == [f"observer {n}" for n in range(6)]
    broken = [(event.name, event.data["inference"]) for event in after if event.type == "status"]
    inferences = [f"{name}/1" for name in names]
    assert sorted(broken) == [
        (what, inference) for what in ("tool.failed", "upstream.failed") for inference in inferences
    ]
    for what in ("tool.failed", "upstream.failed"):
        assert [inference for name, inference in broken if name == what] == inferences


@pytest.mark.parametrize("what", ["infer", "join"])
async def test_nothing_begins_in_a_room_that_is_being_cancelled(what, environment, transcript):
    class Restless(Observer):
        async def on_external_event(self, source, event):
            try:
                await anyio.sleep_forever()
            finally:
                if what == "infer":
                    late.infer()
                else:
                    await self.environment.join(Observer("latecomer"))

    late = Agent("late", FakeModel())
    with anyio.move_on_after(1):
        async with environment(late, Restless("restless"), failures="isolate") as room:
            room.emit(Signal("begin"))
            await anyio.sleep(9)

    (failed,) = [event for event in transcript.events if event.type == "participant.failed"]
    assert (failed.source, failed.time) == ("restless", 1)
    assert failed.error.startswith("RuntimeError: ")
    assert room.inferences == {}
    assert "latecomer" not in transcript.sources


@pytest.mark.parametrize("participants", [(), (Observer("observer"),)], ids=["nobody", "somebody"])
async def test_an_error_is_not_lost_where_a_scope_around_the_room_is_cancelled_as_well(environment, participants):
    """On trio, the cancellation took its place, and the test passed."""
    with pytest.raises(LookupError, match="lost"), anyio.move_on_after(1):
        async with environment(*participants):
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)
                raise LookupError("lost")
