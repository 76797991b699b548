"""Endpoints as pydantic-ai's adapters make them, for the Vercel AI SDK and for AG-UI, read from the provider to the browser."""

from __future__ import annotations

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.ui.ag_ui import AGUIAdapter
from pydantic_ai.ui.vercel_ai import VercelAIAdapter
from starlette.applications import Starlette
from starlette.routing import Route

from pytest_streamrt import assert_streams, reasoning, script, stall, tool_call
from pytest_streamrt.edge import ag_ui, growing_json, vercel_ui

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.virtual_time,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),  # pydantic-ai's
]

VERCEL = {
    "trigger": "submit-message",
    "id": "1",
    "messages": [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}],
}
AG_UI = {
    "threadId": "t",
    "runId": "r",
    "state": {},
    "messages": [{"id": "m", "role": "user", "content": "hi"}],
    "tools": [],
    "context": [],
    "forwardedProps": {},
}
PROTOCOLS = pytest.mark.parametrize(
    ("adapter", "question", "decode"),
    [(VercelAIAdapter, VERCEL, vercel_ui), (AGUIAdapter, AG_UI, ag_ui)],
    ids=["vercel_ui", "ag_ui"],
)


def app_of(adapter):
    agent = Agent(OpenAIChatModel("gpt-5"))

    @agent.tool_plain
    def weather(city: str) -> str:
        return f"18 degrees in {city}"

    async def chat(request):
        return await adapter.dispatch_request(request, agent=agent)

    return Starlette(routes=[Route("/chat", chat, methods=["POST"])])


@PROTOCOLS
async def test_from_the_provider_to_the_browser(
    adapter, question, decode, fake_provider, transcript, asgi_client, anyio_backend
):
    fake_provider.enqueue(
        script(reasoning("Hm."), tool_call("weather", {"city": "Paris"}), every=0.1),
        script("18 ", "degrees", every=0.1),
    )

    async with asgi_client(app_of(adapter)) as client, client.stream("POST", "/chat", json=question) as response:
        async with assert_streams(response, transcript=transcript, skip=["cache-control", "x-accel-buffering"]):
            async for _ in transcript.record(response.aiter_lines(), source="browser", decode=decode()):
                pass

    transcript.expect("browser").reasoning("Hm.").tool_call("weather", arguments={"city": "Paris"}).rest()
    assert transcript.text("browser") == "18 degrees"
    assert growing_json(transcript.of("browser"), tool="weather")[-1][1] == {"city": "Paris"}
    assert [event.output for event in transcript.of("browser") if event.type == "tool.result"] == [
        "18 degrees in Paris"
    ]
    assert transcript.of("browser")[-1].type == "inference.completed"


@PROTOCOLS
async def test_the_tab_is_closed(adapter, question, decode, fake_provider, transcript, asgi_client, anyio_backend):
    fake_provider.enqueue(script("a", "b", stall(), every=0.1))

    async with asgi_client(app_of(adapter)) as client, client.stream("POST", "/chat", json=question):
        await fake_provider.emitted(2)

    transcript.expect("openai.chat").text("ab").aborted(by="client", at=0.2).upstream_closed(within=0).nothing_more()
