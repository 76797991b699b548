"""The laws: kept by what the runtime does, and reported, with the events that break them, where they are broken."""

from __future__ import annotations

from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest

from pytest_streamrt import Agent, Environment, FakeModel, Observer, Transcript, script, tool_call, virtual_time
from pytest_streamrt.events import (
    DeltasDropped,
    InferenceAborted,
    InferenceCompleted,
    InferenceStarted,
    ItemCompleted,
    ModelMessage,
    Signal,
    TextDelta,
    stamp,
)
from pytest_streamrt.runtime.inbox import Inbox
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

    assert report.checked == [1, 2, 3, 4, 5, 7, 11]
    assert set(report.unchecked) == {6, 8, 9, 10}


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


async def listened(inbox, agents=1):
    """A transcript of agents that one observer listens to, and what that observer's inbox took down."""

    class Slow(Observer):
        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                await anyio.sleep(1)

    transcript = Transcript()
    talking = [Agent(f"agent {i}", FakeModel(script(*"abcdef"))) for i in range(agents)]
    async with Environment(Slow("slow", inbox), *talking, transcript=transcript) as room:
        for agent in talking:
            agent.infer()
    return transcript, next(stay for stay in room._stays if stay.name == "slow")


def delta(stay, n=1):
    """Where in what it heard its nth delta from the end is."""
    return [i for i, event in enumerate(stay.heard) if event.type == "text.delta"][-n]


def lose(stay, i):
    del stay.heard[i]


def swap(stay, i):
    stay.heard[i - 1], stay.heard[i] = stay.heard[i], stay.heard[i - 1]


def change(stay, i):
    stay.heard[i] = replace(stay.heard[i], text="?")


@pytest.mark.anyio
@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("inbox", "damage", "what"),
    [
        (
            Inbox.unbounded(),
            lambda stay: lose(stay, delta(stay)),
            "'slow' does not hear seq 9 to 9, and that is not on the",
        ),
        (Inbox.unbounded(), lambda stay: lose(stay, -2), "'slow' never hears ItemCompleted"),
        (Inbox.unbounded(), lambda stay: lose(stay, 0), "before it has joined"),
        (Inbox.unbounded(), lambda stay: lose(stay, -1), "last, and not seq 11, the last while it was there"),
        (Inbox.unbounded(), lambda stay: swap(stay, delta(stay)), "after seq 9"),
        (Inbox.unbounded(), lambda stay: change(stay, delta(stay)), "which is not what was emitted"),
        (Inbox.drop_oldest(2), lambda stay: lose(stay, delta(stay, 2)), "'slow' does not hear seq 5 to 8"),
        (
            Inbox.drop_oldest(1),
            lambda stay: stay.heard.clear(),
            "'slow' was to miss seq 5 to 8",
        ),
        (Inbox.coalesce(2), lambda stay: change(stay, delta(stay)), "which is not what was emitted"),
    ],
)
async def test_what_was_delivered_wrongly_is_named(inbox, damage, what):
    transcript, stay = await listened(inbox)
    transcript.assert_lawful()

    damage(stay)

    with pytest.raises(AssertionError, match="law 3 is broken") as caught:
        transcript.assert_lawful()
    assert what in str(caught.value)
    transcript.assert_lawful(skip=[3, 7])


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_a_gap_is_on_the_record_once():
    transcript, _ = await listened(Inbox.drop_oldest(2))
    (gap,) = (pair for pair in transcript.logged if isinstance(pair[1], DeltasDropped))

    transcript.log(gap[1], gap[0])

    with pytest.raises(AssertionError, match="'slow' was to miss seq 5 to 7, and did not"):
        transcript.assert_lawful()


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_an_inbox_that_held_too_much_is_named():
    transcript, stay = await listened(Inbox.block(2))
    stay.overrun = stay.heard[delta(stay)]

    with pytest.raises(
        AssertionError, match=r"the inbox of 'slow', Inbox.block\(2\), was full, and yet a stream went on"
    ):
        transcript.assert_lawful()

    transcript, stay = await listened(Inbox.drop_oldest(2))
    stay.most = 3
    with pytest.raises(AssertionError, match=r"Inbox.drop_oldest\(2\), held 3 deltas"):
        transcript.assert_lawful()


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_a_stream_that_does_not_wait_breaks_law_11(monkeypatch):
    async def at_once(room, inference):
        await anyio.lowlevel.checkpoint()
        return inference.status == "running"

    monkeypatch.setattr(Environment, "_room_for_more", at_once)
    transcript, _ = await listened(Inbox.block(2), agents=2)

    with pytest.raises(AssertionError, match="law 11 is broken"):
        transcript.assert_lawful()


class Careless:
    """A log that takes down results of tools so many times."""

    def __init__(self, transcript, times):
        self.elapsed = transcript.elapsed
        self._log = transcript.log
        self._times = times

    def log(self, event, origin):
        for _ in range(self._times if event.type == "tool.result" else 1):
            self._log(event, origin)


async def called(*, tools=True, times=1):
    """What is logged of an agent whose model calls a tool."""

    def look() -> str:
        return "found"

    with virtual_time():
        transcript = Transcript()
        model = FakeModel(script(tool_call("look", {})), *[script("Done")] * tools)
        bot = Agent("bot", model, tools=[look] if tools else ())
        async with Environment(bot, transcript=Careless(transcript, times)):
            await bot.infer()
    return transcript


@pytest.mark.anyio
async def test_law_8_is_checked_where_there_are_tools():
    assert 8 in (await called()).assert_lawful().checked
    assert "no agent that inferred has tools" in (await called(tools=False)).assert_lawful().unchecked[8]


@pytest.mark.anyio
@pytest.mark.parametrize("times", [0, 2])
async def test_a_call_without_exactly_one_result_breaks_law_8(times):
    transcript = await called(times=times)

    with pytest.raises(AssertionError, match=f"bot/1: the call .* of round 1 has {times} results, and was made 1 time"):
        transcript.assert_lawful(skip=(1, 2, 3))
