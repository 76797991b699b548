"""Tests of an endpoint as users write them under pytest-asyncio's auto mode. All others here run under anyio, on both backends."""

from __future__ import annotations

APP = """
import json
from openai import AsyncOpenAI
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route


async def chat(request):
    async def events():
        async with AsyncOpenAI() as provider:
            async for event in await provider.responses.create(model="gpt-5", input="hi", stream=True):
                if event.type == "response.output_text.delta":
                    yield f"data: {json.dumps({'text': event.delta})}\\n\\n"
        yield "data: [DONE]\\n\\n"

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), headers=headers, media_type="text/event-stream")


app = Starlette(routes=[Route("/chat", chat)])
"""

TESTS = """
import pytest
from app import app
from pytest_streamrt import assert_streams, script, stall
from pytest_streamrt.edge import sse_json


async def test_it_streams(fake_provider, transcript, asgi_client):
    fake_provider.enqueue(script("Hel", "lo", every=0.1))
    async with asgi_client(app) as client, client.stream("GET", "/chat") as response:
        async with assert_streams(response, transcript=transcript, keep_alive=0.1):
            async for _ in transcript.record(response.aiter_lines(), source="browser", decode=sse_json()):
                pass

    transcript.expect("browser").text("Hello", at=0.2).completed().nothing_more()


async def test_the_tab_is_closed(fake_provider, transcript, asgi_client):
    fake_provider.enqueue(script("a", "b", stall(), every=0.05))
    async with asgi_client(app) as client, client.stream("GET", "/chat"):
        await fake_provider.emitted(2)

    transcript.expect("openai.responses").text("ab").aborted(by="client", at=0.1).upstream_closed(within=0).nothing_more()


async def test_a_client_from_a_fixture(client, fake_provider):
    fake_provider.enqueue(script("Hel", "lo", every=0.1))
    assert (await client.get("/chat")).text.count("data: ") == 3
"""


FIXTURE = """

@pytest.fixture
async def client(asgi_client):
    async with asgi_client(app) as client:
        yield client
"""

AUTO = """
pytestmark = pytest.mark.virtual_time
"""


def test_it_runs_in_auto_mode(project):
    project.write(APP, "app")
    project.write(TESTS + AUTO + FIXTURE)
    project.ini("asyncio_mode = auto")

    project.run().assert_outcomes(passed=3)
