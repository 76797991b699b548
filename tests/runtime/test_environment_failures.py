"""What fails in a room: participants, inferences, models, scripts that were not played; and what that does to the others."""

from __future__ import annotations

import pytest

from pytest_streamrt import (
    Agent,
    FakeModel,
    InferenceFailed,
    Observer,
    Participant,
    ScriptError,
    Signal,
    disconnect,
    error,
    script,
)
from pytest_streamrt.events import ModelMessage, TextDelta
from tests.runtime.recorder import Recorder

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def test_a_participant_that_raises_leaves_and_the_rest_go_on(environment, transcript):
    class Clumsy(Participant):
        heard = 0

        async def on_external_event(self, source, event):
            self.heard += event.type == "text.delta"
            if event.type == "text.delta":
                raise RuntimeError("oops")

    clumsy, steady = Clumsy("clumsy"), Recorder("steady")
    agent = Agent("agent", FakeModel(script("x", "y", "z")))
    with pytest.raises(ExceptionGroup, match="participants of the environment failed") as caught:
        async with environment(clumsy, steady, agent):
            await agent.infer()

    assert [str(each) for each in caught.value.exceptions] == ["oops"]
    assert "raised by the participant 'clumsy'" in caught.value.exceptions[0].__notes__[0]
    assert clumsy.heard == 1
    assert ("error", "clumsy", "RuntimeError: oops") in steady.heard
    failed = next(event for event in transcript.events if event.type == "participant.failed")
    assert 'raise RuntimeError("oops")' in failed.traceback
    transcript.expect("agent").text("xyz").completed().nothing_more()


async def test_failures_can_be_kept_to_the_record(environment, transcript):
    class Clumsy(Observer):
        async def on_external_event(self, source, event):
            raise RuntimeError("oops")

    async with environment(Clumsy("clumsy"), failures="isolate") as room:
        room.emit(Signal("ping"))

    assert [event.name for event in transcript.events if event.type == "participant.failed"] == ["clumsy"]


async def test_a_failing_assertion_in_the_test_is_not_hidden_by_a_failed_participant(environment):
    class Clumsy(Observer):
        async def on_external_event(self, source, event):
            raise RuntimeError("oops")

    with pytest.raises(AssertionError, match="mine") as caught:
        async with environment(Clumsy("clumsy")) as room:
            room.emit(Signal("ping"))
            await room.settled()
            raise AssertionError("mine")

    assert "oops" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (script("x", disconnect(), every=1), "transport", "x"),
        (script(error(429)), "provider", ""),
        (script("x", error("server_error", "no luck")), "provider", "x"),
    ],
)
async def test_a_failed_inference_raises_for_who_awaits_it(answer, kind, text, environment, transcript):
    agent = Agent("agent", FakeModel(answer))
    async with environment(agent):
        inference = agent.infer()
        with pytest.raises(InferenceFailed, match=rf"agent/1 failed \({kind}\)") as caught:
            await inference
        outcome = await inference.outcome()

    assert caught.value.kind == outcome.kind == kind
    assert (outcome.status, outcome.text) == ("failed", text)
    transcript.expect("agent").skip_until("inference.failed").failed(kind=kind).nothing_more()


async def test_a_model_that_raises_fails_its_inference_and_keeps_the_error(environment, transcript):
    class Broken:
        async def stream(self, context, tools):
            yield TextDelta("x")
            raise ValueError("no such luck")

    agent = Agent("agent", Broken())
    async with environment(agent):
        with pytest.raises(InferenceFailed, match="ValueError: no such luck") as caught:
            await agent.infer()

    assert isinstance(caught.value.__cause__, ValueError)
    transcript.expect("agent").text("x").failed(kind="model").nothing_more()


async def test_a_model_without_ends_or_items_is_finished_for_it(environment, transcript):
    class Bare:
        async def stream(self, context, tools):
            yield TextDelta("x")
            yield TextDelta("y")

    agent = Agent("agent", Bare())
    listener = Recorder("listener")
    async with environment(agent, listener):
        outcome = await agent.infer()

    assert outcome.items == (ModelMessage("xy"),)
    assert ("agent", "said", "xy") in listener.heard
    transcript.expect("agent").text("xy").completed().nothing_more()


async def test_a_script_that_was_never_played_fails_when_the_room_closes(environment):
    with pytest.raises(ScriptError, match="1 of its scripts was never played: 'two'"):
        async with environment(agent := Agent("agent", FakeModel(script("one"), script("two")))):
            await agent.infer()


async def test_a_call_beyond_the_last_script_fails_when_the_room_closes(environment, transcript):
    with pytest.raises(ScriptError, match="asked 2 times and had 1 script\\."):
        async with environment(agent := Agent("agent", FakeModel(script("one")))):
            await agent.infer()
            await agent.infer().outcome()

    transcript.expect("agent").text("one").completed().failed(kind="model").nothing_more()
