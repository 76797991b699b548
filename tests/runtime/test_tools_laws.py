"""Whatever a model calls, however its tools end, and whenever somebody stops it: the laws hold, and a call has one result."""

from __future__ import annotations

from collections import Counter

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_streamrt import (
    Agent,
    Environment,
    FakeModel,
    Transcript,
    disconnect,
    pause,
    script,
    stall,
    tool_call,
    virtual_time,
)
from pytest_streamrt.events import FunctionCall, FunctionCallOutput, from_json, to_json
from pytest_streamrt.runtime import report_progress

BACKENDS = ("asyncio", "trio")
SECONDS = (0, 1, 2, 3)


async def nap(seconds: int, steps: int = 0) -> int:
    for step in range(steps):
        report_progress(step)
    await anyio.sleep(seconds)
    return seconds


async def breaks(seconds: int) -> None:
    await anyio.sleep(seconds)
    msg = "it broke"
    raise ValueError(msg)


async def stubborn(seconds: int) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.sleep(3 * seconds)


def thread(seconds: int) -> int:
    return seconds


TOOLS = (nap, breaks, stubborn, thread)

NAMES = ("nap", "breaks", "stubborn", "unknown")


def plans(*names):
    """An agent, what its model says and calls, by these names, and when it is stopped."""
    return st.fixed_dictionaries({"rounds": st.lists(rounds(*names), min_size=1, max_size=4), **LIMITS})


def rounds(*names):
    calls = st.one_of(
        st.builds(
            tool_call,
            st.sampled_from(names),
            st.sampled_from(
                [{"seconds": seconds} for seconds in SECONDS] + [{}, {"seconds": "?"}, {"seconds": 1, "x": 2}, "[", ""]
            ),
            id=st.sampled_from([None, None, None, "same"]),
        ),
        st.builds(
            lambda s, n: tool_call("nap", {"seconds": s, "steps": n}), st.sampled_from(SECONDS), st.integers(0, 3)
        ),
    )
    spoken = st.one_of(st.sampled_from(["a", "b"]), st.builds(pause, st.sampled_from(SECONDS)))
    return st.builds(
        lambda parts, ending, every: script(*parts, *ending, every=every),
        st.lists(calls | spoken, max_size=5),
        st.sampled_from([(), (), (), (), (disconnect(),), (stall(),)]),
        st.sampled_from([0, 0.5, 1]),
    )


LIMITS = {
    "timeout": st.sampled_from([None, 1, 2.5]),
    "parallel": st.integers(1, 3),
    "max_rounds": st.integers(1, 4),
    "abort": st.none() | st.sampled_from([0, 0.5, 1, 1.5, 2, 4]),
    "deadline": st.sampled_from([3, 20, 30]),
}


class Plays:
    """A model that plays scripts, and has always one more thing to say; nothing has to be played."""

    def __init__(self, rounds):
        self._fake = FakeModel(*rounds, *[script("end")] * 5)

    def stream(self, context, tools):
        return self._fake.stream(context, tools)


async def play(plan):
    transcript = Transcript()
    bot = Agent(
        "bot",
        Plays(plan["rounds"]),
        tools=TOOLS,
        tool_timeout=plan["timeout"],
        max_parallel_tools=plan["parallel"],
        max_rounds=plan["max_rounds"],
    )
    async with Environment(bot, transcript=transcript):
        inference = bot.infer(deadline=plan["deadline"])
        if plan["abort"] is not None:
            await anyio.sleep(plan["abort"])
            await inference.abort("enough")
        outcome = await inference.outcome()
    return transcript, outcome, bot.context.items


def run(plan, backend):
    async def main():
        with virtual_time():
            return await play(plan)

    return anyio.run(main, backend=backend)


@given(plan=plans(*NAMES, "thread"))
@settings(max_examples=150)
def test_every_call_has_exactly_one_result_and_the_laws_hold(plan):
    played = {backend: run(plan, backend) for backend in BACKENDS}

    for transcript, outcome, context in played.values():
        transcript.assert_lawful()
        events = transcript.events
        made = Counter(
            (e.round, e.item.id) for e in events if e.type == "item.completed" and isinstance(e.item, FunctionCall)
        )
        assert Counter((e.round, e.id) for e in events if e.type == "tool.result") == made
        of_it = [e for e in events if e.inference]
        assert of_it[-1].type == f"inference.{outcome.status}"
        assert [e.round for e in of_it] == sorted(e.round for e in of_it)
        # What the next inference goes on from has an answer to each call, and in order.
        asked = [item.id for item in context if isinstance(item, FunctionCall)]
        assert [item.id for item in context if isinstance(item, FunctionCallOutput)] == asked
        assert from_json(to_json(events)) == list(events)


@given(plan=plans(*NAMES))
@settings(max_examples=50)
def test_asyncio_and_trio_give_the_same_transcript(plan):
    """But for threads, which law 10 leaves out."""
    first, second = (to_json(run(plan, backend)[0].events) for backend in BACKENDS)

    assert first == second


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_two_inferences_of_one_agent_have_calls_of_their_own(environment, transcript):
    model = FakeModel(*[script(tool_call("nap", {"seconds": s})) for s in (2, 3)], script("two"), script("three"))
    bot = Agent("bot", model, tools=[nap], max_parallel_tools=1)
    async with environment(bot):
        first, second = bot.infer(), bot.infer()
        assert ((await first).text, (await second).text) == ("two", "three")

    ends = [(e.inference, e.output, e.time) for e in transcript.events if e.type == "tool.result"]
    assert ends == [("bot/1", "2", 2), ("bot/2", "3", 3)]
    transcript.expect("bot").rest()
