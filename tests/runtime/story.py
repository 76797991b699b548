"""Acts out the stories of `tests.runtime.scenario`: a room, its participants, and what they do to each other."""

from __future__ import annotations

from collections import Counter, deque
from contextlib import aclosing

import anyio

from pytest_streamrt import (
    Agent,
    Emit,
    Environment,
    FakeModel,
    Gate,
    Hold,
    LeakageGate,
    Observer,
    Pass,
    Signal,
    Stop,
    Transcript,
    WouldDeadlock,
    no_task_leaks,
    script,
    virtual_time,
)
from pytest_streamrt.events import TextDelta
from tests.runtime.scenario import PATIENCE


class Boom(Exception):
    """What participants, models, tools and the test raise."""


class Cut(Gate):
    """Stops at its nth delta, or holds back every other, or says it twice."""

    def __init__(self, how):
        self.how = how
        self.n = 0

    def check(self, event):
        if event.type != "text.delta":
            return Pass
        self.n += 1
        if self.how == "stop" and self.n == 3:
            return Stop("three")
        if self.how == "hold" and self.n % 3:
            return Hold
        if self.how == "double":
            return Emit(event, event)
        if self.how == "swallow" and self.n % 2:
            return Emit()
        if self.how == "break" and self.n == 2:
            raise Boom
        return Pass


def gate(how):
    return LeakageGate(hide=[("ab", "a")]) if how == "leakage" else Cut(how)


CLOSING = {"slow to close": 1, "refuses to close": 7, "breaks when closed": 0.013}
"""Seconds. Who says something after a cancellation does so when nobody else does; see `Story._step_aside`."""


class Talker:
    """A model that plays scripts, and always has one more; with bad manners, if it has them."""

    def __init__(self, answers, manners):
        self._answers = deque(answers)
        self._manners = manners

    def stream(self, context, tools):
        answer = self._answers.popleft() if self._answers else script("end")
        if self._manners == "cannot be closed":
            return Bare(answer.text)
        return self._stream(answer, context, tools)

    async def _stream(self, answer, context, tools):
        n = 0
        try:
            async with aclosing(FakeModel(answer).stream(context, tools)) as events:
                async for event in events:
                    yield event
                    n += 1
                    if self._manners == "raises" and n == 3:
                        raise Boom
                    if self._manners == "waits" and n == 2:
                        await anyio.sleep(2)
            if self._manners == "goes on after its end":
                yield TextDelta("late")
        finally:
            if self._manners in CLOSING:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(CLOSING[self._manners])
            if self._manners == "breaks when closed":
                raise Boom


class Bare:
    """A stream that is no generator, and has no way to close it."""

    def __init__(self, text):
        self._text = list(text)

    def __aiter__(self):
        return self

    async def __anext__(self):
        await anyio.sleep(0.25)
        if not self._text:
            raise StopAsyncIteration
        return TextDelta(self._text.pop(0))


class _Actor:
    """What agents and observers of a story have in common."""

    def follow(self, story, member):
        self.story, self.member = story, member
        self.counts = Counter()
        return self

    async def on_internal_event(self, event):
        await self.follow_rules(event)

    async def on_external_event(self, source, event):
        await self.follow_rules(event)

    async def follow_rules(self, event):
        self.counts[event.type] += 1
        for rule in self.member.rules:
            if rule.on == event.type and rule.nth == self.counts[event.type]:
                for step in rule.does:
                    await self.story.act(step, self, event)
        if self.member.pace and event.type.endswith(".delta"):
            await anyio.sleep(self.member.pace)


class Talking(_Actor, Agent):
    pass


class Watching(_Actor, Observer):
    pass


class Story:
    """A scenario that is being acted out."""

    def __init__(self, scenario, *guests):
        self.transcript = Transcript()
        self.raised: list[str] = []  # what left the room, in order
        self.cast = [self._play_part(i, member) for i, member in enumerate(scenario.members)]
        self.room = Environment(
            *(p for p, m in zip(self.cast, scenario.members, strict=True) if m.here),
            *guests,
            gates=[gate(how) for how in scenario.gates],
            transcript=self.transcript,
        )

    def _play_part(self, i, member):
        if member.answers is None:
            return Watching(f"observer {i}", member.inbox).follow(self, member)
        agent = Talking(
            f"agent {i}",
            Talker(member.answers, member.manners),
            tools=self._tools(i) if member.tools else (),
            inbox=member.inbox,
            **member.limits,
        )
        return agent.follow(self, member)

    def _tools(self, i):
        async def nap(seconds: float) -> float:
            await anyio.sleep(seconds)
            return seconds

        async def breaks(seconds: float) -> None:
            await anyio.sleep(seconds)
            raise Boom

        async def stubborn(seconds: float) -> None:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(3 * seconds)

        async def stop(seconds: float) -> None:
            await anyio.sleep(seconds)
            for inference in list(self.room.inferences.values()):
                if inference.agent is self.cast[i]:
                    await inference.abort("a tool says so")

        async def ask(seconds: float) -> str:
            await anyio.sleep(seconds)
            helper = self.cast[(i + 1) % len(self.cast)]
            if not self.can_infer(helper):
                return "nobody there"
            return (await helper.infer("?", deadline=PATIENCE, max_deltas=9).outcome()).status

        return nap, breaks, stubborn, stop, ask

    def here(self, participant):
        return self.room._present.get(participant.name) is participant

    def can_infer(self, participant):
        return isinstance(participant, Agent) and self.here(participant) and self.room._state == "open"

    def inference(self, number):
        every = list(self.room.inferences.values())
        return every[number % len(every)] if every else None

    async def act(self, step, who=None, event=None):
        """Do one step: on behalf of a participant that has heard an event, or of the test."""
        await getattr(self, f"_{step.verb}")(step, who, event)

    async def _sleep(self, step, who, event):
        await anyio.sleep(step.amount)

    async def _infer(self, step, who, event):
        agent = who if who is not None and step.whom % 2 else self.cast[step.whom % len(self.cast)]
        if self.can_infer(agent):
            agent.infer(f"about {step.whom}", deadline=step.amount or PATIENCE)

    async def _short(self, step, who, event):
        agent = self.cast[step.whom % len(self.cast)]
        if self.can_infer(agent):
            agent.infer(deadline=PATIENCE, max_deltas=1 + int(step.amount))

    async def _ask(self, step, who, event):
        agent = self.cast[step.whom % len(self.cast)]
        if self.can_infer(agent):
            await agent.infer("and?", deadline=PATIENCE).outcome()

    async def _abort(self, step, who, event):
        own = self.room.inferences.get(event.inference) if event is not None and event.inference else None
        inference = own or self.inference(step.whom)
        if inference is not None:
            await inference.abort(f"because of {step.whom}")

    async def _abort_twice(self, step, who, event):
        inference = self.inference(step.whom)
        if inference is not None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(inference.abort, "one")
                tasks.start_soon(inference.abort, "two")

    async def _abort_cancelled(self, step, who, event):
        inference = self.inference(step.whom)
        with anyio.CancelScope() as scope:
            scope.cancel()
            if inference is not None:
                await inference.abort("in a hurry")
        await self._step_aside(who)

    async def _step_aside(self, who):
        """Out of a cancelled scope, asyncio and trio come after different numbers of steps: act when nobody else does."""
        number = self.cast.index(who) + 1 if who in self.cast else 0
        await anyio.sleep(0.01 + 0.0007 * number)

    async def _wait(self, step, who, event):
        inference = self.inference(step.whom)
        if inference is not None:
            await inference.outcome()

    async def _wait_shortly(self, step, who, event):
        inference = self.inference(step.whom)
        with anyio.move_on_after(step.amount):
            if inference is not None:
                await inference.outcome()
        await self._step_aside(who)

    async def _settled(self, step, who, event):
        await self.room.settled()

    async def _signal(self, step, who, event):
        if who is None or self.here(who):
            (who or self.room).emit(Signal("said", step.whom))

    async def _handoff(self, step, who, event):
        inference, to = self.inference(step.whom), self.cast[int(step.amount) % len(self.cast)]
        if inference is None or inference.agent is to or not self.can_infer(to):
            return
        try:
            follow_up = await inference.handoff(to, "take over")
        except (RuntimeError, ValueError):
            assert not self.can_infer(to)  # it left while the other was being stopped, or the room was
        else:
            assert follow_up.agent is to

    async def _join(self, step, who, event):
        participant = self.cast[step.whom % len(self.cast)]
        if participant._environment is None:
            await self.room.join(participant)

    async def _leave(self, step, who, event):
        await self.room.leave(self.cast[step.whom % len(self.cast)])

    async def _go(self, step, who, event):
        if who is not None:
            await self.room.leave(who)

    async def _fail(self, step, who, event):
        if who is not None:
            raise Boom

    async def perform(self, scenario):
        """All of it."""
        how, when = scenario.ending
        try:
            with anyio.move_on_after(when if how == "cancel" else PATIENCE * 100):
                async with self.room:
                    for step in scenario.steps:
                        await self.act(step)
                    if how == "raise":
                        raise Boom  # noqa: TRY301 - as a test's body would
        except BaseException as failure:  # noqa: BLE001 - whatever it is, it is compared and judged
            self.raised = sorted(_leaves(failure))


def _leaves(failure):
    if isinstance(failure, BaseExceptionGroup):
        return [leaf for inner in failure.exceptions for leaf in _leaves(inner)]
    if not isinstance(failure, Boom | WouldDeadlock):
        raise failure
    return [f"{type(failure).__name__}: {failure}"]


def play(scenario, backend, *guests):
    """Act a scenario out, on virtual time, and return the story. Guests are there, and have no part in it."""

    async def main():
        with virtual_time(), no_task_leaks():
            story = Story(scenario, *guests)
            await story.perform(scenario)
        return story

    return anyio.run(main, backend=backend)
