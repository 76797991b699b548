"""Handing an answer over: one agent stops in the middle, another goes on from what was said, and the record links the two."""

from __future__ import annotations

import pytest

from pytest_streamrt import Agent, Environment, FakeModel, ModelContext, Transcript, script, stall, virtual_time
from pytest_streamrt.events import Message, ModelMessage

pytestmark = pytest.mark.anyio


def junior(*more):
    context = ModelContext([Message("You are new here.", role="system")])
    return Agent("junior", FakeModel(script("I think ", "it is ", *more, every=0.1)), context)


async def test_the_other_goes_on_with_what_was_said():
    with virtual_time():
        transcript = Transcript()
        senior_model = FakeModel(script("It is Paris.", every=0.1))
        first = junior("London", ".")
        senior = Agent("senior", senior_model, ModelContext([Message("You know everything.", role="system")]))

        class Boss(Agent):
            async def on_external_event(self, source, event):
                if event.type == "text.delta" and event.text == "London":
                    follow_up = await self.environment.inferences[event.inference].handoff(senior, "wrong city")
                    assert (await follow_up).text == "It is Paris."

        async with Environment(first, senior, Boss("boss", FakeModel()), transcript=transcript):
            outcome = await first.infer("Capital of France?")

        assert (outcome.status, outcome.by, outcome.reason) == ("aborted", "boss", "wrong city")
        assert senior_model.calls[0].items == (
            Message("You know everything.", role="system"),
            Message("Capital of France?"),
            ModelMessage("I think it is London"),
        )
        (link,) = [event for event in transcript.events if event.type == "status" and event.name == "handoff"]
        assert link.data == {"from": "junior/1", "to": "senior/1", "reason": "wrong city"}
        assert (link.source, link.inference) == ("senior", "senior/1")
        transcript.expect("junior").text("I think it is London").aborted(by="boss", at=0.3).nothing_more()
        transcript.expect("senior").text("It is Paris.", at=0.4).completed().nothing_more()
        transcript.assert_lawful()


async def test_one_that_has_ended_is_gone_on_from_as_it_is():
    with virtual_time():
        first, second = junior(), Agent("second", model := FakeModel(script("Yes.")))
        async with Environment(first, second):
            inference = first.infer("Well?")
            await inference
            await (await inference.handoff(second))

        assert inference.status == "completed"
        assert model.calls[0].items == (Message("Well?"), ModelMessage("I think it is "))


async def test_what_both_know_is_said_once():
    with virtual_time():
        shared = ModelContext([Message("Capital of France?")])
        first = Agent("first", FakeModel(script("Hm", stall())), shared)
        second = Agent("second", model := FakeModel(script("Paris.")), shared)
        async with Environment(first, second):
            inference = first.infer()
            await first.model.emitted(1)
            await (await inference.handoff(second))

        assert model.calls[0].items == (Message("Capital of France?"), ModelMessage("Hm"))


@pytest.mark.parametrize(
    ("to", "error", "what"),
    [
        ("senior", TypeError, "it takes the agent that goes on, not 'senior'"),
        (None, TypeError, "it takes the agent that goes on, not None"),
        (Agent("elsewhere", FakeModel()), ValueError, "elsewhere is not in the same room; let it join first"),
    ],
)
async def test_whom_it_cannot_be_handed_to_is_refused_and_it_goes_on(to, error, what):
    with virtual_time():
        first = junior()
        async with Environment(first):
            inference = first.infer()
            with pytest.raises(error, match=what):
                await inference.handoff(to)
            with pytest.raises(ValueError, match="junior has the answer already"):
                await inference.handoff(first)
            assert (await inference).status == "completed"
