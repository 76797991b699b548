"""Any script, played by the fake provider however it is cut, is heard as the dialect writes it: streamed, and in one piece."""

from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import ScriptError, Transcript, fake_provider_context, fold
from pytest_streamrt.providers import DIALECTS, Quirks, decode, encode, encode_whole
from tests.strategies import examples, said

URLS = {
    "openai.responses": "https://api.example/v1/responses",
    "openai.chat": "https://api.example/v1/chat/completions",
    "anthropic.messages": "https://api.example/v1/messages",
    "gemini.generate": "https://api.example/v1beta/models/scripted:streamGenerateContent?alt=sse",
}
cuts = st.one_of(st.sampled_from(["event", "whole", "byte"]), st.integers(0, 1000))


@pytest.fixture(scope="module")
def client():
    with httpx2.Client(verify=False) as client:
        yield client


def answer_to(client, dialect, script, cut, *, streams):
    """The body, and what the transcript heard of it."""
    url = URLS[dialect] if streams else URLS[dialect].replace("streamGenerateContent?alt=sse", "generateContent")
    with fake_provider_context(script, rechunk=cut, transcript=(transcript := Transcript())) as provider:
        body = client.post(url, json={"stream": streams}).content
    assert provider.calls[0].emitted == len(script)
    return body, fold(transcript.of(dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
@given(said=said(kinds=("text", "reasoning", "refusal", "call", "usage")), cut=cuts)
@examples(25)
def test_streamed(client, dialect, said, cut):
    body, heard = answer_to(client, dialect, said.script, cut, streams=True)

    assert body == b"".join(encode(said.script, dialect, Quirks(model="scripted")))
    assert heard.items == fold(decode(body, dialect)).items


@pytest.mark.parametrize("dialect", DIALECTS)
@given(said=said(kinds=("text", "reasoning", "refusal", "call", "usage")))
@examples(15)
def test_in_one_piece(client, dialect, said):
    try:
        expected = encode_whole(said.script, dialect)
    except ScriptError:
        return  # it can be said in a stream alone

    body, heard = answer_to(client, dialect, said.script, "event", streams=False)

    assert body == expected
    assert (heard.text, heard.refusal) == (said.text, said.refusal)
