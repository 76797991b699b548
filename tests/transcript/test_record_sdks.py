"""Streams of the real openai and anthropic SDKs through `Transcript.record`: raw, and by their helpers."""

from __future__ import annotations

from contextlib import aclosing

import anthropic
import httpx2
import openai
import pytest

from pytest_streamrt import Transcript, reasoning, script, tool_call, usage
from pytest_streamrt.providers import encode
from tests.transcript.network import Provider

pytestmark = [
    pytest.mark.anyio,
    # The openai client leaves generators of its own behind at [DONE], and trio warns of them.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object"),
]

SAID = script(reasoning("Hm. "), "Hel", "lo", tool_call("t", {"a": 1}), usage(3, 4))
MESSAGES = [{"role": "user", "content": "Hi"}]


def expect_said(transcript):
    chain = transcript.expect("agent").reasoning("Hm. ").text("Hello").tool_call("t", arguments={"a": 1})
    chain.completed().nothing_more()
    transcript.assert_lawful()
    assert not [event for event in transcript.of("agent") if event.type == "provider.event"]


def openai_client(provider):
    return openai.AsyncOpenAI(api_key="none", http_client=provider.client(), max_retries=0)


@pytest.fixture
def chat():
    return Provider("openai.chat", SAID)


@pytest.fixture
def responses():
    return Provider("openai.responses", SAID)


async def test_chat_chunks(chat):
    transcript = Transcript()
    async with openai_client(chat) as client:
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        async with transcript.record(stream, source="agent") as recorded:
            assert recorded.response is stream.response
            chunks = [chunk async for chunk in recorded]

    assert chunks[1].choices[0].delta.reasoning_content == "Hm. "
    expect_said(transcript)


async def test_chat_by_its_helper(chat):
    transcript = Transcript()
    async with openai_client(chat) as client:
        opening = client.chat.completions.stream(model="m", messages=MESSAGES)
        async with transcript.record(opening, source="agent") as stream:
            completion = await stream.get_final_completion()

    assert completion.choices[0].message.content == "Hello"
    expect_said(transcript)


def test_chat_from_a_sync_client(chat):
    transcript = Transcript()
    with openai.OpenAI(api_key="none", http_client=chat.sync_client()) as client:
        for _ in transcript.record(
            client.chat.completions.create(model="m", messages=MESSAGES, stream=True), source="agent"
        ):
            pass

    expect_said(transcript)


async def test_responses_events(responses):
    transcript = Transcript()
    async with openai_client(responses) as client:
        async for _ in transcript.record(
            await client.responses.create(model="m", input="Hi", stream=True), source="agent"
        ):
            pass

    expect_said(transcript)


async def test_responses_by_its_helper(responses):
    transcript = Transcript()
    async with openai_client(responses) as client:
        async with transcript.record(client.responses.stream(model="m", input="Hi"), source="agent") as stream:
            final = await stream.get_final_response()

    assert final.output_text == "Hello"
    expect_said(transcript)


async def test_closing_the_sdk_s_stream_is_an_abort_and_closes_the_response(chat):
    transcript = Transcript()
    async with openai_client(chat) as client:
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        recorded = transcript.record(stream, source="agent")
        while not transcript.text("agent"):
            await anext(recorded)
        await recorded.close()

    assert chat.bodies[0].closed
    transcript.expect("agent").reasoning().text("Hel").aborted(by="client").nothing_more()


async def test_a_provider_s_error_in_mid_stream():
    failing = Provider("openai.responses", script("Hel", script.error("server_error", "overloaded")))
    transcript = Transcript()
    async with openai_client(failing) as client:
        stream = await client.responses.create(model="m", input="Hi", stream=True)
        async for _ in transcript.record(stream, source="agent"):
            pass

    transcript.expect("agent").text("Hel").failed(kind="provider").nothing_more()


async def test_a_connection_that_breaks():
    broken = Provider("openai.chat", encode(SAID, "openai.chat")[:3], error=httpx2.ReadError("the peer has gone"))
    transcript = Transcript()
    async with openai_client(broken) as client:
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIConnectionError):
            async for _ in transcript.record(stream, source="agent"):
                pass

    transcript.expect("agent").reasoning("Hm. ").text("Hel").failed(kind="transport").nothing_more()


@pytest.mark.parametrize("way", ["raw", "helper", "text"])
async def test_anthropic_messages(way):
    provider = Provider("anthropic.messages", SAID)
    transcript = Transcript()
    asked = {"model": "m", "max_tokens": 9, "messages": MESSAGES}
    async with anthropic.AsyncAnthropic(api_key="none", http_client=provider.client()) as client:
        if way == "raw":
            async for _ in transcript.record(await client.messages.create(**asked, stream=True), source="agent"):
                pass
        else:
            async with transcript.record(client.messages.stream(**asked), source="agent") as stream:
                if way == "text":
                    assert "".join([text async for text in stream.text_stream]) == "Hello"
                else:
                    assert (await stream.get_final_message()).content[1].text == "Hello"

    expect_said(transcript)


async def own_loop(*scripts):
    """The events of several answers, one after the other, and what tools gave back, as an agent's own loop yields them."""
    provider = Provider("openai.responses", *scripts)
    async with openai_client(provider) as client:
        for n in range(len(scripts)):
            async for event in await client.responses.create(model="m", input="Hi", stream=True):
                yield event
            if n + 1 < len(scripts):
                yield {"type": "function_call_output", "call_id": "call_0", "output": {"degrees": 18}}


CALL = script(tool_call("t", {}))


async def test_an_agent_s_own_loop_is_one_inference_over_its_rounds():
    transcript = Transcript()

    async with aclosing(transcript.record(own_loop(CALL, script("Done.")), source="agent")) as events:
        async for _ in events:
            pass

    said = transcript.expect("agent").tool_call("t").tool_result("t", output={"degrees": 18}).text("Done.")
    said.completed().nothing_more()
    assert [event.round for event in transcript.of("agent") if event.type == "text.delta"] == [2]
    transcript.assert_lawful()


@pytest.mark.parametrize(("scripts", "end"), [([script("Done.")], "completed"), ([CALL, script("Done.")], "aborted")])
async def test_who_leaves_at_the_end_of_an_answer_has_had_it_all_unless_a_tool_is_owed_its_answer(scripts, end):
    transcript = Transcript()

    async with aclosing(transcript.record(own_loop(*scripts), source="agent")) as events:
        async for event in events:
            if event.type == "response.completed":
                break

    assert transcript.of("agent")[-1].type == f"inference.{end}"
    transcript.assert_lawful()
