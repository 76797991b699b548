"""The real SDKs of Anthropic and Google, reading a stream we have written: over a mock transport, without a network."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property

import anthropic
import httpx2
from google import genai

from tests.providers.sdk import MESSAGES, http_client


@contextmanager
def anthropic_client(chunks, content_type="text/event-stream"):
    """An Anthropic client to whom the provider answers each request with these chunks."""
    with (
        http_client(chunks, content_type) as http,
        anthropic.Anthropic(api_key="none", base_url="http://provider.test", http_client=http, max_retries=0) as client,
    ):
        yield client


ASKED = {"model": "m", "max_tokens": 100, "messages": MESSAGES}


def message_events(chunks):
    """What ``create(stream=True)`` of the Messages API gives."""
    with anthropic_client(chunks) as client:
        return list(client.messages.create(**ASKED, stream=True))


def final_message(chunks):
    """What the accumulator of the Messages API makes of a stream."""
    with anthropic_client(chunks) as client, client.messages.stream(**ASKED) as stream:
        return stream.get_final_message()


def whole_message(body):
    """What ``create()`` of the Messages API gives."""
    with anthropic_client([body], "application/json") as client:
        return client.messages.create(**ASKED)


class _Google:
    """A client of Google's, made once: it takes a quarter of a second."""

    chunks = ()
    content_type = "text/event-stream"

    @cached_property
    def client(self):
        http = httpx2.Client(transport=httpx2.MockTransport(self.answer))
        return genai.Client(api_key="none", http_options={"base_url": "http://provider.test", "httpx_client": http})

    def answer(self, request):
        return httpx2.Response(200, headers={"content-type": self.content_type}, content=iter(self.chunks))


_google = _Google()


@contextmanager
def gemini_client(chunks, content_type="text/event-stream"):
    """A client of Google's to whom the provider answers each request with these chunks."""
    _google.chunks, _google.content_type = list(chunks), content_type
    yield _google.client


def gemini_chunks(chunks):
    """What ``generate_content_stream()`` gives."""
    with gemini_client(chunks) as client:
        return list(client.models.generate_content_stream(model="m", contents="Hello"))


def gemini_answer(body):
    """What ``generate_content()`` gives."""
    with gemini_client([body], "application/json") as client:
        return client.models.generate_content(model="m", contents="Hello")
