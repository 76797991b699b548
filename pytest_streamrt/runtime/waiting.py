"""Who waits for whom in a room. A wait that could never end is refused when it begins, with the circle it would close.

Circles close in two ways. Two handlers wait for the room to settle, and so each for the other. Or what runs within an
inference, its model or a tool, waits for that inference: itself, by way of another inference, or by settling. A stream
that waits for a full inbox closes none: a handler that waits has lent its inbox.

A circle always closes with the wait that begins last: what an earlier one comes to need in the meantime (an inference,
an event to handle) is new, and waits for nobody yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

import anyio
from anyio.lowlevel import checkpoint

from pytest_streamrt.errors import WouldDeadlock
from pytest_streamrt.runtime.acting import acting, hearing
from pytest_streamrt.runtime.waking import Bell

if TYPE_CHECKING:
    from pytest_streamrt.runtime.environment import Environment
    from pytest_streamrt.runtime.inference import Inference
    from pytest_streamrt.runtime.mailbox import Mailbox

__all__ = ["Ending", "Goal", "Party", "Settling", "lending", "waiting_for"]


class Goal(Protocol):
    """What can be waited for. `str()` of it goes after "waits for"."""

    def needs(self) -> Iterator[Party]:
        """Who has to finish first, as things stand."""
        ...


class Party:
    """Who can wait, and be waited for: a handler that runs, known by its mailbox, or an inference, by its ending."""

    def __init__(self) -> None:
        self.waits: list[Goal] = []


class Ending(Party):
    """The end of an inference, which those who await it wait for."""

    def __init__(self, inference: Inference) -> None:
        super().__init__()
        self._inference = inference
        self._bell = Bell()
        self._set = False

    def __str__(self) -> str:
        return f"the inference {self._inference.id!r}"

    def needs(self) -> Iterator[Party]:
        """Only itself has to end; what that takes is asked of it in turn."""
        yield self

    def set(self) -> None:
        """It has ended, and the model's stream is closed."""
        self._set = True
        self._bell.ring()

    def is_set(self) -> bool:
        """Whether it has."""
        return self._set

    @contextmanager
    def runs_here(self) -> Iterator[None]:
        """What is started inside runs within the inference, and so does what that starts in turn."""
        token = _within.set(self)
        try:
            yield
        finally:
            _within.reset(token)

    async def wait(self) -> None:
        """Wait until it has.

        Raises:
            WouldDeadlock: it cannot end before the one that asks.
        """
        if self._set:
            await checkpoint()
        elif self._inference.status != "running":  # it only closes its stream: that waits for nobody, nor for long
            await self._bell.wait()
        else:
            with waiting_for(self):
                await self._bell.wait()


_within: Final[ContextVar[Ending | None]] = ContextVar("pytest_streamrt.within", default=None)
"""The inference that this task is part of: its pump, or a tool of it. `Acting` does not say that of tools."""


class Settling:
    """That a room settles, but for the handler that asks."""

    def __init__(self, room: Environment, asking: Mailbox | None) -> None:
        self._room = room
        self._asking = asking

    def __str__(self) -> str:
        return "the room to settle"

    def reached(self) -> bool:
        """Whether it has."""
        return next(self.needs(), None) is None

    def needs(self) -> Iterator[Party]:
        """Inferences that run, and those who have something to hear or are hearing it."""
        for inference in self._room.inferences.values():
            if not inference._closed.is_set():
                yield inference._closed
        for mailbox in self._room._attending:
            if mailbox is not self._asking and not mailbox.idle:
                yield mailbox


def lent_inbox() -> Mailbox | None:
    """The inbox of the handler that runs here, which lends it while it waits; None outside of handlers.

    What a handler starts counts as the handler, for as long as that has not returned.
    """
    mailbox = acting.get().mailbox
    if mailbox is None or mailbox.in_hand is None or mailbox.in_hand is not hearing.get():
        return None
    return mailbox


class lending:  # noqa: N801 - these two are entered for each wait, and as generators would take three times as long
    """While a handler waits for what streams do, its inbox is lent: none of them waits for it."""

    __slots__ = ("_lent",)

    def __enter__(self) -> Mailbox | None:
        mailbox = lent_inbox()
        self._lent: Mailbox | None = None
        # Where a scope around is cancelled it does not come to wait; how soon it learns of that hangs on the backend.
        if mailbox is not None and anyio.current_effective_deadline() != -math.inf:
            self._lent = mailbox
            mailbox.lend()
            room = mailbox.owner._environment
            if room is not None:
                room._changed()
        return mailbox

    def __exit__(self, *_: object) -> None:
        if self._lent is not None:
            self._lent.take_back()


class waiting_for:  # noqa: N801
    """Around a wait: it is known who waits, and for what.

    Raises:
        WouldDeadlock: what is waited for waits, in turn, for who asks.
    """

    __slots__ = ("_asking", "_goal")

    def __init__(self, goal: Goal) -> None:
        self._goal = goal

    def __enter__(self) -> None:
        self._asking = asking = _asking()
        if asking is None:
            return
        path = _path(self._goal, asking, set())
        if path is not None:
            _refuse(asking, self._goal, path)
        asking.waits.append(self._goal)

    def __exit__(self, *_: object) -> None:
        if self._asking is not None:
            self._asking.waits.remove(self._goal)


def _asking() -> Party | None:
    """Whose code runs here; None in the test, and in a task that has outlived the handler or inference it began in."""
    if acting.get().mailbox is not None:
        return lent_inbox()
    ending = _within.get()
    return None if ending is None or ending.is_set() else ending


def _path(goal: Goal, to: Party, seen: set[int]) -> list[tuple[Party, Goal | None]] | None:
    """How the goal comes to need a party: who waits for what on the way there, ending with the party itself."""
    for party in goal.needs():
        if party is to:
            return [(party, None)]
        if id(party) in seen:
            continue
        seen.add(id(party))
        for further in party.waits:
            path = _path(further, to, seen)
            if path is not None:
                return [(party, further), *path]
    return None


def _refuse(asking: Party, goal: Goal, path: list[tuple[Party, Goal | None]]) -> None:
    told = f"{asking} waits for {goal}"
    for party, further in path:
        if not told.endswith(str(party)):  # an inference is its own goal
            told += f", which waits for {party}"
        if further is not None:
            told += f", which waits for {further}"
    msg = (
        f"{told}: that could never end. Do not wait there: let the handler return, and act on the event that ends the wait "
        "(inference.completed, say), or wait in the test, outside of handlers and tools"
    )
    raise WouldDeadlock(msg, cycle=(str(asking), *(str(party) for party, _ in path)))
