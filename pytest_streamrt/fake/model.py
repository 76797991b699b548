"""A model that plays scripts in process, delta by delta, at the times they say."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from pytest_streamrt.clock import now_ns, sleep_until, turn
from pytest_streamrt.errors import ScriptError
from pytest_streamrt.events.items import Item
from pytest_streamrt.events.types import Event, InferenceFailure
from pytest_streamrt.runtime.context import ModelContext
from pytest_streamrt.script.build import Script
from pytest_streamrt.script.parts import Pause, Stall
from pytest_streamrt.script.play import Player

__all__ = ["FakeCall", "FakeModel"]


@dataclass(frozen=True)
class FakeCall:
    """One time the model was asked: the items it was given, and the tools."""

    items: tuple[Item, ...]
    tools: tuple[Any, ...]


class FakeModel:
    """Answers with scripts, one after the other: the first call gets the first script.

    A script that was never played, and a call for which there was none, fail the test when its environment closes.
    """

    def __init__(self, *scripts: Script) -> None:
        self.calls: list[FakeCall] = []
        """Each time it was asked, in order."""
        self._scripts: deque[Script] = deque()
        self._emitted = 0
        self._watchers: list[tuple[int, anyio.Event]] = []
        self._asked_beyond = 0
        self.enqueue(*scripts)

    def enqueue(self, *scripts: Script) -> None:
        """Have more scripts played, after those that are waiting.

        Raises:
            ScriptError: one of them is no script.
        """
        for each in scripts:
            if not isinstance(each, Script):
                msg = f"FakeModel plays scripts; {each!r} is none. Write script({each!r})"
                raise ScriptError(msg)
        self._scripts.extend(scripts)

    async def emitted(self, n: int) -> None:
        """Wait until it has emitted n deltas, over all calls."""
        if self._emitted < n:
            reached = anyio.Event()
            self._watchers.append((n, reached))
            await reached.wait()

    def check_played(self) -> Exception | None:
        """What is wrong with how it was used, if anything: scripts left over, or calls beyond the last one."""
        if self._asked_beyond:
            played = len(self.calls) - self._asked_beyond
            return ScriptError(
                f"FakeModel was asked {len(self.calls)} times and had {played} scripts. "
                "Give it one script for each inference: FakeModel(script(…), script(…)), or enqueue() more"
            )
        if self._scripts:
            left = "; ".join(repr(each.text) for each in self._scripts)
            return ScriptError(
                f"FakeModel was asked {len(self.calls)} times; {len(self._scripts)} of its scripts were never played: "
                f"{left}. Take them away, or make the agent infer"
            )
        return None

    async def stream(self, context: ModelContext, tools: Sequence[Any]) -> AsyncIterator[Event]:
        """Play the next script. See `pytest_streamrt.runtime.Model`."""
        self.calls.append(FakeCall(context.items, tuple(tools)))
        if not self._scripts:
            self._asked_beyond += 1
            yield InferenceFailure("model", f"FakeModel has no script for call {len(self.calls)}")
            return
        player = Player()
        due = now_ns()
        for step in self._scripts.popleft().steps():
            due += step.delay
            # Absolute times: a listener that takes its time does not make the script later than it says.
            await sleep_until(due)
            if isinstance(step.part, Stall):
                await anyio.sleep_forever()
            if not isinstance(step.part, Pause):
                # Whoever decides on a delta acts before anything else is said, and before what breaks the stream off.
                await turn()
            for event in player.events(step):
                yield event
            if step.part.ends:
                return
            if step.piece is not None:
                self._emitted += 1
                self._tell_watchers()
        await turn()  # whoever decides on the last delta acts before the end
        for event in player.end():
            yield event

    def _tell_watchers(self) -> None:
        for n, reached in self._watchers:
            if self._emitted >= n:
                reached.set()
        self._watchers = [(n, reached) for n, reached in self._watchers if self._emitted < n]
