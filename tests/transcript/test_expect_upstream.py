"""Whether upstream is closed: of the inference at hand, and of no other."""

from __future__ import annotations

from contextlib import aclosing

import anyio
import pytest

from pytest_streamrt import Agent, Environment, FakeModel, Signal, Transcript, script
from pytest_streamrt.providers import encode
from pytest_streamrt.runtime.acting import acting
from tests.transcript.scenes import CHAT, STREAM, exchange, say

# What is left open here is what the tests are about.
pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time(leaked_tasks="ignore")]

GET = ("GET", "https://tools.example/events")
SLOW = script("a", "b", every=1)


class Wired(FakeModel):
    """A model whose answers are exchanges, as those of a real one are."""

    def __init__(self, transcript, *scripts, requests=(CHAT,), leaves_open=(), lag=0):
        super().__init__(*scripts)
        self.transcript = transcript
        self.requests = requests
        self.leaves_open = leaves_open
        self.lag = lag

    async def stream(self, context, tools):
        id = acting.get().inference.id
        made = [(request, self.transcript.begin_exchange(*request, inference=id)) for request in self.requests]
        for _, each in made:
            each.opened(200, STREAM)
        try:
            async with aclosing(super().stream(context, tools)) as events:
                async for event in events:
                    yield event
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self.lag)
            for request, each in made:
                if (id, request) not in self.leaves_open:
                    each.closed("client")


async def two_inferences(**options):
    """The transcript of an agent whose first inference is aborted at 1.5 s, and whose second completes."""
    transcript = Transcript()
    bot = Agent("bot", Wired(transcript, SLOW, SLOW, **options))
    async with Environment(bot, transcript=transcript):
        await bot.infer(deadline=1.5).outcome()
        await bot.infer()
    return transcript


async def test_the_exchange_of_an_inference_is_closed_when_it_is_over():
    transcript = await two_inferences()

    chain = transcript.expect("bot").text("a").aborted(at=1.5).upstream_closed(at=1.5, after=1.5, within=0)
    chain.text("ab").completed(at=3.5).upstream_closed(at=3.5, after=2, within=0).nothing_more()
    transcript.expect("bot").inference(2).text().completed().upstream_closed(after=2).nothing_more()


async def test_an_exchange_left_open_is_not_closed_by_that_of_the_next_inference():
    transcript = await two_inferences(leaves_open=[("bot/1", CHAT)])

    with pytest.raises(AssertionError, match=r"got: an exchange that is still open: POST https://api.example"):
        transcript.expect("bot").text("a").aborted().upstream_closed(within=0)
    transcript.expect("bot").skip_until("inference.completed").upstream_closed().rest()


async def test_an_exchange_left_open_is_not_closed_by_that_of_the_inference_before():
    transcript = await two_inferences(leaves_open=[("bot/2", CHAT)])

    chain = transcript.expect("bot").text("a").aborted().upstream_closed(within=0)
    with pytest.raises(AssertionError, match="still open"):
        chain.text("ab").completed().upstream_closed()


async def test_upstream_that_takes_its_time_to_close_is_measured():
    transcript = await two_inferences(lag=0.25)

    chain = transcript.expect("bot").text("a").aborted(at=1.5)
    with pytest.raises(AssertionError, match=r"got: it 0\.25 s after that"):
        chain.upstream_closed(within=0)
    transcript.expect("bot").text("a").aborted().upstream_closed(at=1.75, within=0.25).rest()


async def test_of_several_exchanges_all_are_closed():
    transcript = await two_inferences(requests=[CHAT, CHAT])
    transcript.expect("bot").text("a").aborted().upstream_closed(within=0).rest()

    transcript = await two_inferences(requests=[CHAT, ("POST", CHAT[1] + "/")], leaves_open=[("bot/1", CHAT)])
    with pytest.raises(AssertionError, match="still open"):
        transcript.expect("bot").text("a").aborted().upstream_closed(within=0)


async def test_what_an_agent_listens_to_elsewhere_may_stay_open():
    transcript = await two_inferences(requests=[CHAT, GET], leaves_open=[("bot/1", GET), ("bot/2", GET)])

    transcript.expect("bot").text("a").aborted().upstream_closed(within=0).rest()


async def test_an_inference_without_an_exchange_has_no_upstream():
    transcript = await say(script("a"))
    await two_inferences()

    with pytest.raises(AssertionError, match="got: no HTTP exchange of this source"):
        transcript.expect("bot").text("a").completed().upstream_closed()


async def test_the_exchanges_of_two_rooms_are_told_apart_also_where_their_inferences_have_one_id():
    transcript = Transcript()
    rooms = [
        Agent("bot", Wired(transcript, SLOW)),
        Agent("bot", Wired(transcript, script("x", every=0.5), leaves_open=[("bot/1", CHAT)])),
    ]

    async def run(bot):
        async with Environment(bot, transcript=transcript):
            await bot.infer()

    async with anyio.create_task_group() as tasks:
        for bot in rooms:
            tasks.start_soon(run, bot)

    quick, slow = (1, 2) if transcript.text("bot").startswith("x") else (2, 1)  # trio starts them in any order
    chain = transcript.expect("bot").inference(slow).text("ab").completed(at=2)
    chain.upstream_closed(within=0).nothing_more()
    with pytest.raises(AssertionError, match="still open"):
        transcript.expect("bot").inference(quick).text("x").completed(at=0.5).upstream_closed()


async def test_the_first_step_may_ask_for_it():
    transcript = Transcript()
    exchange(transcript, chunks=encode(script("a"), "openai.chat"))
    transcript.begin_exchange(*CHAT).opened(200, STREAM)

    transcript.expect("openai.chat").upstream_closed().rest()
    with pytest.raises(AssertionError, match="still open"):
        transcript.expect("openai.chat#2").upstream_closed()


async def test_an_exchange_that_was_closed_before_the_mark_is_closed():
    transcript = Transcript()
    bot = Agent("bot", Wired(transcript, SLOW))
    async with Environment(bot, transcript=transcript) as room:
        await bot.infer()
        mark = transcript.mark("over")
        await room.settled()
        bot.emit(Signal("done"))

    transcript.expect("bot", since=mark).signal("done").upstream_closed(within=0).nothing_more()
