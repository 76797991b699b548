"""The same applications in process and over a real uvicorn: what the app is told and what the client gets are the same.

Each case is an app that writes down what it sees, and what a client does with it. Nothing here depends on time.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import ClassVar

import anyio
import anyio.lowlevel
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from tests.edge.apps import body, client_of, client_over_uvicorn, start

OURS_ALONE = {"date", "server", "transfer-encoding", "connection"}  # the HTTP connection's, and not the application's


async def in_process(app, act, **options):
    async with client_of(httpx2, app, raise_app_exceptions=False, **options) as client:
        return await act(client)


async def over_a_socket(app, act, **options):
    async with client_over_uvicorn(app, **options) as client:
        return await act(client)


class Case:
    """An app that notes what it sees, and what a client does with it."""

    options: ClassVar = {}

    def __init__(self):
        self.seen = []
        self.step = anyio.Event()  # client → app
        self.done = anyio.Event()  # app → client

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            self.seen.append(
                "raised LookupError" if isinstance(error, LookupError) else "raised what the server raised"
            )
            raise
        finally:
            self.done.set()

    async def app(self, scope, receive, send):
        raise NotImplementedError

    async def act(self, client):
        return head_and_body(await client.get("/chat?x=1"))


def head_and_body(response):
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in OURS_ALONE]
    return response.status_code, headers, response.content


async def whole_body(receive):
    pieces = []
    while True:
        message = await receive()
        pieces.append(message["body"])
        if not message["more_body"]:
            return b"".join(pieces)


class TheScope(Case):
    options: ClassVar = {"root_path": "/api"}

    async def app(self, scope, receive, send):
        own = {name: value for name, value in scope.items() if name not in ("client", "server", "headers")}
        self.seen.append(own)
        self.seen.append([name for name, _ in scope["headers"]])
        self.seen.append([type(value) for value in (*scope["client"], *scope["server"])])
        await start(send, 201, [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"X-Mine", b"yes")])
        await body(send, b"ok", more=False)

    async def act(self, client):
        return head_and_body(await client.get("/ch%C3%BCt/a%2Fb?x=1&y=%20", headers={"X-Mine": "Yes"}))


class ABody(Case):
    async def app(self, scope, receive, send):
        self.seen.append(await whole_body(receive))
        await start(send)
        await body(send, b"ok", more=False)
        self.seen.append(await receive())

    async def act(self, client):
        return head_and_body(await client.post("/", json={"message": "hi"}))


class ALargeBodyInPieces(ABody):
    async def act(self, client):
        async def pieces():
            for _ in range(50):
                yield bytes(30_000)

        return head_and_body(await client.post("/", content=pieces()))


class ABodyNobodyReads(Case):
    async def app(self, scope, receive, send):
        await start(send, 413)
        await body(send, b"no", more=False)

    async def act(self, client):
        return head_and_body(await client.post("/", content=b"hello"))


class EachPieceBeforeTheNext(Case):
    async def app(self, scope, receive, send):
        await start(send)
        for piece in (b"a", b"b", b"c"):
            await body(send, piece)
            self.seen.append(piece)
            await self.step.wait()
            self.step = anyio.Event()
        await body(send, b"", more=False)

    async def act(self, client):
        got = []
        async with client.stream("GET", "/") as response:
            async for piece in response.aiter_raw():
                got.append((piece, list(self.seen)))
                self.step.set()
        return got


class TheClientGoesAway(Case):
    async def app(self, scope, receive, send):
        self.seen.append(await receive())
        await start(send)
        await body(send, b"a")
        self.seen.append(await receive())
        await body(send, b"b")
        await body(send, b"", more=False)
        self.seen.append(await receive())

    async def act(self, client):
        async with client.stream("GET", "/") as response:
            first = await anext(response.aiter_raw())
        await self.done.wait()
        return first


class TheClientOfStarletteGoesAway(Case):
    async def app(self, scope, receive, send):
        async def pieces():
            try:
                yield b"a"
                await anyio.sleep_forever()
            finally:
                self.seen.append("closed")

        await StreamingResponse(pieces(), media_type="text/event-stream")(scope, receive, send)
        self.seen.append("returned")

    act = TheClientGoesAway.act


class TheClientGoesAwayWhileItSends(Case):
    async def app(self, scope, receive, send):
        request = Request(scope, receive)
        await start(send)
        while not await request.is_disconnected():
            await body(send, bytes(1000))
            await anyio.lowlevel.checkpoint()
        self.seen.append("noticed")

    async def act(self, client):
        async with client.stream("GET", "/") as response:
            await anext(response.aiter_raw())
        await self.done.wait()


class TheClientGoesAwayAsTheAppWaitsToSend(Case):
    async def app(self, scope, receive, send):
        await start(send)
        for _ in range(200):
            await body(send, bytes(100_000))
        self.seen.append(await receive())
        self.seen.append(await receive())

    async def act(self, client):
        async with client.stream("GET", "/") as response:
            await anext(response.aiter_raw())
        await self.done.wait()


class ABackgroundTask(Case):
    async def app(self, scope, receive, send):
        async def background():
            self.seen.append(await receive())
            await self.step.wait()
            self.seen.append("background")

        await PlainTextResponse("ok", background=BackgroundTask(background))(scope, receive, send)

    async def act(self, client):
        response = await client.get("/")
        before = self.done.is_set()
        self.step.set()
        return head_and_body(response), before


class RaisesBeforeItsResponse(Case):
    async def app(self, scope, receive, send):
        raise LookupError


class RaisesWithinItsResponse(Case):
    async def app(self, scope, receive, send):
        await start(send)
        await body(send, b"a")
        await self.step.wait()
        raise LookupError

    async def act(self, client):
        got = []
        async with client.stream("GET", "/") as response:
            try:
                async for piece in response.aiter_raw():
                    got.append(piece)
                    self.step.set()
            except httpx2.HTTPError as error:
                got.append((type(error), str(error)))
        return got


class RaisesAfterItsResponse(Case):
    async def app(self, scope, receive, send):
        await start(send)
        await body(send, b"a", more=False)
        raise LookupError


class ReturnsWithoutAResponse(Case):
    async def app(self, scope, receive, send):
        pass


class ReturnsWithinItsResponse(RaisesWithinItsResponse):
    async def app(self, scope, receive, send):
        await start(send)
        await body(send, b"a")
        await self.step.wait()


class ABodyBeforeItsHead(Case):
    async def app(self, scope, receive, send):
        await body(send, b"a")


class TwoHeads(RaisesWithinItsResponse):
    async def app(self, scope, receive, send):
        await start(send)
        await body(send, b"a")
        await self.step.wait()
        await start(send)


class MoreAfterTheEnd(Case):
    async def app(self, scope, receive, send):
        await start(send)
        await body(send, b"a", more=False)
        await body(send, b"b", more=False)


class AHead(Case):
    async def app(self, scope, receive, send):
        await start(send, headers=[(b"content-length", b"5")])
        await body(send, b"hello", more=False)

    async def act(self, client):
        return head_and_body(await client.head("/"))


class LongerThanItSays(RaisesWithinItsResponse):
    async def app(self, scope, receive, send):
        await start(send, headers=[(b"content-length", b"5")])
        await body(send, b"he")
        await self.step.wait()
        await body(send, b"llo, world", more=False)


class ShorterThanItSays(RaisesWithinItsResponse):
    async def app(self, scope, receive, send):
        await start(send, headers=[(b"content-length", b"5")])
        await body(send, b"he")
        await self.step.wait()
        await body(send, b"l", more=False)


class NoLongerThanItSays(Case):
    async def app(self, scope, receive, send):
        await start(send, headers=[(b"content-length", b"5")])
        await body(send, b"he")
        await body(send, b"llo", more=False)


class NoContent(Case):
    async def app(self, scope, receive, send):
        await start(send, 204, [])
        await body(send, b"", more=False)


class FasterThanItIsRead(Case):
    sent = 0

    async def app(self, scope, receive, send):
        await start(send)
        for _ in range(1_000):
            await body(send, bytes(60_000))
            self.sent += 1
        await body(send, b"", more=False)

    async def act(self, client):
        async with client.stream("GET", "/") as response:
            pieces = response.aiter_raw()
            size = len(await anext(pieces))
            waited = self.sent < 1_000
            async for piece in pieces:
                size += len(piece)
        return size, waited


CASES = [case for case in globals().values() if isinstance(case, type) and issubclass(case, Case) and case is not Case]


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
