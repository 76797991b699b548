"""Recorded over TCP from a real server and played: the same bytes, in the same cuts, at the recorded times, for every client.

Runs under openai 2 as well, where anthropic and httpx2 are not installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import pytest

from pytest_streamrt import script, tool_call, use_cassette, virtual_time
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.providers import encode
from pytest_streamrt.wire import rechunk
from tests.loopback import PATIENCE, Answer

pytestmark = [
    pytest.mark.anyio,
    # The SDKs and httpx leave generators of their own behind, and trio warns of them.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object"),
]

SAID = script("Hel", "lo ", "wörld 👋", tool_call("weather", {"city": "Zürich"}), "!")
PATHS = {"openai.chat": "chat/completions", "openai.responses": "responses", "anthropic.messages": "messages"}
SEED = 7  # cuts inside events and characters


@dataclass(frozen=True)
class Client:
    """Whose client it is, what it speaks, and what it is to be run on instead of what it runs on by itself."""

    library: str
    form: str
    on: str | None = None

    def __str__(self):
        return f"{self.library} {self.form}{f' on {self.on}' if self.on else ''}"

    def make(self, server, *, is_async):
        library = pytest.importorskip(self.library)
        if self.library.startswith("httpx"):
            return (library.AsyncClient if is_async else library.Client)(timeout=PATIENCE, verify=False)
        name = {"openai": "OpenAI", "anthropic": "Anthropic"}[self.library]
        kind = getattr(library, f"Async{name}" if is_async else name)
        options = {"api_key": "sk-none", "max_retries": 0, "timeout": PATIENCE}
        if self.on is not None:
            http = pytest.importorskip(self.on)
            options["http_client"] = (http.AsyncClient if is_async else http.Client)(timeout=PATIENCE, verify=False)
        base = server.url if self.library == "openai" else server.url.removesuffix("/v1")
        return kind(base_url=base, **options)

    def asked(self, client, server):
        """A streamed request, as a context manager of the response; and the HTTP response in that."""
        if self.library.startswith("httpx"):
            return client.stream(
                "POST", f"{server.url}/{PATHS[self.form]}", json={"stream": True}
            ), lambda response: response
        where, question = self.resource(client)
        return where.with_streaming_response.create(**question, stream=True), lambda response: response.http_response

    def resource(self, client):
        messages = [{"role": "user", "content": "Hi"}]
        if self.form == "openai.responses":
            return client.responses, {"model": "m", "input": "Hi"}
        if self.form == "openai.chat":
            return client.chat.completions, {"model": "m", "messages": messages}
        return client.messages, {"model": "m", "messages": messages, "max_tokens": 99}


SDKS = [
    Client("openai", "openai.chat"),
    Client("openai", "openai.responses"),
    Client("openai", "openai.chat", on="httpx"),
    Client("openai", "openai.responses", on="httpx"),
    Client("anthropic", "anthropic.messages"),
]
EVERY_CLIENT = pytest.mark.parametrize(
    "client", [*SDKS, *(Client(library, form) for library in ("httpx", "httpx2") for form in PATHS)], ids=str
)


class Steps:
    """Has the server send a chunk each time that all those before it have been read: so each is a read of its own."""

    def __init__(self, server, chunks):
        self._server = server
        self._ends = list(accumulate(map(len, chunks)))
        self._read = 0
        server.enqueue(Answer(chunks, stepwise=True))
        server.step()

    def read(self, data):
        self._read += len(data)
        if self._ends and self._read >= self._ends[0]:
            self._ends.pop(0)
            self._server.step()


def cuts_of(form):
    return rechunk(b"".join(encode(SAID, form)), SEED)


async def read_async(client, server, seen):
    async with client.make(server, is_async=True) as made:
        asking, response_of = client.asked(made, server)
        async with asking as response:
            async for data in response_of(response).aiter_raw():
                seen(data)


def read(client, server, seen):
    with client.make(server, is_async=False) as made:
        asking, response_of = client.asked(made, server)
        with asking as response:
            for data in response_of(response).iter_raw():
                seen(data)


def recorder(server, chunks):
    """Where what is read live goes, and how the next chunk is let go."""
    steps, live = Steps(server, chunks), []

    def seen(data):
        live.append(data)
        steps.read(data)

    return live, seen


def is_played(path, chunks, live, played):
    """What was seen in the playing is what was seen live; its times are the recorded ones."""
    (recorded,) = load_cassette(path)
    assert live == chunks
    assert [data for _, data in played] == live
    assert [at for at, _ in played] == [(chunk.at - recorded.at) * 1_000 for chunk in recorded.chunks]
    assert [chunk.at for chunk in recorded.chunks] == sorted(chunk.at for chunk in recorded.chunks)


@EVERY_CLIENT
async def test_an_async_client(client, server, tmp_path):
    path, chunks = tmp_path / "cassette.jsonl", cuts_of(client.form)
    live, seen = recorder(server, chunks)
    with use_cassette(path, record="once"):
        await read_async(client, server, seen)
    played = []
    with virtual_time() as clock, use_cassette(path):
        await read_async(client, server, lambda data: played.append((clock.ns, data)))

    is_played(path, chunks, live, played)


@EVERY_CLIENT
def test_a_sync_client(client, server, tmp_path):
    path, chunks = tmp_path / "cassette.jsonl", cuts_of(client.form)
    live, seen = recorder(server, chunks)
    with use_cassette(path, record="once"):
        read(client, server, seen)
    played = []
    with virtual_time() as clock, use_cassette(path):
        read(client, server, lambda data: played.append((clock.ns, data)))

    is_played(path, chunks, live, played)


async def events_async(client, server):
    async with client.make(server, is_async=True) as made:
        where, question = client.resource(made)
        return [event.model_dump() async for event in await where.create(**question, stream=True)]


def events(client, server):
    with client.make(server, is_async=False) as made:
        where, question = client.resource(made)
        return [event.model_dump() for event in where.create(**question, stream=True)]


EVERY_SDK = pytest.mark.parametrize("client", SDKS, ids=str)


@EVERY_SDK
async def test_what_an_async_sdk_makes_of_it(client, server, tmp_path):
    server.enqueue(Answer(cuts_of(client.form)))
    path = tmp_path / "cassette.jsonl"
    with use_cassette(path, record="once"):
        live = await events_async(client, server)
    for cut in ("recorded", "byte", "event", SEED):
        with use_cassette(path, rechunk=cut):
            assert await events_async(client, server) == live
    assert len(live) > len(SAID)


@EVERY_SDK
def test_what_a_sync_sdk_makes_of_it(client, server, tmp_path):
    server.enqueue(Answer(cuts_of(client.form)))
    path = tmp_path / "cassette.jsonl"
    with use_cassette(path, record="once"):
        live = events(client, server)
    with use_cassette(path):
        assert events(client, server) == live
    assert len(live) > len(SAID)
