"""Decoding a stream of 10,000 deltas to events, against the SDKs' own parsing of the same bytes.

Run it with ``python -m tests.benchmarks decoding``. The SDK is asked over a mock transport that has the chunks at hand; what the
transport takes is measured beside, and is next to nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial

import anthropic
import httpx2
import openai
from google import genai

from pytest_streamrt import script
from pytest_streamrt.providers import decode, encode
from tests.benchmarks.table import Row, paired

DELTAS = 10_000
SAID = script(*(f"word{n} " for n in range(DELTAS)), script.usage(10, DELTAS))
MESSAGES = [{"role": "user", "content": "Hello"}]


def http(chunks: list[bytes]) -> httpx2.Client:
    """A client to whom a server answers each request with these chunks."""
    headers = {"content-type": "text/event-stream"}
    return httpx2.Client(
        transport=httpx2.MockTransport(lambda request: httpx2.Response(200, headers=headers, content=iter(chunks)))
    )


def chat(chunks: list[bytes]) -> Iterable[object]:
    """The stream of Chat Completions, as the SDK gives it."""
    client = openai.OpenAI(api_key="none", base_url="http://provider.test", http_client=http(chunks))
    return client.chat.completions.create(model="m", messages=MESSAGES, stream=True)


def responses(chunks: list[bytes]) -> Iterable[object]:
    """The stream of Responses."""
    client = openai.OpenAI(api_key="none", base_url="http://provider.test", http_client=http(chunks))
    return client.responses.create(model="m", input="Hello", stream=True)


def messages(chunks: list[bytes]) -> Iterable[object]:
    """The stream of Anthropic's Messages."""
    client = anthropic.Anthropic(api_key="none", base_url="http://provider.test", http_client=http(chunks))
    return client.messages.create(model="m", max_tokens=100, messages=MESSAGES, stream=True)


def gemini(chunks: list[bytes]) -> Iterable[object]:
    """The stream of Gemini's generateContent."""
    options = {"base_url": "http://provider.test", "httpx_client": http(chunks)}
    return genai.Client(api_key="none", http_options=options).models.generate_content_stream(
        model="m", contents="Hello"
    )


READERS: dict[str, Callable[[list[bytes]], Iterable[object]]] = {
    "openai.chat": chat,
    "openai.responses": responses,
    "anthropic.messages": messages,
    "gemini.generate": gemini,
}


def milliseconds(run: Callable[[], object]) -> float:
    """How long that takes."""
    began = time.perf_counter()
    run()
    return (time.perf_counter() - began) * 1e3


def rows() -> Iterable[Row]:
    """A row for each dialect. The budget is for OpenAI's; the others are measured for good measure."""
    for dialect, read in READERS.items():
        chunks = encode(SAID, dialect)
        ours, theirs = paired(partial(_ours, chunks, dialect), partial(_theirs, chunks, read))
        sdk = {"openai": "openai", "anthropic": "anthropic", "gemini": "google-genai"}[dialect.partition(".")[0]]
        budget = 5 if sdk == "openai" else None
        what = f"decoding {DELTAS:,} deltas of {dialect}"
        note = "" if budget else "the budget is for OpenAI's streams"
        yield Row(what, f"the parsing of {sdk}'s SDK", ours, theirs, at_least=budget, note=note)


def _ours(chunks: list[bytes], dialect: str) -> float:
    return milliseconds(lambda: decode(chunks, dialect))


def _theirs(chunks: list[bytes], read: Callable[[list[bytes]], Iterable[object]]) -> float:
    return milliseconds(lambda: sum(1 for _ in read(chunks)))
