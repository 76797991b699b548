"""The story the project is about: a reviewer reads a planner's half-finished answer, stops it, and answers itself."""

from __future__ import annotations

import pytest

from pytest_streamrt import Agent, FakeModel, Observer, script

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

PLAN = script("Step 1: snapshot. ", "Step 2: ", "drop table users", ". Step 3: done.", every=0.050)
SAFER = script("Use a staged rollout with rollback points.", every=0.050)


class SafetyReviewer(Agent):
    heard = ""

    async def on_external_event(self, source, event):
        if event.type == "text.delta":
            self.heard += event.text
            if "drop table" in self.heard:
                self.heard = ""
                await self.abort(event.inference, reason="risky migration")
                self.infer("Suggest a safer rollout.")


async def test_the_reviewer_stops_the_planner(environment, transcript):
    planner = Agent("planner", model=FakeModel(PLAN))
    reviewer = SafetyReviewer("reviewer", model=FakeModel(SAFER))
    async with environment(planner, reviewer):
        outcome = await planner.infer("Migrate the users table.")

    assert outcome.status == "aborted"
    transcript.expect("planner").text("Step 1: snapshot. Step 2: drop table users").aborted(
        by="reviewer", reason="risky migration", at=0.150
    ).nothing_more()
    transcript.expect("reviewer").text(contains="rollback").completed().nothing_more()
    transcript.assert_lawful()


async def test_the_outcome_says_who_why_and_how_far_it_got(environment):
    planner = Agent("planner", model=FakeModel(PLAN))
    reviewer = SafetyReviewer("reviewer", model=FakeModel(SAFER))
    async with environment(planner, reviewer):
        outcome = await planner.infer("Migrate the users table.")

    assert (outcome.by, outcome.reason) == ("reviewer", "risky migration")
    assert outcome.text == PLAN.prefix(3).text
    assert [item.text for item in outcome.items] == [PLAN.prefix(3).text]


async def test_an_observer_sees_both_lanes_of_it(environment):
    class Log(Observer):
        def __init__(self, name):
            super().__init__(name)
            self.events = []
            self.messages = []

        async def on_external_event(self, source, event):
            self.events.append((source.name, event.type))

        async def on_external_model_message(self, source, item):
            self.messages.append((source.name, item.text))

    log = Log("log")
    planner = Agent("planner", model=FakeModel(PLAN))
    reviewer = SafetyReviewer("reviewer", model=FakeModel(SAFER))
    async with environment(planner, reviewer, log):
        await planner.infer("Migrate the users table.")

    assert log.messages == [("reviewer", SAFER.text)]
    assert log.events.count(("planner", "text.delta")) == 3
    assert log.events.index(("planner", "inference.aborted")) < log.events.index(("reviewer", "inference.started"))


@pytest.mark.parametrize("n", range(1, len(PLAN) + 1))
async def test_whoever_decides_on_a_delta_acts_before_the_next(n, environment, transcript):
    class Counter(Observer):
        heard = 0

        async def on_external_event(self, source, event):
            self.heard += event.type == "text.delta"
            if event.type == "text.delta" and self.heard == n:
                await self.abort(event.inference, "enough")

    instant = script(*(part.text for part in map(PLAN.prefix, range(1, 5))))
    planner = Agent("planner", model=FakeModel(instant))
    async with environment(Counter("counter"), planner):
        await planner.infer()

    transcript.expect("planner").deltas(n).aborted(by="counter", at=0).nothing_more()
