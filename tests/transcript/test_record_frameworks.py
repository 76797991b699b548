"""Runs of the real openai-agents, pydantic-ai and LangChain through `Transcript.record`, over the real openai client."""

from __future__ import annotations

import httpx
import openai
import pytest

from pytest_streamrt import Transcript, reasoning, script, tool_call, usage
from tests.transcript.network import STREAM, Provider

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"  # openai-agents and LangChain need it


WEATHER = [
    script("I look. ", tool_call("weather", {"city": "Paris"}), usage(1, 2)),
    script("18 ", "degrees", usage(3, 4)),
]


def expect_weather(transcript):
    transcript.expect("agent").text("I look. ").tool_call("weather", arguments={"city": "Paris"}).where(
        lambda event: event.type == "tool.result" and (event.name, event.output) == ("weather", "18")
    ).text("18 degrees").completed().nothing_more()
    transcript.assert_lawful()
    assert [event.round for event in transcript.of("agent") if event.type == "text.delta"] == [1, 2, 2]


def items(transcript):
    return [event.item.type for event in transcript.of("agent") if event.type == "item.completed"]


def tokens(transcript):
    said = [event for event in transcript.of("agent") if event.type == "usage"]
    return [(event.input_tokens, event.output_tokens) for event in said]


def client_of(provider):
    return openai.AsyncOpenAI(api_key="none", http_client=provider.client(), max_retries=0)


@pytest.mark.parametrize("dialect", ["openai.chat", "openai.responses"])
async def test_openai_agents(dialect):
    from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, RunConfig, Runner, function_tool

    @function_tool
    def weather(city: str) -> str:
        return "18"

    kind = OpenAIResponsesModel if dialect == "openai.responses" else OpenAIChatCompletionsModel
    model = kind(model="m", openai_client=client_of(Provider(dialect, *WEATHER)))
    transcript = Transcript()
    run = Runner.run_streamed(
        Agent(name="a", tools=[weather], model=model), "Hi", run_config=RunConfig(tracing_disabled=True)
    )
    async for _ in transcript.record(run.stream_events(), source="agent"):
        pass

    assert run.final_output == "18 degrees"
    expect_weather(transcript)
    kinds = ["function_call", "function_call_output", "model_message", "model_message"]  # over chat, in its own order
    assert sorted(items(transcript)) == kinds
    assert {event.data["agent"] for event in transcript.events if getattr(event, "name", "") == "agent_updated"} == {
        "a"
    }


async def test_openai_agents_hand_over():
    from agents import Agent, OpenAIResponsesModel, RunConfig, Runner

    provider = Provider("openai.responses", script(tool_call("transfer_to_b", {})), script("Here is B."))
    model = OpenAIResponsesModel(model="m", openai_client=client_of(provider))
    transcript = Transcript()
    agent = Agent(name="a", handoffs=[Agent(name="b", model=model)], model=model)
    run = Runner.run_streamed(agent, "Hi", run_config=RunConfig(tracing_disabled=True))
    async for _ in transcript.record(run.stream_events(), source="agent"):
        pass

    transcript.expect("agent").tool_call("transfer_to_b").text("Here is B.").completed().nothing_more()
    said = [(event.name, event.data) for event in transcript.events if event.type == "status"]
    assert ("handoff_occurred", {"source": "a", "target": "b"}) in said


@pytest.mark.parametrize("dialect", ["openai.chat", "openai.responses"])
async def test_pydantic_ai(dialect):
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    kind = OpenAIResponsesModel if dialect == "openai.responses" else OpenAIChatModel
    agent = Agent(kind("m", provider=OpenAIProvider(openai_client=client_of(Provider(dialect, *WEATHER)))))

    @agent.tool_plain
    def weather(city: str) -> str:
        return "18"

    transcript = Transcript()
    async with transcript.record(agent.run_stream_events("Hi"), source="agent") as events:
        last = [event async for event in events][-1]

    assert last.result.output == "18 degrees"
    expect_weather(transcript)
    assert items(transcript) == ["model_message", "function_call", "function_call_output", "model_message"]
    assert tokens(transcript) == [(4, 6)]


async def test_pydantic_ai_thinking_and_a_run_that_is_left():
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = Provider("openai.chat", script(reasoning("Hm", "m."), "Hel", "lo"))
    agent = Agent(OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client_of(provider))))
    transcript = Transcript()
    async with transcript.record(agent.run_stream_events("Hi"), source="agent") as events:
        async for _ in events:
            if transcript.text("agent") == "Hello":
                break

    transcript.expect("agent").reasoning("Hmm.").text("Hello").aborted(by="client").nothing_more()
    transcript.assert_lawful()
    assert provider.bodies[0].closed


def langchain_model(provider):
    from langchain_openai import ChatOpenAI

    def answer(request):
        chunks = b"".join(provider.answer(None).stream)
        return httpx.Response(200, headers=STREAM, content=chunks)

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return ChatOpenAI(model="m", api_key="none", http_async_client=client, stream_usage=True)


async def test_langchain_events():
    from langchain_core.runnables import RunnableLambda
    from langchain_core.tools import tool

    @tool
    def weather(city: str) -> str:
        """The weather there."""
        return "18"

    model = langchain_model(Provider("openai.chat", *WEATHER)).bind_tools([weather])

    async def run(question):
        asked = [("human", question)]
        called = await model.ainvoke(asked)
        result = await weather.ainvoke(called.tool_calls[0])
        return (await model.ainvoke([*asked, called, result])).content

    transcript = Transcript()
    async for _ in transcript.record(RunnableLambda(run).astream_events("Hi", version="v2"), source="agent"):
        pass

    expect_weather(transcript)
    assert items(transcript) == ["model_message", "function_call", "function_call_output", "model_message"]
    assert tokens(transcript) == [(1, 2), (3, 4)]


async def test_langchain_chunks():
    transcript = Transcript()
    model = langchain_model(Provider("openai.chat", WEATHER[0]))

    async for _ in transcript.record(model.astream("Hi"), source="agent"):
        pass

    transcript.expect("agent").text("I look. ").tool_call("weather", arguments={"city": "Paris"}).completed().rest()
    assert tokens(transcript) == [(1, 2)]


async def test_langchain_custom_events_and_a_model_that_does_not_stream():
    from langchain_core.callbacks import adispatch_custom_event
    from langchain_core.language_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import RunnableLambda

    call = {"name": "t", "args": {"a": 1}, "id": "c1"}
    model = GenericFakeChatModel(messages=iter([AIMessage("", tool_calls=[call])]), disable_streaming=True)

    async def run(question, config):
        await adispatch_custom_event("progress", {"percent": 50}, config=config)
        return await model.ainvoke(question, config)

    transcript = Transcript()
    async for _ in transcript.record(RunnableLambda(run).astream_events("Hi", version="v2"), source="agent"):
        pass

    chain = transcript.expect("agent").signal("progress", {"percent": 50}).tool_call("t", arguments={"a": 1})
    chain.completed().nothing_more()
