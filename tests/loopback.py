"""A real HTTP server on loopback, uvicorn in a thread, that a test drives chunk by chunk. Nothing in it sleeps."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

PATIENCE = 30  # real seconds until a test gives up on the server; never waited out when all is well


@dataclass
class Answer:
    """What the server says to one request.

    Attributes:
        chunks: the body, chunk by chunk.
        status: the HTTP status.
        headers: more headers, or others than those of an event stream.
        stepwise: whether each chunk waits for `Server.step`.
        breaks: whether the connection breaks after the last chunk, instead of ending in order.
        delay: real seconds before the head. The one place where a test of ours waits in real time, for that is its subject.
        hangs: whether it stays open after the last chunk and says nothing more.
    """

    chunks: Sequence[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream; charset=utf-8"})
    stepwise: bool = False
    breaks: bool = False
    delay: float = 0.0
    hangs: bool = False


class Server:
    """Gives the answers it was given, in order, and notes what it is asked."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[Answer] = []
        self.requests: list[dict[str, Any]] = []
        self.asked = threading.Event()
        self.client_gone = threading.Event()
        self.gone_at = 0.0  # by time.perf_counter(), when the last client went away
        self._steps = asyncio.Semaphore(0)
        self._loop: asyncio.AbstractEventLoop | None = None

    def enqueue(self, *answers: Answer) -> None:
        """Have more requests answered."""
        self.answers.extend(answers)

    def step(self, n: int = 1) -> None:
        """Let a stepwise answer send its next chunks."""
        assert self._loop is not None
        for _ in range(n):
            self._loop.call_soon_threadsafe(self._steps.release)

    def started(self, loop: asyncio.AbstractEventLoop) -> None:
        """The server runs, on that loop."""
        self._loop = loop

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = dict(scope["headers"])
        self.requests.append({"path": scope["path"], "headers": headers, "body": body, "client": scope["client"]})
        self.asked.set()
        answer = self.answers.pop(0)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        head = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": head})
        watch = asyncio.create_task(self._watch(receive))
        try:
            for chunk in answer.chunks:
                if answer.stepwise:
                    step = asyncio.create_task(self._steps.acquire())
                    await asyncio.wait((step, watch), return_when=asyncio.FIRST_COMPLETED)
                    step.cancel()
                    if watch.done():
                        return
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if answer.hangs:
                await watch
                return
            if answer.breaks:
                raise ConnectionAbortedError
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watch.cancel()

    async def _watch(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone_at = time.perf_counter()
        self.client_gone.set()


@contextmanager
def serve() -> Iterator[Server]:
    """Run a server on a free port of loopback for the length of the block."""
    app = Server()
    listener = socket.create_server(("127.0.0.1", 0))
    app.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical"))
    started = threading.Event()
    thread = threading.Thread(target=_run, args=(app, server, listener, started), name="loopback server")
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield app
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(PATIENCE)
        listener.close()


def _run(app: Server, server: uvicorn.Server, listener: socket.socket, started: threading.Event) -> None:
    async def main() -> None:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not task.done():
            await asyncio.sleep(0)
        app.started(asyncio.get_running_loop())
        started.set()
        await task

    asyncio.run(main())
