"""The room: it puts every event into one order and hands it to everyone in it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NoReturn, Self, get_args

import anyio

from pytest_streamrt.events.items import Message
from pytest_streamrt.events.types import Event, ParticipantFailed, ParticipantJoined, ParticipantLeft, Signal
from pytest_streamrt.runtime.acting import NOBODY, Handling, acting
from pytest_streamrt.runtime.gate import Gate, check_gates
from pytest_streamrt.runtime.hearing import explain, hear
from pytest_streamrt.runtime.inference import Inference
from pytest_streamrt.runtime.mailbox import Mailbox, open_mailbox
from pytest_streamrt.runtime.order import EventLog, Order
from pytest_streamrt.runtime.participant import Participant, check_admissible, check_signal
from pytest_streamrt.runtime.telling import text_of, traceback_of
from pytest_streamrt.runtime.waiting import Settling, lending, waiting_for
from pytest_streamrt.runtime.waking import Bell

if TYPE_CHECKING:
    from pytest_streamrt.runtime.agent import Agent

__all__ = ["Environment"]

Failures = Literal["raise", "isolate"]
"""What leaving a room does with what its participants raised."""


class Environment:
    """A room for participants, as an async context manager.

    Leaving it waits until no inference runs, every inbox is empty and no handler is running. Leaving it by an exception,
    or being cancelled while it waits, aborts what runs. What handlers raised leaves it as one `ExceptionGroup`.

    Args:
        participants: who is in it from the start.
        gates: what sees the model's events before the room does; see `Gate`. Each inference has copies of its own.
        transcript: where its events are logged.
        failures: "raise" what participants raised on leaving, or "isolate" it to the record (`participant.failed`).
    """

    def __init__(
        self,
        *participants: Participant,
        gates: Iterable[Gate] = (),
        transcript: EventLog | None = None,
        failures: Failures = "raise",
    ) -> None:
        __tracebackhide__ = True
        if failures not in get_args(Failures):
            msg = f"Environment(failures={failures!r}): it is one of {', '.join(map(repr, get_args(Failures)))}"
            raise ValueError(msg)
        self.inferences: dict[str, Inference] = {}
        """Every inference there has been in the room, by its id."""
        self._founders = participants
        self._gates = check_gates(gates)
        if transcript is not None and not hasattr(transcript, "log"):
            msg = f"Environment(transcript=…): it is a Transcript, not {transcript!r:.80}"
            raise TypeError(msg)
        self._isolate = failures == "isolate"
        self._present: dict[str, Participant] = {}
        self._attending: list[Mailbox] = []  # of those present, and those who left and have yet to hear the last of it
        self._order = Order(self, transcript)
        self._emit = self._order.emit
        self._stays: list[Mailbox] = []  # everyone's, that the laws are checked against
        self._numbers: dict[str, itertools.count[int]] = {}
        self._state: Literal["new", "open", "closed"] = "new"
        self._thread: int | None = None
        self._failures: list[Exception] = []
        self._change = Bell()
        try:
            self._watcher = anyio.CancelScope()
            self._tasks = anyio.create_task_group()
        except RuntimeError:
            msg = "an environment needs a running event loop: make the test `async def`, with @pytest.mark.anyio"
            raise RuntimeError(msg) from None

    if not TYPE_CHECKING:  # type checkers are to see that this is wrong

        def __enter__(self) -> NoReturn:
            __tracebackhide__ = True
            raise RuntimeError("use `async with environment(…)`, not `with environment(…)`")

        def __exit__(self, *_: object) -> None:
            """Never called; `with` asks for it before it enters."""

    async def __aenter__(self) -> Self:
        __tracebackhide__ = True
        if self._state != "new":
            msg = "an environment can be entered once; make another"
            raise RuntimeError(msg)
        names: set[str] = set()
        for participant in self._founders:  # before there are tasks: whoever is refused here leaves nothing behind
            check_admissible(participant, names)
            names.add(participant.name)
        await self._tasks.__aenter__()
        self._state = "open"
        self._thread = get_ident()
        self._order.begin()
        self._tasks.start_soon(self._watch, name="<room>")
        try:
            for participant in self._founders:
                self._admit(participant)
        except BaseException as error:  # the log cannot be written; nobody will call __aexit__
            await self._close(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            await self._close(error)
            return
        try:
            await self.settled()
        except BaseException as interruption:
            # The wait was cancelled: by a scope around the room, natively (asyncio.timeout, task.cancel()), or by a task
            # of the room that broke. A native cancellation comes once, so the tasks have to be told of it here.
            await self._close(interruption)
            raise
        await self._close(None)
        failures = [] if self._isolate else self._failures
        others = [*self._order.warnings, *self._unplayed()]
        if failures:
            msg = "participants of the environment failed"
            raise ExceptionGroup(msg, [*failures, *others])
        if others:
            first, *more = others
            for each in more:
                first.add_note(f"and: {each}")
            raise first

    async def _close(self, error: BaseException | None) -> None:
        """End what still runs, and every task of the room; `error` is what it is left by, and is for the caller to raise."""
        self._state = "closed"
        if isinstance(error, anyio.get_cancelled_exc_class()) and anyio.current_effective_deadline() == -math.inf:
            self._abort_all()
        for inference in self.inferences.values():
            inference._abort_now("the environment was left by an exception", "environment")
        self._dismiss_all()
        if error is not None:
            self._cancel_handlers()
            self._tasks.cancel_scope.cancel()
        self._watcher.cancel()
        try:
            if isinstance(error, anyio.get_cancelled_exc_class()):
                if await self._tasks.__aexit__(type(error), error, error.__traceback__):
                    # It was the room's own doing, and nothing has been raised for it: passed over, a test would end
                    # here without having run to its end, and pass.
                    msg = (
                        "a task of the environment was cancelled, and the rest of it with it, but nobody has cancelled the "
                        "environment. Likely a handler or a model cancels the task that it runs in; abort the inference, "
                        "or raise, instead"
                    )
                    raise RuntimeError(msg) from error
                return
            try:
                # Any other error goes on as it is: the task group would wrap it in a group of its own.
                await self._tasks.__aexit__(None, None, None)
            except anyio.get_cancelled_exc_class():
                # That error is what is to be known, though a scope around the room was cancelled as well.
                if error is None:
                    raise
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:  # a handler called pytest.fail(), a model met a CassetteMiss
                # What else the room was left by is told with it, unless that is the cancellation to which it led.
                raise group.exceptions[0] from None if isinstance(error, anyio.get_cancelled_exc_class()) else error
            raise
        finally:
            for stay in self._stays:
                if stay.owner._environment is self:  # who has left may be in another room by now
                    stay.owner._environment = None
            if error is not None:
                for failure in self._failures:
                    error.add_note(f"before that, a participant failed: {failure!r}")
                for warning in self._order.warnings:
                    error.add_note(f"before that, there was a warning: {warning}")

    async def _watch(self) -> None:
        """Be told for all when a scope around the room is cancelled.

        Such a scope tells its tasks in the order of their memory addresses: another one on each run. All that runs in the
        room is shielded from it, and ended from here.
        """
        try:
            with self._watcher:
                await anyio.sleep_forever()
        finally:
            if not self._watcher.cancel_called:
                self._abort_all()

    def _abort_all(self) -> None:
        """A scope around the room was cancelled: end what runs, in the order in which it began. Nothing new begins."""
        self._state = "closed"
        occasion = acting.set(NOBODY)  # and not that of whoever it was
        for inference in self.inferences.values():
            inference._abort_now("cancelled", "scope")
        acting.reset(occasion)
        self._dismiss_all()  # now, and not when the test has come out of its own scopes, which may be a little later
        self._cancel_handlers()

    def _cancel_handlers(self) -> None:
        for mailbox in self._attending:
            mailbox.scope.cancel()

    async def join(self, participant: Participant) -> None:
        """Let somebody in. It hears everything from its own `participant.joined` on.

        Raises:
            TypeError: it is no participant.
            ValueError: there is one of that name already, or it is in a room already.
            RuntimeError: the room has not been entered, or is closed.
        """
        __tracebackhide__ = True
        check_admissible(participant, self._present)
        self._require_open(f"{participant.name} cannot join")
        self._admit(participant)

    async def leave(self, participant: Participant) -> None:
        """Let somebody go. Its inferences are aborted, and its own `participant.left` is the last it hears.

        Who is not in the room, or not any more, stays where it is.

        Raises:
            TypeError: it is no participant, but a name, say.
        """
        __tracebackhide__ = True
        if not isinstance(participant, Participant):
            msg = f"leave: it takes the participant itself, not {participant!r}"
            raise TypeError(msg)
        if self._present.get(participant.name) is not participant:
            return
        for inference in self.inferences.values():
            if inference.agent is participant:
                inference._abort_now("its agent left", participant.name)
        self._emit(ParticipantLeft(participant.name), participant)
        self._dismiss(participant)

    def emit(self, signal: Signal) -> None:
        """Let the room know something, on behalf of the participant whose handler this is, or of the test.

        Raises:
            TypeError: it is no `Signal`.
            RuntimeError: this is not the thread of the room's event loop, which would not hear of it.
        """
        if not isinstance(signal, Signal) or get_ident() != self._thread:
            __tracebackhide__ = True
            self._refuse(signal)
        self._emit(signal)

    async def settled(self) -> None:
        """Wait until no inference runs, every inbox is empty and no handler is running, but the one that asks.

        Raises:
            WouldDeadlock: something in the room waits for the handler or inference that asks.
        """
        with lending() as own:
            goal = Settling(self, own)
            if goal.reached():
                return
            with waiting_for(goal):
                await self._change.wait()
                while not goal.reached():
                    await self._change.wait()

    async def _room_for_more(self, inference: Inference) -> bool:
        """Wait until no inbox is full: what a stream does before it asks its source for more. False where it has ended."""
        # An abort that comes when this has just been woken may cancel it now or a little later, as the backend has it.
        while inference._outcome is None and any(mailbox.full for mailbox in self._order.can_fill):
            await self._change.wait()
        return inference._outcome is None

    def _changed(self) -> None:
        """Something that is waited for may have come: room in an inbox, an end, quiet."""
        self._change.ring()

    def _require_open(self, what: str) -> None:
        if self._state != "open":
            state = "has not been entered" if self._state == "new" else "is closed"
            msg = f"{what}: the environment {state}. Do it inside its `async with` block"
            raise RuntimeError(msg)

    def _refuse(self, signal: Signal) -> None:
        """Say what is wrong with it, if anything is."""
        __tracebackhide__ = True
        check_signal(signal)
        if self._thread is not None and get_ident() != self._thread:
            msg = (
                f"emit({signal!r}) was called in another thread than the room's, whose event loop would sleep on. Call it there: "
                "anyio.from_thread.run_sync(environment.emit, signal)"
            )
            raise RuntimeError(msg)

    def _cause(self) -> int | None:
        """The `seq` of the event in this room that led here, if one did."""
        occasion = acting.get()
        return occasion.cause if occasion.order is self._order else None

    def _start(
        self, agent: Agent, message: Message | None, *, deadline: float | None, max_deltas: int | None
    ) -> Inference:
        self._require_open(f"{agent.name} cannot infer")
        if self._present.get(agent.name) is not agent:
            msg = f"{agent.name} cannot infer: it has left the environment"
            raise RuntimeError(msg)
        number = next(self._numbers.setdefault(agent.name, itertools.count(1)))
        id = f"{agent.name}/{number}"
        inference = Inference(self, agent, id, max_deltas=max_deltas)
        self.inferences[id] = inference
        inference._start(message)
        with inference._closed.runs_here():  # and so do the tools that it starts
            self._tasks.start_soon(inference._pump, name=f"inference {id}")
        if deadline is not None:
            self._tasks.start_soon(inference._watch_deadline, deadline, name=f"deadline of {id}")
        return inference

    def _admit(self, participant: Participant) -> None:
        participant._environment = self
        mailbox = open_mailbox(participant, participant._inbox, self._order, place=len(self._stays))
        participant._mailbox = mailbox
        self._stays.append(mailbox)
        self._order.add(mailbox)
        self._present[participant.name] = participant
        self._attending.append(mailbox)
        self._emit(ParticipantJoined(participant.name), participant)
        self._tasks.start_soon(self._attend, participant, name=f"participant {participant.name}")

    def _dismiss(self, participant: Participant) -> None:
        mailbox = participant._mailbox
        del self._present[participant.name]
        self._order.remove(mailbox)
        mailbox.close(self._order.seq)
        self._change.ring()

    def _dismiss_all(self) -> None:
        """Nobody hears any more, but what is being handled."""
        for mailbox in self._attending:
            mailbox.close(self._order.seq, discard=True)
            self._order.remove(mailbox)
        self._present.clear()

    async def _attend(self, participant: Participant) -> None:
        """One participant's task: hear one event after the other."""
        mailbox = participant._mailbox
        acting.set(Handling(participant, mailbox))
        try:
            with mailbox.scope:
                await hear(participant, mailbox, self._change)
        except Exception as error:  # noqa: BLE001 - a participant that fails must not take the room with it
            handled = mailbox.in_hand
            mailbox.give_up()
            self._fail(participant, handled, error)
        finally:
            mailbox.give_up()
            self._attending.remove(mailbox)
            if self._present.get(participant.name) is not participant:
                participant._environment = None  # it has heard the last of it, and may go elsewhere
            self._change.ring()

    def _fail(self, participant: Participant, handled: Event | None, error: Exception) -> None:
        explain(error, participant, handled)
        self._failures.append(error)
        self._emit(ParticipantFailed(participant.name, text_of(error), traceback_of(error)), participant)
        if self._present.get(participant.name) is participant:
            self._dismiss(participant)
        participant._mailbox.close(self._order.seq, discard=True)
        for inference in self.inferences.values():
            if inference.agent is participant:
                inference._abort_now("its agent failed", participant.name)

    def _unplayed(self) -> list[Exception]:
        """What scripted models still have to complain of; see `FakeModel`."""
        models = {id(model): model for stay in self._stays if (model := getattr(stay.owner, "model", None)) is not None}
        checks = [check for model in models.values() if (check := getattr(model, "check_played", None)) is not None]
        return [error for check in checks if (error := check()) is not None]
