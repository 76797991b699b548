"""The application is started before its first request and shut down after its last, and says so when it cannot."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pytest_streamrt import LeftBehind
from tests.edge.apps import client_of

pytestmark = pytest.mark.anyio


def app_of(lifespan):
    async def chat(request):
        return PlainTextResponse(request.state.greeting)

    return Starlette(routes=[Route("/", chat)], lifespan=asynccontextmanager(lifespan))


@pytest.mark.virtual_time
async def test_it_is_started_and_shut_down_around_the_client(virtual_clock):
    seen = []

    async def lifespan(app):
        await anyio.sleep(2)
        async with anyio.create_task_group():  # entered and left in one task
            yield {"greeting": "hi"}
        await anyio.sleep(3)
        seen.append(virtual_clock.now)

    async with client_of(httpx2, app_of(lifespan)) as client:
        assert virtual_clock.now == 2
        assert (await client.get("/")).text == "hi"

    assert seen == [5]


@pytest.mark.virtual_time
async def test_a_client_that_is_not_entered_starts_it_with_its_first_requests():
    starts = []

    async def lifespan(app):
        await anyio.sleep(1)
        starts.append(1)
        yield {"greeting": "hi"}

    client = client_of(httpx2, app_of(lifespan))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.get, "/")
        tasks.start_soon(client.get, "/")
    await client.aclose()

    assert starts == [1]


@pytest.mark.virtual_time
async def test_what_it_raises_as_it_starts_is_raised():
    async def lifespan(app):
        raise LookupError("no database")
        yield

    with pytest.raises(LookupError, match="no database"):
        async with client_of(httpx2, app_of(lifespan)):
            pytest.fail("not reached")


@pytest.mark.virtual_time
async def test_what_it_raises_as_it_shuts_down_is_raised():
    async def lifespan(app):
        yield {"greeting": "hi"}
        raise LookupError("still in use")

    with pytest.raises(LookupError, match="still in use"):
        async with client_of(httpx2, app_of(lifespan)) as client:
            await client.get("/")


@pytest.mark.virtual_time
@pytest.mark.parametrize("reason", ["no database", ""])
async def test_it_may_say_that_it_cannot_start(reason):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": reason})

    with pytest.raises(RuntimeError, match=f"startup.failed: {reason or 'it did not say why'}"):
        async with client_of(httpx2, app):
            pytest.fail("not reached")


async def no_lifespan(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await PlainTextResponse("ok")(scope, receive, send)


@pytest.mark.virtual_time
@pytest.mark.parametrize("mode", ["auto", "off"])
async def test_an_app_without_one_is_taken_for_that(mode):
    async with client_of(httpx2, no_lifespan, lifespan=mode) as client:
        assert (await client.get("/")).text == "ok"


@pytest.mark.virtual_time
async def test_unless_it_is_to_have_one():
    with pytest.raises(NotImplementedError):
        async with client_of(httpx2, no_lifespan, lifespan="on"):
            pytest.fail("not reached")


@pytest.mark.virtual_time
async def test_one_that_does_not_shut_down_is_named(virtual_clock):
    async def lifespan(app):
        yield {"greeting": "hi"}
        await anyio.sleep(60)

    with pytest.raises(LeftBehind, match="its lifespan was told to shut down, and has not ended since"):
        async with client_of(httpx2, app_of(lifespan)) as client:
            await client.get("/")
    assert virtual_clock.now == 5


@pytest.mark.parametrize("backends", [["asyncio"], ["trio"], ["asyncio", "trio", "asyncio"]])
def test_a_client_made_before_there_is_a_loop(backends):
    seen = []

    async def lifespan(app):
        seen.append("started")
        yield {"greeting": "hi"}
        seen.append("shut down")

    client = client_of(httpx2, app_of(lifespan))  # as at the top of a module, and never closed

    async def ask():
        return (await client.get("/")).text

    assert [anyio.run(ask, backend=backend) for backend in backends] == ["hi" for _ in backends]
    assert seen == ["started" for _ in backends]
