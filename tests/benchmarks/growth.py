"""Growth: what ten times as many chunks, or participants, take. Memory is what Python allocates at most, beyond the start."""

from __future__ import annotations

import json
import tempfile
import time
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import anyio
import httpx2

from pytest_streamrt import Environment, Observer, Signal, Transcript, use_cassette
from pytest_streamrt.wording import counted
from tests.benchmarks.table import Row
from tests.loopback import Answer, serve

CHUNKS = (1_000, 10_000, 100_000)
PARTICIPANTS = (1, 10, 100, 1_000)
DELIVERIES = 50_000
URL = "https://api.example/v1/chat/completions"
CHUNK = (  # as long as OpenAI's are
    'data: {"id":"chatcmpl-0123456789abcdefghijklmnopqrs","object":"chat.completion.chunk","created":1795240382,"model":"m-2026",'
    '"choices":[{"index":0,"delta":{"content":"%06d "},"finish_reason":null}]}\n\n'
)


def write(path: Path, chunks: int) -> int:
    """Write a cassette of so many chunks; gives the bytes of the stream."""
    request = {"method": "POST", "url": URL, "headers": [], "text": ""}
    head = {"status": 200, "headers": [["content-type", "text/event-stream"]]}
    size = 0
    with path.open("w") as file:
        file.write(json.dumps({"cassette": "pytest-streamrt", "version": 1}) + "\n")
        file.write(json.dumps({"id": 1, "at": 0.0, "request": request}) + "\n")
        file.write(json.dumps({"id": 1, "at": 0.0, "response": head}) + "\n")
        for n in range(chunks):
            text = CHUNK % n
            size += len(text)
            file.write(json.dumps({"id": 1, "at": n / 1e6, "text": text}) + "\n")
        file.write(json.dumps({"id": 1, "at": chunks / 1e6, "end": "complete"}) + "\n")
    return size


async def replay(path: Path) -> None:
    """Play it through httpx2, as a client that keeps nothing."""
    with use_cassette(path, timing="instant"):
        async with httpx2.AsyncClient() as client, client.stream("POST", URL) as response:
            async for _ in response.aiter_raw():
                pass


async def record(path: Path, url: str) -> None:
    """Record what a server on loopback sends, as a client that keeps nothing."""
    with use_cassette(path, record="rewrite"):
        async with httpx2.AsyncClient() as client, client.stream("POST", url) as response:
            async for _ in response.aiter_raw():
                pass


def timed(function, *arguments) -> float:
    """Milliseconds of processor time."""
    began = time.process_time()
    anyio.run(function, *arguments)
    return (time.process_time() - began) * 1e3


def peak(function, *arguments) -> float:
    """The most megabytes that were allocated at once."""
    tracemalloc.start()
    anyio.run(function, *arguments)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


async def fan_out(k: int) -> float:
    """Microseconds of processor time for each delivery of an event to one of k observers who are in the room."""
    async with Environment(*(Observer(f"o{n}") for n in range(k)), transcript=Transcript()) as room:
        await room.settled()
        bursts = max(DELIVERIES // k // 50, 2)
        began = time.process_time()
        for _ in range(bursts):
            for _ in range(50):
                room.emit(Signal("tick"))
            await room.settled()
        return (time.process_time() - began) * 1e6 / (bursts * 50 * k)


def rows() -> Iterable[Row]:
    """Time for each chunk, memory against the stream's bytes, and time for each delivery."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.jsonl"
        for chunks in CHUNKS:
            size = write(path, chunks)
            timed(replay, path)
            took = [timed(replay, path) * 1e3 / chunks for _ in range(3)]
            yield Row(f"loading and replaying {chunks:,} chunks, each", ours=took, unit="us")
            memory = peak(replay, path)
            yield Row(
                f"memory of replaying {chunks:,} chunks", "the stream's bytes", [memory], [size / 1e6],
                unit="MB",
            )  # fmt: skip
        yield from _recording(Path(folder) / "recorded.jsonl")
    for k in PARTICIPANTS:
        took = [anyio.run(fan_out, k) for _ in range(3)]
        yield Row(f"an event to {counted(k, 'participant')}, each", ours=took, unit="us")


def _recording(path: Path) -> Iterable[Row]:
    with serve() as server:
        for chunks in CHUNKS:
            body = [(CHUNK % n).encode() for n in range(chunks)]
            server.enqueue(Answer(body))
            took = timed(record, path, server.url) * 1e3 / chunks
            yield Row(f"recording {chunks:,} chunks from a server on loopback, each", ours=[took], unit="us")
