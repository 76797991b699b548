"""The tool calls of an inference: each runs in a task of its own as soon as it is written, and has exactly one result."""

from __future__ import annotations

from collections import deque
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from pytest_streamrt.events.items import FunctionCall, FunctionCallOutput
from pytest_streamrt.events.types import Status, ToolProgress, ToolResult
from pytest_streamrt.runtime.acting import Acting, acting
from pytest_streamrt.runtime.cancellation import strays_are_errors
from pytest_streamrt.runtime.source import CLOSE_TIMEOUT
from pytest_streamrt.runtime.telling import text_of, traceback_of
from pytest_streamrt.runtime.tools import BadArguments, Reporter, reporter
from pytest_streamrt.runtime.waking import Bell

if TYPE_CHECKING:
    from pytest_streamrt.runtime.environment import Environment
    from pytest_streamrt.runtime.inference import Inference

__all__ = ["Calls"]

End = Literal["completed", "failed", "cancelled"]


class _Call:
    """One call, from the moment it is written."""

    def __init__(self, item: FunctionCall, cause: int) -> None:
        self.item: Final = item
        self.cause: Final = cause  # the seq of the event that it was written with
        self.context: Final = copy_context()  # the inference's: one call begins another, and is to leave nothing in it
        self.scope = anyio.CancelScope(shield=True)  # it is the inference that ends it
        self.timer = anyio.CancelScope()
        self.output: str | None = None  # its result, once it has one
        self.ended = anyio.Event()  # its code has stopped running
        self.reported = False  # whether it is on the record that its code did not stop


class Calls:
    """The tool calls of one inference. Agents without tools have none: their models' calls are items like any others."""

    def __init__(self, inference: Inference, environment: Environment) -> None:
        agent = inference.agent
        self._inference = inference
        self._environment = environment
        self._tools = {tool.name: tool for tool in agent.tools}
        self._timeout = agent.tool_timeout
        self._free = agent.max_parallel_tools
        self._round: list[_Call] = []
        self._waiting: deque[_Call] = deque()
        self._begun: list[_Call] = []  # of all rounds, those whose code is running
        self._change = Bell()

    @property
    def to_answer(self) -> bool:
        """Whether the model is to be asked again: it has made calls in this round, as part of its answer."""
        return any(call.item.choice == 0 for call in self._round)

    def add(self, item: FunctionCall) -> None:
        """The model has written a call, just now: begin it at once, or when one of those that run has ended."""
        if not self._tools:
            return
        call = _Call(item, self._environment._order.seq)
        again = item.id and any(other.item.id == item.id for other in self._round)
        self._round.append(call)
        if item.choice:
            self._finish(call, "cancelled", "not run: only the calls of the model's first choice are")
        elif again:  # a source that stutters must not have things done twice
            self._finish(call, "failed", f"not run: there is a call {item.id!r} in this round already")
        else:
            self._waiting.append(call)
            self._begin_waiting()

    async def outputs(self) -> list[FunctionCallOutput]:
        """Wait until every call of the round has its result; what the tools said, in the order of the calls."""
        while any(call.output is None for call in self._round):
            await self._change.wait()
        return [FunctionCallOutput(call.item.id, call.output or "") for call in self._round]

    def next_round(self) -> None:
        """What was called has been answered; what comes is new."""
        self._round = []

    def cancel(self, why: str) -> None:
        """Stop what runs and what waits. Every call without a result has one from here on, whatever its code does."""
        self._waiting.clear()
        for call in self._round:
            self._finish(call, "cancelled", f"cancelled: {why}" if why else "cancelled")
        for call in self._begun:
            call.scope.cancel()

    async def stopped(self) -> None:
        """Wait until no code of the calls runs any more, or for 5 s; what still runs then is put on the record."""
        if self._begun:
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                for call in list(self._begun):
                    await call.ended.wait()
            self.report_running()

    def report_running(self) -> None:
        """Put on the record, once for each, which calls go on although they were told to stop."""
        for call in self._begun:
            if not call.reported:
                call.reported = True
                what = {"inference": self._inference.id, "call": call.item.id, "tool": call.item.name}
                refusal = Status("tool.not_stopped", {**what, "seconds": CLOSE_TIMEOUT})
                self._environment._emit(refusal, self._inference.agent)

    def _begin_waiting(self) -> None:
        # A queue of our own, and no semaphore: the order is that of the calls, on every backend.
        while self._waiting and self._free:
            self._free -= 1
            call = self._waiting.popleft()
            self._begun.append(call)
            name = f"tool {call.item.name} of {self._inference.id}"
            call.context.run(partial(self._environment._tasks.start_soon, self._run, call, name=name))

    async def _run(self, call: _Call) -> None:
        # Its inference is not named: a request that a tool makes over HTTP is no part of the model's answer.
        acting.set(Acting(self._inference.agent, call.cause, self._environment._order))
        reports = Reporter(lambda data: self._progress(call, data))
        reporter.set(reports)
        try:
            with call.scope:
                await checkpoint_if_cancelled()
                if self._timeout is not None:
                    self._environment._tasks.start_soon(
                        self._watch, call, self._timeout, name=f"timeout of {call.item.name}"
                    )
                await self._call(call)
        except BaseException as error:
            if not isinstance(error, anyio.get_cancelled_exc_class()):  # a CassetteMiss, or pytest.fail()
                self._finish(call, "failed", text_of(error))
            raise
        finally:
            reports.end()
            call.timer.cancel()
            call.ended.set()
            self._begun.remove(call)
            self._free += 1
            self._begin_waiting()

    async def _call(self, call: _Call) -> None:
        item = call.item
        tool = self._tools.get(item.name)
        if tool is None:
            known = ", ".join(self._tools)
            self._finish(call, "failed", f"there is no tool {item.name!r}; there are: {known}")
            return
        try:
            with strays_are_errors():
                arguments = tool.read(item.arguments)
                output = await tool.run(arguments)
        except BadArguments as error:
            self._finish(call, "failed", str(error))
        except Exception as error:  # noqa: BLE001 - what a tool raises is told to its model
            text = text_of(error)
            what = {
                "inference": self._inference.id,
                "call": item.id,
                "tool": item.name,
                "error": text,
                "traceback": traceback_of(error),
            }
            if call.output is None:
                self._inference._emit(Status("tool.failed", what))
            else:  # it was told to stop, and broke on the way out
                self._environment._emit(Status("tool.failed", what), self._inference.agent)
            self._finish(call, "failed", f"{item.name} failed: {text}")
        else:
            self._finish(call, "completed", output)

    async def _watch(self, call: _Call, seconds: float) -> None:
        with call.timer:
            await anyio.sleep(seconds)
            self._finish(call, "failed", f"{call.item.name} took longer than {seconds:g} s and was stopped")
            call.scope.cancel()

    def _progress(self, call: _Call, data: object) -> None:
        if call.output is None:
            self._inference._emit(ToolProgress(call.item.id, call.item.name, data))

    def _finish(self, call: _Call, end: End, output: str) -> None:
        """Give the call its result, if it has none: the first one counts."""
        if call.output is not None:
            return
        call.output = output
        self._inference._emit(ToolResult(call.item.id, call.item.name, output, end))
        self._change.ring()
