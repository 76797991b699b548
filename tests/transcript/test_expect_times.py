"""Times in chains: from what they are measured, that somebody measured them, and that nonsense never passes for one."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import anyio
import pytest

from pytest_streamrt import Agent, Environment, FakeModel, Signal, Transcript, TranscriptError, pause, script, tool_call
from tests.transcript.scenes import say

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def test_after_counts_from_the_inference_that_the_step_is_of_also_at_its_end():
    transcript = await say(script("x", every=1), script("y", every=3))

    chain = transcript.expect("bot").text("x", after=1.0).completed(after=1.0)
    chain.text("y", after=3.0).completed(after=3.0).nothing_more()


async def test_after_counts_from_the_inference_of_each_where_several_run_at_once():
    transcript = Transcript()
    bot = Agent("bot", FakeModel(script("a", every=3), script("b", every=1)))
    async with Environment(bot, transcript=transcript):
        bot.infer()
        await anyio.sleep(1)
        bot.infer()

    chain = transcript.expect("bot").text("b", at=2, after=1).completed(after=1)
    chain.text("a", at=3, after=3).completed(after=3).nothing_more()


async def test_after_counts_from_the_start_also_where_that_was_before_the_mark():
    transcript = Transcript()
    bot = Agent("bot", FakeModel(script("a", "b", every=1)))
    async with Environment(bot, transcript=transcript):
        bot.infer()
        await anyio.sleep(1.5)
        mark = transcript.mark("half-time")

    chain = transcript.expect("bot", since=mark).text("b", after=2, within=0.5)
    chain.completed(after=2).nothing_more()


async def test_after_is_refused_where_no_inference_had_started():
    transcript = Transcript()
    bot = Agent("bot", FakeModel())
    async with Environment(bot, transcript=transcript):
        bot.emit(Signal("ping"))

    with pytest.raises(TranscriptError, match="no inference of 'bot' had started; use at= or within="):
        transcript.expect("bot").signal("ping", after=0)


async def test_within_counts_from_the_transcripts_beginning_where_a_signal_comes_before_any_inference():
    transcript = Transcript()
    bot = Agent("bot", FakeModel(script("a")))
    async with Environment(bot, transcript=transcript):
        await anyio.sleep(2)
        bot.emit(Signal("ping"))
        await anyio.sleep(2)
        bot.infer()

    transcript.expect("bot").signal("ping", within=2).text("a", within=2).rest()
    with pytest.raises(AssertionError, match="got: it 2 s after that"):
        transcript.expect("bot").signal("ping", within=1)


async def test_silence_after_the_last_event_has_to_have_been_waited_for():
    transcript = await say(script("a", every=1))

    with pytest.raises(AssertionError) as caught:
        transcript.expect("bot").text("a").completed().silence(1000)

    assert "got: a transcript that ends at t=1 s, so that nobody knows" in str(caught.value)
    assert "await anyio.sleep(1000)" in str(caught.value)
    await anyio.sleep(1000)
    transcript.expect("bot").text("a").completed().silence(1000).nothing_more()
    with pytest.raises(AssertionError, match="so that nobody knows"):
        transcript.expect("bot").text("a").completed().silence(1000.000000001)


STEPS = {
    "text": lambda chain, **times: chain.text("a", **times),
    "deltas": lambda chain, **times: chain.deltas(1, **times),
    "reasoning": lambda chain, **times: chain.reasoning("a", **times),
    "refusal": lambda chain, **times: chain.refusal("a", **times),
    "tool_call": lambda chain, **times: chain.tool_call("t", **times),
    "signal": lambda chain, **times: chain.signal("s", **times),
    "where": lambda chain, **times: chain.where(lambda event: event.type == "text.delta", **times),
    "completed": lambda chain, **times: chain.completed(**times),
    "aborted": lambda chain, **times: chain.aborted(**times),
    "failed": lambda chain, **times: chain.failed(**times),
    "upstream_closed": lambda chain, **times: chain.upstream_closed(**times),
}


@pytest.mark.parametrize("name", STEPS)
async def test_a_keyword_that_no_step_takes_is_refused_with_those_it_takes(name):
    transcript = await say(script("a"))

    with pytest.raises(TypeError, match=rf"{name}\(\) takes no 'att'\. It takes .*at, after, within$"):
        STEPS[name](transcript.expect("bot"), att=3)

    assert transcript.unfinished() == []


async def test_the_keywords_of_the_step_itself_are_among_those_named():
    transcript = await say(script("a"))

    with pytest.raises(TypeError, match="takes no 'resaon'. It takes by, reason, at, after, within"):
        transcript.expect("bot").text("a").aborted(resaon="late")


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("key", ["at", "after", "within"])
async def test_a_time_that_cannot_be_is_refused(name, key):
    transcript = await say(script("a"))

    for value in (-1, -1e-9, float("nan"), float("inf"), float("-inf"), 1e300, 10**400):
        message = f"{name}({key}=…): a time is a number of seconds from 0 on"
        with pytest.raises(TranscriptError, match=re.escape(message)):
            STEPS[name](transcript.expect("bot"), **{key: value})

    assert transcript.unfinished() == []


@pytest.mark.parametrize("value", ["1", None, True, Decimal(1), [1]])
async def test_a_time_that_is_no_number_is_refused(value):
    transcript = await say(script("a"))

    with pytest.raises(TypeError, match="a time is a number of seconds from 0 on, not"):
        transcript.expect("bot").text("a", at=value)
    with pytest.raises(TypeError, match="a time is a number of seconds from 0 on, not"):
        transcript.expect("bot").silence(value)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
async def test_silence_takes_a_time_that_can_be(value):
    transcript = await say(script("a"))

    with pytest.raises(TranscriptError, match=re.escape("silence(): a time is a number of seconds from 0 on")):
        transcript.expect("bot").silence(value)

    assert transcript.unfinished() == []


async def test_any_real_number_is_a_time():
    transcript = await say(script("a", every=0.5))

    transcript.expect("bot").text("a", at=Fraction(1, 2), within=1).silence(0).completed().nothing_more()


@pytest.mark.parametrize("n", [0, -3])
async def test_less_than_one_delta_is_refused(n):
    transcript = await say(script("a"))

    with pytest.raises(TranscriptError, match=re.escape(f"deltas({n}) expects nothing")):
        transcript.expect("bot").deltas(n, at=77)

    assert transcript.unfinished() == []


@pytest.mark.parametrize("n", [1.0, True, "1", None])
async def test_deltas_are_counted_in_whole_numbers(n):
    transcript = await say(script("a"))

    with pytest.raises(TypeError, match="how many is a whole number"):
        transcript.expect("bot").deltas(n)


async def test_the_time_of_a_step_is_that_of_its_last_event_also_where_calls_are_interleaved():
    transcript = await say(script("a", pause(1), tool_call("t", {"x": 1}, pieces=['{"x":', "1}"]), every=0.5))

    transcript.expect("bot").text("a", at=0.5).tool_call("t", at=2.5, within=2).completed().nothing_more()


@pytest.mark.parametrize("frame", [float("inf"), float("nan"), 0, -1])
async def test_a_drawing_takes_a_frame_that_can_be(frame):
    transcript = await say(script("a"))

    with pytest.raises(ValueError, match="the time of a column is a number of seconds above 0"):
        transcript.marbles(frame=frame)
