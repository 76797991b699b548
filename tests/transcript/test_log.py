"""The log itself: one order, times from its beginning, sources, exchanges decoded when read."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import Transcript, TranscriptError, fold, script, tool_call, usage, virtual_time
from pytest_streamrt.providers import encode
from pytest_streamrt.wire import rechunk
from tests.transcript.scenes import RESPONSES, STREAM, exchange, say

ANSWER = script("Hel", "lo", tool_call("weather", {"city": "Paris"}), usage(7, 9))


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

    with pytest.raises(
        TranscriptError, match=r"nothing came from 'planner'\. Sources in this transcript: openai\.chat"
    ):
        transcript.text("planner")
