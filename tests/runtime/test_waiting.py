"""Waiting in a handler, a tool or a model: what could never end raises, and says who waits for whom."""

from __future__ import annotations

import anyio
import pytest

from pytest_streamrt import Agent, Environment, FakeModel, Participant, Signal, script, tool_call
from pytest_streamrt.errors import WouldDeadlock
from pytest_streamrt.events import TextDelta
from pytest_streamrt.runtime.inbox import Inbox

pytestmark = pytest.mark.anyio


class Waits(Participant):
    """At the signal "go", does what it was made with, and keeps what that raised, and when it was done."""

    def __init__(self, name, act, inbox=None):
        super().__init__(name, inbox)
        self.act = act
        self.error = None
        self.done = False

    async def on_external_event(self, source, event):
        if event.type == "signal" and event.name == "go":
            try:
                await self.act(self)
            except WouldDeadlock as error:
                self.error = error
            self.done = True


async def settle(participant):
    await participant.environment.settled()


def errors(*participants):
    return [each.error for each in participants if each.error is not None]


@pytest.mark.virtual_time
async def test_two_handlers_that_wait_for_the_room_to_settle(environment):
    one, two = Waits("one", settle), Waits("two", settle)
    async with environment(one, two) as room:
        room.emit(Signal("go"))

    (error,) = errors(one, two)  # the other's wait ends when this one gives up
    assert one.done
    assert two.done
    assert set(error.cycle) == {"the handler of 'one'", "the handler of 'two'"}
    assert error.cycle[0] == error.cycle[-1]
    first, second = ("two", "one") if two.error else ("one", "two")
    assert str(error).startswith(
        f"the handler of '{first}' waits for the room to settle, which waits for the handler of '{second}', "
        f"which waits for the room to settle, which waits for the handler of '{first}': that could never end."
    )


@pytest.mark.virtual_time
async def test_a_handler_that_does_not_catch_it_fails_and_the_other_goes_on(transcript):
    class Settles(Participant):
        done = False

        async def on_external_event(self, source, event):
            if event.type == "signal":
                await self.environment.settled()
                self.done = True

    one, two = Settles("one"), Settles("two")
    with pytest.raises(ExceptionGroup) as caught:
        async with Environment(one, two, transcript=transcript) as room:
            room.emit(Signal("go"))

    (error,) = caught.value.exceptions
    assert isinstance(error, WouldDeadlock)
    assert [one.done, two.done].count(True) == 1
    (failed,) = [event for event in transcript.events if event.type == "participant.failed"]
    assert failed.name == ("two" if one.done else "one")
    transcript.assert_lawful()


@pytest.mark.virtual_time
async def test_three_handlers_that_wait_for_the_room_to_settle(environment):
    people = [Waits(name, settle) for name in ("one", "two", "three")]
    async with environment(*people) as room:
        room.emit(Signal("go"))

    assert len(errors(*people)) == 2
    assert all(person.done for person in people)


@pytest.mark.virtual_time
async def test_handlers_that_settle_one_after_the_other_do_not_wait_for_each_other(environment):
    async def later(participant):
        await anyio.sleep(1)
        await participant.environment.settled()

    # While one sleeps nobody waits; when it settles, the other has returned.
    one, two = Waits("one", later), Waits("two", lambda participant: anyio.sleep(0.5))
    async with environment(one, two) as room:
        room.emit(Signal("go"))

    assert errors(one, two) == []


@pytest.mark.virtual_time
async def test_a_handler_may_settle_while_another_awaits_an_answer(environment, virtual_clock):
    agent = Agent("agent", FakeModel(script(*"abc", every=1)))
    asks = Waits("asks", lambda _: agent.infer().outcome(), Inbox.block(1))
    settles = Waits("settles", settle, Inbox.block(1))
    async with environment(agent, asks, settles) as room:
        room.emit(Signal("go"))

    assert errors(asks, settles) == []
    assert virtual_clock.now == 3


@pytest.mark.virtual_time
async def test_handlers_may_await_each_other_s_answers(environment, transcript):
    class Asks(Agent):
        other = None
        outcome = None

        async def on_external_event(self, source, event):
            if event.type == "signal":
                self.outcome = await self.other.infer("Go on.")

    one, two = (Asks(name, FakeModel(script(*("x" * 200)))) for name in ("one", "two"))
    one.other, two.other = two, one
    async with environment(one, two) as room:
        room.emit(Signal("go"))

    assert one.outcome.text == two.outcome.text == "x" * 200


@pytest.mark.virtual_time
async def test_handlers_may_await_the_same_answer(environment):
    agent = Agent("agent", FakeModel(script(*("x" * 200))))
    people = []
    async with environment(agent) as room:
        running = agent.infer()
        for name in ("one", "two"):
            people.append(Waits(name, lambda _: running.outcome(), Inbox.block(1)))
            await room.join(people[-1])
        room.emit(Signal("go"))

    assert errors(*people) == []
    assert all(person.done for person in people)


@pytest.mark.virtual_time
@pytest.mark.parametrize("what", ["await", "outcome", "settled"])
async def test_a_tool_that_waits_for_the_inference_it_is_part_of(what, environment, transcript):
    caught = []

    async def wait() -> str:
        running = next(iter(agent.environment.inferences.values()))
        try:
            await {"await": running.outcome, "outcome": running.outcome, "settled": agent.environment.settled}[what]()
        except WouldDeadlock as error:
            caught.append(error)
        return "waited"

    agent = Agent("agent", FakeModel(script(tool_call("wait", {})), script("Done.")), tools=[wait])
    async with environment(agent):
        await agent.infer()

    (error,) = caught
    assert error.cycle == ("the inference 'agent/1'", "the inference 'agent/1'")
    assert "that could never end" in str(error)


@pytest.mark.virtual_time
async def test_a_tool_that_does_not_catch_it_fails_and_the_model_is_told(environment, transcript):
    async def wait() -> str:
        await agent.environment.settled()
        return "settled"

    agent = Agent("agent", FakeModel(script(tool_call("wait", {})), script("Then not.")), tools=[wait])
    async with environment(agent):
        outcome = await agent.infer()

    assert outcome.text == "Then not."
    (result,) = [event for event in transcript.events if event.type == "tool.result"]
    assert result.status == "failed"
    assert "the inference 'agent/1' waits for the room to settle" in result.output


@pytest.mark.virtual_time
async def test_two_agents_whose_tools_wait_for_each_other(environment):
    caught = []
    running = {}

    def waits_for(name):
        async def wait() -> str:
            await anyio.sleep(1)
            try:
                await running[name]
            except WouldDeadlock as error:
                caught.append(error)
            return "waited"

        return wait

    def answer():
        return FakeModel(script(tool_call("wait", {})), script("Done."))

    one, two = Agent("one", answer(), tools=[waits_for("two")]), Agent("two", answer(), tools=[waits_for("one")])
    async with environment(one, two):
        running.update(one=one.infer(), two=two.infer())

    (error,) = caught
    assert set(error.cycle) == {"the inference 'one/1'", "the inference 'two/1'"}
    assert running["one"].status == running["two"].status == "completed"


@pytest.mark.virtual_time
async def test_a_tool_may_ask_another_agent_and_await_its_answer(environment):
    async def ask() -> str:
        return (await expert.infer("Well?")).text

    expert = Agent("expert", FakeModel(script(*("x" * 200))))
    agent = Agent("agent", FakeModel(script(tool_call("ask", {})), script("Thanks.")), tools=[ask])
    asks = Waits("asks", lambda _: agent.infer().outcome(), Inbox.block(1))
    async with environment(agent, expert, asks) as room:
        room.emit(Signal("go"))

    assert asks.done
    assert agent.context.items[-1].text == "Thanks."


@pytest.mark.virtual_time
async def test_a_handler_that_settles_while_a_tool_waits_for_that_handler(environment):
    caught = []

    async def settle_in_a_tool() -> str:
        await anyio.sleep(1)
        try:
            await agent.environment.settled()
        except WouldDeadlock as error:
            caught.append(error)
        return "settled"

    agent = Agent(
        "agent", FakeModel(script(tool_call("settle_in_a_tool", {})), script("Done.")), tools=[settle_in_a_tool]
    )
    asks = Waits("asks", lambda _: agent.infer().outcome())
    async with environment(agent, asks) as room:
        room.emit(Signal("go"))

    assert len(caught) == 1
    assert errors(asks) == []


@pytest.mark.virtual_time
async def test_a_model_that_waits_for_its_own_inference_fails_it(environment):
    class Model:
        async def stream(self, context, tools):
            yield TextDelta("a")
            await agent.environment.inferences["agent/1"]

    agent = Agent("agent", Model())
    async with environment(agent):
        outcome = await agent.infer().outcome()

    assert outcome.status == "failed"
    assert "WouldDeadlock" in outcome.reason


@pytest.mark.virtual_time
async def test_a_tool_may_abort_the_inference_it_is_part_of(environment, transcript):
    async def stop() -> None:
        await agent.environment.inferences["agent/1"].abort("enough")

    agent = Agent("agent", FakeModel(script(tool_call("stop", {}))), tools=[stop])
    async with environment(agent):
        outcome = await agent.infer()

    assert outcome.reason == "enough"


@pytest.mark.virtual_time
async def test_handlers_may_abort_while_others_settle(environment):
    agent = Agent("agent", FakeModel(script(*"abc", every=1)))
    settles = Waits("settles", settle)
    stops = Waits("stops", lambda self: self.abort("agent/1"))
    async with environment(agent, settles, stops) as room:
        agent.infer()
        room.emit(Signal("go"))

    assert errors(settles, stops) == []


@pytest.mark.virtual_time
async def test_a_task_that_has_outlived_its_handler_waits_for_itself(environment):
    """What a handler has left running is nobody's wait once that has returned."""
    settled = []

    async def leave_running(participant):
        async def wait():
            await anyio.sleep(1)
            await participant.environment.settled()
            settled.append(participant.name)

        tasks.start_soon(wait)

    async def settle_later(participant):
        await anyio.sleep(2)
        await participant.environment.settled()

    one, two = Waits("one", leave_running), Waits("two", settle_later)
    async with anyio.create_task_group() as tasks:
        async with environment(one, two) as room:
            room.emit(Signal("go"))

    assert settled == ["one"]
    assert errors(one, two) == []


@pytest.mark.virtual_time
async def test_what_a_handler_runs_at_once_counts_as_the_handler(environment):
    async def settle_in_a_task(participant):
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(participant.environment.settled)
        except* WouldDeadlock as group:
            raise group.exceptions[0] from None

    one, two = Waits("one", settle_in_a_task), Waits("two", settle)
    async with environment(one, two) as room:
        room.emit(Signal("go"))

    assert len(errors(one, two)) == 1


@pytest.mark.virtual_time
async def test_across_two_rooms(environment):
    async def open_another(participant):
        outer = participant.environment
        inner = Waits("inner", lambda _: outer.settled())
        async with Environment(inner) as room:
            room.emit(Signal("go"))
        participant.inner = inner

    opens = Waits("opens", open_another)
    async with environment(opens) as room:
        room.emit(Signal("go"))

    # inner's handler waits for the outer room, whose handler waits for the inner one to close: whoever closes the circle.
    assert len(errors(opens, *([opens.inner] if hasattr(opens, "inner") else []))) == 1


@pytest.mark.virtual_time
async def test_a_wait_that_is_given_up_closes_no_circle(environment):
    async def settle_for_a_while(participant):
        with anyio.move_on_after(1):
            await participant.environment.settled()
        await anyio.sleep(2)

    async def settle_later(participant):
        await anyio.sleep(2)
        await participant.environment.settled()

    one, two = Waits("one", settle_for_a_while), Waits("two", settle_later)
    async with environment(one, two) as room:
        room.emit(Signal("go"))

    assert errors(one, two) == []


@pytest.mark.virtual_time
async def test_a_handler_that_waits_for_another_room_lends_its_inbox_in_its_own(environment, virtual_clock):
    async def wait_elsewhere(participant):
        await anyio.sleep(0.5)  # the stream has come to wait by then
        elsewhere = Agent("elsewhere", FakeModel(script("x", every=3)))
        async with Environment(elsewhere):
            await elsewhere.infer()

    waits = Waits("waits", wait_elsewhere, Inbox.block(1))
    agent = Agent("agent", FakeModel(script(*"abc")))
    async with environment(waits, agent) as room:
        room.emit(Signal("go"))
        await agent.infer()
        assert virtual_clock.now == 0.5


async def test_on_real_time_too():
    class Settles(Participant):
        async def on_external_event(self, source, event):
            if event.type == "signal":
                await self.environment.settled()

    with anyio.fail_after(60), pytest.raises(ExceptionGroup) as caught:
        async with Environment(Settles("one"), Settles("two")) as room:
            room.emit(Signal("go"))

    (error,) = caught.value.exceptions
    assert isinstance(error, WouldDeadlock)
    assert set(error.cycle) == {"the handler of 'one'", "the handler of 'two'"}
