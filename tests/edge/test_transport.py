"""The streaming ASGI transport: bytes when they are sent, disconnects when they happen, errors as a server shows them."""

from __future__ import annotations

import anyio
import httpx
import httpx2
import pytest

from pytest_streamrt import StreamingASGITransport

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


def client_of(library, app, **options):
    return library.AsyncClient(transport=StreamingASGITransport(app, **options), base_url="http://testserver")


async def start(send, status=200):
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/event-stream")]})


async def body(send, data, *, more=True):
    await send({"type": "http.response.body", "body": data, "more_body": more})


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
    assert (seen["method"], seen["path"], seen["query_string"], seen["body"]) == ("POST", "/chat/ü", b"q=1", b"hello")
    assert seen["raw_path"] == b"/chat/%C3%BC"
    assert (b"x-mine", b"yes") in seen["headers"]
    assert seen["root_path"] == "/api"


@pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object")  # left behind by httpx itself
@LIBRARIES
async def test_a_client_that_goes_away_is_seen_by_the_app(library, virtual_clock):
    seen = {}

    async def app(scope, receive, send):
        await receive()
        await start(send)
        async with anyio.create_task_group() as tasks:

            async def watch():
                seen["message"] = await receive()
                seen["at"] = virtual_clock.now
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            while True:
                await anyio.sleep(1)
                await body(send, b"x")

    async with client_of(library, app) as client:
        async with client.stream("GET", "/chat") as response:
            pieces = response.aiter_raw()
            await anext(pieces)
            await anext(pieces)
        await virtual_clock.settle()

    assert seen == {"message": {"type": "http.disconnect"}, "at": 2}


async def test_after_the_client_is_gone_sending_goes_nowhere():
    done = []

    async def app(scope, receive, send):
        await start(send)
        await anyio.sleep(1)
        await body(send, b"x")
        done.append(await receive())
        done.append(await receive())

    async with client_of(httpx2, app) as client:
        async with client.stream("GET", "/chat"):
            pass
        await anyio.sleep(2)

    assert done == [{"type": "http.disconnect"}] * 2


@LIBRARIES
async def test_a_read_times_out_at_its_moment(library, virtual_clock):
    async def app(scope, receive, send):
        await start(send)
        await anyio.sleep(1)
        await body(send, b"x")
        await anyio.sleep(60)

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


async def test_closing_the_client_ends_what_the_app_still_does(virtual_clock):
    ended = []

    async def app(scope, receive, send):
        await start(send)
        await body(send, b"x", more=False)
        try:
            await anyio.sleep(3_600)
        finally:
            ended.append(virtual_clock.now)

    async with client_of(httpx2, app) as client:
        await client.get("/chat")

    assert ended == [0]


async def test_head_has_no_body():
    async with client_of(httpx2, three_pieces) as client:
        assert (await client.head("/chat")).content == b""


async def test_the_fixture_gives_a_client(asgi_client):
    async with asgi_client(three_pieces) as client:
        assert (await client.get("/chat")).text == "abc"
