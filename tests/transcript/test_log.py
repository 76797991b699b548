"""The log itself: one order, times from its beginning, sources, exchanges decoded when read."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import Transcript, TranscriptError, fold, script, tool_call, usage, virtual_time
from pytest_streamrt.providers import encode
from pytest_streamrt.wire import rechunk
from tests.transcript.scenes import say

CHAT = ("POST", "https://api.example/v1/chat/completions")
RESPONSES = ("POST", "https://api.example/v1/responses")
STREAM = [("content-type", "text/event-stream")]
ANSWER = script("Hel", "lo", tool_call("weather", {"city": "Paris"}), usage(7, 9))


def exchange(transcript, request=CHAT, *, chunks, how="complete", status=200, headers=STREAM, unread=(), **options):
    logged = transcript.begin_exchange(*request, b'{"model": "m"}', **options)
    logged.opened(status, headers)
    for chunk in chunks:
        logged.chunk(chunk)
    logged.closed(how, unread=unread)
    return logged


@given(how=st.one_of(st.sampled_from(["whole", "event", "byte"]), st.integers()))
def test_an_exchange_is_decoded_the_same_however_it_was_cut(how):
    transcript = Transcript()
    exchange(transcript, chunks=rechunk(encode(ANSWER, "openai.chat"), how))

    chain = transcript.expect("openai.chat").text("Hello").tool_call("weather", arguments={"city": "Paris"})
    chain.completed().nothing_more()
    assert fold(transcript.of("openai.chat")).usage.output_tokens == 9
    transcript.assert_lawful()


def test_exchanges_are_numbered_from_the_second_on_by_dialect():
    transcript = Transcript()
    exchange(transcript, chunks=encode(script("a"), "openai.chat"))
    exchange(transcript, RESPONSES, chunks=encode(script("b"), "openai.responses"))
    exchange(transcript, chunks=encode(script("c"), "openai.chat"))
    exchange(transcript, ("GET", "https://api.example/v1/models"), chunks=[b"{}"], headers=[])

    assert transcript.sources == ("openai.chat", "openai.responses", "openai.chat#2", "http")
    assert transcript.text("openai.chat#2") == "c"


def test_an_exchange_says_who_was_asked_and_how_it_went():
    transcript = Transcript()
    logged = exchange(transcript, chunks=encode(script("a"), "openai.chat"))

    events = {event.type: event for event in transcript.of("openai.chat")}
    assert events["inference.started"].model == "m"
    assert (events["exchange.opened"].method, events["exchange.opened"].status) == ("POST", 200)
    assert events["exchange.closed"].how == logged.how == "complete"
    transcript.expect("openai.chat").text("a").completed().upstream_closed().nothing_more()


def test_closed_by_the_client_before_the_end_is_an_abort():
    transcript = Transcript()
    chunks = encode(script("a", "b", "c"), "openai.chat")
    logged = exchange(transcript, chunks=chunks[:3], how="client", unread=chunks[3:])

    transcript.expect("openai.chat").text("ab").aborted(by="client").upstream_closed().nothing_more()
    aborted = next(event for event in transcript.events if event.type == "inference.aborted")
    assert aborted.partial == "ab"
    assert (logged.unread_chunks, logged.unread_deltas) == (len(chunks) - 3, 1)


def test_closed_by_the_client_after_the_providers_last_event_is_complete():
    transcript = Transcript()
    logged = exchange(transcript, chunks=encode(script("a"), "openai.chat"), how="client")

    assert logged.how == "complete"
    transcript.expect("openai.chat").text("a").completed().nothing_more()


@pytest.mark.parametrize("how", ["disconnected", "timeout", "failed"])
def test_a_broken_connection_is_a_failure_of_the_transport(how):
    transcript = Transcript()
    exchange(transcript, chunks=encode(script("a", "b"), "openai.chat")[:2], how=how)

    transcript.expect("openai.chat").text("a").failed(kind="transport").nothing_more()


def test_a_body_that_ends_too_early_is_a_failure_of_the_transport():
    transcript = Transcript()
    exchange(transcript, chunks=encode(script("a", "b"), "openai.chat")[:2])

    transcript.expect("openai.chat").text("a").failed(kind="transport").nothing_more()


def test_an_http_error_is_a_failure_of_the_provider():
    transcript = Transcript()
    body = b'{"error": {"message": "slow down", "code": "rate_limit"}}'
    exchange(transcript, chunks=[body], status=429, headers=[("content-type", "application/json")])

    transcript.expect("openai.chat").failed(kind="provider").nothing_more()
    failed = next(event for event in transcript.events if event.type == "inference.failed")
    assert failed.message == "HTTP 429: slow down"


@pytest.mark.parametrize(
    ("damage", "at"), [(b"data: {oops\n\n", 0), (b"data: \xff\n\n", len("data: ")), (b"data: []\n\n", 0)]
)
def test_a_stream_that_is_nonsense_is_a_failure_of_the_provider_that_names_the_place(damage, at):
    transcript = Transcript()
    chunks = encode(script("a", "b"), "openai.chat")
    exchange(transcript, chunks=[*chunks[:2], damage, *chunks[2:]])

    transcript.expect("openai.chat").text("a").failed(kind="provider").nothing_more()
    failed = next(event for event in transcript.events if event.type == "inference.failed")
    assert f"at byte {sum(map(len, chunks[:2])) + at}" in failed.message


def test_an_answer_that_was_not_streamed_is_decoded_too():
    transcript = Transcript()
    body = (
        b'{"id": "x", "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, '
        b'"finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}'
    )
    exchange(transcript, chunks=[body[:40], body[40:]], headers=[("content-type", "application/json")])

    transcript.expect("openai.chat").text("Hi").completed().nothing_more()
    assert fold(transcript.of("openai.chat")).usage.output_tokens == 2


def test_a_gzipped_stream_is_decoded_too():
    import gzip

    transcript = Transcript()
    packed = gzip.compress(b"".join(encode(script("a", "b"), "openai.chat")))
    exchange(transcript, chunks=rechunk(packed, 7), headers=[*STREAM, ("content-encoding", "gzip")])

    transcript.expect("openai.chat").text("ab").completed().nothing_more()


def test_the_exchanges_of_an_inference_are_linked_to_it_and_not_counted_twice():
    transcript = Transcript()
    exchange(transcript, chunks=encode(script("a"), "openai.chat"), inference="planner/1")

    assert transcript.sources == ("planner",)
    assert [event.type for event in transcript.events] == ["exchange.opened", "exchange.closed"]
    assert transcript.exchanges[0].inference == "planner/1"


def test_reading_in_between_changes_nothing():
    chunks = encode(ANSWER, "openai.responses")
    once, often = Transcript(), Transcript()
    exchange(once, RESPONSES, chunks=chunks)
    logged = often.begin_exchange(*RESPONSES, b'{"model": "m"}')
    logged.opened(200, STREAM)
    for chunk in chunks:
        logged.chunk(chunk)
        assert often.events
    logged.closed("complete")

    def told(transcript):
        return [(event.type, event.seq, event.inference_seq) for event in transcript.events]

    assert told(often) == told(once)


@pytest.mark.anyio
async def test_times_count_from_the_making_of_the_transcript_on_virtual_time():
    with virtual_time():
        await anyio.sleep(5)
        transcript = await say(script("a", every=1))

        assert transcript.elapsed() == 1
    assert [event.time for event in transcript.events if event.type == "text.delta"] == [1.0]


@pytest.mark.anyio
async def test_a_transcript_made_before_begins_with_virtual_time():
    transcript = Transcript()
    with virtual_time():
        await anyio.sleep(2)
        await say(script("a", every=1), transcript=transcript)
    transcript.mark("afterwards")

    assert transcript.virtual
    assert [event.time for event in transcript.events if event.type in ("text.delta", "mark")] == [3.0, 3.0]


def test_a_source_that_is_not_there_is_named_with_those_that_are():
    transcript = Transcript()
    exchange(transcript, chunks=encode(script("a"), "openai.chat"))

    with pytest.raises(TranscriptError, match=r"no source 'planner'; it has: openai\.chat"):
        transcript.text("planner")
