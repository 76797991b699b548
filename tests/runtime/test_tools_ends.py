"""However a tool call ends, it ends in exactly one result, and the model hears of it, unless the inference was stopped."""

from __future__ import annotations

import asyncio
import time

import anyio
import anyio.from_thread
import pytest

from pytest_streamrt import (
    Agent,
    FakeModel,
    InferenceFailed,
    Participant,
    disconnect,
    pause,
    script,
    tool_call,
)
from pytest_streamrt.runtime import Tool, report_progress
from pytest_streamrt.runtime.inbox import Inbox
from tests.runtime.tool_calls import ends, of_type, run

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


@pytest.mark.parametrize("tool", [anyio.sleep, time.sleep], ids=["async", "sync"])
async def test_a_tool_that_takes_too_long(tool, environment, transcript, virtual_clock):
    async def nap(seconds: float):
        await anyio.sleep(seconds)

    def nap_blocking(seconds: float):
        time.sleep(seconds)

    nap = Tool(nap if tool is anyio.sleep else nap_blocking, name="nap")
    calls = [tool_call("nap", {"seconds": seconds}) for seconds in (9, 1)]
    await run(environment, transcript, *calls, tools=[nap], tool_timeout=2)

    late = ("call_0", "failed", "nap took longer than 2 s and was stopped", 2)
    assert ends(transcript) == [("call_1", "completed", "null", 1), late]
    assert virtual_clock.now == 2


async def test_the_time_begins_with_the_tool_and_not_while_it_waits_for_its_place(environment, transcript):
    async def nap(seconds: float):
        await anyio.sleep(seconds)

    calls = [tool_call("nap", {"seconds": 2})] * 3
    await run(environment, transcript, *calls, tools=[nap], tool_timeout=3, max_parallel_tools=1)

    assert [(status, at) for _, status, _, at in ends(transcript)] == [
        ("completed", 2),
        ("completed", 4),
        ("completed", 6),
    ]


async def test_a_tool_that_does_not_stop_in_time_holds_nobody_up_and_is_on_the_record(
    environment, transcript, virtual_clock
):
    async def stubborn():
        with anyio.CancelScope(shield=True):
            await anyio.sleep(60)
        report_progress("nobody hears this")
        return "nor this"

    bot = Agent("bot", FakeModel(script(tool_call("stubborn", {}), pause(99), "x")), tools=[stubborn])
    async with environment(bot):
        inference = bot.infer()
        await anyio.sleep(1)
        await inference.abort("enough")
        assert virtual_clock.now == 6

    assert ends(transcript) == [("call_0", "cancelled", "cancelled: enough", 1)]
    (status,) = of_type(transcript, "status")
    assert (status.name, status.time, status.inference) == ("tool.not_stopped", 6, None)
    assert status.data == {"inference": "bot/1", "call": "call_0", "tool": "stubborn", "seconds": 5}
    assert of_type(transcript, "tool.progress") == []
    transcript.expect("bot").tool_call("stubborn").skip_until("inference.aborted").aborted(at=1).nothing_more()


async def test_a_stubborn_tool_of_a_deadline_is_on_the_record_too(environment, transcript, virtual_clock):
    async def stubborn():
        with anyio.CancelScope(shield=True):
            await anyio.sleep(60)

    bot = Agent("bot", FakeModel(script(tool_call("stubborn", {}))), tools=[stubborn])
    async with environment(bot):
        await bot.infer(deadline=1)
        assert virtual_clock.now == 6

    assert [status.name for status in of_type(transcript, "status")] == ["tool.not_stopped"]
    transcript.expect("bot").rest()


async def test_a_tool_stops_its_own_inference(environment, transcript):
    seen = []

    async def enough():
        try:
            await inference.abort("I have seen enough")
            seen.append("went on")
        except anyio.get_cancelled_exc_class():
            seen.append("cancelled")
            raise

    bot = Agent("bot", FakeModel(script(tool_call("enough", {}), pause(9), "x")), tools=[enough])
    async with environment(bot):
        inference = bot.infer()
        outcome = await inference

    assert seen == ["cancelled"]
    assert (outcome.status, outcome.by) == ("aborted", "bot")
    chain = (
        transcript.expect("bot")
        .tool_call("enough")
        .where(lambda e: e.type == "tool.result" and e.status == "cancelled")
    )
    chain.aborted(by="bot", reason="I have seen enough", at=0).nothing_more()


async def test_calls_that_wait_for_their_place_are_cancelled_without_having_run(environment, transcript):
    ran = []

    async def nap(n: int):
        ran.append(n)
        await anyio.sleep(9)

    calls = [tool_call("nap", {"n": n}) for n in range(3)]
    bot = Agent("bot", FakeModel(script(*calls)), tools=[nap], max_parallel_tools=1)
    async with environment(bot):
        inference = bot.infer()
        await anyio.sleep(1)
        await inference.abort()

    assert ran == [0]
    assert ends(transcript) == [(f"call_{n}", "cancelled", "cancelled", 1) for n in range(3)]
    assert of_type(transcript, "inference.aborted")[0].seq > of_type(transcript, "tool.result")[-1].seq
    transcript.expect("bot").rest()


@pytest.mark.parametrize("ending", [(pause(1), disconnect()), (pause(1), script.error("server_error"))])
async def test_a_model_that_fails_takes_its_tools_along(ending, environment, transcript):
    async def nap():
        await anyio.sleep(9)

    bot = Agent("bot", FakeModel(script(tool_call("nap", {}), *ending)), tools=[nap])
    async with environment(bot):
        with pytest.raises(InferenceFailed):
            await bot.infer()

    ((_, status, _, at),) = ends(transcript)
    assert (status, at) == ("cancelled", 1)
    assert len(bot.context) == 0
    transcript.expect("bot").skip_until("inference.failed").failed(at=1).nothing_more()


async def test_an_agent_that_leaves_takes_its_tools_along(environment, transcript):
    async def nap():
        await anyio.sleep(9)

    bot = Agent("bot", FakeModel(script(tool_call("nap", {}))), tools=[nap])
    async with environment(bot) as env:
        bot.infer()
        await anyio.sleep(1)
        await env.leave(bot)

    assert ends(transcript) == [("call_0", "cancelled", "cancelled: its agent left", 1)]
    transcript.expect("bot").rest()


async def test_what_surrounds_the_room_is_cancelled(environment, transcript):
    async def nap():
        await anyio.sleep(9)

    bot = Agent("bot", FakeModel(script(tool_call("nap", {}))), tools=[nap])
    with anyio.move_on_after(1):
        async with environment(bot):
            await bot.infer()

    assert [(status, at) for _, status, _, at in ends(transcript)] == [("cancelled", 1)]
    transcript.expect("bot").rest()


async def test_a_tool_that_breaks_while_it_stops_is_on_the_record_after_the_end(environment, transcript):
    async def untidy():
        try:
            await anyio.sleep(9)
        finally:
            raise LookupError("cannot clean up")

    bot = Agent("bot", FakeModel(script(tool_call("untidy", {}))), tools=[untidy])
    async with environment(bot):
        await bot.infer(deadline=1)

    assert [(status, at) for _, status, _, at in ends(transcript)] == [("cancelled", 1)]
    (status,) = of_type(transcript, "status")
    assert (status.name, status.inference, status.data["inference"]) == ("tool.failed", None, "bot/1")
    assert status.data["error"] == "LookupError: cannot clean up"
    transcript.expect("bot").rest()


async def test_a_tool_that_is_done_in_time_leaves_no_timer(environment, transcript, virtual_clock):
    async def nap():
        await anyio.sleep(1)

    await run(environment, transcript, tool_call("nap", {}), tools=[nap], tool_timeout=60)

    assert virtual_clock.now == 1


async def test_stopped_between_two_rounds_the_model_is_not_asked_again(environment, transcript):
    class Slow(Participant):
        async def on_external_function_call_output(self, source, item):
            await anyio.sleep(1)  # the next round waits for this inbox
            await self.abort("bot/1", "that will do")

    async def pay():
        return "paid"

    model = FakeModel(script(tool_call("pay", {})))
    bot = Agent("bot", model, tools=[pay])
    async with environment(bot, Slow("slow", inbox=Inbox.block(1))):
        outcome = await bot.infer()

    assert (outcome.by, len(model.calls)) == ("slow", 1)
    assert ends(transcript) == [("call_0", "completed", "paid", 0)]
    assert len(bot.context) == 2  # the round was over
    transcript.expect("bot").skip_until("inference.aborted").aborted(at=1).nothing_more()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio has no such thing
async def test_a_tool_that_cancels_the_task_it_runs_in_ends_the_room_and_that_is_said(environment, transcript):
    async def foolish():
        asyncio.current_task().cancel()
        await anyio.sleep(1)

    bot = Agent("bot", FakeModel(script(tool_call("foolish", {}))), tools=[foolish])
    with pytest.raises(RuntimeError, match="a task of the environment was cancelled"):
        async with environment(bot):
            await bot.infer()

    assert [status for _, status, _, _ in ends(transcript)] == ["cancelled"]
    transcript.expect("bot").rest()


async def test_stopped_in_the_instant_in_which_the_next_round_could_begin(environment, transcript):
    class Slow(Participant):
        async def on_external_function_call_output(self, source, item):
            await anyio.sleep(1)

    class Stops(Participant):
        async def on_external_function_call_output(self, source, item):
            await anyio.sleep(1)
            await self.abort("bot/1")

    async def pay():
        return "paid"

    model = FakeModel(script(tool_call("pay", {})))
    bot = Agent("bot", model, tools=[pay])
    async with environment(bot, Slow("slow", inbox=Inbox.block(1)), Stops("stops")):
        outcome = await bot.infer()

    assert (outcome.by, len(model.calls)) == ("stops", 1)
    transcript.expect("bot").rest()


async def test_a_stubborn_tool_of_a_room_that_is_cancelled_is_on_the_record(environment, transcript, virtual_clock):
    async def stubborn():
        with anyio.CancelScope(shield=True):
            await anyio.sleep(60)

    bot = Agent("bot", FakeModel(script(tool_call("stubborn", {}))), tools=[stubborn])
    with anyio.move_on_after(1):
        async with environment(bot):
            await bot.infer()

    assert [(status.name, status.time) for status in of_type(transcript, "status")] == [("tool.not_stopped", 6)]
    assert virtual_clock.now == 60  # no room is left before its tasks have ended
    transcript.expect("bot").rest()
