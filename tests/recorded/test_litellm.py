"""Cassettes recorded from a LiteLLM proxy, played back through the real OpenAI client.

The same tests record them: see docs/how-to/record-our-cassettes.md.
"""

from __future__ import annotations

import os

import openai
import pytest

from pytest_streamrt import fold
from tests.recorded.answers import THE_PLAN

URL = "http://127.0.0.1:4011/v1"


@pytest.fixture
def client():
    with openai.OpenAI(base_url=URL, api_key=os.environ.get("LITELLM_MASTER_KEY", "none is needed")) as client:
        yield client


@pytest.mark.streamrt(cassette="litellm/chat")
def test_chat_with_usage(client, transcript):
    stream = client.chat.completions.create(
        model="planner",
        messages=[{"role": "user", "content": "Migrate the users table."}],
        stream=True,
        stream_options={"include_usage": True},
    )

    chunks = list(stream)

    assert chunks[-1].usage is not None
    transcript.expect("openai.chat").text(THE_PLAN).completed().nothing_more()
    used = fold(transcript.of("openai.chat")).usage
    assert used is not None
    assert used.output_tokens == chunks[-1].usage.completion_tokens


@pytest.mark.streamrt(cassette="litellm/responses")
def test_responses(client, transcript):
    events = list(client.responses.create(model="planner-responses", input="Migrate the users table.", stream=True))

    assert events[-1].response.output_text == THE_PLAN
    transcript.expect("openai.responses").text(THE_PLAN).completed().nothing_more()
