"""What a cassette says in the test's transcript by itself: each exchange of any client, its retries, and what was never read."""

from __future__ import annotations

import anthropic
import openai
import pytest

from pytest_streamrt import Transcript, disconnect, error, script, use_cassette, virtual_time
from pytest_streamrt.cassette.format import save_cassette
from pytest_streamrt.cassette.recording import lines_of
from pytest_streamrt.providers import encode
from tests.cassette.test_faults import recording

WORDS = ("One", " two", " three", " four")
MESSAGES = [{"role": "user", "content": "Hi"}]

pytestmark = [
    pytest.mark.anyio,
    # The SDKs leave generators of their own behind where an answer is not read to its end, and trio warns of them.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object"),
]


def ask_openai_chat(client):
    return client.chat.completions.create(model="m", messages=MESSAGES, stream=True)


def ask_openai_responses(client):
    return client.responses.create(model="m", input="Hi", stream=True)


def ask_anthropic(client):
    return client.messages.create(model="m", messages=MESSAGES, max_tokens=9, stream=True)


EVERY_SDK = pytest.mark.parametrize(
    ("name", "make", "ask"),
    [
        ("openai.chat", openai.AsyncOpenAI, ask_openai_chat),
        ("openai.responses", openai.AsyncOpenAI, ask_openai_responses),
        ("anthropic.messages", anthropic.AsyncAnthropic, ask_anthropic),
    ],
    ids=["openai.chat", "openai.responses", "anthropic.messages"],
)


@pytest.fixture
def played(name, make, tmp_path):
    """A client, the transcript, and a cassette with one answer; faults may be laid over it."""
    recorded = recording(name, encode(script(*WORDS), name))
    path = tmp_path / "cassette.jsonl"
    save_cassette(path, lines_of([recorded]))
    base = "https://api.example" + ("" if name.startswith("anthropic") else "/v1")
    return make(api_key="sk-none", base_url=base, max_retries=2), Transcript(), path


@EVERY_SDK
async def test_an_answer_is_told_as_it_was_heard(name, ask, played):
    client, transcript, path = played
    with virtual_time(), use_cassette(path, transcript=transcript, match_on=["method", "uri"]):
        async with client:
            async for _ in await ask(client):
                pass

    transcript.expect(name).text("One two three four").completed().upstream_closed().nothing_more()
    transcript.assert_lawful()
    assert [event.retry_of for event in transcript.events if event.type == "exchange.opened"] == [None]


@EVERY_SDK
async def test_what_a_client_closes_early_says_when_and_how_much_it_never_read(name, ask, played):
    client, transcript, path = played
    with virtual_time(), use_cassette(path, transcript=transcript, match_on=["method", "uri"]):
        async with client:
            stream = await ask(client)
            async for event in stream:
                if " two" in str(event):
                    break
            await stream.close()

    transcript.expect(name).text("One two").aborted(by="client").upstream_closed(within=0).nothing_more()
    (exchange,) = transcript.exchanges
    (closed,) = [event for event in transcript.events if event.type == "exchange.closed"]
    assert (closed.how, closed.unread_chunks) == ("client", exchange.unread_chunks)
    assert exchange.unread_deltas == 2
    assert exchange.unread_chunks >= 2


@EVERY_SDK
async def test_retries_are_exchanges_of_their_own_and_say_of_which(name, ask, played):
    client, transcript, path = played
    faults = [error(429), disconnect()]
    with virtual_time(), use_cassette(path, transcript=transcript, faults=faults, match_on=["method", "uri"]):
        async with client:
            async for _ in await ask(client):
                pass

    transcript.expect(name).failed(kind="provider").nothing_more()
    transcript.expect(f"{name}#2").failed(kind="transport").nothing_more()
    transcript.expect(f"{name}#3").text("One two three four").completed().nothing_more()
    opened = [
        (event.source, event.status, event.retry_of) for event in transcript.events if event.type == "exchange.opened"
    ]
    assert opened == [(name, 429, None), (f"{name}#3", 200, f"{name}#2")]
    assert [exchange.retry_of for exchange in transcript.exchanges] == [None, name, f"{name}#2"]


@EVERY_SDK
async def test_the_same_question_after_an_answer_is_no_retry(name, ask, played):
    client, transcript, path = played
    options = {"match_on": ["method", "uri"], "allow_playback_repeats": True}
    with virtual_time(), use_cassette(path, transcript=transcript, **options):
        async with client:
            for _ in range(2):
                async for _ in await ask(client):
                    pass

    assert [exchange.retry_of for exchange in transcript.exchanges] == [None, None]
