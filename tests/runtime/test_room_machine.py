"""A room against a model of it: who is there, what runs, and what each thing that is done to it must lead to."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pytest_streamrt.events import to_json
from tests.runtime.scenario import Scenario, Step, agents, observers
from tests.runtime.story import play
from tests.runtime.test_laws_hold import BACKENDS, check
from tests.strategies import examples

cast = st.lists(st.one_of(agents, observers), min_size=2, max_size=4)
places = st.integers(0, 3)


class Room(RuleBasedStateMachine):
    """Each rule is a step of the test's; what it must lead to is known before it is done. Handlers only listen here."""

    @initialize(members=cast, gates=st.sampled_from([(), ("hold",), ("leakage",)]))
    def open(self, members, gates):
        self.members = [self._that_listens(member) for member in members]
        self.gates = gates
        self.steps = []
        self.names = [f"{'observer' if m.answers is None else 'agent'} {i}" for i, m in enumerate(self.members)]
        self.present = [i for i, member in enumerate(self.members) if member.here]
        self.comings = [("participant.joined", self.names[i]) for i in self.present]
        self.begun = 0
        self.stopped = {}  # by the number of the inference: who must have stopped it

    @staticmethod
    def _that_listens(member):
        return replace(member, rules=(), tools=False)

    def _is_agent(self, place):
        return self.members[place].answers is not None

    @rule(place=places)
    def infer(self, place):
        place %= len(self.members)
        self.steps.append(Step("infer", place))
        self.begun += place in self.present and self._is_agent(place)

    @precondition(lambda self: any(self._is_agent(place) for place in self.present))
    @rule(data=st.data())
    def infer_and_stop_at_once(self, data):
        place = data.draw(st.sampled_from([place for place in self.present if self._is_agent(place)]))
        self.steps += [Step("infer", place), Step("abort", self.begun)]
        self.stopped[self.begun] = "caller"
        self.begun += 1

    @rule(seconds=st.sampled_from([0.1, 0.25, 1.0, 3.0]))
    def wait(self, seconds):
        self.steps.append(Step("sleep", 0, seconds))

    @rule()
    def settle(self):
        self.steps.append(Step("settled"))

    @rule(place=places)
    def join(self, place):
        place %= len(self.members)
        self.steps += [Step("settled"), Step("join", place)]  # who has left has heard the last of it by then
        if place not in self.present:
            self.present.append(place)
            self.comings.append(("participant.joined", self.names[place]))

    @rule(place=places)
    def leave(self, place):
        place %= len(self.members)
        self.steps.append(Step("leave", place))
        if place in self.present:
            self.present.remove(place)
            self.comings.append(("participant.left", self.names[place]))

    @rule()
    def signal(self):
        self.steps.append(Step("signal", len(self.steps)))

    def teardown(self):
        if not hasattr(self, "steps"):
            return
        scenario = Scenario(tuple(self.members), self.gates, tuple(self.steps), ("settle", 0.0))
        stories = [play(scenario, backend) for backend in BACKENDS]
        for story in stories:
            check(story)
            events = story.transcript.events
            assert story.raised == []
            assert [(e.type, e.name) for e in events if e.type.startswith("participant.")] == self.comings
            assert len(story.room.inferences) == self.begun
            signals = [e.data for e in events if e.type == "signal"]
            assert signals == [step.whom for step in self.steps if step.verb == "signal"]
            for number, by in self.stopped.items():
                end = story.inference(number)._outcome
                assert (end.status, end.by, end.text) == ("aborted", by, "")
        assert to_json(stories[0].transcript.events) == to_json(stories[1].transcript.events)


TestRoom = Room.TestCase
TestRoom.settings = examples(20)
