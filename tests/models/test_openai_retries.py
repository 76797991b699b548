"""An answer that breaks off before it says anything is asked for again; one that has spoken is not. Over a real server."""

from __future__ import annotations

import openai
import pytest

from pytest_streamrt import Agent, Observer, OpenAIChatModel, OpenAIResponsesModel, script
from pytest_streamrt.providers import encode
from tests.loopback import PATIENCE, Answer

pytestmark = pytest.mark.anyio

MODELS = pytest.mark.parametrize(
    ("model", "dialect"),
    [(OpenAIChatModel, "openai.chat"), (OpenAIResponsesModel, "openai.responses")],
    ids=["chat", "responses"],
)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """On real time, as the server is real, and without the half second between two tries."""
    monkeypatch.setattr("pytest_streamrt.models.openai._RETRY_AFTER", 0)


async def ask(server, environment, model, *others, max_retries):
    """The outcome of one inference."""
    client = openai.AsyncOpenAI(base_url=server.url, api_key="k", timeout=PATIENCE, max_retries=max_retries)
    async with client, environment(agent := Agent("agent", model(client, "m")), *others):
        return await agent.infer("Hi").outcome()


def beginning(dialect, *texts):
    """The chunks of an answer, up to the first that says one of these, or before anything is said."""
    chunks = encode(script("a", "b"), dialect)
    words = [f'"{text}"'.encode() for text in (texts or ["a"])]
    first = next(i for i, chunk in enumerate(chunks) if any(word in chunk for word in words))
    return chunks[: first + bool(texts)]


def retries(transcript):
    return [event.data for event in transcript.events if event.type == "status" and event.name == "retry"]


@MODELS
@pytest.mark.parametrize("breaks", [True, False], ids=["breaks", "ends too early"])
async def test_before_the_first_delta_it_is_asked_again(model, dialect, breaks, server, environment, transcript):
    half = Answer(beginning(dialect), breaks=breaks)
    server.enqueue(half, half, Answer(encode(script("whole"), dialect)))

    outcome = await ask(server, environment, model, max_retries=2)

    assert (outcome.status, outcome.text, len(server.requests)) == ("completed", "whole", 3)
    assert [each["retries_left"] for each in retries(transcript)] == [1, 0]
    assert all(each["error"] for each in retries(transcript))
    transcript.expect("agent").text("whole").completed().nothing_more()


@MODELS
async def test_after_the_first_delta_it_fails(model, dialect, server, environment, transcript):
    server.enqueue(Answer(beginning(dialect, "a"), breaks=True), Answer(encode(script("whole"), dialect)))

    outcome = await ask(server, environment, model, max_retries=2)

    assert (outcome.status, outcome.kind, outcome.text, len(server.requests)) == ("failed", "transport", "a", 1)
    assert retries(transcript) == []
    transcript.expect("agent").text("a").failed(kind="transport").nothing_more()


@MODELS
async def test_not_more_often_than_the_client_may(model, dialect, server, environment, transcript):
    server.enqueue(*[Answer(beginning(dialect), breaks=True)] * 3)

    outcome = await ask(server, environment, model, max_retries=1)

    assert (outcome.kind, len(server.requests), len(retries(transcript))) == ("transport", 2, 1)
    transcript.expect("agent").failed(kind="transport").nothing_more()


@MODELS
async def test_what_the_provider_refuses_is_not_asked_again(model, dialect, server, environment, transcript):
    server.enqueue(Answer([*beginning(dialect), b"data: {oops\n\n"]))

    outcome = await ask(server, environment, model, max_retries=2)

    assert (outcome.kind, len(server.requests)) == ("provider", 1)
    transcript.expect("agent").failed(kind="provider").nothing_more()


@MODELS
async def test_a_retry_can_be_stopped(model, dialect, server, environment, transcript, monkeypatch):
    monkeypatch.setattr("pytest_streamrt.models.openai._RETRY_AFTER", PATIENCE)
    server.enqueue(Answer(beginning(dialect), breaks=True))

    class Impatient(Observer):
        async def on_external_event(self, source, event):
            if event.type == "status" and event.name == "retry":
                await self.abort(event.inference, "no more")

    outcome = await ask(server, environment, model, Impatient("impatient"), max_retries=9)

    assert (outcome.status, outcome.by, len(server.requests)) == ("aborted", "impatient", 1)
    transcript.expect("agent").aborted(by="impatient").nothing_more()
