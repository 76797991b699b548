"""Behind a real nginx with its default settings: what is buffered is found, and the header that prevents it does."""

from __future__ import annotations

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from pytest_streamrt import Agent, assert_streams
from pytest_streamrt.events import InferenceCompleted, TextDelta
from tests.edge.apps import GOOD, served
from tests.edge.parts import NGINX, needs, nginx

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # uvicorn's

PINGS = 200  # requests through nginx after which what it has not passed on by now, it holds back


class Model:
    """Says one word, and the other when it is told to."""

    def __init__(self):
        self.go_on = anyio.Event()

    async def stream(self, context, tools):
        yield TextDelta("Hel")
        await self.go_on.wait()
        yield TextDelta("lo")
        yield InferenceCompleted()


class Page(Agent):
    """Passes on what it says."""

    async def on_internal_event(self, event):
        if event.type == "text.delta":
            await self.out.send(f"data: {event.text}\n\n")


class Endpoint:
    """An app that streams what a model says, with these headers."""

    def __init__(self, environment, headers):
        self.environment = environment
        self.headers = headers
        self.model = Model()
        self.sent = anyio.Event()
        self.app = Starlette(routes=[Route("/chat", self.chat), Route("/ping", lambda _: PlainTextResponse("pong"))])

    async def chat(self, request):
        page = Page("page", model=self.model)
        page.out, pieces = anyio.create_memory_object_stream(10)

        async def stream():
            with page.out, pieces:
                async with self.environment(page):
                    page.infer("hi")
                    yield await pieces.receive()
                    self.sent.set()
                    yield await pieces.receive()
                    yield "data: [DONE]\n\n"

        return StreamingResponse(stream(), 200, self.headers, "text/event-stream")


async def check(url, endpoint, transcript, **options):
    """`assert_streams` through that URL; the model waits with its last word until the first has come, or never will."""
    watched = []

    async def let_it_go_on():
        await endpoint.sent.wait()
        for _ in range(PINGS):
            if watched and watched[0].arrived.chunks:
                break
            await client.get("/ping")
        endpoint.model.go_on.set()

    async with httpx2.AsyncClient(base_url=url) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(let_it_go_on)
        async with client.stream("GET", "/chat") as response:
            watched.append(assert_streams(response, transcript=transcript, **options))
            try:
                return await watched[0]
            except AssertionError as error:
                return error


async def test_nginx_holds_the_answer_back_unless_it_is_told_not_to(anyio_backend, environment, transcript, tmp_path):
    needs("nginx", NGINX)
    careless = Endpoint(environment, {"Cache-Control": "no-cache"})
    async with served(careless.app) as upstream, nginx(upstream, tmp_path) as url:
        problem = await check(url, careless, transcript)

    assert "first-byte: the first byte came at" in str(problem)
    assert "when all 2 deltas of the answer had been made" in str(problem)
    assert 'headers={"X-Accel-Buffering": "no"}' in str(problem)

    careful = Endpoint(environment, GOOD)
    async with served(careful.app) as upstream, nginx(upstream, tmp_path) as url:
        passed = await check(url, careful, transcript)

    assert [event.data for event in passed.arrived.events] == ["Hel", "lo", "[DONE]"]
    assert "nginx takes it out" in passed.not_checked["x-accel-buffering"]
