"""How two transcripts differ: `assert transcript == other` explains itself event by event."""

from __future__ import annotations

import pytest

from pytest_streamrt import Transcript, script
from pytest_streamrt.report.difference import explain_difference
from tests.transcript.scenes import say

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def test_the_same_happened_twice():
    one, other = await say(script("a", "b", every=0.1)), await say(script("a", "b", every=0.1))

    assert one == other
    assert one != await say(script("a", "b", every=0.2))
    assert Transcript() == Transcript()
    assert one != "a transcript"


def recorded(*pieces):
    transcript = Transcript()
    list(transcript.record(iter(pieces), source="agent"))
    return transcript


@pytest.mark.real_time
def test_on_real_time_times_do_not_matter():
    assert recorded("a", "b") == recorded("a", "b")
    assert recorded("a", "b") != recorded("ab")


async def test_events_that_differ_are_shown_between_those_that_do_not():
    lines = explain_difference(recorded("a", "X", "c", "d", "e"), recorded("a", "b", "c", "d", "e"))

    assert lines == [
        "the transcripts differ",
        "2 of 8 events did not come as expected (-), 2 came instead (+):",
        "  … 1 event alike",
        '   0.000000000  agent  text.delta  text="a"',
        '-  0.000000000  agent  text.delta  text="b"',
        '+  0.000000000  agent  text.delta  text="X"',
        '   0.000000000  agent  text.delta  text="c"',
        "  … 1 event alike",
        '   0.000000000  agent  text.delta  text="e"',
        '-  0.000000000  agent  item.completed  item={"text": "abcde", "type": "model_message"}',
        '+  0.000000000  agent  item.completed  item={"text": "aXcde", "type": "model_message"}',
        "   0.000000000  agent  inference.completed",
    ]


async def test_that_only_times_differ_is_said(virtual_clock):
    one, other = recorded("a"), Transcript()
    pieces = other.record(iter("a"), source="agent")
    virtual_clock.advance(0.5)
    list(pieces)

    assert explain_difference(other, one)[:4] == [
        "the transcripts differ",
        "The events are the same, and 3 of 4 came at another time:",
        "   0.000000000  agent  inference.started",
        '-  0.000000000  agent  text.delta  text="a"',
    ]


async def test_what_is_missing_at_the_end_is_shown():
    lines = explain_difference(recorded(), recorded("a"))

    assert [line for line in lines if line[0] in "+-"] == [
        '-  0.000000000  agent  text.delta  text="a"',
        '-  0.000000000  agent  item.completed  item={"text": "a", "type": "model_message"}',
    ]


async def test_no_secret_is_in_it(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "sk-canary-7f3a91bc-0123456789")

    lines = explain_difference(recorded("sk-canary-7f3a91bc-0123456789"), recorded("a"))

    assert "canary" not in "\n".join(lines)
