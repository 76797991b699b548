"""The one order of a room: what is emitted next, who is given it, and who is woken for it."""

from __future__ import annotations

import warnings
from operator import attrgetter
from typing import Any, Final

from pytest_streamrt.errors import StreamrtWarning
from pytest_streamrt.events.order import DELTAS
from pytest_streamrt.events.types import Event
from pytest_streamrt.runtime.acting import Delivery
from pytest_streamrt.runtime.mailbox import Blocking, Mailbox, Queue

__all__ = ["CROWDED", "Order"]

CROWDED: Final = 10_000
"""More events than this waiting in an unbounded inbox are worth a warning."""


class Order:
    """The one order of a room, as a chain: who loses nothing follows it link by link, and needs no queue of its own."""

    def __init__(self) -> None:
        self.last = Delivery(None, Event(type="room"), False)
        self.asleep: list[Mailbox] = []
        self.can_fill: list[Mailbox] = []
        """Those that streams may have to wait for."""
        self._unbounded: list[Mailbox] = []
        self._blocking: list[Blocking] = []
        self._queues: list[Queue] = []
        self._look_at = CROWDED  # the seq before which nobody can have too much

    def add(self, mailbox: Mailbox) -> None:
        """It hears what is emitted from now on."""
        if isinstance(mailbox, Queue):
            self._queues.append(mailbox)
        elif isinstance(mailbox, Blocking):
            self._blocking.append(mailbox)
        else:
            self._unbounded.append(mailbox)
        if mailbox.can_fill:
            self.can_fill.append(mailbox)

    def remove(self, mailbox: Mailbox) -> None:
        """It hears nothing more, but what it has not heard yet."""
        everyone: tuple[list[Any], ...] = (self._queues, self._blocking, self._unbounded, self.can_fill)
        for some in everyone:
            if mailbox in some:
                some.remove(mailbox)

    def hand_out(self, delivery: Delivery) -> None:
        """It is the last from now on, and everyone has it. Warns where too much waits for somebody."""
        self.last.next = delivery
        self.last = delivery
        event = delivery.event
        if self._queues or self._blocking:
            delta = event.type in DELTAS
            for queue in self._queues:
                queue.put(delivery, delta=delta)
            if delta:
                for mailbox in self._blocking:
                    mailbox.watch(event)
        if self.asleep:
            self._wake()
        if event.seq > self._look_at:  # last of all: a warning may be an error
            self._warn_crowded(event.seq)

    def _wake(self) -> None:
        """Wake who waits for something to hear, in the order in which they have joined."""
        asleep, self.asleep = self.asleep, []
        if len(asleep) > 1:
            asleep.sort(key=attrgetter("place"))
        for mailbox in asleep:
            mailbox.wake()

    def _warn_crowded(self, seq: int) -> None:
        """Say for whom too much waits, once for each."""
        crowded = [mailbox for mailbox in self._unbounded if mailbox.waiting > CROWDED and not mailbox.crowded]
        for mailbox in crowded:
            mailbox.crowded = True
        waiting = [mailbox.waiting for mailbox in self._unbounded if not mailbox.crowded]
        self._look_at = seq + CROWDED - max(waiting, default=0)
        if crowded:
            names = ", ".join(repr(mailbox.name) for mailbox in crowded)
            msg = (
                f"more than {CROWDED:,} events wait for {names}, whose inbox has no bound: it does not keep up, or its handler "
                "hangs. Give it Inbox.drop_oldest(n) or Inbox.coalesce(n), or Inbox.block(n) to slow the streams down"
            )
            warnings.warn(msg, StreamrtWarning, stacklevel=5)
