"""Side by side: the same stream of 10,000 deltas through AsyncOpenAI, played by us and by what a user would take instead.

Each is held against a `MockTransport` of httpx2 that yields the same chunks at once; most of the time is the SDK's own. A peer
that is not installed, or cannot do it, is said so.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
from openai import AsyncOpenAI

from pytest_streamrt import Environment, Observer, Signal, Transcript, use_cassette
from tests.benchmarks.table import Row, paired
from tests.loopback import Answer, serve

DELTAS = 10_000
RUNS = 3
URL = "https://api.example/v1"
REQUEST = {"model": "m", "messages": [], "stream": True}
LISTENERS = 10
EVENTS = 2_000


def chunks() -> list[str]:
    """The stream, an event a chunk."""
    frames = [frame({"content": f"word{n} "}) for n in range(DELTAS)]
    return [*frames, frame({}, "stop"), "data: [DONE]\n\n"]


def frame(delta: dict[str, str], finish: str | None = None) -> str:
    """One event of OpenAI's Chat API."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(body)}\n\n"


async def read(client: AsyncOpenAI) -> float:
    """Milliseconds that the client takes to read it."""
    began = time.process_time()
    async with client:
        stream = await client.chat.completions.create(model="m", messages=[], stream=True)
        deltas = [chunk async for chunk in stream]
    assert len(deltas) == DELTAS + 1
    return (time.process_time() - began) * 1e3


def mocked(library: Any) -> AsyncOpenAI:
    """A client over a `MockTransport` that yields the chunks."""
    data = [chunk.encode() for chunk in chunks()]

    class Stream(library.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for each in data:
                yield each

    def answer(request: Any) -> Any:
        del request
        return library.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream())

    transport = library.MockTransport(answer)
    return AsyncOpenAI(base_url=URL, api_key="none", http_client=library.AsyncClient(transport=transport))


def ours(folder: Path) -> Callable[[], float]:
    """Our cassette, loaded and played at once."""
    path = folder / "ours.jsonl"
    lines: list[dict[str, Any]] = [{"cassette": "pytest-streamrt", "version": 1}]
    request = {"method": "POST", "url": f"{URL}/chat/completions", "headers": [], "json": {**REQUEST}}
    request["json"] = {"messages": [], "model": "m", "stream": True}
    lines += [
        {"id": 1, "at": 0.0, "request": request},
        {"id": 1, "at": 0.0, "response": {"status": 200, "headers": [["content-type", "text/event-stream"]]}},
        *({"id": 1, "at": 0.0, "text": chunk} for chunk in chunks()),
        {"id": 1, "at": 0.0, "end": "complete"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def run() -> float:
        with use_cassette(path, timing="instant"):
            return asyncio.run(read(AsyncOpenAI(base_url=URL, api_key="none")))

    return run


def vcrpy(folder: Path) -> Callable[[], float]:
    """A cassette of vcrpy, which keeps a body as one piece."""
    import vcr

    path = folder / "vcr.yaml"
    body = "".join(chunks())
    path.write_text(
        json.dumps(
            {
                "version": 1,
                "interactions": [
                    {
                        "request": {"method": "POST", "uri": f"{URL}/chat/completions", "body": "", "headers": {}},
                        "response": {
                            "status": {"code": 200, "message": "OK"},
                            "headers": {"content-type": ["text/event-stream"]},
                            "body": {"string": body},
                        },
                    }
                ],
            }
        )
    )

    def run() -> float:
        with vcr.use_cassette(str(path), record_mode="none", match_on=["method", "uri"]):
            return asyncio.run(read(AsyncOpenAI(base_url=URL, api_key="none")))

    return run


def respx(folder: Path) -> Callable[[], float]:
    """A route of respx, which knows httpx alone."""
    del folder
    import respx

    data = [chunk.encode() for chunk in chunks()]

    class Stream(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for each in data:
                yield each

    def run() -> float:
        with respx.mock:
            respx.post(f"{URL}/chat/completions").mock(
                side_effect=lambda request: httpx.Response(
                    200, headers={"content-type": "text/event-stream"}, stream=Stream()
                )
            )
            return asyncio.run(read(AsyncOpenAI(base_url=URL, api_key="none", http_client=httpx.AsyncClient())))

    return run


def agent_replay(folder: Path) -> Callable[[], float]:
    """A cassette of agent-replay-py, recorded from a server on loopback; its client is one of httpx."""
    import agentreplay
    from agentreplay import transport

    transport.TARGET_HOSTS = {*transport.TARGET_HOSTS, "127.0.0.1"}  # it records known providers alone
    path = str(folder / "agent-replay.jsonl")

    def run(mode: str = "replay") -> float:
        with agentreplay.cassette(path, mode=mode) as cassette:
            client = AsyncOpenAI(base_url=server.url, api_key="none", http_client=cassette.httpx_async_client())
            return asyncio.run(read(client))

    with serve() as server:
        server.enqueue(Answer([chunk.encode() for chunk in chunks()]))
        run("record")
    return run


@dataclass
class Tick:
    """A message of autogen-core's, which wants a class of its own."""


def autogen() -> float:
    """Events a millisecond that autogen-core's runtime hands to ten agents."""
    from autogen_core import (
        DefaultTopicId,
        MessageContext,
        RoutedAgent,
        SingleThreadedAgentRuntime,
        default_subscription,
        message_handler,
    )

    globals().update(MessageContext=MessageContext)  # where it looks for the annotation

    @default_subscription
    class Listener(RoutedAgent):
        @message_handler
        async def on_tick(self, message: Tick, ctx: MessageContext) -> None:
            pass

    async def run() -> float:
        runtime = SingleThreadedAgentRuntime()
        for n in range(LISTENERS):
            await Listener.register(runtime, f"listener{n}", lambda: Listener("listens"))
        runtime.start()
        began = time.process_time()
        for _ in range(EVENTS // 10):
            await runtime.publish_message(Tick(), DefaultTopicId())
        await runtime.stop_when_idle()
        return (time.process_time() - began) * 1e3 * 10

    return asyncio.run(run())


class Listener(Observer):
    """Has a handler of its own, which does nothing."""

    async def on_external_event(self, source, event):
        """Do nothing."""


def room() -> float:
    """Milliseconds in which a room hands as many events to ten observers."""

    async def run() -> float:
        async with Environment(*(Listener(f"o{n}") for n in range(LISTENERS)), transcript=Transcript()) as room:
            await room.settled()
            began = time.process_time()
            for _ in range(EVENTS // 50):
                for _ in range(50):
                    room.emit(Signal("tick"))
                await room.settled()
            return (time.process_time() - began) * 1e3

    return anyio.run(run)


def rows() -> Iterable[Row]:
    """Replays through the SDK, then fan-out."""
    against = "a MockTransport without checkpoints"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, make, package, library in (
            ("pytest-streamrt", ours, "pytest_streamrt", httpx2),
            ("vcrpy (and pytest-recording), one chunk", vcrpy, "vcr", httpx2),
            ("respx, over httpx", respx, "respx", httpx),
            ("agent-replay-py, over httpx", agent_replay, "agentreplay", httpx),
        ):
            what = f"{DELTAS:,} deltas through AsyncOpenAI, {title}"
            if importlib.util.find_spec(package) is None:
                yield Row(what, note="not installed")
                continue
            try:
                run = make(folder)
                mine, theirs = paired(run, lambda library=library: asyncio.run(read(mocked(library))), RUNS)
            except Exception as error:  # noqa: BLE001 - what a peer cannot do is what is to be told
                yield Row(what, note=f"cannot: {type(error).__name__}: {str(error)[:80]}")
            else:
                yield Row(what, against, mine, theirs, at_most=1.1 if make is ours else None)
    what = f"{EVENTS:,} events to {LISTENERS} listeners"
    if importlib.util.find_spec("autogen_core") is None:
        yield Row(what, "autogen-core", note="autogen-core is not installed")
    else:
        mine, theirs = paired(room, autogen, RUNS)
        yield Row(what, "autogen-core", mine, theirs, note="theirs: a tenth of the events, times ten")
