"""`Transcript.record(…, decode=…)`: by a dialect, in whatever form its stream comes, or by a function of the user's."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given

from pytest_streamrt import Signal, Transcript, TranscriptError, reasoning, script, tool_call, usage
from pytest_streamrt.events import TextDelta
from pytest_streamrt.providers import encode
from tests.strategies import chunked, examples, said, sizes
from tests.transcript.pieces import Pieces, drained

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

SAID = script(reasoning("Hm."), "Hel", "lo", tool_call("t", {"a": 1}), usage(3, 4))
DIALECTS = pytest.mark.parametrize("dialect", ["openai.chat", "openai.responses"])


def expect_said(transcript, source="agent"):
    chain = transcript.expect(source).reasoning("Hm.").text("Hello").tool_call("t", arguments={"a": 1})
    chain.completed().nothing_more()
    transcript.assert_lawful()


def lines(data):
    return data.decode().split("\n")[:-1]


def sse(data):
    @dataclass
    class ServerSentEvent:
        event: str
        data: str

    for frame in data.decode().strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.split("\n"))
        yield ServerSentEvent(fields.get("event", "message"), fields["data"])


@DIALECTS
@pytest.mark.parametrize(
    "cut",
    [
        lambda data: [data],
        lambda data: [data[i : i + 7] for i in range(0, len(data), 7)],
        lambda data: [data.decode()],
        lines,
        sse,
        lambda data: [json.loads(event.data) for event in sse(data) if event.data != "[DONE]"],
    ],
    ids=["whole", "bytes", "text", "lines", "sse events", "parsed"],
)
async def test_a_dialect_reads_any_form_of_its_stream(dialect, cut):
    transcript = Transcript()
    pieces = list(cut(b"".join(encode(SAID, dialect))))

    assert await drained(transcript.record(Pieces(*pieces, every=0), source="agent", decode=dialect)) == pieces

    expect_said(transcript)


@given(said=said(), sizes=sizes)
@examples(60)
def test_how_a_stream_is_cut_changes_nothing_of_what_is_recorded(said, sizes):
    whole, cut = Transcript(), Transcript()
    chunks = encode(said.script, "openai.chat")

    list(whole.record(iter(chunks), source="agent", decode="openai.chat"))
    list(cut.record(iter(chunked(b"".join(chunks), sizes)), source="agent", decode="openai.chat"))

    assert [strip(event) for event in cut.events] == [strip(event) for event in whole.events]


def strip(event):
    return {**vars(event), "time": 0}


async def test_a_stream_that_ends_too_early_has_failed():
    transcript = Transcript()
    chunks = encode(SAID, "openai.responses")[:-1]

    await drained(transcript.record(Pieces(*chunks), source="agent", decode="openai.responses"))

    transcript.expect("agent").skip_until("inference.failed").failed(kind="transport").nothing_more()


async def test_a_function_may_give_an_event_several_text_or_nothing():
    def decode(line):
        if not line:
            return None
        data = json.loads(line)
        return [TextDelta(data["text"]), Signal("sent")] if "text" in data else data["plain"]

    transcript = Transcript()
    pieces = ['{"text": "Hel"}', "", '{"plain": "lo"}']
    await drained(transcript.record(Pieces(*pieces), source="agent", decode=decode))

    transcript.expect("agent").text("Hel").signal("sent").text("lo").completed().nothing_more()


async def test_what_a_function_raises_is_told_and_does_not_reach_the_reader():
    def decode(line):
        yield TextDelta(json.loads(line)["text"])

    transcript = Transcript()
    pieces = ['{"text": "Hi"}', '{"error": 1}', '{"text": "more"}']

    assert await drained(transcript.record(Pieces(*pieces), source="agent", decode=decode)) == pieces

    transcript.expect("agent").text("Hi").failed(kind="provider").nothing_more()
    assert transcript.of("agent")[-1].message == ("decode=decode raised KeyError: 'text', on piece 2: '{\"error\": 1}'")


@pytest.mark.parametrize(
    ("decode", "error", "message"),
    [
        ("openai.telepathy", TranscriptError, "no dialect 'openai.telepathy'; there are: openai.responses"),
        (42, TypeError, "give the name of a dialect or a function"),
        (drained, TypeError, "not an async one"),
    ],
)
async def test_a_decode_that_makes_no_sense_is_refused(decode, error, message):
    with pytest.raises(error, match=message):
        Transcript().record(Pieces(), source="agent", decode=decode)
