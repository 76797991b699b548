"""What is done in the stories of `tests.runtime.scenario`: a method for each verb."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import anyio

from pytest_streamrt import Agent, Signal
from tests.runtime.scenario import PATIENCE
from tests.runtime.talkers import Boom


@dataclass(frozen=True)
class Scene:
    """Who does something, on hearing what, and in which of all tasks."""

    who: Any = None  # None is the test
    event: Any = None
    lane: int = 0

    def child(self, n):
        """Of a task that is started here, the nth from 1 on."""
        return replace(self, lane=self.lane + 10 * n if self.lane < 10 else self.lane + 100 * n)


class Deeds:
    """A story's verbs; the story has its `room`, its `cast`, and the scope `around` the room."""

    def __init__(self):
        self.scopes = []  # that somebody waits in, or has
        self.words = []  # that somebody waits for, or has

    async def act(self, step, scene):
        """Do one step: on behalf of a participant that has heard an event, or of the test."""
        await getattr(self, f"_{step.verb}")(step, scene)

    async def follow(self, steps, scene):
        """Do one after the other."""
        for step in steps:
            await self.act(step, scene)

    async def step_aside(self, scene):
        """Act when nobody else does: out of a scope or a task group, asyncio and trio come after different numbers of steps."""
        await anyio.sleep(0.01 + 0.00003 * scene.lane)

    def here(self, participant):
        return self.room._present.get(participant.name) is participant

    def can_infer(self, participant):
        return isinstance(participant, Agent) and self.here(participant) and self.room._state == "open"

    def inference(self, number):
        every = list(self.room.inferences.values())
        return every[number % len(every)] if every else None

    def member(self, number):
        return self.cast[number % len(self.cast)]

    # What agents do.

    async def _infer(self, step, scene):
        agent = scene.who if scene.who is not None and step.whom % 2 else self.member(step.whom)
        if self.can_infer(agent):
            agent.infer(f"about {step.whom}", deadline=(step.amount or PATIENCE) if step.whom > 3 else PATIENCE)

    async def _short(self, step, scene):
        agent = self.member(step.whom)
        if self.can_infer(agent):
            agent.infer(deadline=PATIENCE, max_deltas=1 + int(step.amount))

    async def _ask(self, step, scene):
        agent = self.member(step.whom)
        if self.can_infer(agent):
            await agent.infer("and?", deadline=PATIENCE).outcome()

    async def _abort(self, step, scene):
        event = scene.event
        own = self.room.inferences.get(event.inference) if event is not None and event.inference else None
        inference = own or self.inference(step.whom)
        if inference is not None:
            await inference.abort(f"because of {step.whom}")

    async def _abort_twice(self, step, scene):
        inference = self.inference(step.whom)
        if inference is not None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(inference.abort, "one")
                tasks.start_soon(inference.abort, "two")
            await self.step_aside(scene)

    async def _abort_cancelled(self, step, scene):
        inference = self.inference(step.whom)
        with anyio.CancelScope() as scope:
            scope.cancel()
            if inference is not None:
                await inference.abort("in a hurry")
        await self.step_aside(scene)

    async def _handoff(self, step, scene):
        inference, to = self.inference(step.whom), self.member(int(step.amount))
        if inference is None or inference.agent is to or not self.can_infer(to):
            return
        try:
            follow_up = await inference.handoff(to, "take over")
        except (RuntimeError, ValueError):
            assert not self.can_infer(to)  # it left while the other was being stopped, or the room was
        else:
            assert follow_up.agent is to

    # Waiting.

    async def _sleep(self, step, scene):
        await anyio.sleep(step.amount)

    async def _wait(self, step, scene):
        inference = self.inference(step.whom)
        if inference is not None:
            await inference.outcome()

    async def _insist(self, step, scene):
        inference = self.inference(step.whom)
        if inference is not None:
            await inference

    async def _emitted(self, step, scene):
        agent = self.member(step.whom)
        if isinstance(agent, Agent):
            with anyio.move_on_after(step.amount + 0.5) as scope:
                await agent.model.fake.emitted(step.whom)
            await self._out_of(scope, scene)

    async def _wait_shortly(self, step, scene):
        inference = self.inference(step.whom)
        with anyio.move_on_after(step.amount):
            if inference is not None:
                await inference.outcome()
        await self.step_aside(scene)

    async def _settled(self, step, scene):
        await self.room.settled()

    async def _await_word(self, step, scene):
        word = anyio.Event()  # each has one that waits: trio wakes several in no order
        self.words.append(word)
        with anyio.move_on_after(step.amount + 0.5) as scope:
            await word.wait()
        await self._out_of(scope, scene)

    async def _give_word(self, step, scene):
        for word in self.words:
            word.set()

    # Scopes and task groups.

    async def _within(self, step, scene):
        with anyio.move_on_after(_a_while(step)) as scope:
            await self.follow(step.does, scene)
        await self._out_of(scope, scene)

    async def _fail_within(self, step, scene):
        try:
            with anyio.fail_after(_a_while(step)) as scope:
                await self.follow(step.does, scene)
        except TimeoutError:
            await self.step_aside(scene)
            raise
        await self._out_of(scope, scene)

    async def _revocable(self, step, scene):
        with anyio.CancelScope() as scope:
            self.scopes.append(scope)
            await self.follow(step.does, scene)
        await self._out_of(scope, scene)

    async def _revoke(self, step, scene):
        if self.scopes:
            self.scopes[step.whom % len(self.scopes)].cancel()

    async def _shielded(self, step, scene):
        with anyio.move_on_after(_a_while(step), shield=True):
            await self.follow(step.does, scene)
        await self.step_aside(scene)

    async def _out_of(self, scope, scene):
        if scope.cancel_called:
            await self.step_aside(scene)

    async def _together(self, step, scene):
        first, *others = step.does
        try:
            async with anyio.create_task_group() as tasks:
                for n, each in enumerate(others, 1):
                    tasks.start_soon(self._child, each, scene.child(n))
                await self.act(first, scene)
        finally:  # and not `except Exception`: in a cancelled scope, trio raises a group with the cancellation in it
            await self.step_aside(scene)

    async def _child(self, step, scene):
        try:
            await self.act(step, scene)
        except BaseException:
            await self.step_aside(scene)
            raise

    # The room.

    async def _signal(self, step, scene):
        if scene.who is None or self.here(scene.who):
            (scene.who or self.room).emit(Signal("said", step.whom))

    async def _join(self, step, scene):
        participant = self.member(step.whom)
        if participant._environment is None and self.room._state == "open":
            await self.room.join(participant)

    async def _leave(self, step, scene):
        await self.room.leave(self.member(step.whom))

    async def _go(self, step, scene):
        if scene.who is not None:
            await self.room.leave(scene.who)

    async def _fail(self, step, scene):
        raise Boom

    async def _cancel_room(self, step, scene):
        self.around.cancel()


def _a_while(step):
    """Seconds of a scope's; not 0, as when in its instant such a timeout fires is up to the backend."""
    return step.amount or 0.125
