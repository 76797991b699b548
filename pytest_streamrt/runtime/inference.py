"""One answer of an agent, from its start to its one end: the thing that can be aborted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import anyio

from pytest_streamrt.errors import InferenceFailed
from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.items import FunctionCall, Item, Message
from pytest_streamrt.events.order import DELTAS
from pytest_streamrt.events.types import (
    Event,
    InferenceAborted,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ItemCompleted,
    Status,
    TokenUsage,
    Usage,
)
from pytest_streamrt.runtime.acting import Acting, acting
from pytest_streamrt.runtime.cancellation import strays_are_errors
from pytest_streamrt.runtime.gate import GateFailed
from pytest_streamrt.runtime.gate_chain import GateChain
from pytest_streamrt.runtime.handoff import hand_over
from pytest_streamrt.runtime.rounds import Calls
from pytest_streamrt.runtime.source import CLOSE_TIMEOUT, check_event, close_stream, open_stream
from pytest_streamrt.runtime.telling import text_of
from pytest_streamrt.runtime.waiting import Ending, lending

if TYPE_CHECKING:
    from pytest_streamrt.runtime.agent import Agent
    from pytest_streamrt.runtime.environment import Environment

__all__ = ["Inference", "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """How an inference ended, and what it had said by then.

    Attributes:
        status: "completed", "aborted" or "failed".
        text: the answer, or as much of it as there is, as the room has heard it: what a gate kept back is not in it.
        items: the finished items, then what was still being written.
        usage: tokens used, where the model said.
        reason: why it was aborted, how it failed, or the provider's reason for ending.
        by: who aborted it; "" where nobody did.
        kind: for a failed one, whose fault it was: transport, provider, model, tool or limit.
    """

    status: Literal["completed", "aborted", "failed"]
    text: str
    items: tuple[Item, ...] = ()
    usage: TokenUsage | None = None
    reason: str = ""
    by: str = ""
    kind: str = ""


class Inference:
    """An answer in the making. ``await`` it for its `Outcome`; `abort` it at any time."""

    def __init__(
        self,
        environment: Environment,
        agent: Agent,
        id: str,
        *,
        max_deltas: int | None,
    ) -> None:
        self.id = id
        self.agent = agent
        self._environment = environment
        self._max_deltas = max_deltas
        self._deltas = 0
        self._seq = 0
        self._fold = Fold()  # the agent's own: what its model has said
        self._gates = GateChain(environment._gates)
        self._heard = Fold() if environment._gates else self._fold  # the room's: what the gates let through
        self._latest: Event | None = None  # of this round, as the model gave it
        self._round = 1
        self._kept = 0  # how many of its items are in the agent's context
        self._calls = Calls(self, environment)
        self._scope = anyio.CancelScope(shield=True)  # a scope around the room ends it by way of the room, in order
        self._timer = anyio.CancelScope()
        self._outcome: Outcome | None = None
        self._error: Exception | None = None
        self._asking = False  # whether a stream of the model's is open
        self._not_closed = False  # whether it is on the record that the model's stream did not close in time
        self._stopped: list[bool] = []  # of each abort that has returned: whether the model's stream was closed by then
        self._closed = Ending(self)  # the terminal event is out, and the model's stream is closed
        self._occasion = Acting(agent, environment._cause(), environment._order, self)

    def __repr__(self) -> str:
        return f"<Inference {self.id!r} {self.status}>"

    def __await__(self) -> Generator[Any, None, Outcome]:
        return self._result().__await__()

    @property
    def status(self) -> Literal["running", "completed", "aborted", "failed"]:
        """Where it stands."""
        return self._outcome.status if self._outcome is not None else "running"

    @property
    def text(self) -> str:
        """What it has said so far, as far as the room has heard it."""
        return self._heard.text

    async def outcome(self) -> Outcome:
        """Wait for its end, however it ends. Never raises for a failed one."""
        with lending():
            await self._closed.wait()
        assert self._outcome is not None
        return self._outcome

    async def abort(self, reason: str = "", *, by: str | None = None) -> None:
        """Stop it. The first to do so wins; on one that has ended this changes nothing.

        Nothing more of it is emitted from this moment on; calls of tools that have no result are "cancelled" in it.
        Returns when the model's stream is closed and its tools have stopped, or after 5 s, with the refusal on the record
        as the status "upstream.not_closed" or "tool.not_stopped". What the model raises from now on is on the record too,
        as "upstream.failed". In a tool of its own, this raises the backend's cancellation.

        Args:
            reason: why, for the record.
            by: who, for the record; by default the participant whose handler this is, or "caller".
        """
        if by is None:
            actor = acting.get().participant
            by = actor.name if actor is not None else "caller"
        self._abort_now(reason, by)
        with lending(), anyio.move_on_after(CLOSE_TIMEOUT):
            await self._closed.wait()
        if not self._closed.is_set():
            if self._asking:
                self._report_not_closed()
            self._calls.report_running()
        self._stopped.append(not self._asking)

    async def handoff(self, to: Agent, reason: str = "") -> Inference:
        """Stop it, and have another agent go on: with what this one was given and had said, as far as it got.

        The other agent's inference, which is returned, says on the record where it comes from: the status "handoff", with
        `from`, `to` and `reason`. This agent's instructions (system and developer messages) and its reasoning stay behind.

        Args:
            to: the agent that goes on, in the same room.
            reason: why, for the record.

        Raises:
            TypeError: `to` is no agent.
            ValueError: `to` is this inference's own agent, or in another room.
        """
        __tracebackhide__ = True
        return await hand_over(self, to, reason)

    async def _result(self) -> Outcome:
        __tracebackhide__ = True
        outcome = await self.outcome()
        if outcome.status == "failed":
            msg = f"{self.id} failed ({outcome.kind}): {outcome.reason}"
            raise InferenceFailed(msg, kind=outcome.kind, inference=self.id) from self._error
        return outcome

    def _start(self, message: Message | None) -> None:
        """Open the inference in the room; the pump runs from then on."""
        self._emit(InferenceStarted())
        if message is not None:
            self.agent.context.add(message)
            self._emit(ItemCompleted(message))

    def _emit(self, event: Event) -> None:
        self._environment._emit(event, self.agent, self)

    async def _pump(self) -> None:
        """Draw from the model until it ends, or is to end."""
        acting.set(self._occasion)
        try:
            with self._scope:
                await self._draw()
                while await self._next_round():
                    await self._draw()
        finally:
            # Still running means that it was not the room that ended it: somebody raised what is no Exception.
            if self._outcome is None:
                self._environment._abort_all()
            self._timer.cancel()
            try:
                await self._calls.stopped()
            finally:
                self._closed.set()
                self._environment._changed()

    async def _next_round(self) -> bool:
        """When the tools that the model has called have answered, tell it so. False where it is not to be asked again."""
        outputs = await self._calls.outputs()
        if self._outcome is not None:  # before, or since: an abort gives its calls their results, too
            return False
        for output in outputs:
            done = ItemCompleted(output)
            self._fold.add(done)
            self._say([done])
        self._keep_items()
        rounds = self.agent.max_rounds
        if self._round >= rounds:
            msg = f"the model called tools in every round up to max_rounds={rounds}, and was not asked again"
            self._fail("limit", msg, None)
            return False
        self._calls.next_round()
        self._latest = None
        self._round += 1
        return await self._environment._room_for_more(self)

    async def _draw(self) -> None:
        """One round: draw from the model until it ends."""
        __tracebackhide__ = True
        model = self.agent.model
        try:
            stream = open_stream(model, self.agent.context, self.agent.tools)
        except Exception as error:  # noqa: BLE001 - whatever the model raises is the inference's failure, not ours
            self._report(error)
            return
        if self._outcome is not None:  # it was ended before it began: the model is not asked for anything
            await self._close(stream)
            return
        self._asking = True
        try:
            with strays_are_errors():
                async for event in stream:
                    check_event(event, model)
                    if not (self._take(event) and await self._environment._room_for_more(self)):
                        break
            self._complete(None)
        except Exception as error:  # noqa: BLE001 - likewise
            self._report(error)
        finally:
            await self._close(stream)
            self._asking = False

    async def _close(self, stream: AsyncIterator[Event]) -> None:
        try:
            if not await close_stream(stream):
                self._report_not_closed()
        except Exception as error:  # noqa: BLE001 - likewise
            self._report(error)

    def _report(self, error: Exception) -> None:
        """The model has raised: the inference has failed, or it is on the record, where it had ended before."""
        text = text_of(error)
        if self._outcome is None:
            self._fail("model", text, error)
        else:
            self._environment._emit(Status("upstream.failed", {"inference": self.id, "error": text}), self.agent)

    def _report_not_closed(self) -> None:
        """Once, whoever finds out first: those who abort, or who closes."""
        if not self._not_closed:
            self._not_closed = True
            refusal = Status("upstream.not_closed", {"inference": self.id, "seconds": CLOSE_TIMEOUT})
            self._environment._emit(refusal, self.agent)

    def _take(self, event: Event) -> bool:
        """Emit one event of the model's. False when there is no use in asking for another."""
        if self._outcome is not None:
            return False
        if event.type in DELTAS:
            self._deltas += 1
            if self._max_deltas is not None and self._deltas > self._max_deltas:
                self._abort_now(f"more than max_deltas={self._max_deltas}", "limit")
                return False
        if isinstance(event, InferenceStarted):
            return True  # the room has had it; that this round began is no news
        if isinstance(event, InferenceCompleted):
            self._complete(event.finish_reason)
            return False
        if isinstance(event, InferenceFailure):
            self._fail(event.kind, event.message, None)
            return False
        if not self._is_next(event):
            return self._outcome is None
        if isinstance(event, Usage):
            event = replace(event, round=self._round)  # the fold adds up rounds
        self._fold.add(event)
        if self._fold.contradictions:  # a delta twice, or two in the wrong order: what was said is not what was meant
            self._fail("provider", f"the model contradicts itself: {self._fold.contradictions[0]}", None)
            return False
        if not self._pass_gates(lambda: self._gates.take(event)):
            return False
        if isinstance(event, ItemCompleted) and isinstance(event.item, FunctionCall):
            self._calls.add(event.item)
        return True

    def _is_next(self, event: Event) -> bool:
        """Whether a source that numbers its events goes on with this one; most do not, and give 0 each time."""
        before, self._latest = self._latest, event
        if before is None or not event.seq or event.seq == before.seq + 1:
            return True
        if event == before:
            again = Status("source.repeated", {"inference": self.id, "type": event.type, "number": event.seq})
            self._environment._emit(again, self.agent)
        else:
            self._fail(
                "provider", f"the model's event {event.seq}, {event.type}, comes after its event {before.seq}", None
            )
        return False

    def _pass_gates(self, let_through: Callable[[], list[Event]]) -> bool:
        """Say what the gates let through. False where one of them has ended the inference."""
        try:
            events = let_through()
        except GateFailed as error:
            self._fail(error.kind, str(error), error)
            return False
        self._say(events)
        if self._gates.stopped is None:
            return True
        gate, reason = self._gates.stopped
        self._abort_now(reason, gate)
        return False

    def _say(self, events: Iterable[Event]) -> None:
        """To the room. What it has heard is folded beside what the model has said, where gates may tell the two apart."""
        for event in events:
            if self._heard is not self._fold:
                self._heard.add(event)
            self._emit(event)

    async def _watch_deadline(self, seconds: float) -> None:
        with self._timer:
            await anyio.sleep(seconds)
            self._abort_now(f"deadline of {seconds:g} s", "deadline")

    def _complete(self, finish_reason: str | None) -> None:
        if self._outcome is not None:
            return
        for item in self._fold.open_items:  # what the model left unfinished is finished now
            if not self._take(ItemCompleted(item)):
                return  # a gate has ended it
        if self._calls.to_answer:
            return  # a round has ended, and not the inference
        self._keep_items()
        if not self._pass_gates(lambda: self._gates.flush("completed")):
            return
        self._say([ItemCompleted(item) for item in self._heard.open_items])  # of what was let go only now
        self._end("completed", InferenceCompleted(finish_reason), reason=finish_reason or "")

    def _keep_items(self) -> None:
        """What has been finished goes into the agent's context: at the end of a round, with the answers to its calls."""
        items = self._fold.items
        self.agent.context.add(*items[self._kept :])
        self._kept = len(items)

    @property
    def _unfinished(self) -> list[Item]:
        """What it has said that is not in the agent's context: the round that was cut short."""
        return self._fold.items[self._kept :]

    def _fail(self, kind: Any, message: str, error: Exception | None) -> None:
        if self._outcome is not None:
            return
        self._error = error
        self._say(self._gates.flush("failed"))
        self._end("failed", InferenceFailure(kind, message, self.text), reason=message, kind=kind)

    def _abort_now(self, reason: str, by: str) -> None:
        """Close the fence: from here on nothing of the inference is emitted but its end. Never waits."""
        if self._outcome is not None:
            return
        self._gates.flush("aborted")  # which lets nothing through: the fence is closed
        items = tuple(self._heard.items)
        end = InferenceAborted(reason, by, self.text, items, self._fold.usage)
        try:
            self._end("aborted", end, reason=reason, by=by)
        finally:  # to emit may raise, where the log cannot be written: it has ended all the same
            self._scope.cancel()

    def _end(
        self,
        status: Literal["completed", "aborted", "failed"],
        event: Event,
        *,
        reason: str,
        by: str = "",
        kind: str = "",
    ) -> None:
        items, usage = tuple(self._heard.items), self._fold.usage
        self._outcome = Outcome(status, self.text, items, usage, reason, by, kind)
        for error in self._gates.errors:
            failed = Status("gate.failed", {"inference": self.id, "gate": error.gate, "error": str(error)})
            self._environment._emit(failed, self.agent)
        self._calls.cancel(reason)
        self._emit(event)
