"""The chunks of a body as they are held: their times, which are made microseconds when somebody asks for them."""

from __future__ import annotations

import sys
import threading

import pytest

from pytest_streamrt.cassette.interaction import Chunks, RecordedChunk

MANY = 20_000


@pytest.fixture
def quick_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_times_that_were_read_and_times_that_were_taken_stay_in_order():
    chunks = Chunks()
    chunks.add_read([0.5, 0.000001], [b"a", b"b"])
    chunks.add(7, b"c")
    chunks.add_read([8e-6], [b"d"])

    assert list(chunks) == [RecordedChunk(*each) for each in ((500_000, b"a"), (1, b"b"), (7, b"c"), (8, b"d"))]


@pytest.mark.usefixtures("quick_switches")
def test_sync_clients_that_ask_at_once_see_each_time_once():
    for _ in range(5):
        chunks = Chunks()
        chunks.add_read([n / 1e6 for n in range(MANY)], [b""] * MANY)
        together = threading.Barrier(4)
        seen = []

        def ask(chunks=chunks, together=together, seen=seen):
            together.wait()
            seen.append(list(chunks.times))

        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()

        assert seen == [list(range(MANY))] * 4
