"""The client goes away: what the app is told, what it may still do, and what the test hears of one that goes on."""

from __future__ import annotations

import gc
import logging
import time

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from pytest_streamrt import LeftBehind
from tests.edge.apps import LIBRARIES, body, client_of, start

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.virtual_time,
    # httpx and Starlette leave generators of theirs unfinished, of which trio warns
    pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object"),
]


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


async def test_tasks_of_the_app_that_wait_for_that_learn_of_it_in_their_order(virtual_clock):
    """On trio, that of their memory addresses it was."""
    told = []

    async def app(scope, receive, send):
        await receive()
        await start(send)
        await body(send, b"x")

        async def watch(number):
            await receive()
            told.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(watch, number)

    async with client_of(httpx2, app) as client:
        async with client.stream("GET", "/chat") as response:
            await anext(response.aiter_raw())
            await virtual_clock.settle()
        await virtual_clock.settle()

    assert told == list(range(20))


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


async def goes_on(scope, receive, send):
    await start(send)
    while True:
        await anyio.sleep(1)
        await body(send, b"x")


async def leave(client):
    async with client.stream("GET", "/chat"):
        pass


@LIBRARIES
async def test_an_app_that_goes_on_is_named_and_told_how_to_stop(library, virtual_clock):
    with pytest.raises(LeftBehind) as caught:
        async with client_of(library, goes_on) as client:
            await leave(client)
            await anyio.sleep(2)

    message = str(caught.value)
    assert "did not end within 5 s" in message
    assert "GET /chat: the client went away 7 s ago, and the application has gone on since" in message
    assert "await request.is_disconnected()" in message
    assert virtual_clock.now == 7


async def test_but_what_the_test_itself_raises_comes_first():
    with pytest.raises(LookupError, match="mine"):
        async with client_of(httpx2, goes_on) as client:
            await leave(client)
            raise LookupError("mine")


async def test_an_app_may_take_its_time_to_end(virtual_clock):
    async def app(scope, receive, send):
        await receive()
        await start(send)
        await receive()
        await anyio.sleep(60)

    async with client_of(httpx2, app, shutdown_timeout=None) as client:
        await leave(client)

    assert virtual_clock.now == 60


@pytest.mark.parametrize("seconds", [4, 6])
async def test_background_tasks_are_waited_for(seconds, virtual_clock):
    ended = []

    async def background():
        try:
            await anyio.sleep(seconds)
        finally:
            ended.append(virtual_clock.now)

    app = Starlette(routes=[Route("/chat", lambda _: PlainTextResponse("ok", background=BackgroundTask(background)))])

    client = client_of(httpx2, app)
    assert (await client.get("/chat")).text == "ok"
    assert virtual_clock.now == 0
    if seconds < 5:
        await client.aclose()
    else:
        with pytest.raises(LeftBehind, match="the response was complete, and the application has not returned since"):
            await client.aclose()

    assert ended == [min(seconds, 5)]


async def test_what_the_app_raises_when_nobody_is_left_is_raised_at_the_end():
    async def app(scope, receive, send):
        await receive()
        await start(send)
        await receive()
        raise LookupError(scope["path"])

    client = client_of(httpx2, app)
    await leave(client)
    with pytest.raises(LookupError, match="/chat"):
        await client.aclose()

    client = client_of(httpx2, app)
    await leave(client)
    await leave(client)
    with pytest.raises(ExceptionGroup, match="no client was left to be told") as caught:
        await client.aclose()
    assert len(caught.value.exceptions) == 2


async def test_or_logged_as_a_server_logs_it(caplog):
    async def app(scope, receive, send):
        await receive()
        await start(send)
        await receive()
        raise LookupError

    async with client_of(httpx2, app, raise_app_exceptions=False) as client:
        await leave(client)

    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.ERROR, "Exception in ASGI application")
    ]


@pytest.mark.parametrize("version", ["2.3", "2.4"])
async def test_sending_to_nobody_is_an_error_from_version_2_4_on(version):
    seen = []

    async def app(scope, receive, send):
        assert scope["asgi"]["spec_version"] == version
        await start(send)
        await anyio.sleep(1)
        try:
            await body(send, b"x")
        except OSError as error:
            seen.append(error)
            raise

    async with client_of(httpx2, app, spec_version=version) as client:
        await leave(client)  # and nothing is raised: it is no fault of the app's

    assert len(seen) == (version == "2.4")


@pytest.mark.parametrize("version", ["2.3", "2.4"])
async def test_starlette_closes_the_iterator_with_either(version, virtual_clock):
    closed = []

    async def chat(request: Request):
        async def pieces():
            try:
                while True:
                    await anyio.sleep(1)
                    yield b"x"
            finally:
                closed.append(virtual_clock.now)

        return StreamingResponse(pieces())

    app = Starlette(routes=[Route("/chat", chat)])

    async with client_of(httpx2, app, spec_version=version) as client:
        async with client.stream("GET", "/chat") as response:
            await anext(response.aiter_raw())
        await anyio.sleep(2)

    assert closed == [{"2.3": 1, "2.4": 2}[version]]


async def test_a_cancelled_client_has_gone_away(virtual_clock):
    seen = []

    async def app(scope, receive, send):
        await receive()
        seen.append(await receive())
        seen.append(virtual_clock.now)

    async with client_of(httpx2, app, lifespan="off") as client:
        with anyio.move_on_after(1):
            await client.get("/chat")

    assert seen == [{"type": "http.disconnect"}, 1]


async def test_an_app_that_cannot_even_be_cancelled_does_not_hang_the_test(virtual_clock):
    let_go = anyio.Event()

    async def app(scope, receive, send):
        await start(send)
        with anyio.CancelScope(shield=True):
            await let_go.wait()

    with pytest.raises(LeftBehind, match="GET /chat: nor did it end when it was cancelled"):
        async with client_of(httpx2, app) as client:
            await leave(client)
    assert virtual_clock.now == 10
    let_go.set()


@LIBRARIES
async def test_a_client_that_is_cancelled_as_it_reads_has_gone_away(library, virtual_clock):
    seen = []

    async def app(scope, receive, send):
        await receive()
        await start(send)
        await body(send, b"x")
        seen.append(await receive())
        seen.append(virtual_clock.now)

    async with client_of(library, app) as client:
        with anyio.move_on_after(1):
            await client.get("/chat")

    assert seen == [{"type": "http.disconnect"}, 1]


async def test_a_sync_iterator_is_closed_where_it_comes_round_to_it(virtual_clock):
    closed = []

    async def chat(request):
        def pieces():
            try:
                while True:
                    time.sleep(1)
                    yield b"x"
            finally:
                closed.append(True)

        return StreamingResponse(pieces())

    app = Starlette(routes=[Route("/chat", chat)])

    async with client_of(httpx2, app) as client, client.stream("GET", "/chat") as response:
        assert await anext(response.aiter_raw()) == b"x"
        assert virtual_clock.now == 1

    del app
    gc.collect()
    assert closed == [True]
