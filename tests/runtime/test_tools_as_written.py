"""Calls as a model's stream writes them: twice, in another choice, unfinished, or stopped as they begin."""

from __future__ import annotations

import pytest

from pytest_streamrt import (
    Agent,
)
from pytest_streamrt.events import (
    FunctionCall,
    InferenceCompleted,
    ItemCompleted,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from tests.runtime.tool_calls import Says, ends

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def test_a_source_that_stutters_does_not_have_things_done_twice(environment, transcript):
    done = []

    async def pay(amount: int):
        done.append(amount)

    call = ItemCompleted(FunctionCall("c", "pay", '{"amount": 5}'))
    bot = Agent("bot", Says([call, call], [TextDelta("Paid.")]), tools=[pay])
    async with environment(bot):
        await bot.infer()

    assert done == [5]
    assert [(status, output) for _, status, output, _ in ends(transcript)] == [
        ("failed", "not run: there is a call 'c' in this round already"),
        ("completed", "null"),
    ]
    transcript.expect("bot").rest()


async def test_only_the_calls_of_the_first_choice_are_run(environment, transcript):
    done = []

    async def pay(amount: int):
        done.append(amount)

    other = ItemCompleted(FunctionCall("c", "pay", '{"amount": 5}', choice=1))
    bot = Agent("bot", Says([TextDelta("No need."), other]), tools=[pay])
    async with environment(bot):
        assert (await bot.infer()).text == "No need."

    assert done == []
    assert [status for _, status, _, _ in ends(transcript)] == ["cancelled"]
    transcript.expect("bot").rest()


async def test_a_call_that_the_model_leaves_unfinished_is_finished_with_its_stream(environment, transcript):
    async def pay(amount: int):
        return amount

    cut = [ToolCallStarted("c", "pay"), ToolCallDelta("c", '{"amo'), InferenceCompleted("length")]
    bot = Agent("bot", Says(cut, [TextDelta("Sorry.")]), tools=[pay])
    async with environment(bot):
        await bot.infer()

    ((_, status, output, _),) = ends(transcript)
    assert status == "failed"
    assert output.startswith("the arguments of pay are not JSON")
    transcript.expect("bot").rest()


async def test_a_call_that_is_stopped_as_it_begins_never_runs(environment, transcript):
    ran = []

    async def pay():
        ran.append("pay")

    call = ItemCompleted(FunctionCall("c", "pay", "{}"))
    bot = Agent("bot", Says([call, TextDelta("a"), TextDelta("b")]), tools=[pay])
    async with environment(bot):
        await bot.infer(max_deltas=1)

    assert ran == []
    assert [status for _, status, _, _ in ends(transcript)] == ["cancelled"]
    transcript.expect("bot").rest()
