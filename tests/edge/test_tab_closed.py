"""The user closes the tab, and the app's call to the provider is closed too: at once, in each of the usual kinds of endpoint."""

from __future__ import annotations

import json

import anyio
import pytest
from anthropic import AsyncAnthropic
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse as FastAPIEventSourceResponse
from fastapi.sse import ServerSentEvent
from openai import AsyncOpenAI
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from pytest_streamrt import LeftBehind, assert_streams, script, stall
from pytest_streamrt.edge import sse_json
from tests.edge.apps import GOOD

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.virtual_time,
    # the SDKs, httpx and Starlette leave generators of theirs unfinished, of which trio warns
    pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object"),
]


async def openai_events():
    async with AsyncOpenAI() as provider:
        async for event in await provider.responses.create(model="gpt-5", input="hi", stream=True):
            if event.type == "response.output_text.delta":
                yield f"data: {json.dumps({'type': 'token', 'content': event.delta})}\n\n"
    yield "data: [DONE]\n\n"


async def anthropic_events():
    messages = [{"role": "user", "content": "hi"}]
    async with AsyncAnthropic() as provider:
        async with provider.messages.stream(model="claude", max_tokens=9, messages=messages) as stream:
            async for text in stream.text_stream:
                yield f"data: {json.dumps({'type': 'token', 'content': text})}\n\n"
    yield "data: [DONE]\n\n"


fastapi = FastAPI()


@fastapi.get("/chat")
async def fastapi_chat() -> StreamingResponse:
    return StreamingResponse(openai_events(), 200, GOOD, "text/event-stream")


fastapi_sse = FastAPI()


@fastapi_sse.get("/chat", response_class=FastAPIEventSourceResponse)
async def fastapi_sse_chat():
    async for event in openai_events():
        yield ServerSentEvent(raw_data=event.removeprefix("data: ").strip())


async def anthropic_chat(request):
    return StreamingResponse(anthropic_events(), 200, GOOD, "text/event-stream")


async def sse_chat(request):
    async def events():
        async for event in openai_events():
            yield event.removeprefix("data: ").strip()

    return EventSourceResponse(events(), sep="\n")


async def by_hand(scope, receive, send):
    assert scope["type"] == "http"
    await receive()
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def watch():
        while (await receive())["type"] != "http.disconnect":
            pass
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        async for event in openai_events():
            await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        await send({"type": "http.response.body"})
        tasks.cancel_scope.cancel()


ENDPOINTS = pytest.mark.parametrize(
    ("app", "dialect"),
    [
        pytest.param(fastapi, "openai.responses", id="fastapi"),
        pytest.param(
            Starlette(routes=[Route("/chat", sse_chat)]),
            "openai.responses",
            id="sse-starlette",
            marks=pytest.mark.virtual_time(leaked_tasks="ignore"),  # it leaves a task that waits for uvicorn's exit
        ),
        pytest.param(Starlette(routes=[Route("/chat", anthropic_chat)]), "anthropic.messages", id="anthropic"),
        pytest.param(fastapi_sse, "openai.responses", id="fastapi-sse"),
        pytest.param(by_hand, "openai.responses", id="by-hand"),
    ],
)


@ENDPOINTS
async def test_the_user_closes_the_tab(app, dialect, fake_provider, transcript, asgi_client):
    fake_provider.enqueue(script("a", "b", stall(), every=0.05))

    async with asgi_client(app) as client, client.stream("GET", "/chat"):
        await fake_provider.emitted(2)

    transcript.expect(dialect).text("ab").aborted(by="client", at=0.1).upstream_closed(within=0).nothing_more()


@ENDPOINTS
@pytest.mark.parametrize("n", range(4))
async def test_wherever_it_is_closed(n, app, dialect, fake_provider, transcript, asgi_client):
    fake_provider.enqueue(answer := script("a", "b", "c", every=0.05))

    async with asgi_client(app) as client, client.stream("GET", "/chat"):
        await fake_provider.emitted(n)

    chain = transcript.expect(dialect)
    if n:
        chain = chain.text(answer.prefix(n).text)
    chain.aborted(by="client", at=0.05 * n).upstream_closed(within=0).nothing_more()


@ENDPOINTS
async def test_the_whole_answer_reaches_the_browser(app, dialect, fake_provider, transcript, asgi_client):
    fake_provider.enqueue(script("Hel", "lo", every=0.1))

    async with asgi_client(app) as client, client.stream("GET", "/chat") as response:
        async with assert_streams(response, transcript=transcript):
            async for _ in transcript.record(response.aiter_lines(), source="browser", decode=sse_json()):
                pass

    transcript.expect("browser").text("Hello", at=0.2).completed().nothing_more()
    transcript.expect(dialect).text("Hello").completed().rest()


async def test_fastapi_says_that_it_is_still_there(fake_provider, asgi_client):
    fake_provider.enqueue(script("a", "b", every=40))

    async with asgi_client(fastapi_sse) as client, client.stream("GET", "/chat") as response:
        check = await assert_streams(response, keep_alive=15)

    assert [frame.comments for frame in check.arrived.frames if frame.comments] == [(" ping",)] * 4


async def test_an_app_that_works_on_in_a_task_of_its_own_is_seen(fake_provider, transcript, asgi_client):
    fake_provider.enqueue(script("a", "b", "c", every=1))

    async def chat(request: Request):
        async def work():
            async with pieces_in:
                async for event in openai_events():
                    try:
                        await pieces_in.send(event)
                    except anyio.BrokenResourceError:
                        continue  # nobody listens; and it goes on

        pieces_in, pieces = anyio.create_memory_object_stream(10)

        async def stream():
            with pieces:
                async for piece in pieces:
                    yield piece

        request.app.state.tasks.start_soon(work)
        return StreamingResponse(stream(), 200, GOOD, "text/event-stream")

    app = Starlette(routes=[Route("/chat", chat)])
    async with anyio.create_task_group() as app.state.tasks:
        async with asgi_client(app) as client, client.stream("GET", "/chat"):
            await fake_provider.emitted(1)

    with pytest.raises(AssertionError, match="expected.*aborted"):
        transcript.expect("openai.responses").text("abc").aborted(by="client")
    transcript.expect("openai.responses").rest()


async def test_starlette_with_a_newer_server_notices_only_when_it_sends(fake_provider, transcript, asgi_client):
    fake_provider.enqueue(script("a", stall(), every=1))
    with pytest.raises(LeftBehind, match="the client went away 5 s ago, and the application has gone on since"):
        async with asgi_client(fastapi, spec_version="2.4") as client, client.stream("GET", "/chat"):
            await fake_provider.emitted(1)
    transcript.expect("openai.responses").text("a").rest()
