"""The same tests, unchanged, against an agent on our runtime, on the openai SDK, on openai-agents and on pydantic-ai."""

from __future__ import annotations

import contextlib

import anyio
import pytest

from pytest_streamrt import disconnect, script, stall, tool_call, usage
from tests.stories.agents_of_four_kinds import FOUR_KINDS

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


@pytest.fixture
def anyio_backend():
    return "asyncio"  # openai-agents needs it


@pytest.fixture(params=FOUR_KINDS, ids=lambda kind: kind.__name__)
def ask(request, transcript):
    return lambda question: request.param(question, transcript)


async def test_it_uses_its_tool_and_answers(ask, fake_provider, transcript):
    fake_provider.enqueue(
        script(tool_call("weather", {"city": "Paris"}), every=0.1), script("18 ", "degrees", usage(5, 2), every=0.1)
    )

    await ask("How warm is it in Paris?")

    said = transcript.expect("agent").tool_call("weather", arguments={"city": "Paris"}, at=0.1)
    said.tool_result("weather", output="18").text("18 degrees", at=0.3).completed().nothing_more()
    assert fake_provider.calls[1].json["input"][-1]["output"] == "18"
    assert transcript.metrics("agent").max_gap == 0.1
    transcript.assert_lawful()


async def test_whoever_asked_goes_away(ask, fake_provider, transcript):
    fake_provider.enqueue(script("Let me ", "think", stall(), every=0.1))

    with anyio.move_on_after(0.25):
        await ask("What is the meaning of life?")

    transcript.expect("agent").text("Let me think", at=0.2).aborted(at=0.25).rest()
    timing = transcript.abort_timing("agent")
    assert (timing.deltas_after, timing.to_last_delta) == (0, 0.0)
    assert [exchange.how for exchange in transcript.exchanges] == ["client"]


async def test_the_line_breaks(ask, fake_provider, transcript):
    fake_provider.enqueue(script("Let me ", disconnect(), every=0.1))

    with contextlib.suppress(Exception):  # each says it in its own words
        await ask("What is the meaning of life?")

    transcript.expect("agent").text("Let me ", at=0.1).failed(kind="transport").rest()
