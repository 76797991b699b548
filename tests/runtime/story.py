"""Acts out the stories of `tests.runtime.scenario`: a room, its participants, and what they do to each other."""

from __future__ import annotations

import itertools
from collections import Counter

import anyio

from pytest_streamrt import (
    Agent,
    Environment,
    InferenceFailed,
    Observer,
    Signal,
    Transcript,
    WouldDeadlock,
    no_task_leaks,
    virtual_time,
)
from pytest_streamrt.runtime import report_progress
from tests.runtime.deeds import Deeds, Scene
from tests.runtime.scenario import HANDLERS, PATIENCE
from tests.runtime.talkers import Boom, Talker, gate

__all__ = ["Boom", "Story", "play"]


class _Actor:
    """What agents and observers of a story have in common."""

    def follow(self, story, number, member):
        self.story, self.number, self.member = story, number, member
        self.counts = Counter()
        return self

    async def on_internal_event(self, event):
        await self.follow_rules(event.type, event)
        await self.take_time(event)

    async def on_external_event(self, source, event):
        await self.follow_rules(event.type, event)
        await self.take_time(event)

    async def follow_rules(self, on, event=None):
        self.counts[on] += 1
        for rule in self.member.rules:
            if rule.on == on and rule.nth == self.counts[on]:
                await self.story.follow(rule.does, Scene(self, event, 1 + self.number))

    async def take_time(self, event):
        if self.member.pace and event.type.endswith(".delta"):
            await anyio.sleep(self.member.pace)


def _handler(name):
    async def handle(self, *_about):
        await self.follow_rules(name)

    return handle


_handlers = {name: _handler(name) for name in HANDLERS}
Talking = type("Talking", (_Actor, Agent), _handlers)
Watching = type("Watching", (_Actor, Observer), _handlers)


class Story(Deeds):
    """A scenario that is being acted out."""

    def __init__(self, scenario, *guests):
        super().__init__()
        self.transcript = Transcript()
        self.raised: list[str] = []  # what left the room, in order
        self._lanes = itertools.count(1000)  # of tools
        self.cast = [self._play_part(i, member) for i, member in enumerate(scenario.members)]
        self.room = Environment(
            *(p for p, m in zip(self.cast, scenario.members, strict=True) if m.here),
            *guests,
            gates=[gate(how) for how in scenario.gates],
            transcript=self.transcript,
        )
        self.around = anyio.CancelScope()

    def _play_part(self, i, member):
        if member.answers is None:
            return Watching(f"observer {i}", member.inbox).follow(self, i, member)
        agent = Talking(
            f"agent {i}",
            Talker(member.answers, member.manners),
            tools=self._tools(i) if member.tools else (),
            inbox=member.inbox,
            **member.limits,
        )
        return agent.follow(self, i, member)

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
            helper = self.member(i + 1)
            if not self.can_infer(helper):
                return "nobody there"
            return (await helper.infer("?", deadline=PATIENCE, max_deltas=9).outcome()).status

        async def ask_in_time(seconds: float) -> str:
            scene, answer = Scene(lane=next(self._lanes)), "too late"
            with anyio.move_on_after(0.5 + seconds):
                answer = await ask(0)
            await self.step_aside(scene)
            return answer

        async def start(seconds: float) -> str:
            await anyio.sleep(seconds)
            helper = self.member(i + 1)
            return helper.infer("!", deadline=PATIENCE).id if self.can_infer(helper) else "nobody there"

        async def tell(seconds: float) -> None:
            await anyio.sleep(seconds)
            self.room.emit(Signal("told", i))

        async def report(seconds: float) -> None:
            report_progress(0)
            await anyio.sleep(seconds)
            report_progress(1)

        async def team(seconds: float) -> None:
            scene = Scene(lane=next(self._lanes))
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(nap, seconds)
                    tasks.start_soon(tell, seconds + 0.25)
                    tasks.start_soon(breaks, 1 + seconds)
                    await ask(0)
            finally:
                await self.step_aside(scene)

        return nap, breaks, stubborn, stop, ask, ask_in_time, start, tell, report, team

    async def perform(self, scenario):
        """All of it."""
        how, when = scenario.ending
        try:
            with self.around, anyio.move_on_after(when if how == "cancel" else PATIENCE * 100):
                async with self.room:
                    await self.follow(scenario.steps, Scene())
                    if how == "raise":
                        raise Boom  # noqa: TRY301 - as a test's body would
        except BaseException as failure:  # noqa: BLE001 - whatever it is, it is compared and judged
            self.raised = sorted(_leaves(failure))


def _leaves(failure):
    if isinstance(failure, BaseExceptionGroup):
        return [leaf for inner in failure.exceptions for leaf in _leaves(inner)]
    if not isinstance(failure, Boom | InferenceFailed | WouldDeadlock | TimeoutError):
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
