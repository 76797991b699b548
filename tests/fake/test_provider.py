"""The fake provider: what clients of it get, when, and what it notes of them. Real SDKs and real HTTP clients throughout."""

from __future__ import annotations

import contextlib
import json
import os
import re

import anthropic
import anyio
import httpx
import httpx2
import openai
import pytest

from pytest_streamrt import (
    ProviderMiss,
    ScriptError,
    Transcript,
    error,
    fake_provider_context,
    fold,
    reasoning,
    script,
    stall,
    tool_call,
    usage,
    virtual_time,
)
from pytest_streamrt.events import TokenUsage
from pytest_streamrt.providers import Quirks, decode, encode
from tests.loopback import Answer

pytestmark = [
    pytest.mark.anyio,
    # The SDKs leave generators of their own behind at the provider's last event, and trio warns of them.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object"),
]

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda library: library.__name__)
CHAT = "https://api.example/v1/chat/completions"
ANSWER = script(reasoning("Hm."), "Hel", "lo", tool_call("weather", {"city": "Paris"}), usage(3, 4), every=0.05)


@LIBRARIES
@pytest.mark.virtual_time
async def test_a_stream_is_what_the_dialect_says(library, fake_provider):
    fake_provider.enqueue(ANSWER)

    async with library.AsyncClient(verify=False) as client:
        async with client.stream("POST", CHAT, json={"stream": True}) as response:
            chunks = [chunk async for chunk in response.aiter_raw()]

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert chunks == encode(ANSWER, "openai.chat")


@LIBRARIES
def test_sync_clients_too(library, fake_provider):
    fake_provider.enqueue(script("Hello"))

    with library.Client(verify=False) as client:
        answer = client.post(CHAT, json={"stream": True})

    assert fold(decode(answer.content, "openai.chat")).text == "Hello"


@pytest.mark.virtual_time
async def test_each_delta_comes_at_its_time(fake_provider, transcript, virtual_clock):
    fake_provider.enqueue(script("a", "b", "c", every=0.05))

    stream = await openai.AsyncOpenAI().chat.completions.create(model="m", messages=[], stream=True)
    heard = [(virtual_clock.now, chunk.choices[0].delta.content) async for chunk in stream]

    assert heard == [(0.0, ""), (0.05, "a"), (0.1, "b"), (0.15, "c"), (0.15, None)]
    transcript.expect("openai.chat").text("abc", at=0.15).completed().nothing_more()


async def ask():
    """One streamed answer of the Responses API, its text as far as it came."""
    stream = await openai.AsyncOpenAI().responses.create(model="m", input="Hi", stream=True)
    return "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])


@pytest.mark.virtual_time
async def test_an_answer_in_one_piece_comes_when_a_stream_would_have_ended(fake_provider, transcript, virtual_clock):
    fake_provider.enqueue(ANSWER, ANSWER)

    client = openai.AsyncOpenAI()
    response = await client.responses.create(model="m", input="Hi")
    assert virtual_clock.now == 0.2
    completion = await client.chat.completions.create(model="m", messages=[])

    assert response.output_text == "Hello"
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
    assert (response.usage.input_tokens, response.usage.output_tokens) == (3, 4)
    message = completion.choices[0].message
    assert (message.content, message.reasoning_content) == ("Hello", "Hm.")
    assert (message.tool_calls[0].id, message.tool_calls[0].function.arguments) == ("call_1", '{"city":"Paris"}')
    assert completion.choices[0].finish_reason == "tool_calls"
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (3, 4)
    transcript.expect("openai.chat").reasoning("Hm.").text("Hello").tool_call("weather").completed().nothing_more()


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(
    "path", ["/v1/responses", "/v1/chat/completions", "/v1/messages", "/v1beta/models/m:generateContent"]
)
async def test_no_two_answers_have_the_same_ids(path, streams, fake_provider):
    fake_provider.enqueue(ANSWER, ANSWER)

    ids = []
    async with httpx2.AsyncClient(verify=False) as client:
        for _ in range(2):
            body = (await client.post(f"https://api.example{path}", json={"stream": streams})).text
            ids.append(set(re.findall(r'"(?:id|item_id|call_id|responseId)": ?"(.+?)"', body)))

    assert ids[0]
    assert not ids[0] & ids[1]


@pytest.mark.virtual_time
async def test_it_notes_what_it_was_asked(fake_provider):
    fake_provider.enqueue(script("Hello"))

    await ask()

    (call,) = fake_provider.calls
    assert call.json == {"input": "Hi", "model": "m", "stream": True}
    assert (call.dialect, call.method, call.url) == ("openai.responses", "POST", "https://api.openai.com/v1/responses")
    assert call.headers["Authorization"] == "Bearer streamrt-placeholder-key"
    assert call.request.url.host == "api.openai.com"
    assert (call.streams, call.emitted, call.how) == (True, 1, "complete")


@pytest.mark.virtual_time
async def test_a_function_answers_what_no_script_is_left_for(fake_provider):
    fake_provider.enqueue(script("first"))
    fake_provider.respond(lambda request: script(f"You said {request.json['input']}"))

    assert await ask() == "first"
    assert await ask() == "You said Hi"


@pytest.mark.virtual_time
@pytest.mark.parametrize("n", range(5))
async def test_one_can_wait_until_so_many_deltas_have_been_dealt_with(n, fake_provider, transcript, virtual_clock):
    answer = script("a", "b", "c", "d", every=0.05)
    fake_provider.enqueue(answer)
    heard = []

    async def read():
        stream = await openai.AsyncOpenAI().chat.completions.create(model="m", messages=[], stream=True)
        async for chunk in stream:
            await anyio.lowlevel.checkpoint()  # a client may take a while over each
            heard.append(chunk.choices[0].delta.content or "")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await fake_provider.emitted(n)
        assert virtual_clock.now == pytest.approx(n * 0.05)
        assert "".join(heard) == answer.prefix(n).text
        tasks.cancel_scope.cancel()

    assert "".join(heard) == answer.prefix(n).text
    assert fake_provider.calls[0].how == "client"
    chain = transcript.expect("openai.chat")
    if n:
        chain.text(answer.prefix(n).text)
    chain.aborted(by="client").upstream_closed(within=0).nothing_more()
    transcript.assert_lawful()


@pytest.mark.virtual_time
async def test_whoever_waited_for_what_is_out_already_does_not_wait(fake_provider, virtual_clock):
    fake_provider.enqueue(script("a", every=1))
    await ask()

    await fake_provider.emitted(0)
    await fake_provider.emitted(1)

    assert virtual_clock.now == 1


async def test_on_real_time_too(fake_provider):
    fake_provider.enqueue(script("a", "b", stall()))
    heard = []

    async def read():
        stream = await openai.AsyncOpenAI().chat.completions.create(model="m", messages=[], stream=True)
        async for chunk in stream:
            heard.append(chunk.choices[0].delta.content)  # noqa: PERF401 - seen from outside while it goes on

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await fake_provider.emitted(2)
        assert heard == ["", "a", "b"]
        tasks.cancel_scope.cancel()


async def test_what_is_asked_beyond_is_refused(fake_provider):
    fake_provider.enqueue(script("a"))
    await ask()

    with pytest.raises(ProviderMiss, match="asked 2 times and had 1 script\\."):
        await ask()

    fake_provider.reset()


@pytest.mark.parametrize("url", ["https://example.com/", "https://api.openai.com/v1/embeddings"])
async def test_what_is_no_api_of_a_provider_is_refused(url, fake_provider):
    async with httpx2.AsyncClient(verify=False) as client:
        with pytest.raises(ProviderMiss, match=r"(?s)no answer to POST.*test_provider\.py:\d+ in "):
            await client.post(url)

    fake_provider.reset()


async def test_a_function_that_raises_is_named(fake_provider):
    def answer(request):
        return script(request.json["question"])

    fake_provider.respond(answer)
    with pytest.raises(ProviderMiss, match=r"answer, raised KeyError: 'question'"):
        await ask()
    fake_provider.respond(lambda request: "Hello")
    with pytest.raises(ProviderMiss, match=r"'Hello' is none\. Write script\('Hello'\)"):
        await ask()

    fake_provider.reset()


async def test_hosts_can_be_let_through(server):
    server.enqueue(Answer([b"real"], headers={"content-type": "text/plain"}))
    with fake_provider_context(ignore_hosts=["127.0.0.1"]):
        async with httpx2.AsyncClient() as client:
            assert (await client.get(server.url)).text == "real"


async def test_telemetry_goes_nowhere(fake_provider, transcript):
    async with httpx2.AsyncClient(verify=False) as client:
        answer = await client.post("https://api.openai.com/v1/traces/ingest", json={"data": []})

    assert answer.status_code == 204
    assert transcript.exchanges == ()
    assert fake_provider.calls == []


def test_models_are_listed(fake_provider):
    assert [each.id for each in openai.OpenAI().models.list()] == ["scripted"]
    assert openai.OpenAI().models.retrieve("gpt-x").id == "gpt-x"
    assert [each.id for each in anthropic.Anthropic().models.list()] == ["scripted"]
    google = "https://generativelanguage.googleapis.com/v1beta/models"
    assert httpx2.get(google).json() == {"models": [{"name": "models/scripted", "displayName": "scripted"}]}


def test_keys_are_there_while_it_is_active_and_no_longer(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "mine")

    with fake_provider_context():
        assert os.environ["OPENAI_API_KEY"] == "streamrt-placeholder-key"
        assert os.environ["ANTHROPIC_API_KEY"] == "mine"

    assert "OPENAI_API_KEY" not in os.environ
    assert os.environ["ANTHROPIC_API_KEY"] == "mine"


def test_outside_of_pytest_it_says_what_is_wrong_at_the_end():
    with pytest.raises(ScriptError, match=r"asked 0 times; 1 of its scripts was never played: 'a'"):
        with fake_provider_context(script("a")):
            pass
    with pytest.raises(ProviderMiss):
        with fake_provider_context():
            with contextlib.suppress(ProviderMiss):
                httpx.post(CHAT)
    with fake_provider_context(script("a"), verify=False):
        pass


@pytest.mark.parametrize("how", ["whole", "event", "byte", 7])
async def test_streams_are_cut_as_asked(how):
    with virtual_time(), fake_provider_context(ANSWER, rechunk=how, transcript=(transcript := Transcript())):
        async with httpx2.AsyncClient(verify=False) as client:
            async with client.stream("POST", CHAT, json={"stream": True}) as response:
                sizes = [len(chunk) async for chunk in response.aiter_raw()]

    size = len(b"".join(encode(ANSWER, "openai.chat")))
    assert sum(sizes) == size
    assert {"whole": 1, "event": 9, "byte": size}.get(how, len(sizes)) == len(sizes)
    assert transcript.text("openai.chat") == ANSWER.text


@pytest.mark.parametrize("cut", ["byte", 1, 2, 3])
@pytest.mark.parametrize("dialect", ["openai.responses", "openai.chat", "anthropic.messages"])
async def test_no_cut_changes_what_is_said_also_inside_characters_and_line_ends(cut, dialect):
    answer = script(reasoning("Hm…"), "Grüße ", "aus ", "東京 🙂", tool_call("t", {"city": "Köln"}), usage(3, 4))
    url = {"openai.responses": "/v1/responses", "openai.chat": "/v1/chat/completions"}.get(dialect, "/v1/messages")
    with fake_provider_context(answer, rechunk=cut, quirks=Quirks(newline="\r\n"), transcript=(t := Transcript())):
        async with httpx2.AsyncClient(verify=False) as client:
            async with client.stream("POST", f"https://api.example{url}", json={"stream": True}) as response:
                chunks = [chunk async for chunk in response.aiter_raw()]

    if cut == "byte":
        assert {b"\r", b"\n", "ü".encode()[:1], "ü".encode()[1:]} <= set(chunks)
    said = fold(t.of(dialect))
    assert (said.text, said.reasoning, said.usage) == (answer.text, "Hm…", TokenUsage(3, 4))
    assert said.tool_calls[0].arguments == '{"city":"Köln"}'
    assert fold(decode(chunks, dialect)).items == said.items


async def test_a_sync_client_in_a_worker_thread_is_waited_for(fake_provider):
    fake_provider.enqueue(script("a", "b"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, lambda: httpx2.post(CHAT, json={"stream": True}))
        await fake_provider.emitted(2)

    assert fake_provider.calls[0].emitted == 2


@pytest.mark.virtual_time
async def test_anthropic_s_client_and_its_accumulator(fake_provider, transcript):
    fake_provider.enqueue(ANSWER, ANSWER)

    client = anthropic.AsyncAnthropic()
    async with client.messages.stream(model="m", max_tokens=9, messages=[]) as stream:
        said = [text async for text in stream.text_stream]
        message = await stream.get_final_message()
    whole = await client.messages.create(model="m", max_tokens=9, messages=[])

    assert said == ["Hel", "lo"]
    assert [block.text for block in whole.content if block.type == "text"] == ["Hello"]
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.content[2].input == {"city": "Paris"}
    assert (message.usage.input_tokens, message.usage.output_tokens) == (3, 4)
    transcript.expect("anthropic.messages").reasoning("Hm.").text("Hello", at=0.15).tool_call(
        "weather"
    ).completed().rest()


@pytest.mark.virtual_time
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # all that it runs on
async def test_google_s_client(fake_provider, transcript):
    from google import genai  # here: it takes long to import

    fake_provider.enqueue(ANSWER, ANSWER, ANSWER)
    # With a transport, because it goes through aiohttp where that is installed.
    client = genai.Client(http_options={"async_client_args": {"transport": httpx2.AsyncHTTPTransport(verify=False)}})

    stream = await client.aio.models.generate_content_stream(model="gemini-x", contents="Hi")
    chunks = [chunk async for chunk in stream]
    whole = await client.aio.models.generate_content(model="gemini-x", contents="Hi")
    sync = client.models.generate_content(model="gemini-x", contents="Hi")

    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text for part in parts if part.text and not part.thought) == "Hello"
    assert [chunk.text for chunk in chunks if chunk.text] == ["Hel", "lo"]
    assert [call.args for call in whole.function_calls] == [{"city": "Paris"}]
    assert whole.usage_metadata.prompt_token_count == 3
    assert whole.model_version == sync.model_version == "gemini-x"
    assert fake_provider.calls[0].model == "gemini-x"
    transcript.expect("gemini.generate").reasoning("Hm.").text("Hello", at=0.15).tool_call("weather").completed().rest()


@pytest.mark.virtual_time
async def test_gemini_s_stream_as_a_json_array(fake_provider, transcript):
    fake_provider.enqueue(script("Hel", "lo", every=0.5))

    async with httpx2.AsyncClient(verify=False) as client:
        url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-x:streamGenerateContent"
        answer = await client.post(url, json={})

    said = [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in answer.json()]
    assert "".join(said) == "Hello"
    assert answer.headers["content-type"].startswith("application/json")
    transcript.expect("gemini.generate").text("Hello", at=1).completed().nothing_more()


async def test_a_cut_that_is_none_is_refused():
    with pytest.raises(ScriptError, match="not 'words'"):
        with fake_provider_context(rechunk="words"):
            pass


def test_its_refusals_are_json_too(fake_provider):
    fake_provider.enqueue(script(error(503, "busy")))

    answer = httpx.post(CHAT)

    assert answer.status_code == 503
    assert json.loads(answer.text)["error"]["message"] == "busy"
