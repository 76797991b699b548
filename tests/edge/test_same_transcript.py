"""The same tests of the same endpoint, in process and over uvicorn on loopback: the transcripts are the same."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import asdict

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from openai import APIError, AsyncOpenAI

from pytest_streamrt import (
    Transcript,
    assert_streams,
    disconnect,
    error,
    fake_provider_context,
    reasoning,
    script,
    stall,
)
from pytest_streamrt.edge import sse_json
from tests.edge.apps import GOOD, client_of, client_over_uvicorn

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # uvicorn's

app = FastAPI()


@app.post("/chat")
async def chat(request: Request) -> StreamingResponse:
    question = (await request.json())["question"]

    async def events():
        try:
            async with AsyncOpenAI(max_retries=0) as provider:
                messages = [{"role": "user", "content": question}]
                async for chunk in await provider.chat.completions.create(
                    model="gpt-5", messages=messages, stream=True
                ):
                    if chunk.choices and chunk.choices[0].delta.content:
                        yield event("token", chunk.choices[0].delta.content)
        except (APIError, httpx2.HTTPError) as failure:
            yield event("error", type(failure).__name__)
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), 200, GOOD, "text/event-stream")


def event(kind, content):
    return f"data: {json.dumps({'type': kind, 'content': content}, ensure_ascii=False)}\n\n"


async def ask(client, transcript):
    async with client.stream("POST", "/chat", json={"question": "hi"}) as response:
        async with assert_streams(response, skip=["end"]):
            async for _ in transcript.record(response.aiter_lines(), source="browser", decode=sse_json()):
                pass


async def whole(client, provider, transcript):
    provider.enqueue(script(reasoning("Hm."), "Hel", "lö 🦔", ", you"))
    await ask(client, transcript)
    transcript.assert_no_leak(hidden=["Hm."], visible="browser")


async def twice(client, provider, transcript):
    provider.enqueue(script("a", "b"), script("c"))
    await ask(client, transcript)
    await ask(client, transcript)


async def refused(client, provider, transcript):
    provider.enqueue(script(error(429)))
    await ask(client, transcript)


async def broken_off(client, provider, transcript):
    provider.enqueue(script("a", "b", disconnect()))
    await ask(client, transcript)


async def tab_closed(client, provider, transcript):
    provider.enqueue(script("a", "b", stall()))
    async with client.stream("POST", "/chat", json={"question": "hi"}):
        await provider.emitted(2)


async def tab_closed_while_reading(client, provider, transcript):
    provider.enqueue(script("a", "b", stall()))
    async with client.stream("POST", "/chat", json={"question": "hi"}) as response:
        async with aclosing(transcript.record(response.aiter_lines(), source="browser", decode=sse_json())) as lines:
            async for line in lines:
                if '"b"' in line:
                    break


async def in_process(test, provider, transcript):
    async with client_of(httpx2, app) as client:
        await test(client, provider, transcript)


async def over_a_socket(test, provider, transcript):
    async with client_over_uvicorn(app) as client:
        await test(client, provider, transcript)


def told(transcript):
    """What each source did, without the times."""
    stories = {}
    for each in transcript.events:
        fields = {name: value for name, value in asdict(each).items() if name != "time"}
        stories.setdefault(each.source, []).append(fields)
    return stories


@pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object")
@pytest.mark.parametrize(
    "test", [whole, twice, refused, broken_off, tab_closed, tab_closed_while_reading], ids=lambda test: test.__name__
)
async def test_the_transcripts_are_the_same(test, anyio_backend):
    transcripts = []
    for run in (in_process, over_a_socket):
        transcript = Transcript()
        with fake_provider_context(transcript=transcript, ignore_hosts=["127.0.0.1"]) as provider:
            await run(test, provider, transcript)
        transcript.assert_lawful()
        transcripts.append(told(transcript))

    ours, real = transcripts
    assert "openai.chat" in ours
    assert ours == real
