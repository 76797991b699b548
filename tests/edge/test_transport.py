"""The streaming ASGI transport: bytes when they are sent, disconnects when they happen, errors as a server shows them."""

from __future__ import annotations

import anyio
import httpx2
import pytest

from tests.edge.apps import LIBRARIES, body, client_of, start

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def three_pieces(scope, receive, send):
    await start(send)
    for piece in (b"a", b"b", b"c"):
        await anyio.sleep(1)
        await body(send, piece)
    await body(send, b"", more=False)


@LIBRARIES
async def test_each_piece_arrives_when_it_is_sent(library, virtual_clock):
    async with client_of(library, three_pieces) as client, client.stream("GET", "/chat") as response:
        assert virtual_clock.now == 0
        arrived = [(virtual_clock.now, piece) async for piece in response.aiter_raw()]

    assert arrived == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert response.headers["content-type"] == "text/event-stream"


@LIBRARIES
async def test_the_app_sees_the_request(library):
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope, body=(await receive())["body"])
        await start(send, 201)
        await body(send, b"ok", more=False)

    async with client_of(library, app, root_path="/api") as client:
        response = await client.post("/chat/ü?q=1", content=b"hello", headers={"X-Mine": "yes"})

    assert (response.status_code, response.content) == (201, b"ok")
    assert (seen["method"], seen["path"], seen["query_string"], seen["body"]) == (
        "POST",
        "/api/chat/ü",
        b"q=1",
        b"hello",
    )
    assert seen["raw_path"] == b"/api/chat/%C3%BC"
    assert (b"x-mine", b"yes") in seen["headers"]
    assert seen["root_path"] == "/api"


@LIBRARIES
async def test_a_read_times_out_at_its_moment(library, virtual_clock):
    async def app(scope, receive, send):
        await start(send)
        await anyio.sleep(1)
        await body(send, b"x")
        await receive()
        await receive()

    async with client_of(library, app) as client:
        with pytest.raises(library.ReadTimeout):
            async with client.stream("GET", "/chat", timeout=5) as response:
                async for _ in response.aiter_raw():
                    pass
        assert virtual_clock.now == 6


async def test_an_app_that_sends_faster_than_it_is_read_waits(virtual_clock):
    sent = []

    async def app(scope, receive, send):
        await start(send)
        for i in range(10):
            await body(send, bytes(20_000))
            sent.append(i)
        await body(send, b"", more=False)

    async with client_of(httpx2, app) as client, client.stream("GET", "/chat") as response:
        await virtual_clock.settle()
        assert len(sent) == 4  # 80 kB are over the 64 kB that may wait
        assert len(b"".join([piece async for piece in response.aiter_raw()])) == 200_000


@LIBRARIES
@pytest.mark.parametrize("begun", [False, True])
async def test_what_the_app_raises_is_raised_to_the_client(begun, library):
    async def app(scope, receive, send):
        if begun:
            await start(send)
        raise LookupError("mine")

    async with client_of(library, app) as client:
        with pytest.raises(LookupError, match="mine"):
            await client.get("/chat")


@LIBRARIES
async def test_or_the_client_sees_what_it_would_see_from_a_server(library):
    async def fails_before(scope, receive, send):
        raise LookupError

    async def fails_after(scope, receive, send):
        await start(send)
        await body(send, b"x")
        raise LookupError

    async with client_of(library, fails_before, raise_app_exceptions=False) as client:
        response = await client.get("/chat")
        assert (response.status_code, response.text) == (500, "Internal Server Error")
    async with client_of(library, fails_after, raise_app_exceptions=False) as client:
        with pytest.raises(library.RemoteProtocolError, match="incomplete chunked read"):
            await client.get("/chat")


async def test_an_app_that_breaks_the_protocol_is_told():
    async def app(scope, receive, send):
        await body(send, b"x")

    async with client_of(httpx2, app) as client:
        with pytest.raises(RuntimeError, match=r"'http\.response\.body' was sent where 'http\.response\.start'"):
            await client.get("/chat")


async def test_head_has_no_body():
    async with client_of(httpx2, three_pieces) as client:
        assert (await client.head("/chat")).content == b""


async def test_the_fixture_gives_a_client(asgi_client):
    async with asgi_client(three_pieces) as client:
        assert (await client.get("/chat")).text == "abc"


@LIBRARIES
async def test_a_body_is_sent_as_it_is_taken(library, virtual_clock):
    async def app(scope, receive, send):
        while (await receive()).get("more_body"):
            await anyio.sleep(1)
        await start(send)
        await body(send, b"", more=False)

    class Pieces:  # a generator would be left unfinished by the client that times out
        left = 3

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return bytes(100_000)

    async with client_of(library, app) as client:
        await client.post("/chat", content=Pieces())
        assert virtual_clock.now == 3
        with pytest.raises(library.WriteTimeout, match="write operation timed out after 0.5 s"):
            await client.post("/chat", content=Pieces(), timeout=0.5)


@LIBRARIES
async def test_a_fault_of_the_test_itself_reaches_it_through_the_app(library):
    async def app(scope, receive, send):
        pytest.fail("found in the app")

    async with client_of(library, app, raise_app_exceptions=False) as client:
        with pytest.raises(pytest.fail.Exception, match="found in the app"):
            await client.get("/chat")


async def test_an_app_that_does_not_finish_its_response_is_told():
    async def app(scope, receive, send):
        await start(send)

    async with client_of(httpx2, app) as client:
        with pytest.raises(RuntimeError, match=r"GET /chat: the application returned without completing its response"):
            await client.get("/chat")


@pytest.mark.parametrize("option", [{"spec_version": "new"}, {"lifespan": True}])
def test_an_option_that_makes_no_sense_is_refused(option):
    with pytest.raises(ValueError, match=f"StreamingASGITransport: {next(iter(option))} is"):
        client_of(httpx2, three_pieces, **option)


async def test_two_requests_at_once_are_kept_apart(virtual_clock):
    got = {}

    async def app(scope, receive, send):
        await start(send)
        await anyio.sleep(1)
        await body(send, scope["path"].encode(), more=False)

    async with client_of(httpx2, app) as client, anyio.create_task_group() as tasks:

        async def ask(path):
            got[path] = (await client.get(path)).text, virtual_clock.now

        tasks.start_soon(ask, "/a")
        tasks.start_soon(ask, "/b")

    assert got == {"/a": ("/a", 1), "/b": ("/b", 1)}
