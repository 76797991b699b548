"""`assert_streams`: what is wrong with a response is found, with its moment, and told with what to change in the app."""

from __future__ import annotations

import gzip

import anyio
import httpx
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from pytest_streamrt import Agent, FakeModel, assert_streams, script
from tests.edge.apps import GOOD, LIBRARIES, client_of
from tests.edge.streaming import THREE, app_of, failure

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.virtual_time,
    # httpx and Starlette leave generators of theirs unfinished, of which trio warns
    pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object"),
]


@LIBRARIES
async def test_a_response_that_streams_passes(library):
    async with client_of(library, app_of(THREE)) as client, client.stream("GET", "/chat") as response:
        check = await assert_streams(response, keep_alive=0.1)

    assert [event.data for event in check.arrived.events] == ["Hel", "lo", "[DONE]"]
    assert check.not_checked == {"ids": "the events have no ids"}


@LIBRARIES
async def test_it_may_be_read_by_the_test(library):
    async with client_of(library, app_of(THREE)) as client, client.stream("GET", "/chat") as response:
        async with assert_streams(response) as check:
            lines = [line async for line in response.aiter_lines() if line and len(check.arrived.events) <= 3]

    assert lines == ["data: Hel", "data: lo", "data: [DONE]"]
    assert len(check.arrived.events) == 3


async def test_what_is_read_by_the_test_is_checked_too():
    async with client_of(httpx2, app_of(THREE[:2])) as client, client.stream("GET", "/chat") as response:
        with pytest.raises(AssertionError, match="the stream ended without a last event that says so"):
            async with assert_streams(response):
                await response.aread()


async def test_what_the_block_raises_comes_first():
    async with client_of(httpx2, app_of(THREE[:2])) as client, client.stream("GET", "/chat") as response:
        with pytest.raises(LookupError):
            async with assert_streams(response):
                await response.aread()
                raise LookupError


async def test_who_leaves_before_the_end_has_not_seen_it():
    async with client_of(httpx2, app_of(THREE)) as client, client.stream("GET", "/chat") as response:
        async with assert_streams(response) as check:
            await anext(response.aiter_lines())

    assert check.not_checked["end"] == "the client left before the end"


async def test_all_headers_that_are_wrong_are_named_at_once():
    message = await failure(app_of(THREE, headers={"Cache-Control": "max-age=60"}, media_type="text/plain"))

    assert "GET http://testserver/chat does not stream as a browser needs it: 3 problems" in message
    assert "1. content-type: the header is 'text/plain; charset=utf-8', and EventSource takes nothing but" in message
    assert 'Change the app: StreamingResponse(…, media_type="text/event-stream").' in message
    assert "2. cache-control: the header is 'max-age=60'" in message
    assert "3. x-accel-buffering: the header is missing, so nginx, which buffers by default" in message
    assert 'headers={"X-Accel-Buffering": "no"}' in message
    assert 'skip={"content-type", "cache-control", "x-accel-buffering"}' in message


async def test_no_key_in_the_address_is_told():
    async with client_of(httpx2, app_of(THREE[:1])) as client:
        async with client.stream("GET", "http://me:secret@testserver/chat?token=secret") as response:
            with pytest.raises(AssertionError, match=r"GET http://testserver/chat does not stream") as caught:
                await assert_streams(response)
    assert "secret" not in str(caught.value)


async def test_a_check_may_be_left_out():
    app = app_of(THREE[:2], headers={"Cache-Control": "no-store"})
    async with client_of(httpx2, app) as client, client.stream("GET", "/chat") as response:
        await assert_streams(response, skip=["x-accel-buffering", "end"])


async def test_an_error_is_told_by_its_status_alone():
    message = await failure(Starlette(routes=[Route("/chat", lambda _: JSONResponse({}, 503))]))

    assert "1 problem\n  1. status: it is 503" in message


async def test_what_is_said_of_a_body_that_nobody_looked_at():
    headers_alone = await failure(app_of(THREE, headers={}))

    assert "Its body was not looked at." in headers_alone


@LIBRARIES
async def test_a_client_that_closes_before_it_has_read(library):
    async with client_of(library, app_of(THREE)) as client, client.stream("GET", "/chat") as response:
        async with assert_streams(response) as check:
            await response.aclose()

    assert check.not_checked["end"] == "the client left before the end"


async def test_an_app_that_sends_nothing_at_all():
    assert "Nothing arrived of its body." in await failure(app_of([]))


async def test_a_response_of_known_length_was_collected():
    app = Starlette(routes=[Route("/chat", lambda _: PlainTextResponse("".join(THREE), headers=GOOD))])

    message = await failure(app)

    assert "content-length: the length is known, 35 bytes, so the whole answer was there before it was sent" in message


async def test_a_compressed_stream():
    app = app_of([gzip.compress("".join(THREE).encode())], headers=GOOD | {"Content-Encoding": "gzip"})

    assert "compression: the body is compressed (gzip)" in await failure(app)

    async with client_of(httpx2, app) as client, client.stream("GET", "/chat") as response:
        check = await assert_streams(response, skip=["compression"])
    assert check.not_checked["frames"] == "the body is compressed"


async def test_an_app_that_collects_the_answer_first():
    message = await failure(app_of([2, "".join(THREE)], every=0))

    assert (
        "first-byte: all 3 events came at once at t=2 s, 2 s after the request: the user looks at an empty" in message
    )
    assert "yield each piece within the loop that reads the model's stream" in message
    assert "If the model did say all of it at that instant: assert_streams(response, transcript=transcript)" in message


async def test_without_time_or_a_transcript_nobody_can_tell():
    async with client_of(httpx2, app_of(THREE, every=0)) as client, client.stream("GET", "/chat") as response:
        check = await assert_streams(response)

    assert "pass transcript=transcript, or give the answer time" in check.not_checked["first-byte"]


@pytest.mark.parametrize("every", [None, 0.05])
@pytest.mark.parametrize("buffers", [True, False])
async def test_the_transcript_tells_exactly(buffers, every, environment, transcript):
    model = FakeModel(script("a", "b", "c", every=every))

    class Page(Agent):
        async def on_internal_event(self, event):
            if event.type == "text.delta":
                await self.pieces.send(f"data: {event.text}\n\n")
            if event.type == "inference.completed":
                await self.pieces.send("data: [DONE]\n\n")
                self.pieces.close()

    async def chat(request):
        page = Page("page", model=model)
        page.pieces, pieces = anyio.create_memory_object_stream(100)

        async def stream():
            async with environment(page):
                page.infer("hi")
                if buffers:
                    yield "".join([piece async for piece in pieces])
                else:
                    async for piece in pieces:
                        yield piece
            pieces.close()

        return StreamingResponse(stream(), 200, GOOD, "text/event-stream")

    app = Starlette(routes=[Route("/chat", chat)])
    async with client_of(httpx2, app) as client, client.stream("GET", "/chat") as response:
        if not buffers:
            await assert_streams(response, transcript=transcript)
            return
        with pytest.raises(AssertionError, match="when all 3 deltas of the answer had been made"):
            await assert_streams(response, transcript=transcript)


async def test_an_answer_of_one_delta_proves_nothing(environment, transcript):
    agent = Agent("page", model=FakeModel(script("a")))
    async with environment(agent):
        await agent.infer("hi")

    async with client_of(httpx2, app_of(THREE)) as client, client.stream("GET", "/chat") as response:
        await assert_streams(response, transcript=transcript)


async def test_silence_is_measured_and_ended_by_comments():
    silent = app_of(["data: a\n\n", 20, *THREE])
    message = await failure(silent, patience=None, keep_alive=15)

    assert "keep-alive: nothing came for 20.1 s after t=0.1 s, where 15 s were allowed" in message
    assert "EventSourceResponse(…, ping=15)" in message

    kept = app_of(["data: a\n\n", 14, ": keep-alive\n\n", 14, *THREE])
    async with client_of(httpx2, kept) as client, client.stream("GET", "/chat", timeout=None) as response:
        await assert_streams(response, keep_alive=15)


async def test_a_client_that_gave_up_has_heard_nothing():
    message = await failure(app_of(["data: a\n\n", 20, *THREE]), patience=3, keep_alive=15)

    assert "keep-alive: nothing came after t=0.1 s, and the client gave up: the read operation timed out" in message
    assert "end: the stream broke off" in message


async def test_wrong_use_is_told():
    async with client_of(httpx2, app_of(THREE)) as client:
        with pytest.raises(ValueError, match=r"has been read or closed already.*client\.stream"):
            assert_streams(await client.get("/chat"))
        async with client.stream("GET", "/chat") as response:
            with pytest.raises(ValueError, match=r"skip=\['first'\]: there is no such check; there are: status, "):
                assert_streams(response, skip=["first"])
            with pytest.raises(ValueError, match="a response of httpx or httpx2 is needed, not str"):
                assert_streams("data: a")


def test_the_response_of_a_sync_client_is_refused():
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=httpx.ByteStream(b""))))
    with client, client.stream("GET", "http://testserver") as response:
        with pytest.raises(ValueError, match=r"of a sync client.*asgi_client\(app\)"):
            assert_streams(response)
        response.read()
        with pytest.raises(ValueError, match="of a sync client"):  # and not that it has been read
            assert_streams(response)


async def test_it_must_be_awaited():
    async with client_of(httpx2, app_of(THREE)) as client, client.stream("GET", "/chat") as response:
        with pytest.warns(RuntimeWarning, match="neither awaited nor entered"):
            assert_streams(response)
