"""The cases of the conformance test: an app that writes down what it sees, and what a client does with it. None depends on time."""

from __future__ import annotations

from typing import ClassVar

import anyio
import anyio.lowlevel
import httpx2
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from tests.edge.apps import body, start

__all__ = ["CASES"]

OURS_ALONE = {"date", "server", "transfer-encoding", "connection"}  # the HTTP connection's, and not the application's


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


class BehindMiddleware(Case):
    async def app(self, scope, receive, send):
        async def chat(request):
            asked = await request.body()

            async def pieces():
                try:
                    yield asked
                    await self.step.wait()
                    yield b"b"
                    await anyio.sleep_forever()
                finally:
                    self.seen.append("closed")

            return StreamingResponse(pieces(), media_type="text/event-stream")

        async def middle(request, call_next):
            self.seen.append(request.url.path)
            response = await call_next(request)
            response.headers["x-middle"] = "yes"
            return response

        app = Starlette(
            routes=[Route("/chat", chat, methods=["POST"])],
            middleware=[Middleware(GZipMiddleware, minimum_size=1), Middleware(BaseHTTPMiddleware, dispatch=middle)],
        )
        await app(scope, receive, send)
        self.seen.append("returned")

    async def act(self, client):
        got = []
        async with client.stream("POST", "/chat", content=b"a") as response:
            async for piece in response.aiter_raw():
                got.append(piece)
                self.step.set()
                if piece == b"b":
                    break
        await self.done.wait()
        return got, response.headers["x-middle"]


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
