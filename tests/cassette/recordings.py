"""Cassettes for tests, made by our own recorder from a stand-in for the network: what is tested is the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2

from pytest_streamrt import script, use_cassette
from pytest_streamrt.cassette.seam import intercept
from pytest_streamrt.providers import encode

URL = "https://api.example/v1/chat/completions"
ASK: dict[str, Any] = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}


class Network:
    """Stands where the network is, for sync clients: each request is answered by the next of these bodies."""

    def __init__(self, *bodies: Sequence[bytes], status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.bodies = list(bodies)
        self.status = status
        self.headers = [("content-type", "text/event-stream"), *headers]
        self.requests: list[Any] = []

    def handle(self, library: ModuleType, transport: Any, request: Any, forward: Any) -> Any:
        """See `pytest_streamrt.cassette.seam.Interceptor`."""
        del forward
        self.requests.append(request)
        chunks = self.bodies.pop(0)

        class Body(library.SyncByteStream):  # type: ignore[name-defined,misc]
            def __iter__(self) -> Iterator[bytes]:
                yield from chunks

        return library.Response(self.status, headers=self.headers, stream=Body(), request=request)

    async def handle_async(self, library: ModuleType, transport: Any, request: Any, forward: Any) -> Any:
        """Not used."""
        raise AssertionError


def ask(question: dict[str, Any] = ASK, url: str = URL, **options: Any) -> bytes:
    """Make one request, and read the whole answer."""
    with httpx2.Client(verify=False) as client:  # loading certificates takes longer than all the rest
        return client.post(url, json=question, **options).content


def record(path: Path, *bodies: Sequence[bytes], questions: Sequence[dict[str, Any]] | None = None) -> None:
    """Record one answer for each body, to the question ASK or to each of these."""
    with intercept(Network(*bodies)), use_cassette(path, record="rewrite"):
        for question in questions or [ASK] * len(bodies):
            ask(question)


def answer(text: str) -> list[bytes]:
    """The chunks of a chat answer."""
    return encode(script(text), "openai.chat")
