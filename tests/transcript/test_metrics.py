"""The times and amounts of a source: exact on virtual time, and refused where nobody measured them."""

from __future__ import annotations

import pytest
from openai import AsyncOpenAI

from pytest_streamrt import (
    Agent,
    Environment,
    FakeModel,
    OpenAIChatModel,
    Transcript,
    TranscriptError,
    pause,
    reasoning,
    script,
    stall,
    usage,
)
from pytest_streamrt.providers import encode
from pytest_streamrt.transcript.metrics import Stall
from tests.transcript.scenes import exchange, say

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

PLAN = script(reasoning("Hm."), "Hel", "lo ", pause(2), "world", usage(3, 8), every=0.1)


async def test_times_are_exact():
    metrics = (await say(PLAN)).metrics("bot")

    assert metrics.time_to_first_event == 0.1
    assert metrics.ttft == metrics.time_to_first_text == 0.2
    assert metrics.gaps == (0.1, 0.1, 2.1)
    assert metrics.max_gap == 2.1
    assert metrics.stalls(over=2.0) == [Stall(at=0.3, seconds=2.1)]
    assert metrics.stalls(over=2.1) == []
    assert metrics.tokens_per_second == pytest.approx(8 / 2.3)


async def test_amounts():
    metrics = (await say(PLAN)).metrics("bot")

    assert (metrics.deltas, metrics.characters, metrics.tokens, metrics.inferences) == (4, 11, 8, 1)
    assert "4 deltas" in repr(metrics)


async def test_what_an_agent_is_told_is_no_event_of_its_model():
    transcript = Transcript()
    agent = Agent("bot", FakeModel(script("a", every=1)))
    async with Environment(agent, transcript=transcript):
        await agent.infer("Hi")

    assert transcript.metrics("bot").time_to_first_event == 1.0


async def test_several_inferences_are_measured_together_or_one_by_one():
    transcript = await say(script("a", "b", usage(1, 2), every=0.1), script("c", "d", usage(1, 3), every=0.5))

    together = transcript.metrics("bot")
    assert (together.deltas, together.tokens, together.gaps, together.inferences) == (4, 5, (0.1, 0.5), 2)
    assert transcript.metrics("bot", inference=2).ttft == 0.5
    for n in (0, 3):
        with pytest.raises(TranscriptError, match=f"has 2 inferences, numbered from 1 on, and no number {n}"):
            transcript.metrics("bot", inference=n)


async def test_a_stall_before_the_first_word_and_one_that_never_ends_count():
    transcript = await say(script("a", stall(), every=3), deadline=10)

    assert transcript.metrics("bot").stalls(over=2) == [Stall(0.0, 3.0), Stall(3.0, 7.0)]


async def test_a_stream_that_is_still_open_has_stalled_until_now(virtual_clock):
    transcript = Transcript()
    pieces = transcript.record(iter(["a"]), source="agent")
    next(pieces)
    virtual_clock.advance(5)

    assert transcript.metrics("agent").stalls(over=2) == [Stall(0.0, 5.0)]


async def test_the_wire_of_an_agent_and_of_an_exchange(environment, transcript, fake_provider):
    fake_provider.enqueue(script("Hel", "lo", usage(1, 2), every=0.1))
    async with AsyncOpenAI(api_key="none") as client:
        async with environment(bot := Agent("bot", OpenAIChatModel(client, "m"))):
            await bot.infer("Hi")
    alone = Transcript()
    chunks = encode(script("Hello"), "openai.chat")
    exchange(alone, chunks=chunks)

    assert transcript.metrics("bot").wire_bytes > 500
    assert transcript.metrics("bot").ttft == 0.1
    assert alone.metrics("openai.chat").wire_bytes == sum(map(len, chunks))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wire_bytes", "no HTTP exchange carried 'bot'"),
        ("tokens", "no usage was reported"),
        ("tokens_per_second", "no usage was reported"),
        ("max_gap", "has 1 delta, and so no gap"),
    ],
)
async def test_what_nobody_could_have_measured_raises(name, message):
    metrics = (await say(script("a", every=1))).metrics("bot")

    with pytest.raises(TranscriptError, match=message):
        getattr(metrics, name)


async def test_no_text_has_no_time_to_it():
    with pytest.raises(TranscriptError, match="no text came from 'bot'"):
        _ = (await say(script(reasoning("Hm.")))).metrics("bot").ttft


async def test_all_at_one_instant_is_no_speed():
    with pytest.raises(TranscriptError, match="came at one instant"):
        _ = (await say(script("a", "b", usage(1, 2)))).metrics("bot").tokens_per_second


TIMES = ["time_to_first_event", "time_to_first_text", "ttft", "gaps", "max_gap", "tokens_per_second"]


@pytest.mark.real_time
@pytest.mark.parametrize("name", TIMES)
def test_on_real_time_times_raise_and_amounts_do_not(name):
    transcript = Transcript()
    list(transcript.record(iter("ab"), source="agent"))

    with pytest.raises(TranscriptError, match="the test ran on real time"):
        getattr(transcript.metrics("agent"), name)
    with pytest.raises(TranscriptError, match="the test ran on real time"):
        transcript.metrics("agent").stalls(over=1)
    assert transcript.metrics("agent").characters == 2


@pytest.mark.parametrize("name", TIMES)
async def test_of_what_was_replayed_instantly_times_raise_also_behind_an_endpoint(name):
    transcript = Transcript()
    exchange(transcript, chunks=encode(script("a", "b"), "openai.chat"), instant=True)
    list(transcript.record(iter("ab"), source="browser"))

    for source in ("openai.chat", "browser"):
        with pytest.raises(TranscriptError, match=r'was replayed instantly.*timing="recorded"'):
            getattr(transcript.metrics(source), name)
    with pytest.raises(TranscriptError, match="was replayed instantly"):
        transcript.expect("browser").text("ab", at=0)


async def test_who_had_no_inference_has_no_metrics():
    transcript = await say(script("a"))
    transcript.begin_exchange("GET", "https://example.org/").closed("complete")

    with pytest.raises(TranscriptError, match="'http' had no inference"):
        transcript.metrics("http")
    with pytest.raises(TranscriptError, match="Did you mean 'bot'"):
        transcript.metrics("bott")


@pytest.mark.parametrize(("over", "error"), [(-1, TranscriptError), ("2", TypeError)])
async def test_a_limit_that_makes_no_sense_is_refused(over, error):
    with pytest.raises(error, match="stalls"):
        (await say(script("a"))).metrics("bot").stalls(over=over)


async def test_a_table_on_request():
    transcript = await say(PLAN)
    await say(script("Hi", every=1), name="other", transcript=transcript)

    assert transcript.metrics_table() == (
        "                            bot  other\n"
        "inferences                    1      1\n"
        "time_to_first_event       0.1 s    1 s\n"
        "time_to_first_text        0.2 s    1 s\n"
        "max_gap                   2.1 s      -\n"
        "deltas                        4      1\n"
        "characters                   11      2\n"
        "wire_bytes                    -      -\n"
        "tokens                        8      -\n"
        "tokens_per_second    3.47826087      -\n"
        "\n"
        "- max_gap: 'other' has 1 delta, and so no gap between two\n"
        "- wire_bytes: no HTTP exchange carried 'bot': there was no wire\n"
        "- wire_bytes: no HTTP exchange carried 'other': there was no wire\n"
        "- tokens: nobody said how many tokens 'other' wrote: no usage was reported. In a script say so: "
        "usage(input, output)\n"
        "- tokens_per_second: nobody said how many tokens 'other' wrote: no usage was reported. In a script say so: "
        "usage(input, output)"
    )
    assert str(transcript.metrics("bot")) == transcript.metrics_table("bot")
