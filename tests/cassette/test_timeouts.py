"""Timeouts, connections and retries on played answers: what a socket would raise, at its exact virtual moment."""

from __future__ import annotations

import json
import time

import anyio
import httpx
import httpx2
import openai
import pytest

from pytest_streamrt import Transcript, VirtualTimeStuck, use_cassette, virtual_time
from tests.cassette.written import URL, answered, cassette, failed

pytestmark = pytest.mark.anyio

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2])


@pytest.fixture
def path(tmp_path):
    return tmp_path


def client(library, **options):
    return library.AsyncClient(verify=False, **options)  # loading certificates takes longer than all the rest


@LIBRARIES
@pytest.mark.parametrize(
    ("exchange", "limits", "error", "at"),
    [
        (answered("a", first=3), {"read": 2}, "ReadTimeout", 2),  # before the head
        (answered("a", "b", first=1, every=3), {"read": 2}, "ReadTimeout", 3),  # within the body
        (answered("a", first=1.999, every=1.999), {"read": 2}, None, 3.998),
        (failed("ConnectError", at=5), {"connect": 2, "read": 1}, "ConnectTimeout", 2),
        (failed("ConnectError", at=5), {"connect": 9, "read": 1}, "ConnectError", 5),
        (failed("ConnectTimeout", at=5), {"connect": 9}, "ConnectTimeout", 5),
        (failed("ReadTimeout", at=5), {"connect": 1, "read": 9}, "ReadTimeout", 5),
        (failed("RemoteProtocolError", at=5), {"read": 4}, "ReadTimeout", 4),
        (failed("RemoteProtocolError", at=5), {"read": 6}, "RemoteProtocolError", 5),
        (failed("ConnectError", at=5), {}, "ConnectError", 5),
    ],
)
async def test_a_timeout_raises_what_a_socket_would_when_a_socket_would(library, exchange, limits, error, at, path):
    timeouts = library.Timeout(None, **limits)
    with virtual_time() as clock, use_cassette(cassette(path, exchange)):
        async with client(library, timeout=timeouts) as asking:
            if error is None:
                assert (await asking.post(URL)).text == "a"
            else:
                with pytest.raises(getattr(library, error)):
                    await asking.post(URL)

            assert clock.ns == round(at * 10**9)


@LIBRARIES
def test_so_it_does_for_a_sync_client(library, path):
    with virtual_time() as clock, use_cassette(cassette(path, answered("a", "b", first=1, every=3))):
        with library.Client(verify=False, timeout=2) as asking, pytest.raises(library.ReadTimeout):
            asking.post(URL)

        assert clock.ns == 3 * 10**9


@LIBRARIES
async def test_a_client_waits_for_a_connection_of_its_pool(library, path):
    written = cassette(path, *[answered("a", first=1, every=1)] * 4)
    done = []

    async def ask(asking) -> None:
        await asking.post(URL)
        done.append(clock.now)

    with virtual_time() as clock, use_cassette(written):
        async with client(library, limits=library.Limits(max_connections=2), timeout=None) as asking:
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(ask, asking)

    assert done == [2, 2, 4, 4]


@LIBRARIES
async def test_a_pool_that_stays_empty_times_out(library, path):
    written = cassette(path, answered("a", first=1), answered("a", first=1))
    with virtual_time() as clock, use_cassette(written, transcript=(transcript := Transcript()), verify=False):
        timeouts = library.Timeout(None, pool=7)
        async with client(library, limits=library.Limits(max_connections=1), timeout=timeouts) as asking:
            async with asking.stream("POST", URL):
                with pytest.raises(library.PoolTimeout):
                    await asking.post(URL)

            assert clock.now == 8
    assert [event.how for event in transcript.events if event.type == "exchange.closed"] == ["timeout", "client"]


@LIBRARIES
async def test_responses_left_open_use_the_pool_up(library, path):
    written = cassette(path, answered("a"), answered("a"))
    with pytest.raises(VirtualTimeStuck, match="deadlock"), virtual_time(), use_cassette(written, verify=False):
        asking = client(library, limits=library.Limits(max_connections=1), timeout=None)
        kept = await asking.send(asking.build_request("POST", URL), stream=True)
        await asking.post(URL)
        await kept.aclose()


@LIBRARIES
async def test_a_connection_that_nobody_waits_for_any_more_goes_to_the_next(library, path):
    written = cassette(path, answered("a"), answered("a"), answered("a"))
    with virtual_time() as clock, use_cassette(written, verify=False):
        async with client(library, limits=library.Limits(max_connections=1), timeout=None) as asking:
            async with asking.stream("POST", URL):
                with anyio.move_on_after(2) as gave_up:
                    await asking.post(URL)
            assert gave_up.cancelled_caught
            await asking.post(URL)

            assert clock.now == pytest.approx(2.3)


@LIBRARIES
def test_a_sync_client_whose_pool_is_empty_times_out(library, path):
    written = cassette(path, answered("a"), answered("a"))
    with virtual_time() as clock, use_cassette(written, verify=False):
        timeouts = library.Timeout(None, pool=7)
        with library.Client(verify=False, limits=library.Limits(max_connections=1), timeout=timeouts) as asking:
            with asking.stream("POST", URL), pytest.raises(library.PoolTimeout):
                asking.post(URL)

        assert clock.now == pytest.approx(7.1)


def refused(status, **headers):
    """An HTTP error of the provider's, at once."""
    return answered(
        '{"error": {"message": "later"}}', first=0, every=0, status=status, headers=[[k, v] for k, v in headers.items()]
    )


COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
}
QUESTION = '{"messages":[],"model":"m"}'
ANSWER = answered(json.dumps(COMPLETION), first=0, every=0, headers=[["content-type", "application/json"]])


async def ask_openai():
    async with openai.AsyncOpenAI(api_key="sk-none", base_url="https://api.example/v1", max_retries=2) as asking:
        completion = await asking.chat.completions.create(model="m", messages=[])
        return completion.choices[0].message.content


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "7"}, 7), ({"retry-after-ms": "1500"}, 1.5), ({"retry-after": "0.25"}, 0.25)],
)
async def test_a_retry_waits_exactly_as_long_as_it_is_told(headers, seconds, path):
    with virtual_time() as clock, use_cassette(cassette(path, refused(429, **headers), ANSWER, body=QUESTION)):
        assert await ask_openai() == "Hi"
        assert clock.ns == round(seconds * 10**9)


async def test_the_back_off_of_an_sdk_is_the_same_in_each_run(path):
    written = cassette(path, refused(500), refused(503), ANSWER, body=QUESTION)
    took = []
    for _ in range(2):
        with virtual_time() as clock, use_cassette(written):
            began = time.perf_counter()
            assert await ask_openai() == "Hi"
            took.append(clock.ns)
            assert time.perf_counter() - began == clock.now

    assert took[0] == took[1]
    assert 0.375 + 0.75 <= took[0] / 10**9 <= 0.5 + 1.0  # half a second, then one, less up to a quarter


async def test_an_sdk_that_times_out_tries_again(path):
    with virtual_time() as clock, use_cassette(cassette(path, answered("a", first=700), ANSWER, body=QUESTION)):
        assert await ask_openai() == "Hi"
        assert 600 < clock.now < 601  # its own time-out of ten minutes, and half a second
