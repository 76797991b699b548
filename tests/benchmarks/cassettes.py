"""Cassettes: loading, replaying and recording streams of many chunks, against the same without a cassette.

In processor time, which a machine that does other work stretches less. What a recording waits for the disk is not in that.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import process_time  # bound before any of it is virtual
from typing import Any

import httpx2
import openai
from anyio.lowlevel import checkpoint

from pytest_streamrt import use_cassette, virtual_time
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cassette.format import Interaction, RecordedChunk, save_cassette
from pytest_streamrt.cassette.recording import lines_of
from tests.benchmarks.table import Row, paired

MANY = 10_000
URL = "http://127.0.0.1:9/v1/chat/completions"
ASK: dict[str, Any] = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
HEADERS = (("content-type", "text/event-stream"),)
_FRAME = (
    'data: {{"id":"chatcmpl-7f3a91bc","object":"chat.completion.chunk","created":1795240391,"model":"m-2026-11-01",'
    '"system_fingerprint":"fp_44709d6fcb","choices":[{{"index":0,"delta":{{"content":"word {}"}},"finish_reason":null}}]}}\n\n'
)
SERVER = """
import asyncio, sys
async def serve(reader, writer):
    while await reader.readline() not in (b"\\r\\n", b""):
        pass
    await reader.read(1)
    chunks = CHUNKS
    writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n")
    for chunk in chunks:
        writer.write(b"%x\\r\\n%s\\r\\n" % (len(chunk), chunk))
        await writer.drain()
    writer.write(b"0\\r\\n\\r\\n")
    await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
FRAME, N = sys.argv[1], int(sys.argv[2])
CHUNKS = [FRAME.format(n).encode() for n in range(N)]
asyncio.run(main())
"""


def chunks_of(n: int) -> list[bytes]:
    """The chunks of a long chat answer: a delta each, and the end marker."""
    return [*(_FRAME.format(i).encode() for i in range(n)), b"data: [DONE]\n\n"]


def cassette_of(chunks: list[bytes], folder: Path) -> Path:
    """A cassette with that answer, a chunk every millisecond."""
    timed = [RecordedChunk(1_000 * n, data) for n, data in enumerate(chunks, start=1)]
    path = folder / f"{len(chunks)}.jsonl"
    body = json.dumps(ASK, separators=(",", ":")).encode()
    end = timed[-1].at
    save_cassette(path, lines_of([Interaction(1, 0, "POST", URL, (), body, 200, 500, HEADERS, timed, "complete", end)]))
    return path


def mock(chunks: list[bytes], *, checkpoints: bool) -> httpx2.AsyncBaseTransport:
    """A transport that yields these chunks."""

    class Body(httpx2.AsyncByteStream):
        async def __aiter__(self) -> Any:
            for chunk in chunks:
                if checkpoints:
                    await checkpoint()
                yield chunk

    return httpx2.MockTransport(lambda _: httpx2.Response(200, headers=list(HEADERS), stream=Body()))


def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds of the processor that a coroutine takes, without its loop's making."""

    async def run() -> float:
        began = process_time()
        await work()
        return (process_time() - began) * 1_000

    return asyncio.run(run())


async def read(url: str = URL, **options: Any) -> int:
    """Read an answer's raw chunks; gives how many there were."""
    count = 0
    async with (
        httpx2.AsyncClient(verify=False, timeout=60, **options) as client,
        client.stream("POST", url, json=ASK) as response,
    ):
        async for _ in response.aiter_raw():
            count += 1
    return count


async def read_with_sdk(url: str = URL, **options: Any) -> int:
    """Read an answer's deltas with the OpenAI client."""
    count = 0
    async with httpx2.AsyncClient(verify=False, **options) as client:
        sdk = openai.AsyncOpenAI(
            api_key="none", base_url=url.removesuffix("/chat/completions"), http_client=client, max_retries=0
        )
        async for _ in await sdk.chat.completions.create(**ASK):
            count += 1
    return count


def replayed(
    path: Path, work: Callable[[], Awaitable[object]], *, virtual: bool = False, timing: Any = "auto"
) -> float:
    """Milliseconds of the processor of that work on a cassette that has been loaded."""
    with virtual_time() if virtual else nullcontext(), use_cassette(path, timing=timing):
        return timed(work)


@contextmanager
def server(chunks: int) -> Iterator[str]:
    """A server in a process of its own, that sends each chunk by itself."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, _FRAME, str(chunks)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1/chat/completions"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def recorded(work: Callable[[], Coroutine[Any, Any, object]], path: Path) -> float:
    """Milliseconds of the processor that it takes to read an answer and to record it, the writing included."""
    began = process_time()
    path.unlink(missing_ok=True)
    with use_cassette(path, record="once"):
        asyncio.run(work())
    return (process_time() - began) * 1_000


def unrecorded(work: Callable[[], Coroutine[Any, Any, object]]) -> float:
    """Likewise, without recording."""
    began = process_time()
    asyncio.run(work())
    return (process_time() - began) * 1_000


def loaded(path: Path) -> float:
    """Milliseconds of the processor that it takes to load a cassette."""
    began = process_time()
    load_cassette(path)
    return (process_time() - began) * 1_000


def parsed(path: Path) -> float:
    """Milliseconds of the processor that it takes to read its lines with `json.loads`, and to do nothing with them."""
    began = process_time()
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            json.loads(line)
    return (process_time() - began) * 1_000


def one_of_ten(work: Callable[[], float]) -> float:
    """What that takes in the mean of ten, where it is so short that one says more of the caches before it than of itself."""
    return sum(work() for _ in range(10)) / 10


def memory_of(work: Callable[[], object]) -> float:
    """The most that is allocated in Python while that runs, in megabytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def rows() -> Iterator[Row]:
    """All that is promised of cassettes, measured."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chunks = chunks_of(MANY)
        path = cassette_of(chunks, folder)
        yield Row(
            f"loading {MANY:,} chunks ({path.stat().st_size / 1e6:.1f} MB)",
            "json.loads of each line",
            *paired(lambda: one_of_ten(lambda: loaded(path)), lambda: one_of_ten(lambda: parsed(path))),
            at_most=0.4,
        )
        with_checkpoints = mock(chunks, checkpoints=True)
        yield Row(
            f"replay of {MANY:,} chunks, instant",
            "a MockTransport with checkpoints",
            *paired(lambda: replayed(path, read), lambda: timed(lambda: read(transport=with_checkpoints))),
            at_most=1.3,
        )
        yield Row(
            "the same on virtual time, a turn for each chunk",
            "likewise",
            *paired(
                lambda: replayed(path, read, virtual=True, timing="instant"),
                lambda: timed(lambda: read(transport=with_checkpoints)),
            ),
            at_most=4,
        )
        without = mock(chunks, checkpoints=False)
        yield Row(
            "the same through AsyncOpenAI, instant",
            "a MockTransport without checkpoints",
            *paired(
                lambda: replayed(path, read_with_sdk), lambda: timed(lambda: read_with_sdk(transport=without)), runs=3
            ),
            at_most=1.1,
        )
        with server(MANY) as url:
            target = folder / "recorded.jsonl"
            yield Row(
                f"recording {MANY:,} chunks over TCP through AsyncOpenAI, writing included",
                "the same, unrecorded",
                *paired(
                    lambda: recorded(lambda: read_with_sdk(url), target),
                    lambda: unrecorded(lambda: read_with_sdk(url)),
                ),
                at_most=1.1,
            )
            yield Row(
                "the same through httpx2 alone",
                "the same, unrecorded",
                *paired(lambda: recorded(lambda: read(url), target), lambda: unrecorded(lambda: read(url))),
                note="a server that sends without a pause, and a client that does nothing with it",
            )
        yield from _long(folder)


def _long(folder: Path) -> Iterator[Row]:
    """A hundred thousand chunks: ten times the time of ten thousand, and not more than twice the stream's own bytes."""
    long = chunks_of(10 * MANY)
    size = sum(map(len, long)) / 1e6
    path, short = cassette_of(long, folder), folder / f"{MANY + 1}.jsonl"
    del long
    yield Row(
        f"replay of {10 * MANY:,} chunks, loading included",
        f"ten times that of {MANY:,}",
        *paired(
            lambda: loaded(path) + replayed(path, read), lambda: 10 * (loaded(short) + replayed(short, read)), runs=3
        ),
        at_most=1.2,
    )
    yield Row(
        f"memory of replaying {10 * MANY:,} chunks",
        "twice the stream's bytes",
        [memory_of(lambda: replayed(path, read))],
        [2 * size],
        at_most=1,
        unit="MB",
    )
    with server(10 * MANY) as url:
        yield Row(
            f"memory of recording {10 * MANY:,} chunks",
            "twice the stream's bytes",
            [memory_of(lambda: recorded(lambda: read(url), folder / "long.jsonl"))],
            [2 * size],
            at_most=1,
            unit="MB",
        )
