"""A real Chromium, with EventSource and with fetch, reads what the in-process client reads; and closing its tab stops the app."""

from __future__ import annotations

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from pytest_streamrt import assert_streams
from pytest_streamrt.wire import SSEDecoder
from tests.edge.apps import GOOD, client_of, served
from tests.edge.parts import CHROMIUM, PATIENCE, chromium, has_playwright, needs

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # uvicorn's, and Playwright's

# Cut where it hurts: within a character, between CR and LF, before the blank line.
PIECES = [
    "\ufeffid: 1\ndata: Hel\n\n".encode(),
    b": keep-alive\n\n",
    b"retry: 1\n\nid: 2\r\nevent: token\r\ndata: l\xc3",
    b"\xb6\r",
    b"\n\r",
    b"\ndata\n\nevent: nothing\n\n",
    b'id: 3\ndata: {"a":\ndata:  1}\nunknown: x\n\n',
    b"id: no\0ne\ndata: \xff\n",
    b"\n",
    b"id\ndata:x\r\rdata: \xf0\x9f\xa6\x94\n\n",
    b"id: 9\nevent: done\ndata: {}\n\n",
    b"data: never closed",
]

READ = """
(names) => new Promise((resolve, reject) => {
    const events = [], source = new EventSource("/chat");
    const note = (event) => {
        events.push([event.type, event.data, event.lastEventId]);
        if (event.type === "done") { source.close(); resolve(events); }
    };
    for (const name of ["message", ...names]) source.addEventListener(name, note);
    source.addEventListener("error", () => { if (source.readyState === 2) reject("closed"); });
})
"""

FETCH = """
async () => {
    const response = await fetch("/chat"), bytes = [];
    const reader = response.body.getReader();
    for (;;) {
        const { done, value } = await reader.read();
        if (done) return bytes;
        bytes.push(...value);
    }
}
"""


def page_of(*routes):
    """An app with an empty page, beside what is tested."""
    page = [
        Route("/", lambda _: HTMLResponse("<!doctype html><title>chat</title>")),
        Route("/favicon.ico", lambda _: Response()),
    ]
    return Starlette(routes=[*page, *routes])


def of_browser(frames):
    """What a page's listeners would be told of these."""
    return [[frame.event or "message", frame.data, frame.last_event_id] for frame in frames if frame.dispatched]


async def test_it_reads_the_same_events(anyio_backend):
    needs("chromium (and Playwright for Python)", CHROMIUM and has_playwright())

    async def chat(request):
        async def stream():
            for piece in PIECES:
                yield piece

        return StreamingResponse(stream(), 200, GOOD, "text/event-stream")

    app = page_of(Route("/chat", chat))
    async with client_of(httpx2, app) as client, client.stream("GET", "/chat") as response:
        check = await assert_streams(response, skip=["frames"])
    async with served(app) as url, chromium() as page:
        await page.goto(url)
        by_event_source = await page.evaluate(READ, ["token", "nothing", "done"])
        by_fetch = bytes(await page.evaluate(FETCH))

    assert by_event_source == of_browser(check.arrived.events)
    assert by_fetch == check.arrived.body == b"".join(PIECES)
    assert of_browser(SSEDecoder().feed(by_fetch)) == by_event_source


async def test_it_resumes_and_goes_away(anyio_backend):
    needs("chromium (and Playwright for Python)", CHROMIUM and has_playwright())
    asked = []
    closed = anyio.Event()

    async def chat(request):
        last = int(request.headers.get("last-event-id", 0))
        asked.append(last)

        async def stream():
            yield "retry: 1\n\n"
            for n in range(last + 1, 6):
                yield f"id: {n}\nevent: {'done' if n == 5 else 'message'}\ndata: {n}\n\n"
                if n % 2 == 0 and "cut" in request.query_params:
                    return  # as where a connection breaks

        return StreamingResponse(stream(), 200, GOOD, "text/event-stream")

    async def endless(request):
        async def stream():
            try:
                yield "data: {}\n\n"
                await anyio.sleep_forever()
            finally:
                closed.set()

        return StreamingResponse(stream(), 200, GOOD, "text/event-stream")

    app = page_of(Route("/chat", chat), Route("/endless", endless))
    async with client_of(httpx2, app) as client, client.stream("GET", "/chat") as response:
        check = await assert_streams(
            response, resume=lambda last: client.stream("GET", "/chat", headers={"Last-Event-ID": last})
        )
    asked.clear()
    async with served(app) as url, chromium() as page:
        await page.goto(url)
        resumed = await page.evaluate(READ.replace("/chat", "/chat?cut=1"), ["done"])
        await page.evaluate("new Promise((resolve) => new EventSource('/endless').onmessage = resolve).then(() => 0)")
        await page.close()
        with anyio.fail_after(PATIENCE):
            await closed.wait()

    assert resumed == of_browser(check.arrived.events)
    assert asked == [0, 2, 4]
