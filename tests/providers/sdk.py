"""The real OpenAI SDK, reading a stream we have written: over a mock transport, without a network."""

from __future__ import annotations

from contextlib import contextmanager

import openai

if openai.__version__.startswith("2."):
    import httpx as httpx2  # which it runs on
else:
    import httpx2

MESSAGES = [{"role": "user", "content": "Hello"}]


@contextmanager
def http_client(chunks, content_type="text/event-stream"):
    """An HTTP client to whom a server answers each request with these chunks."""

    def answer(request):
        return httpx2.Response(200, headers={"content-type": content_type}, content=iter(chunks))

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        yield http


@contextmanager
def client_of(chunks, content_type="text/event-stream"):
    """An OpenAI client to whom a provider answers each request with these chunks."""
    with (
        http_client(chunks, content_type) as http,
        openai.OpenAI(api_key="none", base_url="http://provider.test/v1", http_client=http, max_retries=0) as client,
    ):
        yield client


def chat_chunks(chunks):
    """What ``create(stream=True)`` of Chat Completions gives."""
    with client_of(chunks) as client:
        return list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))


def chat_completion(chunks):
    """What the accumulator of Chat Completions makes of a stream."""
    with client_of(chunks) as client, client.chat.completions.stream(model="m", messages=MESSAGES) as stream:
        return stream.get_final_completion()


def response_events(chunks):
    """What ``create(stream=True)`` of Responses gives."""
    with client_of(chunks) as client:
        return list(client.responses.create(model="m", input="Hello", stream=True))


def final_response(chunks):
    """What the accumulator of Responses makes of a stream."""
    with client_of(chunks) as client, client.responses.stream(model="m", input="Hello") as stream:
        return stream.get_final_response()
