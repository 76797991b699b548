"""Sockets that are not ours, beside virtual time: waited for, jumped past on the record, or refused, as the policy says."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
import anyio.to_thread
import pytest

from pytest_streamrt import ClockError, VirtualTimeStuck, virtual_time
from pytest_streamrt.clock import ClockOptions, VirtualClock

pytestmark = pytest.mark.anyio

PATIENCE = 30  # real seconds until a test gives up; never waited out when all is well


class Peer:
    """A server in a thread, on loopback, that answers when the test lets it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.answer = threading.Event()
        self.asked = threading.Event()
        self._connected = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        self._connection, _ = self._listener.accept()
        self._connected.set()
        with self._connection, suppress(ConnectionError):
            while question := self._connection.recv(100):
                self.asked.set()
                assert self.answer.wait(PATIENCE)
                self.answer.clear()
                self._connection.sendall(question.upper())

    def close(self) -> None:
        self.answer.set()
        assert self._connected.wait(PATIENCE)
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)  # the client may not have come to closing its end
        self._thread.join(PATIENCE)
        self._listener.close()


@contextmanager
def a_peer():
    peer = Peer()
    try:
        yield peer
    finally:
        peer.close()


def clock(**options) -> VirtualClock:
    return VirtualClock(ClockOptions(**options))


async def test_hold_waits_for_an_answer_that_is_owed():
    with a_peer() as peer:
        with virtual_time(real_io="hold") as held:
            async with await anyio.connect_tcp("127.0.0.1", peer.port) as stream:
                await stream.send(b"hello")
                threading.Thread(target=answer_when_asked, args=(peer,)).start()
                with anyio.fail_after(1):
                    assert await stream.receive() == b"HELLO"
                assert held.ns == 0


def answer_when_asked(peer: Peer) -> None:
    assert peer.asked.wait(PATIENCE)
    peer.answer.set()


async def test_settle_jumps_after_a_while_and_counts_it():
    with a_peer() as peer:
        async with await anyio.connect_tcp("127.0.0.1", peer.port) as stream:
            with virtual_time() as settled:
                await stream.send(b"hello")
                with anyio.move_on_after(1):
                    await stream.receive()  # comes never: the test does not let the peer answer
                assert settled.ns == 10**9
                assert settled.racy_jumps == 1


async def test_settle_takes_what_comes_in_time():
    with a_peer() as peer:
        peer.answer.set()
        with virtual_time(clock=clock(settle_time=PATIENCE)) as settled:
            async with await anyio.connect_tcp("127.0.0.1", peer.port) as stream:
                await stream.send(b"hello")
                with anyio.fail_after(1):
                    assert await stream.receive() == b"HELLO"
            assert settled.ns == 0
            assert settled.racy_jumps == 0


async def test_error_fails_and_says_which_socket():
    with a_peer() as peer, pytest.raises(VirtualTimeStuck, match="real_io='error' forbids") as caught:
        with virtual_time(real_io="error"):
            async with await anyio.connect_tcp("127.0.0.1", peer.port) as stream:
                await stream.send(b"hello")
                with anyio.fail_after(1):
                    await stream.receive()

    assert "test_error_fails_and_says_which_socket" in str(caught.value)


async def test_error_lets_a_test_without_sockets_be():
    with virtual_time(real_io="error") as allowed:
        await anyio.sleep(3_600)

    assert allowed.now == 3_600


async def test_a_peer_that_never_answers_is_given_up():
    with a_peer() as peer, pytest.raises(VirtualTimeStuck, match="an open socket.* did not report back within 0.05 s"):
        with virtual_time(clock=clock(watchdog=0.05)):
            async with await anyio.connect_tcp("127.0.0.1", peer.port) as stream:
                await stream.send(b"hello")
                await stream.receive()


async def test_a_thread_that_never_reports_back_is_given_up():
    ended = threading.Event()
    with pytest.raises(VirtualTimeStuck, match="a worker thread.* did not report back within 0.05 s"):
        with virtual_time(clock=clock(watchdog=0.05)):
            await anyio.to_thread.run_sync(ended.wait, PATIENCE, abandon_on_cancel=True)
    ended.set()


class TestAsyncio:
    """On asyncio a connection stays with the selector when nobody waits for it; on trio it does not."""

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

    async def test_the_socket_is_named_by_its_ends(self):
        with a_peer() as peer, pytest.raises(VirtualTimeStuck) as caught, virtual_time(real_io="error"):
            async with connected(peer) as writer:
                writer.write(b"hello")
                await asyncio.sleep(1)

        assert f"-> ('127.0.0.1', {peer.port})" in str(caught.value)

    async def test_an_idle_connection_costs_nothing(self):
        with a_peer() as peer:
            async with connected(peer):
                with virtual_time(clock=clock(settle_time=PATIENCE)) as settled:
                    for _ in range(1_000):
                        await asyncio.sleep(1)
                    assert settled.racy_jumps == 0

    async def test_one_that_owes_an_answer_does(self):
        with a_peer() as peer:
            async with connected(peer) as writer:
                with virtual_time() as settled:
                    await asyncio.sleep(1)
                    assert settled.racy_jumps == 0
                    writer.write(b"hello")
                    await asyncio.sleep(1)
                    await asyncio.sleep(1)
                    assert settled.racy_jumps == 2

    async def test_one_that_has_answered_is_looked_at_once_more(self):
        with a_peer() as peer, virtual_time() as settled:
            async with connected(peer) as writer:
                writer.write(b"hello")
                peer.answer.set()
                with settled.hold():
                    assert await writer.reader.readexactly(5) == b"HELLO"
                await asyncio.sleep(1)
                await asyncio.sleep(1)
                assert settled.racy_jumps == 1

    async def test_a_deadlock_beside_an_idle_connection_is_found(self):
        with a_peer() as peer:
            async with connected(peer):
                with pytest.raises(VirtualTimeStuck, match="deadlock"), virtual_time():
                    await asyncio.Event().wait()


@asynccontextmanager
async def connected(peer: Peer):
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
    writer.reader = reader
    try:
        yield writer
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"real_io": "ignore"}, "real_io is one of settle, hold, error, not 'ignore'"),
        ({"leaked_tasks": "raise"}, "leaked_tasks is one of warn, fail, ignore, not 'raise'"),
        ({"max_virtual": 0}, "max_virtual is a number above 0, not 0"),
        ({"max_events": "many"}, "max_events is a number above 0, not 'many'"),
        ({"watchdog": float("nan")}, "watchdog is a number above 0, not nan"),
        ({"spin_limit": True}, "spin_limit is a number above 0, not True"),
    ],
)
async def test_options_that_make_no_sense_are_refused(options, what):
    with pytest.raises(ClockError, match=what):
        ClockOptions(**options)
