"""Which dialect a request speaks, and the dialects by their names."""

from __future__ import annotations

import pytest

from pytest_streamrt import script
from pytest_streamrt.providers import DIALECTS, detect, dialect, encode

KNOWN = [
    ("https://api.openai.com/v1/chat/completions", "openai.chat"),
    ("https://api.openai.com/v1/responses", "openai.responses"),
    ("https://api.openai.com/v1/responses/", "openai.responses"),
    ("https://x.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=2025-01-01", "openai.chat"),
    ("https://x.openai.azure.com/openai/v1/responses?api-version=preview", "openai.responses"),
    ("https://openrouter.ai/api/v1/chat/completions", "openai.chat"),
    ("https://api.mistral.ai/v1/chat/completions#stream", "openai.chat"),
    ("http://127.0.0.1:8080/chat/completions", "openai.chat"),
    ("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", "openai.chat"),
    ("/v1/chat/completions", "openai.chat"),
    ("https://api.anthropic.com/v1/messages?beta=true", "anthropic.messages"),
    ("https://x.services.ai.azure.com/anthropic/v1/messages", "anthropic.messages"),
    ("https://generativelanguage.googleapis.com/v1beta/models/gemini:streamGenerateContent?alt=sse", "gemini.generate"),
    ("https://aiplatform.googleapis.com/v1/publishers/google/models/gemini:generateContent", "gemini.generate"),
]
UNKNOWN = [
    "https://api.openai.com/v1/embeddings",
    "https://api.openai.com/v1/completions",
    "https://api.openai.com/v1/chat/completions/chat-1",
    "https://api.openai.com/v1/responses/resp-1/cancel",
    "https://example.com/?next=/chat/completions",
    "https://example.com/#/responses",
    "https://responses",
    "https://generativelanguage.googleapis.com/v1beta/models/gemini:countTokens",
    "https://example.com/",
    "",
    "http://[not-an-address/chat/completions",
]


@pytest.mark.parametrize(("url", "name"), KNOWN)
@pytest.mark.parametrize("method", ["POST", "post"])
def test_a_dialect_is_known_by_the_end_of_the_path(method, url, name):
    assert detect(method, url, {"model": "m"}) == name
    assert detect(method, url) == name


@pytest.mark.parametrize("url", UNKNOWN)
def test_other_paths_speak_no_dialect(url):
    assert detect("POST", url) is None


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(("url", "name"), KNOWN)
def test_only_a_post_is_answered_in_a_dialect(method, url, name):
    assert detect(method, url) is None


@pytest.mark.parametrize("name", DIALECTS)
def test_each_dialect_is_found_by_its_name(name):
    assert dialect(name).name == name
    assert all(detect("POST", f"https://example.com/v1{path}") == name for path in dialect(name).paths)


@pytest.mark.parametrize("ask", [dialect, lambda name: encode(script("a"), name)], ids=["dialect", "encode"])
def test_an_unknown_name_is_answered_with_those_there_are(ask):
    with pytest.raises(
        ValueError,
        match=r"no dialect 'openai'; there are: openai\.responses, openai\.chat, anthropic\.messages, gemini\.generate",
    ):
        ask("openai")
