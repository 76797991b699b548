"""An app that asks a provider, behind starlette's `TestClient`: its answers come from a cassette, on the sync test's clock."""

from __future__ import annotations

import time

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pytest_streamrt import Transcript, use_cassette, virtual_time
from tests.cassette.written import URL, answered, cassette

CLIENT = {"verify": False}  # loading certificates takes longer than all the rest


async def streaming(request):
    async def chunks():
        async with httpx2.AsyncClient(**CLIENT) as client, client.stream("POST", URL) as response:
            async for chunk in response.aiter_raw():
                yield f"{chunk.decode()} at {time.perf_counter()}\n"

    return StreamingResponse(chunks())


def blocking(request):
    began = time.perf_counter()
    with httpx2.Client(**CLIENT) as client:
        text = client.post(URL).text
    return PlainTextResponse(f"{text} after {time.perf_counter() - began:.3f}")


APP = Starlette(routes=[Route("/streaming", streaming), Route("/blocking", blocking)])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object")
@pytest.mark.parametrize(
    ("path", "said"),
    [("/streaming", "a at 2.0\nb at 3.0\n"), ("/blocking", "ab after 3.000")],
)
def test_chunks_come_at_their_recorded_times(path, said, backend, tmp_path):
    transcript = Transcript()
    with (
        virtual_time() as clock,
        use_cassette(cassette(tmp_path, answered("a", "b", first=1, every=1)), transcript=transcript),
    ):
        with TestClient(APP, backend=backend) as client:
            assert client.get(path).text == said

        assert clock.now == 3
    assert [event.time for event in transcript.events if event.type == "exchange.opened"] == [1.0]
