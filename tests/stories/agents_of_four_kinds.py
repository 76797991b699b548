"""One small agent, made four times: on our runtime, on the openai SDK alone, on openai-agents, and on pydantic-ai.

Each is a function that asks the agent and reads its whole answer, with its source in the transcript called "agent".
"""

from __future__ import annotations

import json

from openai import AsyncOpenAI

from pytest_streamrt import Agent, Environment, OpenAIResponsesModel

TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def weather(city: str) -> str:
    """The temperature there."""
    return "18" if city == "Paris" else "unknown"


def client():
    return AsyncOpenAI(api_key="none is needed", max_retries=0)


async def on_our_runtime(question, transcript):
    async with client() as openai:
        agent = Agent("agent", OpenAIResponsesModel(openai, "m"), tools=[weather])
        async with Environment(agent, transcript=transcript):
            await agent.infer(question).outcome()


async def raw_events(question):
    """The loop that everybody writes: the model's events as they come, and what tools give back to it."""
    context = [{"role": "user", "content": question}]
    async with client() as openai:
        while True:
            calls = []
            async with await openai.responses.create(model="m", input=context, tools=[TOOL], stream=True) as stream:
                async for event in stream:
                    if event.type == "response.output_item.done" and event.item.type == "function_call":
                        calls.append(event.item)
                    yield event
            if not calls:
                return
            for call in calls:
                output = weather(**json.loads(call.arguments))
                answer = {"type": "function_call_output", "call_id": call.call_id, "output": output}
                context += [call.to_dict(), answer]
                yield answer


async def on_the_sdk_alone(question, transcript):
    async for _ in transcript.record(raw_events(question), source="agent"):
        pass


async def on_openai_agents(question, transcript):
    from agents import Agent as TheirAgent
    from agents import OpenAIResponsesModel as TheirModel
    from agents import RunConfig, Runner, function_tool

    async with client() as openai:
        agent = TheirAgent(name="a", tools=[function_tool(weather)], model=TheirModel("m", openai_client=openai))
        run = Runner.run_streamed(agent, question, run_config=RunConfig(tracing_disabled=True))
        async for _ in transcript.record(run.stream_events(), source="agent"):
            pass


async def on_pydantic_ai(question, transcript):
    from pydantic_ai import Agent as TheirAgent
    from pydantic_ai.models.openai import OpenAIResponsesModel as TheirModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async with client() as openai:
        agent = TheirAgent(TheirModel("m", provider=OpenAIProvider(openai_client=openai)), tools=[weather])
        async with transcript.record(agent.run_stream_events(question), source="agent") as events:
            async for _ in events:
                pass


FOUR_KINDS = [on_our_runtime, on_the_sdk_alone, on_openai_agents, on_pydantic_ai]
