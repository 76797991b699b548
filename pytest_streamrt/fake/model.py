"""A model that plays scripts in process, delta by delta, at the times they say."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

import anyio

from pytest_streamrt.cassette.played import NEVER
from pytest_streamrt.clock import now_ns, sleep_until, turn
from pytest_streamrt.errors import ScriptError
from pytest_streamrt.events.items import Item
from pytest_streamrt.events.types import Event, InferenceFailure
from pytest_streamrt.fake.beats import Beat, beats_of, check_for_model, laws_of
from pytest_streamrt.fake.calls import check_function, no_script
from pytest_streamrt.fake.deaf import DeafStream
from pytest_streamrt.fake.emissions import Emissions
from pytest_streamrt.runtime.context import ModelContext
from pytest_streamrt.runtime.waiting import lending
from pytest_streamrt.script.build import Script
from pytest_streamrt.wording import counted, no_attribute

__all__ = ["FakeCall", "FakeModel"]

# What others call it.
_GUESSES: Final[Mapping[str, str]] = {
    "add": "enqueue",
    "append": "enqueue",
    "script": "enqueue",
    "scripts": "enqueue",
    "requests": "calls",
}


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
        __tracebackhide__ = True
        self.calls: list[FakeCall] = []
        """Each time it was asked, in order."""
        self._scripts: deque[Script] = deque()
        self._function: Callable[[FakeCall], Script] | None = None
        self._emissions = Emissions()
        self._asked_beyond = 0
        self.enqueue(*scripts)

    if not TYPE_CHECKING:  # type checkers are to see a wrong name, and know nothing of this

        def __getattr__(self, name: str) -> NoReturn:
            __tracebackhide__ = True
            raise AttributeError(no_attribute(self, name, _GUESSES))

    def enqueue(self, *scripts: Script) -> None:
        """Have more scripts played, after those that are waiting.

        Raises:
            ScriptError: one of them is no script, or is about the wire, which a model in process does not have.
        """
        __tracebackhide__ = True
        for each in scripts:
            _check(each)
        self._scripts.extend(scripts)

    def respond(self, function: Callable[[FakeCall], Script]) -> None:
        """Have that function answer the calls that no script is left for. It is given the call, and gives a script.

        Raises:
            ScriptError: it is async.
        """
        __tracebackhide__ = True
        check_function(function, "FakeModel")
        self._function = function

    async def emitted(self, n: int) -> None:
        """Wait until it has emitted n deltas, over all calls; with 0, until it was asked for the first time.

        Whoever waits goes on when the nth delta has been dealt with, and before the next one comes. A handler that waits lends
        its inbox meanwhile.
        """
        __tracebackhide__ = True
        with lending():
            await self._emissions.reached(n)

    def check_played(self) -> Exception | None:
        """What is wrong with how it was used, if anything: scripts left over, or calls beyond the last one."""
        if self._asked_beyond:
            played = len(self.calls) - self._asked_beyond
            return ScriptError(
                f"FakeModel was asked {counted(len(self.calls), 'time')} and had {counted(played, 'script')}. "
                "Give it one script for each inference: FakeModel(script(…), script(…)), or enqueue() more"
            )
        if self._scripts:
            left = "; ".join(repr(each.text) for each in self._scripts)
            return ScriptError(
                f"FakeModel was asked {counted(len(self.calls), 'time')}; "
                f"{counted(len(self._scripts), 'of its scripts was', 'of its scripts were')} never played: "
                f"{left}. Take them away, or make the agent infer"
            )
        return None

    def stream(self, context: ModelContext, tools: Sequence[Any]) -> AsyncIterator[Event]:
        """Play the next script. See `pytest_streamrt.runtime.Model`.

        Raises:
            ScriptError: it is to break a law that nothing in it could break, or the function given to `respond` gives no
                script.
        """
        call = FakeCall(context.items, tuple(tools))
        self.calls.append(call)
        self._emissions.add(0)
        script = self._next_script(call)
        if script is None:
            self._asked_beyond += 1
            lost = InferenceFailure(
                "model", f"FakeModel has no script for call {len(self.calls)}: give it one for each"
            )
            return self._play([Beat(0, (lost,))])
        beats = beats_of(script)
        laws = laws_of(script)
        if "ignores cancel" in laws or "emits after cancel" in laws:
            return DeafStream(beats, self._emissions.add, at_its_pace="ignores cancel" in laws)
        return self._play(beats)

    def _next_script(self, call: FakeCall) -> Script | None:
        if self._scripts:
            return self._scripts.popleft()
        if self._function is None:
            return None
        script = self._function(call)
        _check(script)
        return script

    async def _play(self, beats: Sequence[Beat]) -> AsyncIterator[Event]:
        began = now_ns()
        for beat in beats:
            await self._emissions.hold()
            if beat.at == NEVER:
                await anyio.sleep_forever()
            # Absolute times: a listener that takes its time does not make the script later than it says.
            await sleep_until(began + beat.at)
            if beat.turn:
                await turn()
            for event in beat.events[:-1]:
                yield event
            self._emissions.add(beat.deltas)
            for event in beat.events[-1:]:
                yield event


def _check(script: object) -> None:
    __tracebackhide__ = True
    if not isinstance(script, Script):
        raise ScriptError(f"FakeModel {no_script(script)}")
    check_for_model(script)
