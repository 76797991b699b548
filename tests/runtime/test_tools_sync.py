"""A sync tool cannot be cancelled: it is abandoned, heard no more, and ends at its next report."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from pytest_streamrt import (
    Agent,
    Environment,
    FakeModel,
    pause,
    script,
    tool_call,
)
from pytest_streamrt.runtime import report_progress
from tests.runtime.tool_calls import ends, of_type

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def test_a_sync_tool_stops_its_own_inference(environment, transcript):
    def enough():
        anyio.from_thread.run(inference.abort, "enough")

    bot = Agent("bot", FakeModel(script(tool_call("enough", {}), pause(9), "x")), tools=[enough])
    async with environment(bot):
        inference = bot.infer()
        outcome = await inference

    assert (outcome.status, outcome.by) == ("aborted", "bot")
    assert ends(transcript) == [("call_0", "cancelled", "cancelled: enough", 0)]
    transcript.expect("bot").rest()


async def test_a_sync_tool_is_abandoned_and_heard_no_more_and_ends_at_its_next_report(
    environment, transcript, virtual_clock
):
    steps, ended = [], threading.Event()

    def blocking():
        try:
            for i in range(10):
                time.sleep(1)
                steps.append(i)
                report_progress(i)
        finally:
            ended.set()

    bot = Agent("bot", FakeModel(script(tool_call("blocking", {}))), tools=[blocking])
    async with environment(bot):
        inference = bot.infer()
        await anyio.sleep(2.5)
        await inference.abort("enough")
        assert virtual_clock.now == 2.5
        await anyio.sleep(20)
        assert ended.wait(10)

    assert steps == [0, 1, 2]
    assert [event.data for event in of_type(transcript, "tool.progress")] == [0, 1]
    assert ends(transcript) == [("call_0", "cancelled", "cancelled: enough", 2.5)]
    transcript.expect("bot").rest()


async def test_a_report_that_cannot_be_taken_down_ends_a_sync_tool():
    class Full:
        def elapsed(self):
            return 0.0

        def log(self, event, origin):
            if event.type == "tool.progress":
                pytest.fail("no more of it")

    def blocking():
        report_progress("half-way")

    bot = Agent("bot", FakeModel(script(tool_call("blocking", {}))), tools=[blocking])
    with pytest.raises(pytest.fail.Exception, match="no more of it"):
        async with Environment(bot, transcript=Full()):
            await bot.infer()


@pytest.mark.real_time
def test_a_sync_tool_that_was_abandoned_does_not_wait_for_a_loop_that_has_ended():
    go_on, gone_on = threading.Event(), threading.Event()
    begun = asyncio.Event()

    def blocking():
        anyio.from_thread.run_sync(begun.set)
        go_on.wait()
        try:
            report_progress("too late")
        finally:
            gone_on.set()

    async def abandon():
        bot = Agent("bot", FakeModel(script(tool_call("blocking", {}))), tools=[blocking])
        async with Environment(bot):
            inference = bot.infer()
            await begun.wait()
            await inference.abort("enough")

    loop = asyncio.new_event_loop()
    loop.run_until_complete(abandon())  # from now on it calls nothing any more, though it is not closed
    go_on.set()
    went_on = gone_on.wait(10)
    loop.close()

    assert went_on


async def test_threads_that_were_abandoned_take_no_place_of_other_tools(environment, transcript):
    """In trio, they kept theirs: what was called next waited for them to end, or was told to be a deadlock."""

    def blocking():
        time.sleep(1000)

    def quick():
        return "done"

    limiter = anyio.to_thread.current_default_thread_limiter()
    places, limiter.total_tokens = limiter.total_tokens, 2
    answers = (
        script(tool_call("blocking", {}), tool_call("blocking", {})),
        script(tool_call("quick", {})),
        script("fine"),
    )
    bot = Agent("bot", FakeModel(*answers), tools=[blocking, quick], tool_timeout=1)
    try:
        async with environment(bot):
            assert (await bot.infer()).text == "fine"
    finally:
        limiter.total_tokens = places

    assert ends(transcript)[-1][1:] == ("completed", "done", 1)
    transcript.expect("bot").rest()
