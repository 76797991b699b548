"""`assert_streams` on what is in a stream: its frames, its end, its ids, and whether it goes on where it was left."""

from __future__ import annotations

import json

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from pytest_streamrt import assert_streams
from tests.edge.apps import GOOD, client_of
from tests.edge.streaming import THREE, app_of, failure

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.virtual_time,
    # httpx and Starlette leave generators of theirs unfinished, of which trio warns
    pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object"),
]

BAD_FRAMES = {
    "data: a\nb\n\n": "the line 'b' belongs to no field, so the browser throws it away",
    '{"text": "a"}\n\n': 'the line \'{"text": "a"}\' belongs to no field',
    "data: [DONE]\n": "no blank line closes it, so the browser throws it away: 'data: [DONE]\\n'",
    "event: ping\n\n": "it has no data, so no listener hears of it: 'event: ping'",
    "retry: soon\n\n": "the line 'retry: soon' is no time in milliseconds",
    "id: a\0b\ndata: x\n\n": "has a NUL in it",
    b"data: \xff\n\n": "the byte at 6 is not UTF-8",
    "data: ü\n\n".encode("latin-1"): "the byte at 6 is not UTF-8",
}


@pytest.mark.parametrize("frame", BAD_FRAMES)
async def test_a_frame_that_a_browser_would_not_read(frame):
    message = await failure(app_of([frame]), end=lambda _: True, skip=["end"])

    assert f"frames: {'' if isinstance(frame, bytes) else 'frame 1, at byte 0, t=0.1 s: '}" in message
    assert BAD_FRAMES[frame] in message


@pytest.mark.parametrize(
    "frames",
    [
        [": a comment\n\n", "retry: 3000\n\n", "id: 7\n\n", "\n\n", *THREE],
        ["\ufeffdata: a\r\n\r\n", "data\r\rdata: [DONE]\r\r"],
        [*THREE[:2], "event: done\ndata: {}\n\n"],
        [*THREE[:2], 'data: {"type": "RUN_FINISHED"}\n\n'],
        ['data: {"type": "finish"}\n\n', "data: [DONE]\n\n"],
    ],
)
async def test_frames_that_a_browser_reads(frames):
    async with client_of(httpx2, app_of(frames)) as client, client.stream("GET", "/chat") as response:
        await assert_streams(response)


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        (THREE[:2], "the stream ended without a last event that says so"),
        ([*THREE, THREE[-1]], "it ended 2 times: '[DONE]', '[DONE]'"),
        ([*THREE, "data: late\n\n"], "1 event came after the end, the first 'late'"),
        ([], "the stream ended without a last event"),
    ],
)
async def test_there_is_exactly_one_end(frames, problem):
    assert f"end: {problem}" in await failure(app_of(frames))


async def test_an_end_in_quotes_is_none():
    message = await failure(app_of([*THREE[:2], 'data: "[DONE]"\n\n']))

    assert 'without the quotes; with FastAPI: yield ServerSentEvent(raw_data="[DONE]")' in message


@pytest.mark.parametrize(
    ("last", "end"),
    [
        ("data: bye\n\n", "bye"),
        ("event: bye\ndata: {}\n\n", "bye"),
        ('data: {"last": true}\n\n', lambda event: json.loads(event.data).get("last")),
    ],
)
async def test_the_end_may_be_of_the_users_own(last, end):
    frames = ['data: {"a": 1}\n\n', last]
    async with client_of(httpx2, app_of(frames)) as client, client.stream("GET", "/chat") as response:
        await assert_streams(response, end=end)
    assert "the stream ended without its end" in await failure(app_of(frames[:1]), end=end)


async def test_an_app_that_breaks_off_is_its_own_failure():
    async def chat(request):
        async def stream():
            yield THREE[0]
            raise LookupError("mine")

        return StreamingResponse(stream(), 200, GOOD, "text/event-stream")

    app = Starlette(routes=[Route("/chat", chat)])
    async with client_of(httpx2, app) as client, client.stream("GET", "/chat") as response:
        with pytest.raises((LookupError, ExceptionGroup)):
            await assert_streams(response)

    async with client_of(httpx2, app, raise_app_exceptions=False) as client, client.stream("GET", "/chat") as response:
        with pytest.raises(AssertionError, match="end: the stream broke off: peer closed connection"):
            await assert_streams(response)


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        ([1, 2, 2], "the id '2' was given twice"),
        ([1, 3, 2], "the id '2' came after '3': they do not increase"),
        (["r-9", "r-10", "r-1"], "the id 'r-1' came after 'r-10'"),
        ([9, 10, 11], None),
        (["b", "a", "r-3"], None),
    ],
)
async def test_ids_increase(ids, problem):
    app = app_of([*(f"id: {id}\ndata: x\n\n" for id in ids), "data: [DONE]\n\n"])
    if problem is not None:
        assert f"ids: {problem}" in await failure(app)
        return
    async with client_of(httpx2, app) as client, client.stream("GET", "/chat") as response:
        await assert_streams(response)


def resumable(begin):
    """An app that keeps a run of 12 events; `begin` says with which to begin, by the header, or what to answer."""
    frames = [*(f"id: {n}\ndata: {n}\n\n" for n in range(1, 12)), "id: 12\nevent: done\ndata: {}\n\n"]

    async def chat(request):
        last = request.headers.get("last-event-id")
        return app_response(frames if last is None else begin(frames, int(last)))

    def app_response(frames):
        async def stream():
            for frame in frames:
                await anyio.sleep(0.1)
                yield frame

        return StreamingResponse(stream(), 200, GOOD, "text/event-stream")

    return Starlette(routes=[Route("/chat", chat)])


@pytest.mark.parametrize(
    ("begin", "problem"),
    [
        (lambda frames, last: frames[last:], None),
        (lambda frames, last: frames[last - 1 :], "the app repeated the event '9'"),
        (lambda frames, last: frames[last + 1 :], "the app lost the event '10'"),
        (lambda frames, _: frames, "the app began anew: it does not look at that header"),
        (lambda frames, last: [*frames[last + 1 :], frames[last]], "sent the same in another order"),
        (lambda _frames, _last: ["id: 99\ndata: 99\n\n"], "and sent others, the event '99'"),
    ],
)
async def test_a_stream_goes_on_where_it_was_left(begin, problem):
    asked = []
    async with client_of(httpx2, resumable(begin)) as client, client.stream("GET", "/chat") as response:

        def resume(id):
            asked.append(id)
            return client.stream("GET", "/chat", headers={"Last-Event-ID": id})

        if problem is None:
            await assert_streams(response, resume=resume)
            assert asked == ["9", "7", "5", "3", "1"]
            return
        with pytest.raises(AssertionError, match="resume: asked for what comes after") as caught:
            await assert_streams(response, resume=resume)
    assert problem in str(caught.value)
    assert "keep the events of a run under their ids" in str(caught.value)


async def test_without_ids_nothing_can_be_resumed():
    assert "resume: the events have no ids" in await failure(app_of(THREE), resume=lambda _: None)
