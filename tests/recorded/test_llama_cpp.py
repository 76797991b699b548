"""Cassettes recorded from llama.cpp's Python server, played back through the real OpenAI client.

The same tests record them: see docs/how-to/record-our-cassettes.md.
"""

from __future__ import annotations

import openai
import pytest

from pytest_streamrt import NotReplayable, use_cassette
from tests.recorded.answers import CAPITAL, THE_PLAN

URL = "http://127.0.0.1:4031/v1"
MODEL = "tiny"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def client():
    with openai.OpenAI(base_url=URL, api_key="none is needed") as client:
        yield client


def ask(client, question, **options):
    messages = [{"role": "user", "content": question}]
    return client.chat.completions.create(model=MODEL, messages=messages, stream=True, temperature=0, **options)


@pytest.mark.streamrt(cassette="llama-cpp/chat")
def test_chat(client, transcript):
    said = [chunk.choices[0].delta.content or "" for chunk in ask(client, "What is the capital of France?")]

    assert "".join(said) == CAPITAL
    transcript.expect("openai.chat").text(CAPITAL).completed().nothing_more()
    assert transcript.exchanges[0].how == "complete"


@pytest.mark.streamrt(cassette="llama-cpp/tool-call")
def test_a_tool_call(client, transcript):
    choice = {"type": "function", "function": {"name": "get_weather"}}

    for _ in ask(client, "What is the weather in Paris?", tools=[WEATHER], tool_choice=choice):
        pass

    calls = transcript.expect("openai.chat").tool_call("get_weather", arguments={"city": "Paris"})
    calls.completed().nothing_more()


@pytest.mark.streamrt(cassette="llama-cpp/closed-half-way")
def test_the_client_closes_half_way(client, transcript):
    with ask(client, "Migrate the users table.") as stream:
        said = ""
        for chunk in stream:
            said += chunk.choices[0].delta.content or ""
            if "drop table" in said:
                break

    transcript.expect("openai.chat").text(said).aborted(by="client").upstream_closed().nothing_more()
    assert THE_PLAN.startswith(said)


def test_nobody_can_read_on_where_the_recording_client_closed(client, pytestconfig):
    cassette = pytestconfig.rootpath / "cassettes" / "llama-cpp" / "closed-half-way.jsonl"
    with use_cassette(cassette), pytest.raises(NotReplayable, match="closed the response after"):
        for _ in ask(client, "Migrate the users table."):
            pass
