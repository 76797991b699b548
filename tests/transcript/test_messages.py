"""The message of every matcher, kept as a snapshot: messages are judged by reading. Renew them with --snapshot-update."""

from __future__ import annotations

import re

import pytest

from pytest_streamrt import (
    Agent,
    Environment,
    FakeModel,
    Signal,
    Transcript,
    TranscriptError,
    pause,
    reasoning,
    refusal,
    script,
    tool_call,
    usage,
)
from pytest_streamrt.events import Citation, ToolProgress, ToolResult
from pytest_streamrt.providers import encode
from tests.transcript.scenes import exchange, say

pytestmark = pytest.mark.virtual_time(leaked_tasks="ignore")  # an exchange is left open, to be told of

PLAN = script(
    reasoning("They want a plan."),
    "Step 1: take a snapshot of the table. ",
    "Step 2: drop it.",
    tool_call("run", {"sql": "drop table users"}),
    usage(12, 34),
    every=0.1,
)
SAID = "Step 1: take a snapshot of the table. Step 2: drop it."


async def scene():
    """A planner, a reviewer who aborts it in its second answer, and an exchange."""
    transcript = Transcript()
    planner = Agent("planner", FakeModel(PLAN, script("I ", "go ", "on", pause(5), every=0.1), script(refusal("No."))))
    async with Environment(planner, transcript=transcript):
        await planner.infer()
        transcript.mark("second thoughts")
        await planner.infer(deadline=0.35)
        await planner.infer()
        planner.emit(Signal("done", {"ok": True}))
    exchange(transcript, chunks=encode(script("Hel", "lo"), "openai.chat")[:2], how="disconnected")
    pieces = [
        Citation("https://example.org/a", "A"),
        ToolProgress("c1", "run", 5),
        ToolResult("c1", "run", "18"),
        "Bye",
    ]
    list(transcript.record(iter(pieces), source="browser"))
    booking = {"to": "Rome", "seats": ["1A", "1B"], "meal": "none"}
    await say(script(tool_call("book", booking)), name="window", transcript=transcript)
    transcript.begin_exchange("POST", "https://api.example/v1/responses").opened(200, [])
    return transcript


def planned(t):
    return t.expect("planner").reasoning().text(SAID)


def second(t):
    return t.expect("planner", since="second thoughts")


CASES = {
    "text": lambda t: t.expect("planner").reasoning().text(SAID.replace("drop", "keep")),
    "text, a short one": lambda t: second(t).text("I go off"),
    "text, cut short": lambda t: t.expect("planner").reasoning().text(SAID[:-9]),
    "text, contains": lambda t: t.expect("planner").reasoning().text(contains="rollback"),
    "text, matches": lambda t: t.expect("planner").reasoning().text(matches=r"^Step 2"),
    "text, predicate": lambda t: t.expect("planner").reasoning().text(str.isupper),
    "text, something else comes": lambda t: t.expect("planner").text(SAID),
    "reasoning": lambda t: t.expect("planner").reasoning("They want none."),
    "refusal": lambda t: t.expect("planner").inference(3).refusal("Yes."),
    "deltas": lambda t: t.expect("planner").inference(2).deltas(4),
    "tool_call": lambda t: planned(t).tool_call("stop"),
    "tool_call, arguments": lambda t: planned(t).tool_call("run", arguments={"sql": re.compile("select")}),
    "tool_call, some of the arguments": lambda t: t.expect("window").tool_call(
        "book", arguments={"to": "Paris", "seats": ["1A", "1C"], "class": 2}
    ),
    "tool_progress": lambda t: t.expect("browser").citation().tool_progress("run", 50),
    "tool_result": lambda t: t.expect("browser").citation().tool_progress().tool_result("run", output="19"),
    "citation": lambda t: t.expect("browser").citation("https://example.org/b"),
    "item": lambda t: planned(t).tool_call("run").item("function_call", name="stop"),
    "usage": lambda t: planned(t).tool_call("run").usage(output_tokens=1),
    "status": lambda t: planned(t).tool_call("run").status("handoff"),
    "signal": lambda t: t.expect("planner").skip_until("signal").signal("done", {"ok": False}),
    "where": lambda t: planned(t).where(is_a_citation),
    "skip_until": lambda t: t.expect("planner").skip_until("citation"),
    "silence": lambda t: second(t).deltas(1).silence(1),
    "silence, unknown": lambda t: (
        t.expect("browser").citation().tool_progress().tool_result().text().completed().silence(9)
    ),
    "completed, aborted instead": lambda t: second(t).text("I go on").completed(),
    "completed, failed instead": lambda t: t.expect("openai.chat").text("Hel").completed(),
    "completed, still open": lambda t: t.expect("openai.responses").completed(),
    "aborted": lambda t: second(t).text("I go on").aborted(by="reviewer"),
    "aborted, completed instead": lambda t: planned(t).tool_call("run").aborted(),
    "failed": lambda t: t.expect("openai.chat").text("Hel").failed(kind="provider"),
    "upstream_closed, no upstream": lambda t: second(t).text().aborted().upstream_closed(),
    "upstream_closed, still open": lambda t: t.expect("openai.responses").upstream_closed(),
    "upstream_closed, unread": lambda t: t.expect("openai.chat").text().failed().upstream_closed(unread_deltas=3),
    "nothing_more": lambda t: planned(t).nothing_more(),
    "nothing_more, an end left out": lambda t: second(t).text("I go on").nothing_more(),
    "nothing_more, passed over": lambda t: t.expect("planner").inference(1).completed().nothing_more(),
    "inference": lambda t: t.expect("planner").inference(4),
    "inference, counted from 0": lambda t: t.expect("browser").inference(0),
    "inference, of a source without": lambda t: t.expect("planner", since=t.mark("now")).inference(1),
    "at": lambda t: t.expect("planner").reasoning(at=0.2),
    "after": lambda t: second(t).text(after=0.2),
    "within": lambda t: second(t).text().aborted(within=0.01),
    "within, of the first step": lambda t: second(t).text(within=0.01),
    "describe": lambda t: second(t).describe("the user has left").reasoning(),
    "source": lambda t: t.expect("planer"),
    "since": lambda t: t.expect("planner", since="lunch"),
    "order": lambda t: t.order(second(t).text("I go on"), lambda event: event.type == "reasoning.delta"),
    "order, never": lambda t: t.order(t.events[0], is_nothing),
}


def is_a_citation(event):
    return event.type == "citation"


def is_nothing(event):
    return False


@pytest.mark.parametrize("name", CASES)
@pytest.mark.anyio
async def test_the_message(name, snapshot):
    transcript = await scene()

    with pytest.raises((AssertionError, TranscriptError)) as caught:
        CASES[name](transcript)

    message = re.sub(r"in line \d+", "in line N", str(caught.value))
    assert message == snapshot


@pytest.fixture
def anyio_backend():
    return "asyncio"  # that both say the same is shown elsewhere


def test_the_message_of_an_empty_transcript(snapshot):
    with pytest.raises(AssertionError) as caught:
        Transcript().expect("planner")

    assert str(caught.value) == snapshot


def test_a_time_that_is_none_is_refused_without_a_traceback_of_ours():
    transcript = Transcript()
    exchange(transcript, chunks=encode(script("Hello"), "openai.chat"))

    with pytest.raises(TypeError, match="a time is a number of seconds") as caught:
        transcript.expect("openai.chat").text(at="2")

    assert [each.name for each in caught.traceback.filter(caught)] == [
        "test_a_time_that_is_none_is_refused_without_a_traceback_of_ours"
    ]


def test_the_message_of_an_answer_that_was_asked_for_again(snapshot):
    transcript = Transcript()
    exchange(transcript, chunks=[], how="failed")
    exchange(transcript, chunks=encode(script("Hello"), "openai.chat"))

    with pytest.raises(AssertionError) as caught:
        transcript.expect("openai.chat").text("Hello")

    assert str(caught.value) == snapshot


def test_the_message_of_lines_taken_for_text(snapshot):
    transcript = Transcript()
    list(transcript.record(iter(['data: {"content": "Hel"}', "data: [DONE]"]), source="browser"))

    with pytest.raises(AssertionError) as caught:
        transcript.expect("browser").text("Hel")

    assert str(caught.value) == snapshot


def test_the_message_of_a_delta_after_the_abort(snapshot):
    transcript = Transcript()
    pieces = transcript.record(iter("ab"), source="agent")
    next(pieces)
    recording = pieces._streamrt_recording
    recording.closed()
    recording._ended = False  # a runtime whose fence does not hold
    recording.piece("b")

    with pytest.raises(AssertionError) as caught:
        transcript.expect("agent").text().aborted()

    assert str(caught.value) == snapshot
