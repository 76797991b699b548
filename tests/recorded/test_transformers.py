"""Cassettes recorded from `transformers serve`, played back through the real OpenAI client.

The same tests record them: see docs/how-to/record-our-cassettes.md.
"""

from __future__ import annotations

import openai
import pytest

from pytest_streamrt import Agent, OpenAIChatModel, fold
from pytest_streamrt.cli.demo import MODEL, PLAN, SAFER, URL
from tests.recorded.answers import HELLO, ROLLOUT, THE_PLAN


@pytest.fixture
async def client():
    async with openai.AsyncOpenAI(base_url=URL, api_key="none is needed") as client:
        yield client


@pytest.mark.anyio
@pytest.mark.streamrt(cassette="demo")
async def test_the_demo_of_both_agents_to_the_end(client, environment, transcript):
    planner = Agent("planner", OpenAIChatModel(client, MODEL))
    reviewer = Agent("reviewer", OpenAIChatModel(client, MODEL))

    async with environment(planner, reviewer):
        await planner.infer(PLAN)
        await reviewer.infer(SAFER)

    transcript.expect("planner").text(THE_PLAN).completed().nothing_more()
    transcript.expect("reviewer").text(ROLLOUT).completed().nothing_more()
    assert [exchange.how for exchange in transcript.exchanges] == ["complete", "complete"]


@pytest.mark.anyio
@pytest.mark.streamrt(cassette="transformers/chat")
async def test_chat(client, transcript):
    stream = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Say hello in four scripts."}], stream=True
    )

    said = [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert "".join(said) == HELLO
    transcript.expect("openai.chat").text(HELLO).completed().nothing_more()
    assert fold(transcript.of("openai.chat")).usage is not None


@pytest.mark.anyio
@pytest.mark.streamrt(cassette="transformers/responses")
async def test_responses(client, transcript):
    stream = await client.responses.create(model=MODEL, input=PLAN, instructions="You are a planner.", stream=True)

    events = [event async for event in stream]

    assert events[-1].response.output_text == THE_PLAN
    transcript.expect("openai.responses").text(THE_PLAN).completed().nothing_more()


@pytest.mark.streamrt(cassette="transformers/wrong-model")
def test_an_http_error(transcript):
    with openai.OpenAI(base_url=URL, api_key="none is needed") as client, pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="no such", messages=[{"role": "user", "content": "Hi"}], stream=True)

    transcript.expect("openai.chat").failed(kind="provider").nothing_more()
