"""A cassette given to one client by hand: of httpx and httpx2, sync and async."""

from __future__ import annotations

import contextlib

import httpx
import httpx2
import pytest

from pytest_streamrt import CassetteError, CassetteMiss, CassetteTransport, Transcript, script, use_cassette
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.providers import encode
from tests.loopback import PATIENCE, Answer

pytestmark = pytest.mark.anyio

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
CHUNKS = encode(script("Hel", "lo"), "openai.chat")
ASK = {"model": "m", "stream": True}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "one.jsonl"


@LIBRARIES
async def test_an_async_client(library, server, path):
    server.enqueue(Answer(CHUNKS))
    url = f"{server.url}/chat/completions"
    async with library.AsyncClient(transport=CassetteTransport(path, record="once"), timeout=PATIENCE) as client:
        live = (await client.post(url, json=ASK)).content
    async with library.AsyncClient(transport=CassetteTransport(path)) as client:
        assert (await client.post(url, json=ASK)).content == live == b"".join(CHUNKS)

    assert len(server.requests) == 1


@LIBRARIES
def test_a_sync_client(library, server, path):
    server.enqueue(Answer(CHUNKS))
    url = f"{server.url}/chat/completions"
    transcript = Transcript()
    transport = CassetteTransport(path, record="once", transcript=transcript, filter_headers=["x-mine"])
    with library.Client(transport=transport, timeout=PATIENCE) as client:
        live = client.post(url, json=ASK, headers={"x-mine": "secret"}).content
    client = library.Client(transport=CassetteTransport(path))
    assert client.post(url, json=ASK).content == live
    client.close()

    assert ("x-mine", "[redacted]") in load_cassette(path)[0].headers
    assert transcript.text("openai.chat") == "Hello"


async def test_over_a_transport_of_ones_own(path):
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=b"mine"))
    async with httpx2.AsyncClient(transport=CassetteTransport(path, transport=transport, record="once")) as client:
        assert (await client.get("https://api.example/")).content == b"mine"

    assert load_cassette(path)[0].chunks[0].data == b"mine"


def test_a_cassette_in_use_takes_each_request_down_once(server, path):
    server.enqueue(Answer(CHUNKS))
    url = f"{server.url}/chat/completions"
    with use_cassette(path, record="once") as cassette:
        with httpx2.Client(transport=CassetteTransport(cassette), timeout=PATIENCE) as client:
            client.post(url, json=ASK)
    with use_cassette(path) as cassette, httpx2.Client(transport=CassetteTransport(cassette)) as client:
        client.post(url, json=ASK)

    assert len(load_cassette(path)) == 1


def test_a_miss_and_what_was_left_over_are_told_when_the_client_closes(server, path):
    server.enqueue(Answer(CHUNKS))
    url = f"{server.url}/chat/completions"
    with httpx2.Client(transport=CassetteTransport(path, record="once"), timeout=PATIENCE) as client:
        client.post(url, json=ASK)

    with pytest.raises(CassetteMiss, match="differs"), httpx2.Client(transport=CassetteTransport(path)) as client:
        with contextlib.suppress(BaseException):
            client.post(url, json={"other": 1})
    with pytest.raises(CassetteError, match="never played"), httpx2.Client(transport=CassetteTransport(path)):
        pass


def test_a_cassette_in_use_is_not_told_twice(path):
    with use_cassette(path, allow_unplayed=True) as cassette, pytest.raises(CassetteError, match="has been told how"):
        CassetteTransport(cassette, allow_unplayed=True)
