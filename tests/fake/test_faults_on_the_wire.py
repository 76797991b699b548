"""Faults of the fake provider that change what is sent, rather than how it ends: bytes, times, and what comes in one piece."""

from __future__ import annotations

import json
import re

import httpx
import httpx2
import openai
import pytest

from pytest_streamrt import (
    FakeModel,
    ScriptError,
    Transcript,
    VirtualTimeStuck,
    corrupt,
    disconnect,
    duplicate,
    error,
    fake_provider_context,
    http,
    misbehave,
    pause,
    script,
    stall,
    truncate,
    virtual_time,
)
from pytest_streamrt.providers import encode

RESPONSES = "https://api.example/v1/responses"
CHAT = "https://api.example/v1/chat/completions"


def sent(*parts, url=CHAT, rechunk="event", **times):
    """The chunks of one answer, each with the time at which it came."""
    with virtual_time() as clock, fake_provider_context(script(*parts, **times), rechunk=rechunk):
        with httpx2.Client(verify=False) as client, client.stream("POST", url, json={"stream": True}) as response:
            return [(clock.now, chunk) for chunk in response.iter_raw()]


def body(*parts, **options):
    return b"".join(chunk for _, chunk in sent(*parts, **options))


@pytest.mark.parametrize("rechunk", ["event", "whole", "byte", 3])
def test_a_packed_body_can_be_read_as_it_comes(rechunk):
    with (
        virtual_time() as clock,
        fake_provider_context(
            script("a", "b", http(gzip=True), every=1), rechunk=rechunk, transcript=(transcript := Transcript())
        ) as provider,
    ):
        heard = [
            (clock.now, chunk.choices[0].delta.content)
            for chunk in openai.OpenAI().chat.completions.create(model="m", messages=[], stream=True)
        ]
    assert [text for _, text in heard] == ["", "a", "b", None]
    if rechunk == "event":
        assert [when for when, _ in heard] == [0, 1, 2, 2]
    assert provider.calls[0].emitted == 2
    assert transcript.text("openai.chat") == "ab"


def test_a_fault_after_a_pause_comes_so_much_later():
    with virtual_time() as clock, fake_provider_context(script("a", pause(2), disconnect(), every=1)):
        with pytest.raises(httpx2.RemoteProtocolError):
            httpx2.post(CHAT, json={"stream": True})
        assert clock.now == 3


def test_a_slow_first_token():
    assert [when for when, _ in sent("a", "b", ttft=4, every=1)][:3] == [0, 4, 5]


def test_a_fault_at_a_byte_comes_with_that_byte():
    whole = b"".join(encode(script("a", "b"), "openai.chat"))

    chunks = sent("a", "b", truncate(byte=600), every=1)

    assert b"".join(chunk for _, chunk in chunks)[:200] == whole[:200]
    assert sum(len(chunk) for _, chunk in chunks) == 600
    assert len(sent("a", truncate(byte=0))) == 0
    assert body("a", truncate(byte=10**6)).endswith(b"[DONE]\n\n")


def test_damage_is_in_one_event_alone():
    frames = body("a", corrupt(), "b").split(b"\n\n")
    whole = body("a", "b").split(b"\n\n")
    assert [one == other for one, other in zip(frames, whole, strict=True)] == [True, True, False, True, True, True]
    with pytest.raises(UnicodeDecodeError):
        body("a", corrupt("utf8"), "b").decode()
    with pytest.raises(ValueError, match="Unterminated|delimiter|Expecting"):
        json.loads(body("a", corrupt(), "b").split(b"\n\n")[2].removeprefix(b"data: "))


def test_the_last_word_may_be_damaged_too():
    assert b'"finish_reason":"stop"' not in body("a", corrupt())


def test_an_event_comes_twice():
    frames = body("a", duplicate(), "b").split(b"\n\n")
    assert frames[1] == frames[2]
    assert frames[3] != frames[2]


def numbers(*parts):
    return [int(n) for n in re.findall(rb'"sequence_number":(\d+)', body(*parts, url=RESPONSES))]


def test_sequence_numbers_come_twice_or_never():
    right = numbers("a", "b")
    assert right == list(range(len(right)))
    twice, never = numbers("a", "b", misbehave("duplicate sequence")), numbers("a", "b", misbehave("missing sequence"))
    assert len(set(twice)) == len(right) - 1
    assert [n for n in range(max(never)) if n not in never] == [len(right) // 2]


def test_a_law_that_nothing_could_break_is_refused():
    with fake_provider_context(script("a", misbehave("duplicate sequence")), verify=False) as provider:
        with pytest.raises(BaseException, match="openai.responses does"):
            httpx2.post(CHAT, json={"stream": True})
    assert len(provider.misses) == 1


@pytest.mark.parametrize("url", [RESPONSES, CHAT, "https://api.example/v1/messages"])
def test_deltas_change_places(url):
    said = body("first", "second", "third", misbehave("reordered"), url=url)
    assert said.index(b"first") < said.index(b"third") < said.index(b"second")


def test_last_words():
    assert body("a", misbehave("two terminals"), url=RESPONSES).count(b"event: response.completed") == 2
    assert body("a", misbehave("two terminals")).count(b"[DONE]") == 2
    assert b"[DONE]" not in body("a", misbehave("no terminal"))


def test_chunks_end_inside_characters():
    chunks = [chunk for _, chunk in sent("Grüße", "東京", misbehave("split utf8"))]

    with pytest.raises(UnicodeDecodeError):
        [chunk.decode() for chunk in chunks]
    assert b"".join(chunks) == b"".join(encode(script("Grüße", "東京"), "openai.chat")).replace(
        b"scripted", b"scripted"
    )


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (("a", disconnect()), "Server disconnected"),
        (("a", error("overloaded", "busy")), "500.*busy"),
        (("a", truncate()), "Unterminated|Expecting|delimiter"),
        (("a", corrupt()), "Expecting|delimiter|Unterminated|Extra"),
        (("a", stall()), "timed out"),
        ((http(status=502, body="<html>"),), "502"),
    ],
)
def test_without_a_stream(parts, told):
    with virtual_time(), fake_provider_context(script(*parts)):
        with httpx2.Client(verify=False, timeout=1) as client, pytest.raises(Exception, match=told):
            answer = client.post(CHAT, json={})
            assert answer.is_success, f"{answer.status_code} {answer.text}"
            json.loads(answer.content)


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_sync_client_without_a_timeout_is_told_instead_of_waiting_for_ever(library):
    with pytest.raises(VirtualTimeStuck, match="has no timeout, at virtual t=1 s"):
        with virtual_time(), fake_provider_context(script("a", stall(), every=1)):
            library.post(CHAT, json={"stream": True}, timeout=None)
    with fake_provider_context(script(stall())), pytest.raises(library.ReadTimeout, match="has no timeout"):
        library.post(CHAT, timeout=None)


@pytest.mark.parametrize("law", ["emits after cancel", "ignores cancel"])
def test_nothing_comes_out_of_a_closed_connection(law):
    with pytest.raises(ScriptError, match="Play it with FakeModel"):
        with fake_provider_context(script("a", misbehave(law))):
            pass


def test_a_function_that_answers_is_a_plain_one():
    async def answer(request):
        return script("a")

    with fake_provider_context() as provider, pytest.raises(ScriptError, match="takes a plain function"):
        provider.respond(answer)
    with pytest.raises(ScriptError, match="takes a plain function"):
        FakeModel().respond(answer)


def test_a_status_in_mid_answer_is_refused():
    with pytest.raises(ScriptError, match=r"error\(503\) is an HTTP status, and the answer has begun by then"):
        with fake_provider_context(script("a", error(503))):
            pass
