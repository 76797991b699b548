"""The real models over the real OpenAI client, against a real server on loopback: what is said, sent, closed and raised."""

from __future__ import annotations

import json

import anyio.to_thread
import openai
import pytest

from pytest_streamrt import (
    Agent,
    InferenceFailed,
    ModelContext,
    Observer,
    OpenAIChatModel,
    OpenAIResponsesModel,
    reasoning,
    script,
    tool_call,
    usage,
)
from pytest_streamrt.events import FunctionCall, FunctionCallOutput, Message, ModelMessage, Reasoning
from pytest_streamrt.providers import encode
from tests.loopback import PATIENCE, Answer

pytestmark = pytest.mark.anyio

MODELS = pytest.mark.parametrize(
    ("model", "dialect"),
    [(OpenAIChatModel, "openai.chat"), (OpenAIResponsesModel, "openai.responses")],
    ids=["chat", "responses"],
)


@pytest.fixture
async def client(server):
    async with openai.AsyncOpenAI(base_url=server.url, api_key="k", timeout=PATIENCE, max_retries=0) as client:
        yield client


@MODELS
async def test_an_answer_is_said_delta_by_delta(model, dialect, client, server, environment, transcript):
    answer = script(reasoning("Hm. "), "Hel", "lo", tool_call("t", {"a": 1}), usage(3, 4))
    server.enqueue(Answer(encode(answer, dialect)))
    agent = Agent("agent", model(client, "m"))
    async with environment(agent):
        outcome = await agent.infer("Hi")

    assert (outcome.text, outcome.usage.output_tokens) == ("Hello", 4)
    chain = transcript.expect("agent").reasoning("Hm. ").text("Hello").tool_call("t", arguments={"a": 1})
    chain.completed().nothing_more()


@MODELS
async def test_the_request_carries_the_context_and_the_options(model, dialect, client, server, environment):
    server.enqueue(Answer(encode(script("x"), dialect)))
    context = ModelContext(
        [
            Message("Be brief.", role="system"),
            Message("Weather?"),
            Reasoning("thinking"),
            FunctionCall("c1", "weather", '{"city":"Paris"}'),
            FunctionCall("c2", "time", "{}"),
            FunctionCallOutput("c1", "18"),
            FunctionCallOutput("c2", "noon"),
            ModelMessage("18 degrees at noon."),
        ]
    )
    agent = Agent("agent", model(client, "m", temperature=0.5), context)
    async with environment(agent):
        await agent.infer("Thanks")

    sent = json.loads(server.requests[0]["body"])
    assert (sent["model"], sent["temperature"], sent["stream"]) == ("m", 0.5, True)
    if dialect == "openai.chat":
        assert [message["role"] for message in sent["messages"]] == [
            "system",
            "user",
            "assistant",
            "tool",
            "tool",
            "assistant",
            "user",
        ]
        calls = sent["messages"][2]["tool_calls"]
        assert [(call["id"], call["function"]["name"]) for call in calls] == [("c1", "weather"), ("c2", "time")]
        assert sent["stream_options"] == {"include_usage": True}
    else:
        kinds = [item.get("type") or item["role"] for item in sent["input"]]
        assert kinds == [
            "system",
            "user",
            "function_call",
            "function_call",
            "function_call_output",
            "function_call_output",
            "assistant",
            "user",
        ]


def up_to(chunks, text):
    """How many chunks there are up to, and with, the one that says this."""
    return next(i for i, chunk in enumerate(chunks) if f'"{text}"'.encode() in chunk) + 1


@MODELS
async def test_each_delta_is_heard_before_the_next_is_sent(model, dialect, client, server, environment):
    chunks = encode(script("a", "b", "c"), dialect)
    places = [0, up_to(chunks, "a"), up_to(chunks, "b"), up_to(chunks, "c"), len(chunks)]
    server.enqueue(Answer(chunks, stepwise=True))

    class Stepper(Observer):
        heard = ""

        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                self.heard += event.text
                done = len(self.heard)
                server.step(places[done + 1] - places[done])

    stepper = Stepper("stepper")
    async with environment(agent := Agent("agent", model(client, "m")), stepper):
        server.step(places[1])
        await agent.infer()

    assert stepper.heard == "abc"


@MODELS
async def test_an_abort_closes_the_connection_and_the_server_sees_it(model, dialect, client, server, environment):
    chunks = encode(script("a", "b", "c"), dialect)
    server.enqueue(Answer(chunks, stepwise=True))

    class Enough(Observer):
        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                await self.abort(event.inference, "enough")

    async with environment(agent := Agent("agent", model(client, "m")), Enough("peer")):
        server.step(up_to(chunks, "a"))
        outcome = await agent.infer()
        assert await anyio.to_thread.run_sync(server.client_gone.wait, PATIENCE)

    assert (outcome.status, outcome.by, outcome.text) == ("aborted", "peer", "a")


@MODELS
async def test_an_abort_before_the_first_byte_closes_the_connection(model, dialect, client, server, environment):
    server.enqueue(Answer(encode(script("a"), dialect), stepwise=True))
    async with environment(agent := Agent("agent", model(client, "m"))):
        inference = agent.infer()
        await anyio.to_thread.run_sync(server.asked.wait, PATIENCE)
        await inference.abort("never mind")
        assert await anyio.to_thread.run_sync(server.client_gone.wait, PATIENCE)

    assert (inference.status, inference.text) == ("aborted", "")


@MODELS
async def test_a_connection_is_used_again_after_an_answer(model, dialect, client, server, environment):
    server.enqueue(*(Answer(encode(script(text), dialect)) for text in "ab"))
    async with environment(agent := Agent("agent", model(client, "m"))):
        await agent.infer()
        await agent.infer()

    assert len({request["client"] for request in server.requests}) == 1


@MODELS
@pytest.mark.parametrize(("status", "kind"), [(429, "provider"), (500, "provider"), (401, "provider")])
async def test_an_http_error_is_the_providers(model, dialect, status, kind, client, server, environment, transcript):
    body = json.dumps({"error": {"message": "no luck", "type": "t", "code": "c"}}).encode()
    server.enqueue(Answer([body], status, {"content-type": "application/json"}))
    agent = Agent("agent", model(client, "m"))
    async with environment(agent):
        with pytest.raises(InferenceFailed, match="no luck") as caught:
            await agent.infer()

    assert caught.value.kind == kind
    transcript.expect("agent").failed(kind=kind).nothing_more()


@MODELS
async def test_a_broken_connection_is_the_transports(model, dialect, client, server, environment, transcript):
    chunks = encode(script("a", "b"), dialect)
    upto = next(i for i, chunk in enumerate(chunks) if b'"a"' in chunk) + 1
    server.enqueue(Answer(chunks[:upto], breaks=True))
    agent = Agent("agent", model(client, "m"))
    async with environment(agent):
        outcome = await agent.infer().outcome()

    assert (outcome.status, outcome.kind, outcome.text) == ("failed", "transport", "a")
    transcript.expect("agent").text("a").failed(kind="transport").nothing_more()


@MODELS
async def test_an_answer_that_ends_too_early_is_the_transports(model, dialect, client, server, environment, transcript):
    chunks = encode(script("a", "b"), dialect)
    server.enqueue(Answer(chunks[:-2]))
    agent = Agent("agent", model(client, "m"))
    async with environment(agent):
        outcome = await agent.infer().outcome()

    assert (outcome.status, outcome.kind) == ("failed", "transport")
    assert "before the answer does" in outcome.reason
    transcript.expect("agent").skip_until("inference.failed").failed().nothing_more()


@MODELS
async def test_nonsense_in_the_stream_is_the_providers(model, dialect, client, server, environment, transcript):
    chunks = encode(script("a", "b"), dialect)
    server.enqueue(Answer([*chunks[:-2], b"data: {oops\n\n"]))
    agent = Agent("agent", model(client, "m"))
    async with environment(agent):
        outcome = await agent.infer().outcome()

    assert (outcome.status, outcome.kind) == ("failed", "provider")
    assert "is not a JSON object" in outcome.reason
    transcript.expect("agent").skip_until("inference.failed").failed().nothing_more()


@MODELS
async def test_nobody_listens(model, dialect, environment, transcript):
    client = openai.AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="k", max_retries=0)
    async with client, environment(agent := Agent("agent", model(client, "m"))):
        outcome = await agent.infer().outcome()

    assert (outcome.status, outcome.kind) == ("failed", "transport")
    transcript.expect("agent").failed(kind="transport").nothing_more()


async def test_what_the_client_retries_before_the_answer_is_not_seen(server, environment, transcript):
    error = Answer([b"{}"], 500, {"content-type": "application/json", "retry-after-ms": "1"})
    server.enqueue(error, Answer(encode(script("a"), "openai.chat")))
    client = openai.AsyncOpenAI(base_url=server.url, api_key="k", max_retries=1, timeout=PATIENCE)
    async with client, environment(agent := Agent("agent", OpenAIChatModel(client, "m"))):
        await agent.infer()

    assert len(server.requests) == 2
    transcript.expect("agent").text("a").completed().nothing_more()


async def test_an_error_of_ones_own_is_nobody_elses(environment, transcript):
    class NoClient:
        @property
        def chat(self):
            raise LookupError("mine")

    agent = Agent("agent", OpenAIChatModel(NoClient(), "m"))
    async with environment(agent):
        outcome = await agent.infer().outcome()

    assert (outcome.kind, outcome.reason) == ("model", "LookupError: mine")
    transcript.expect("agent").failed(kind="model").nothing_more()


@MODELS
async def test_a_client_that_is_not_async_is_refused(model, dialect, server, environment):
    with openai.OpenAI(base_url=server.url, api_key="k") as client:
        agent = Agent("agent", model(client, "m"))
        async with environment(agent):
            with pytest.raises(
                InferenceFailed, match=r"needs an async client, such as AsyncOpenAI\(\); this one is <openai"
            ):
                await agent.infer("Hi")

    assert server.requests == []


@MODELS
def test_a_name_and_a_client_that_are_swapped_are_refused_at_once(model, dialect):
    del dialect
    with pytest.raises(TypeError, match=rf"{model.__name__}\(client, 'gpt-5-mini'\); not 'm', <openai\.OpenAI object"):
        model("m", openai.OpenAI(api_key="none is needed"))
