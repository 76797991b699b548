"""What the tests of the transport have in common: clients of it, small pieces of applications, a real uvicorn."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import httpx
import httpx2
import pytest
import uvicorn

from pytest_streamrt import StreamingASGITransport

GOOD = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # what a stream needs beside its type

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


def client_of(library, app, **options):
    """A client of that app, in process."""
    return library.AsyncClient(transport=StreamingASGITransport(app, **options), base_url="http://testserver")


async def start(send, status=200, headers=((b"content-type", b"text/event-stream"),)):
    """Begin a response."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def body(send, data, *, more=True):
    """Send a piece of it."""
    await send({"type": "http.response.body", "body": data, "more_body": more})


@asynccontextmanager
async def served(app, *, ssl=False, **options):
    """The URL of a real uvicorn that serves that app on loopback, in the loop that runs here."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=5, **options))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not task.done():
            await asyncio.sleep(0)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


@asynccontextmanager
async def client_over_uvicorn(app, **options):
    """A client of that app, over uvicorn and a socket."""
    async with served(app, **options) as url, httpx2.AsyncClient(base_url=url) as client:
        yield client
