"""What agents of stories are made of: models that play scripts, with bad manners if they have them, and gates before them."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing

import anyio

from pytest_streamrt import Emit, FakeModel, Gate, Hold, LeakageGate, Pass, Stop, script
from pytest_streamrt.events import ItemCompleted, TextDelta


class Boom(Exception):
    """What participants, models, tools and the test raise."""


class Cut(Gate):
    """Stops somewhere, holds back, says things twice, or breaks."""

    def __init__(self, how):
        self.how = how
        self.n = 0

    def check(self, event):
        if self.how == "stop reasoning" and event.type == "reasoning.delta":
            return Stop("no thoughts")
        if self.how == "stop item" and isinstance(event, ItemCompleted):
            return Stop("finished")
        if event.type != "text.delta":
            return Pass
        self.n += 1
        if self.how == "stop" and self.n == 3:
            return Stop("three")
        if self.how == "hold all" or (self.how == "hold" and self.n % 3):
            return Hold
        if self.how == "double":
            return Emit(event, event)
        if self.how == "swallow" and self.n % 2:
            return Emit()
        if self.how == "break" and self.n == 2:
            raise Boom
        return Pass

    def flush(self, end):
        if self.how == "break at end":
            raise Boom
        return super().flush(end)


def gate(how):
    return LeakageGate(hide=[("ab", "a")]) if how == "leakage" else Cut(how)


CLOSING = {"slow to close": 1, "refuses to close": 7, "breaks when closed": 0.013}
"""Seconds. Who says something after a cancellation does so when nobody else does; see `Deeds.step_aside`."""


class Talker:
    """A model that plays scripts, and always has one more; with bad manners, if it has them."""

    def __init__(self, answers, manners):
        self.fake = FakeModel(*answers)
        self.fake.respond(lambda _call: script("end"))
        self._texts = deque(answer.text for answer in answers)
        self._manners = manners

    def stream(self, context, tools):
        if self._manners == "cannot be closed":
            return Bare(self._texts.popleft() if self._texts else "end")
        return self._stream(context, tools)

    async def _stream(self, context, tools):
        n = 0
        try:
            async with aclosing(self.fake.stream(context, tools)) as events:
                async for event in events:
                    yield event
                    n += 1
                    if self._manners == "raises" and n == 3:
                        raise Boom
                    if self._manners == "waits" and n == 2:
                        await anyio.sleep(2)
                    if self._manners == "times out" and n == 2:
                        await self._time_out()
                    if self._manners == "works in a group" and n == 2:
                        await self._work()
            if self._manners == "goes on after its end":
                yield TextDelta("late")
        finally:
            if self._manners in CLOSING:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(CLOSING[self._manners])
            if self._manners == "breaks when closed":
                raise Boom

    async def _time_out(self):
        try:
            with anyio.fail_after(0.5):
                await anyio.sleep(2)
        finally:
            await anyio.sleep(0.013)

    async def _work(self):
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.sleep, 0.25)
                await anyio.sleep(0.5)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.013)


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
