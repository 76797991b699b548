"""The same applications in process and over a real uvicorn: what the app is told and what the client gets are the same."""

from __future__ import annotations

from contextlib import asynccontextmanager

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.edge.apps import client_of, client_over_uvicorn
from tests.edge.cases import CASES


async def in_process(app, act, **options):
    async with client_of(httpx2, app, raise_app_exceptions=False, **options) as client:
        return await act(client)


async def over_a_socket(app, act, **options):
    async with client_over_uvicorn(app, **options) as client:
        return await act(client)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # uvicorn's
@pytest.mark.parametrize("case", CASES)
async def test_app_and_client_see_the_same(case, anyio_backend):
    ours, real = case(), case()

    got = await in_process(ours, ours.act, **case.options)
    expected = await over_a_socket(real, real.act, **case.options)

    assert got == expected
    assert ours.seen == real.seen


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("run", [in_process, over_a_socket])
async def test_the_application_is_started_and_shut_down(run, anyio_backend):
    seen = []

    @asynccontextmanager
    async def lifespan(app):
        seen.append("started")
        yield {"pool": "of connections"}
        seen.append("shut down")

    async def chat(request):
        seen.append(request.state.pool)
        request.state.pool = "changed for this request alone"
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/", chat)], lifespan=lifespan)

    async def act(client):
        return [(await client.get("/")).text, (await client.get("/")).text]

    assert await run(app, act) == ["ok", "ok"]
    assert seen == ["started", "of connections", "of connections", "shut down"]
