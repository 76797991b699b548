"""An abort closes the connection, and the server sees it. How long that takes is a benchmark: `tests/benchmarks/abort.py`."""

from __future__ import annotations

import time
from dataclasses import dataclass

import anyio.to_thread
import openai
import pytest

from pytest_streamrt import Agent, Observer, OpenAIChatModel, OpenAIResponsesModel, script
from pytest_streamrt.providers import encode
from tests.loopback import PATIENCE, Answer

pytestmark = pytest.mark.anyio


@dataclass
class Times:
    """When it was decided to stop, when `abort()` had returned, and when the server saw it; by `time.perf_counter()`."""

    decided: float = 0.0
    returned: float = 0.0
    seen: float = 0.0


def silent_after(text, dialect):
    """An answer that says this, and then nothing more, and does not end."""
    chunks = encode(script(text, "and more"), dialect)
    upto = next(i for i, chunk in enumerate(chunks) if f'"{text}"'.encode() in chunk) + 1
    return Answer(chunks[:upto], hangs=True)


async def stop_at_once(server, model, environment):
    """Stop an answer at its first delta."""
    times = Times()

    class Enough(Observer):
        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                times.decided = time.perf_counter()
                await self.abort(event.inference, "enough")
                times.returned = time.perf_counter()

    client = openai.AsyncOpenAI(base_url=server.url, api_key="k", timeout=PATIENCE, max_retries=0)
    async with client, environment(agent := Agent("agent", model(client, "m")), Enough("peer")):
        await agent.infer()
        assert await anyio.to_thread.run_sync(server.client_gone.wait, PATIENCE)
    times.seen = server.gone_at
    return times


@pytest.mark.parametrize(
    ("model", "dialect"),
    [(OpenAIChatModel, "openai.chat"), (OpenAIResponsesModel, "openai.responses")],
    ids=["chat", "responses"],
)
async def test_the_server_sees_an_abort_while_it_is_silent(model, dialect, server, environment, transcript):
    """The server has said one thing and holds the line: only the end of the connection can tell it."""
    server.enqueue(silent_after("a", dialect))
    times = await stop_at_once(server, model, environment)

    assert times.decided < min(times.returned, times.seen)
    assert 6 in transcript.assert_lawful().checked
    transcript.expect("agent").text("a").aborted(by="peer", reason="enough").nothing_more()
