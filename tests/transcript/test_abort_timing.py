"""How fast an abort took hold, as numbers and as expectations: of a runtime agent, of an exchange, of a recorded stream."""

from __future__ import annotations

import anyio
import pytest
from openai import AsyncOpenAI

from pytest_streamrt import Agent, OpenAIChatModel, Transcript, TranscriptError, script
from tests.transcript.scenes import say

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.virtual_time,
    # The openai client leaves generators of its own behind where a stream is closed, and trio warns of them.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object"),
]

LONG = script(*"abcdefgh", every=0.1)
MESSAGES = [{"role": "user", "content": "Hi"}]


async def asked(transcript, client):
    stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    return transcript.record(stream, source="agent")


async def test_an_abort_in_the_runtime_closes_upstream_at_once(environment, transcript, fake_provider):
    fake_provider.enqueue(LONG)
    async with AsyncOpenAI(api_key="none") as client:
        bot = Agent("bot", OpenAIChatModel(client, "m"))
        async with environment(bot):
            inference = bot.infer()
            await anyio.sleep(0.25)
            await inference.abort("enough", by="me")

    timing = transcript.abort_timing("bot")
    assert (timing.by, timing.reason, timing.decided_at) == ("me", "enough", 0.25)
    assert (timing.deltas_after, timing.deltas_read_after, timing.to_last_delta) == (0, 0, 0.0)
    assert timing.to_upstream_closed == 0.0
    assert timing.never_waited_for == 6
    transcript.expect("bot").text("ab").aborted(by="me").upstream_closed(within=0, unread_deltas=6).nothing_more()


async def test_a_client_that_dawdles_is_measured_from_the_decision(transcript, fake_provider):
    fake_provider.enqueue(LONG)
    async with AsyncOpenAI(api_key="none") as client:
        stream = await asked(transcript, client)
        decision = None
        async for _ in stream:
            said = transcript.text("agent") if transcript.of("agent") else ""
            if said == "abc" and decision is None:
                decision = transcript.mark("the user has left")
            if said == "abcde":
                break
        await stream.close()

    for source in ("agent", "openai.chat"):
        timing = transcript.abort_timing(source, decision=decision)
        assert (timing.deltas_after, timing.to_last_delta) == (2, 0.2)
    assert timing.to_upstream_closed == 0.2
    assert timing.never_waited_for == 3
    assert transcript.abort_timing("openai.chat").deltas_after == 0


async def test_what_nobody_measured_raises(transcript, fake_provider):
    scripted = await say(script("a", script.stall()), deadline=1)

    timing = scripted.abort_timing("bot")
    assert (timing.deltas_after, timing.deltas_read_after, timing.decided_at) == (0, None, 1.0)
    for name in ("to_upstream_closed", "never_waited_for"):
        with pytest.raises(TranscriptError, match="no HTTP exchange carried this inference"):
            getattr(timing, name)
    with pytest.raises(
        TranscriptError, match=r"no inference of 'bot' was aborted; the last it did: inference\.completed"
    ):
        (await say(script("a"))).abort_timing("bot")
    with pytest.raises(TranscriptError, match="is no mark of this transcript"):
        scripted.abort_timing("bot", decision=Transcript().mark("x"))


async def test_an_upstream_that_is_still_open_is_no_time(transcript, fake_provider):
    fake_provider.enqueue(LONG)
    async with AsyncOpenAI(api_key="none") as client:
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        recorded = transcript.record(stream, source="agent")
        await anext(recorded)
        with pytest.raises(AssertionError, match="Likely: the response is still open"):
            transcript.expect("openai.chat").aborted()
        await recorded.close()


@pytest.mark.real_time
@pytest.mark.parametrize("name", ["decided_at", "to_last_delta"])
def test_on_real_time_numbers_of_time_raise(name):
    transcript = Transcript()
    pieces = transcript.record(open_pieces(), source="agent")
    next(pieces)
    pieces.close()

    timing = transcript.abort_timing("agent")

    assert timing.deltas_after == 0
    with pytest.raises(TranscriptError, match="the test ran on real time"):
        getattr(timing, name)


def open_pieces():
    yield "a"
    yield "b"
