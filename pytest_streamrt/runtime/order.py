"""The one order of a room: how an event gets its place in it, who is given it, and who is woken for it."""

from __future__ import annotations

import warnings
from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Protocol

from pytest_streamrt.clock.current import now_ns
from pytest_streamrt.clock.timeline import NS
from pytest_streamrt.errors import StreamrtWarning
from pytest_streamrt.events.order import DELTAS
from pytest_streamrt.events.types import DeltasDropped, Event, new, set_attributes, stamp
from pytest_streamrt.runtime.acting import acting
from pytest_streamrt.runtime.hearing import HEARD_TWICE
from pytest_streamrt.runtime.mailbox import Blocking, Mailbox, Thinning

if TYPE_CHECKING:
    from pytest_streamrt.runtime.acting import Delivery
    from pytest_streamrt.runtime.inference import Inference

__all__ = ["CROWDED", "EventLog", "Order"]

CROWDED: Final = 10_000
"""More events than this waiting in an unbounded inbox are worth a warning."""


class EventLog(Protocol):
    """Where an environment writes down what happened, such as a `Transcript`."""

    def elapsed(self) -> float:
        """Seconds since the log began."""
        ...

    def log(self, event: Event, origin: object) -> None:
        """Write down a stamped event; `origin` is the environment that numbered it."""
        ...


class _Test:
    """The test itself, as the source of what it emits."""

    name: Final = "test"


_TEST: Final = _Test()


class Order:
    """The one order of a room.

    Args:
        room: the origin of its events, for the log.
        log: where they are written down.
    """

    def __init__(self, room: object, log: EventLog | None) -> None:
        self.log = log
        self.seq = 0
        """The last that was given."""
        self.sources: list[Any] = []
        """Evidence, where there is a log: who has emitted each event."""
        self.acts: list[tuple[Event, Mailbox]] = []
        """Evidence, where there is a log: what was emitted in a handler, and whose that was."""
        self.warnings: list[StreamrtWarning] = []
        """Those that are errors here: whoever leaves the room is to be told."""
        self._room = room
        self._began = 0
        self.asleep: list[Mailbox] = []
        self.can_fill: list[Mailbox] = []
        """Those that streams may have to wait for."""
        self._lossless: list[deque[Delivery]] = []  # their queues
        self._unbounded: list[Mailbox] = []
        self._blocking: list[Blocking] = []
        self._thinning: list[Thinning] = []
        self._look_at = CROWDED  # the seq before which nobody can have too much

    def begin(self) -> None:
        """The room opens: where there is no log, times are since now."""
        self._began = now_ns()

    def add(self, mailbox: Mailbox) -> None:
        """It hears what is emitted from now on."""
        if isinstance(mailbox, Thinning):
            self._thinning.append(mailbox)
        else:
            self._lossless.append(mailbox.queue)
            if isinstance(mailbox, Blocking):
                self._blocking.append(mailbox)
            else:
                self._unbounded.append(mailbox)
        if mailbox.can_fill:
            self.can_fill.append(mailbox)

    def remove(self, mailbox: Mailbox) -> None:
        """It hears nothing more, but what it has not heard yet."""
        self._lossless = [queue for queue in self._lossless if queue is not mailbox.queue]
        everyone: tuple[list[Any], ...] = (self._thinning, self._blocking, self._unbounded, self.can_fill)
        for some in everyone:
            if mailbox in some:
                some.remove(mailbox)

    def emit(self, event: Event, source: Any = None, inference: Inference | None = None) -> None:
        """Number, log and hand out one event: a single step, without waiting, so that nothing comes between.

        Its source is whoever acts here, where none is given. Warns where too much waits for somebody. All of it is one
        function, because a room is no faster than this.
        """
        log, occasion = self.log, acting.get()
        if source is None:
            source = occasion.participant or _TEST
        self.seq = seq = self.seq + 1
        time = log.elapsed() if log is not None else (now_ns() - self._began) / NS
        cause = occasion.cause if occasion.order is self else None
        values = event.__dict__.copy()  # from here on as in `stamp`
        values["seq"] = seq
        values["time"] = time
        values["source"] = source.name
        values["cause"] = cause
        if inference is None:
            values["inference"] = None
            values["inference_seq"] = 0
            values["round"] = 0
        else:
            inference._seq += 1
            values["inference"] = inference.id
            values["inference_seq"] = inference._seq
            values["round"] = inference._round
        stamped = new(type(event))
        set_attributes(stamped, values)
        if log is not None:
            log.log(stamped, self._room)
            self.sources.append(source)
            if occasion.mailbox is not None:
                self.acts.append((stamped, occasion.mailbox))
        delivery = source, stamped, event.type in HEARD_TWICE
        for queue in self._lossless:
            queue.append(delivery)
        if self._thinning or self._blocking:
            delta = event.type in DELTAS
            for thinning in self._thinning:
                thinning.put(delivery, delta=delta)
            if delta:
                for mailbox in self._blocking:
                    mailbox.watch(stamped)
        if self.asleep:
            self._wake()
        if seq > self._look_at:
            self._warn_crowded(seq)

    def record_gap(self, name: str, first: int, last: int) -> None:
        """Put on the record what a participant will not hear: the deltas from `first` to `last`."""
        if self.log is not None:
            gap = DeltasDropped(name, first, last, last - first + 1)
            self.log.log(stamp(gap, seq=0, time=self.log.elapsed(), source=name), self._room)

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
            try:
                warnings.warn(msg, StreamrtWarning, stacklevel=4)
            except StreamrtWarning as warning:  # it is an error, but not that of whoever happens to emit
                self.warnings.append(warning)
