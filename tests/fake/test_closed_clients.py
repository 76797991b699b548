"""A client that is closed while an answer is open closes the answer's connection: so it is on a socket, and so it is here."""

from __future__ import annotations

import contextlib
import json

import httpx
import httpx2
import openai
import pytest

from pytest_streamrt import fake_provider_context, script
from tests.loopback import Answer

pytestmark = pytest.mark.anyio

PLAN = script("Step 1. ", "Step 2.")
LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
BODY = {"model": "m", "messages": [], "stream": True}
FIRST = f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': 'Step 1. '}}]})}\n\n".encode()


@contextlib.contextmanager
def nothing():
    """The network."""
    yield


async def what_an_async_reader_gets(library, url):
    async with library.AsyncClient() as client:
        response = await client.send(client.build_request("POST", f"{url}/chat/completions", json=BODY), stream=True)
        pieces = response.aiter_raw()
        await anext(pieces)
    with pytest.raises(library.TransportError) as caught:
        await anext(pieces)
    return type(caught.value)


def what_a_sync_reader_gets(library, url):
    with library.Client() as client:
        response = client.send(client.build_request("POST", f"{url}/chat/completions", json=BODY), stream=True)
        pieces = response.iter_raw()
        next(pieces)
    with pytest.raises(library.TransportError) as caught:
        next(pieces)
    return type(caught.value)


@LIBRARIES
@pytest.mark.parametrize("played", [False, True], ids=["socket", "fake"])
async def test_who_reads_on_finds_the_connection_closed(library, played, server):
    server.enqueue(Answer([FIRST], hangs=True))
    with fake_provider_context(PLAN) if played else nothing():
        assert await what_an_async_reader_gets(library, server.url) is library.ReadError


@LIBRARIES
@pytest.mark.parametrize("played", [False, True], ids=["socket", "fake"])
def test_who_reads_on_in_sync_code_finds_the_connection_closed(library, played, server):
    server.enqueue(Answer([FIRST], hangs=True))
    with fake_provider_context(PLAN) if played else nothing():
        assert what_a_sync_reader_gets(library, server.url) is library.ReadError


async def answer():
    """As an agent is often written: its client is closed with it, and nobody closes the stream."""
    async with openai.AsyncOpenAI() as client:
        async for chunk in await client.chat.completions.create(model="m", messages=[], stream=True):
            yield chunk.choices[0].delta.content


@pytest.mark.virtual_time
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio itself warns of the generators that the SDK leaves behind
async def test_an_agent_that_closes_its_client_has_stopped_its_answer(fake_provider, transcript):
    fake_provider.enqueue(script("Step 1. ", "Step 2.", every=1))

    async with contextlib.aclosing(answer()) as pieces:
        async for piece in pieces:
            if piece:
                break

    transcript.expect("openai.chat").text("Step 1. ").aborted(by="client", at=1).upstream_closed(
        within=0
    ).nothing_more()
