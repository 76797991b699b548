"""Each fault, once from the fake provider and once from a real server on loopback: the SDKs cannot tell which it was."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from pytest_streamrt import (
    corrupt,
    disconnect,
    duplicate,
    error,
    fake_provider_context,
    http,
    script,
    stall,
    truncate,
    virtual_time,
)
from pytest_streamrt.providers import Quirks, encode
from pytest_streamrt.providers.refusals import error_body
from tests.fake.raw_server import http_answer, saying

DIALECTS = ("openai.responses", "openai.chat", "anthropic.messages")
SAID = ("Grüße ", "aus ", "東京")
STREAM = ("content-type: text/event-stream; charset=utf-8",)
PATIENCE = 0.05  # seconds that the client waits for a stalled server; real ones, for that is its subject


def frames(dialect, *parts):
    return encode(script(*parts), dialect, Quirks(model="m"))


def begun(dialect, n):
    """The frames of the first n deltas, without an end."""
    return frames(dialect, *SAID[:n], disconnect())


def halved(frame):
    """An event whose JSON stops in the middle."""
    start, end = frame.index(b"{"), frame.rindex(b"}")
    return frame[: (start + end) // 2] + frame[end + 1 :]


@dataclass
class Fault:
    """A script with a fault in it, and what a real server says that does the same.

    Attributes:
        parts: the script.
        real: from the dialect to the server's bytes.
        hangs: whether the server then keeps the connection open.
    """

    parts: tuple[Any, ...]
    real: Any
    hangs: bool = False


def refused(status, message, *headers):
    """An HTTP error of that status."""
    phrase = {400: "Bad Request", 429: "Too Many Requests", 503: "Service Unavailable", 529: "Overloaded"}
    head = ("content-type: application/json", *headers)
    line = f"{status} {phrase.get(status, 'Error')}"
    return lambda dialect: http_answer([error_body(status, message, dialect)], status=line, headers=head)


FAULTS = {
    "disconnect before the head": Fault((disconnect(),), lambda dialect: b""),
    "disconnect at a delta": Fault(
        (*SAID[:2], disconnect()), lambda dialect: http_answer(begun(dialect, 2), headers=STREAM, ends=False)
    ),
    "disconnect at a byte": Fault(
        (*SAID, disconnect(byte=300)),
        lambda dialect: http_answer([b"".join(frames(dialect, *SAID))[:300]], headers=STREAM, ends=False),
    ),
    "truncate at a delta": Fault(
        (*SAID[:2], truncate()), lambda dialect: http_answer(begun(dialect, 2), headers=STREAM)
    ),
    "truncate at a byte": Fault(
        (*SAID, truncate(byte=300)),
        lambda dialect: http_answer([b"".join(frames(dialect, *SAID))[:300]], headers=STREAM),
    ),
    "stall": Fault(
        (*SAID[:1], stall()), lambda dialect: http_answer(begun(dialect, 1), headers=STREAM, ends=False), hangs=True
    ),
    "stall before the first byte": Fault(
        (stall(byte=0),), lambda dialect: http_answer([], headers=STREAM, ends=False), hangs=True
    ),
    "corrupt JSON": Fault(
        (*SAID[:1], corrupt(), *SAID[1:]),
        lambda dialect: http_answer(
            [
                *begun(dialect, 1),
                halved(begun(dialect, 2)[len(begun(dialect, 1))]),
                *frames(dialect, *SAID)[len(begun(dialect, 2)) :],
            ],
            headers=STREAM,
        ),
    ),
    "a delta twice": Fault(
        (*SAID[:2], duplicate(), *SAID[2:]),
        lambda dialect: http_answer(
            [
                *begun(dialect, 2),
                begun(dialect, 2)[-1],
                *frames(dialect, *SAID)[len(begun(dialect, 2)) :],
            ],
            headers=STREAM,
        ),
    ),
    "an error in mid-stream": Fault(
        (*SAID[:2], error("overloaded_error", "come back later")),
        lambda dialect: http_answer(
            frames(dialect, *SAID[:2], error("overloaded_error", "come back later")), headers=STREAM
        ),
    ),
    **{
        f"HTTP {status}": Fault((error(status, "no"),), refused(status, "no"))
        for status in (400, 401, 403, 404, 500, 503, 529)
    },
    "HTTP 429": Fault((error(429, "slower", retry_after=3),), refused(429, "slower", "retry-after: 3")),
    "another content type": Fault(
        (*SAID, http(headers={"content-type": "text/html"})),
        lambda dialect: http_answer(frames(dialect, *SAID), headers=["content-type: text/html"]),
    ),
    "a proxy's page": Fault(
        (http(502, headers={"content-type": "text/html"}, body="<html>Bad gateway</html>"),),
        lambda dialect: http_answer(
            [b"<html>Bad gateway</html>"], status="502 Bad Gateway", headers=["content-type: text/html"]
        ),
    ),
    "gzip": Fault(
        (*SAID, http(gzip=True)),
        lambda dialect: http_answer(
            [gzip.compress(b"".join(frames(dialect, *SAID)))], headers=[*STREAM, "content-encoding: gzip"]
        ),
    ),
    "an empty body": Fault((http(body=b""),), lambda dialect: http_answer([], headers=STREAM)),
}


def what_was_raised(raised):
    """The error, with its cause where an SDK has wrapped it."""
    ours = type(raised).__module__.startswith(("openai", "anthropic"))
    cause = raised.__cause__ if ours else None
    response = getattr(raised, "response", None)
    retry = response.headers.get("retry-after") if response is not None else None
    return type(raised), str(raised), type(cause), str(cause), getattr(raised, "status_code", None), retry


def options(url, dialect, fault):
    return {
        "api_key": "none",
        "max_retries": 0,
        "timeout": httpx2.Timeout(30, read=PATIENCE if fault.hangs else 30),
        "base_url": url if dialect == "anthropic.messages" else f"{url}/v1",
    }


def question(client, dialect):
    """Ask for a stream, in that dialect."""
    if dialect == "anthropic.messages":
        return client.messages.create(model="m", max_tokens=9, messages=[], stream=True)
    if dialect == "openai.chat":
        return client.chat.completions.create(model="m", messages=[], stream=True)
    return client.responses.create(model="m", input="Hi", stream=True)


def text(event):
    """The delta in an SDK's event, if there is one."""
    if hasattr(event, "choices"):
        return event.choices[0].delta.content or ""
    delta = getattr(event, "delta", "")
    return delta if isinstance(delta, str) else getattr(delta, "text", "")


def told(dialect, url, fault):
    """What a sync client is told: the text, and what was raised."""
    said = []
    try:
        kind = anthropic.Anthropic if dialect == "anthropic.messages" else openai.OpenAI
        with kind(**options(url, dialect, fault)) as client:
            for event in question(client, dialect):
                said.append(text(event))  # noqa: PERF401 - what came before an error counts
    except Exception as raised:  # noqa: BLE001 - what it is, is compared
        return said, what_was_raised(raised)
    return said


async def told_async(dialect, url, fault):
    """Likewise, an async one."""
    said = []
    try:
        kind = anthropic.AsyncAnthropic if dialect == "anthropic.messages" else openai.AsyncOpenAI
        async with kind(**options(url, dialect, fault)) as client:
            async for event in await question(client, dialect):
                said.append(text(event))  # noqa: PERF401 - likewise
    except Exception as raised:  # noqa: BLE001 - what it is, is compared
        return said, what_was_raised(raised)
    return said


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_it_surfaces_as_from_a_real_server(fault, dialect):
    with saying(fault.real(dialect), hangs=fault.hangs) as url:
        expected = told(dialect, url, fault)

    with virtual_time(), fake_provider_context(script(*fault.parts)):
        got = told(dialect, "http://fake.example", fault)

    assert got == expected


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # what the SDKs raise does not depend on it
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "name", ["disconnect before the head", "disconnect at a delta", "stall", "HTTP 429", "corrupt JSON"]
)
async def test_to_an_async_client_too(name, dialect):
    fault = FAULTS[name]
    with saying(fault.real(dialect), hangs=fault.hangs) as url:
        expected = await told_async(dialect, url, fault)

    with virtual_time(), fake_provider_context(script(*fault.parts)):
        got = await told_async(dialect, "http://fake.example", fault)

    assert got == expected
