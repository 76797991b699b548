"""No connection leaves this machine, whoever makes it, and who it was is said."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import urllib.request

import aiohttp
import httpx2
import pytest
import requests
import uvloop

from pytest_streamrt import NetworkBlocked, use_cassette
from pytest_streamrt.cassette.guard import NetworkGuard
from tests.loopback import PATIENCE, Answer

URL = "http://api.example:8080/v1/models"


@pytest.fixture
def guard():
    with NetworkGuard() as guard:
        yield guard
    gc.collect()  # what clients leave open when they are stopped is this test's, and not the next one's


async def with_aiohttp(url=URL):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.read()


async def with_asyncio():
    await asyncio.open_connection("api.example", 8080)


async def with_httpx2(url=URL):
    async with httpx2.AsyncClient(verify=False, timeout=PATIENCE) as client:
        return (await client.get(url)).content


CLIENTS = {
    "aiohttp": (lambda: asyncio.run(with_aiohttp()), "made by aiohttp, which goes round the cassette"),
    "aiohttp on uvloop": (lambda: uvloop.run(with_aiohttp()), "made by aiohttp, which goes round"),
    "requests": (lambda: requests.get(URL, timeout=PATIENCE), "made by requests, which goes round the cassette"),
    "urllib": (lambda: urllib.request.urlopen(URL), "made by urllib, which goes round"),
    "asyncio": (lambda: asyncio.run(with_asyncio()), "made by a client that is neither httpx nor httpx2"),
    "uvloop": (lambda: uvloop.run(with_asyncio()), "made by a client that is neither httpx nor httpx2"),
    "httpx2": (lambda: asyncio.run(with_httpx2()), "made through httpx2, in a test without a cassette.*marks?treamrt"),
    "a socket": (lambda: socket.create_connection(("93.184.215.14", 80)), "93.184.215.14:80 was blocked"),
    "datagrams": (
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("9.9.9.9", 53)),
        "9.9.9.9:53 was blocked",
    ),
}


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("client", CLIENTS)
def test_a_connection_is_blocked_and_its_client_named(client, guard):
    ask, what = CLIENTS[client]
    with pytest.raises(NetworkBlocked) as caught:
        ask()

    message = str(caught.value)
    if what.startswith("made through"):
        assert "made through httpx2, in a test without a cassette. Give it one: @pytest.mark.streamrt" in message
    else:
        assert what in message
    assert "--streamrt-block-network" in message
    assert guard.attempts[0] == message
    assert "test_guard.py" in message or "aiohttp" in client


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", b"127.0.0.1", None, "0.0.0.0", socket.gethostname()])
def test_this_machine_is_not_blocked(host, guard):
    with contextlib.suppress(socket.gaierror):  # a machine may not know itself
        socket.getaddrinfo(host, 80)

    assert guard.attempts == []


async def _loopback(server):
    return await with_aiohttp(f"{server.url}/anything")


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_server_of_ones_own_is_not_blocked(run, server, guard):
    server.enqueue(Answer([b"hello"]))

    assert run(_loopback(server)) == b"hello"
    assert guard.attempts == []


def test_what_is_being_recorded_may_leave(tmp_path, guard, monkeypatch):
    # What would leave here is turned away by the real resolver, since there is no such host: it was asked, though.
    with use_cassette(tmp_path / "one.jsonl", record="once"), pytest.raises(httpx2.ConnectError):
        asyncio.run(with_httpx2("http://no-such-host.invalid/"))

    assert guard.attempts == []


def test_hosts_can_be_let_through(guard):
    guard.hosts = ("*.invalid",)
    with pytest.raises(httpx2.ConnectError):
        asyncio.run(with_httpx2("http://no-such-host.invalid/"))

    assert guard.attempts == []


def test_afterwards_all_is_as_before():
    before = (socket.socket.connect, socket.getaddrinfo, asyncio.BaseEventLoop.getaddrinfo, uvloop.Loop.getaddrinfo)
    own = set(vars(socket.socket))
    with NetworkGuard():
        assert socket.getaddrinfo is not before[1]

    after = (socket.socket.connect, socket.getaddrinfo, asyncio.BaseEventLoop.getaddrinfo, uvloop.Loop.getaddrinfo)
    assert after == before
    assert set(vars(socket.socket)) == own
