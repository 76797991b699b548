"""The laws: kept by what the runtime does, and reported, with the events that break them, where they are broken."""

from __future__ import annotations

import pytest

from pytest_streamrt import Transcript, script
from pytest_streamrt.events import (
    InferenceAborted,
    InferenceCompleted,
    InferenceStarted,
    ItemCompleted,
    ModelMessage,
    Signal,
    TextDelta,
    stamp,
)
from tests.transcript.scenes import say


def told(*events, seqs=None, causes=None):
    """A transcript of one inference with these events, numbered as they should be unless told otherwise."""
    transcript = Transcript()
    for i, event in enumerate(events):
        transcript.log(
            stamp(
                event,
                seq=seqs[i] if seqs else i + 1,
                time=0.0,
                source="bot",
                inference="bot/1",
                inference_seq=i + 1,
                cause=causes[i] if causes else None,
            ),
            "room",
        )
    return transcript


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_what_the_runtime_does_is_lawful_and_the_report_says_what_was_checked():
    transcript = await say(script("a", "b"), script("c", "d", every=1), deadline=1.5)

    report = transcript.assert_lawful()

    assert report.checked == [1, 2, 3, 4, 5, 11]
    assert set(report.unchecked) == {6, 7, 8, 9, 10}


def test_without_a_room_there_are_no_deliveries_to_check():
    report = told(InferenceStarted(), InferenceCompleted()).assert_lawful()

    assert report.checked == [1, 2, 4, 5]
    assert "no environment wrote to the transcript" in report.unchecked[3]


@pytest.mark.parametrize(
    ("law", "transcript", "what"),
    [
        (1, told(InferenceStarted(), InferenceCompleted(), seqs=[1, 3]), "seq 2 was to come"),
        (1, told(InferenceStarted(), InferenceCompleted(), seqs=[1, 1]), "seq 2 was to come"),
        (2, told(InferenceStarted()), "bot/1 has no terminal event"),
        (2, told(TextDelta("a"), InferenceCompleted()), "text.delta comes while bot/1 is idle"),
        (2, told(InferenceStarted(), InferenceStarted(), InferenceCompleted()), "comes while bot/1 is running"),
        (2, told(InferenceStarted(), InferenceCompleted(), InferenceCompleted()), "comes while bot/1 is ended"),
        (2, told(InferenceStarted(), InferenceCompleted(), TextDelta("late")), "text.delta comes while bot/1 is ended"),
        (4, told(InferenceStarted(), Signal("x"), InferenceCompleted(), causes=[None, 2, None]), "caused by seq 2"),
        (
            5,
            told(InferenceStarted(), TextDelta("a"), ItemCompleted(ModelMessage("b")), InferenceCompleted()),
            "the deltas of the text say 'a', the finished item 'b'",
        ),
        (
            5,
            told(InferenceStarted(), TextDelta("a"), InferenceAborted("", "me", partial="ab")),
            "the deltas say 'a', the partial of the abort 'ab'",
        ),
    ],
)
def test_a_broken_law_is_named_with_what_breaks_it(law, transcript, what):
    with pytest.raises(AssertionError, match=f"law {law} is broken") as caught:
        transcript.assert_lawful()

    assert what in str(caught.value)
    transcript.assert_lawful(skip=[law])


def test_an_unknown_law_cannot_be_skipped():
    with pytest.raises(ValueError, match="there are laws 1 to 11"):
        told(InferenceStarted(), InferenceCompleted()).assert_lawful(skip=[12])


def test_an_empty_transcript_is_no_evidence():
    assert Transcript().assert_lawful().checked == []
