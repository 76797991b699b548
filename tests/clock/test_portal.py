"""Virtual time behind starlette's `TestClient`: a sync test, and the app's loop in a thread of its own."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError, as_completed, wait
from contextlib import ExitStack, asynccontextmanager

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from anyio.from_thread import BlockingPortal
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

from pytest_streamrt import VirtualTimeStuck, virtual_time
from pytest_streamrt.clock import turn

pytestmark = pytest.mark.parametrize("backend", ["asyncio", "trio"])

PATIENCE = 30  # real seconds until a test gives up; never waited out when all is well


async def stream(request):
    async def chunks():
        for n in range(3):
            await anyio.sleep(0.5)
            yield f"{n} at {time.perf_counter()}\n"

    return StreamingResponse(chunks(), background=BackgroundTask(anyio.sleep, 10))


def blocking(request):
    time.sleep(2)
    return PlainTextResponse(f"{time.perf_counter()}")


async def never(request):
    await anyio.Event().wait()


async def count(websocket):
    await websocket.accept()
    for n in range(3):
        await anyio.sleep(1)
        await websocket.send_text(f"{n} at {time.perf_counter()}")
    await websocket.close()


def app(beats):
    @asynccontextmanager
    async def lifespan(app):
        async def beat():
            while True:
                await anyio.sleep(30)
                beats.append(time.perf_counter())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat)
            yield
            tasks.cancel_scope.cancel()

    routes = [Route("/stream", stream), Route("/blocking", blocking), Route("/never", never)]
    return Starlette(routes=[*routes, WebSocketRoute("/count", count)], lifespan=lifespan)


def test_a_response_takes_its_virtual_time(backend):
    with virtual_time() as clock:
        response = TestClient(app([]), backend=backend).get("/stream")

        assert response.text.splitlines() == ["0 at 0.5", "1 at 1.0", "2 at 1.5"]
        assert clock.now == 11.5  # with its background task


def test_the_apps_time_moves_only_with_the_tests(backend):
    beats = []
    with virtual_time() as clock, TestClient(app(beats), backend=backend):
        for _ in range(1_000):
            clock.ns  # noqa: B018 - the test is at work, and the app has a timer that is due
        assert beats == []
        time.sleep(65)
        assert beats == [30.0, 60.0]
        assert clock.now == 65


def test_sync_endpoints_sleep_on_the_same_clock(backend):
    with virtual_time(), TestClient(app([]), backend=backend) as client:
        assert client.get("/blocking").text == "2.0"


def test_a_web_socket(backend):
    with virtual_time(), TestClient(app([]), backend=backend) as client, client.websocket_connect("/count") as socket:
        assert [socket.receive_text() for _ in range(3)] == ["0 at 1.0", "1 at 2.0", "2 at 3.0"]


def test_a_response_read_as_it_comes(backend):
    with virtual_time() as clock, TestClient(app([]), backend=backend) as client:
        with client.stream("GET", "/stream") as response:
            seen = [clock.now for _ in response.iter_lines()]

    assert seen == [0.5, 1.0, 1.5]


def test_an_endpoint_that_never_answers_is_a_deadlock(backend):
    with pytest.raises(VirtualTimeStuck, match="deadlock") as caught, virtual_time():
        TestClient(app([]), backend=backend).get("/never")

    assert "in never" in str(caught.value)


def test_whoever_waits_for_a_future_of_a_portal_lets_time_pass(backend):
    with virtual_time() as clock, anyio.from_thread.start_blocking_portal(backend) as portal:
        futures = [portal.start_task_soon(anyio.sleep, seconds) for seconds in (5, 7)]

        assert futures[0].exception() is None
        assert clock.now == 5
        assert wait(futures).not_done == set()
        assert clock.now == 7


def test_a_future_that_is_cancelled(backend):
    with virtual_time() as clock, anyio.from_thread.start_blocking_portal(backend) as portal:
        future = portal.start_task_soon(anyio.sleep_forever)
        future.cancel()

        with pytest.raises(CancelledError):
            future.result()
        portal.call(anyio.sleep, 1)
        assert clock.now == 1


def test_a_future_that_outlives_its_portal(backend):
    with virtual_time() as clock:
        with anyio.from_thread.start_blocking_portal(backend) as portal:
            futures = [portal.start_task_soon(anyio.sleep, seconds) for seconds in (5, 7)]

        assert [future.result() for future in as_completed(futures)] == [None, None]
        assert clock.now == 7


def test_a_portal_is_on_real_time_where_the_test_is(backend):
    with anyio.from_thread.start_blocking_portal(backend) as portal:
        assert portal.call(time.monotonic) <= time.monotonic()
        assert portal.start_task_soon(anyio.sleep, 0).result() is None


def test_a_thread_outside_that_waits_for_something_else_does_not_hang_for_ever(backend, monkeypatch):
    from pytest_streamrt.clock import ClockOptions, VirtualClock

    clock = VirtualClock(ClockOptions(watchdog=0.05))
    done = threading.Event()

    async def sleeper():
        await anyio.sleep(1)
        done.set()  # never reached: its time moves only while it is waited for, and nobody says so

    with pytest.raises(VirtualTimeStuck, match="the thread that calls into this loop did not report back"):
        with virtual_time(clock=clock), anyio.from_thread.start_blocking_portal(backend) as portal:
            future = portal.start_task_soon(sleeper)
            future.add_done_callback(lambda _: done.set())
            assert done.wait(PATIENCE)


def test_portals_may_end_in_any_order(backend):
    before = {
        name: getattr(BlockingPortal, name) for name in ("__aenter__", "__aexit__", "start_task_soon", "start_task")
    }
    with virtual_time() as clock:
        first = anyio.from_thread.start_blocking_portal(backend)
        second = anyio.from_thread.start_blocking_portal(backend)
        portal = first.__enter__()
        portal.call(anyio.sleep, 1)
        with ExitStack() as stack:
            other = stack.enter_context(second)
            other.call(anyio.sleep, 1)
            first.__exit__(None, None, None)
            other.call(anyio.to_thread.run_sync, time.sleep, 1)
            other.call(turn)
        assert clock.now == 3

    assert {name: getattr(BlockingPortal, name) for name in before} == before
