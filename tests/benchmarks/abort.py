"""How long it takes until the server knows that an answer is not wanted any more: over a real server on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import anyio

from pytest_streamrt import Environment, OpenAIChatModel, OpenAIResponsesModel
from tests.benchmarks.table import RUNS, Row
from tests.loopback import serve
from tests.models.test_openai_abort import Times, silent_after, stop_at_once

MODELS = ((OpenAIChatModel, "openai.chat"), (OpenAIResponsesModel, "openai.responses"))


def measure(backend: str, model: type, dialect: str) -> Times:
    """Stop one answer at its first delta."""
    with serve() as server:
        server.enqueue(silent_after("a", dialect))
        return anyio.run(stop_at_once, server, model, Environment, backend=backend)


def rows() -> Iterator[Row]:
    """A row for each model and backend, and two for each: until the server sees it, and until `abort()` returns."""
    for backend in ("asyncio", "trio"):
        for model, dialect in MODELS:
            times = [measure(backend, model, dialect) for _ in range(RUNS)]
            what = f"abort of {dialect} on {backend}"
            yield Row(f"{what}, until the server sees it", ours=[1000 * (t.seen - t.decided) for t in times])
            yield Row(f"{what}, until it returns", ours=[1000 * (t.returned - t.decided) for t in times])
