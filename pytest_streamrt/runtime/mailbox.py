"""A participant's queue of events, one for each stay in a room, under the policy of its inbox."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import anyio

from pytest_streamrt.errors import StreamrtWarning
from pytest_streamrt.events.order import DELTAS
from pytest_streamrt.events.types import Event, ToolCallDelta
from pytest_streamrt.runtime.inbox import Inbox
from pytest_streamrt.runtime.waiting import Party

if TYPE_CHECKING:
    from pytest_streamrt.runtime.acting import Acting

__all__ = ["CROWDED", "Mailbox", "merged", "open_mailbox", "warn_crowded"]

CROWDED: Final = 10_000
"""More events than this waiting in an unbounded inbox are worth a warning."""

Entry = tuple[Any, Event]
"""Who has emitted an event, and the event."""

Alarm = Callable[["Mailbox"], None]
Record = Callable[[str, int, int], None]


class Mailbox(Party):
    """Holds what a participant has yet to hear, in the room's order. This one is unbounded; the subclasses are not.

    Args:
        name: the participant's.
        inbox: its policy.
        alarm: called with a mailbox, once, when too much waits in it.
        record: called with the name, the first and the last `seq` of what has been dropped before the event that comes next.
        keep: whether to keep a list of what was heard, as evidence.
    """

    can_fill = False
    """Whether streams may have to wait for it."""

    def __init__(self, name: str, inbox: Inbox, alarm: Alarm, record: Record, *, keep: bool) -> None:
        super().__init__()
        self.name = name
        self.inbox = inbox
        self.occasion: Acting | None = None  # of the handler that runs
        self.heard: list[Event] | None = [] if keep else None
        self.until: int | None = None  # the seq of the last event it was sent, once it is closed
        self.cut = False  # whether it was closed before all was heard
        self.most = 0  # deltas that waited at once, where there is a bound
        self.overrun: Event | None = None  # the first delta of a stream that should have waited
        self._queue: deque[Any] = deque()
        self._handling = False
        self._lent = 0
        self._arrival: anyio.Event | None = None
        self._alarm: Alarm | None = alarm
        self._record = record

    def __str__(self) -> str:
        return f"the handler of {self.name!r}"

    @property
    def full(self) -> bool:
        """Whether streams must wait for it. Not while its owner waits for something else in the room: it is lent."""
        return False

    @property
    def idle(self) -> bool:
        """Whether everything has been heard, and handled."""
        return not self._queue and not self._handling

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return len(self._queue)

    def put(self, entry: Entry, delta: bool) -> None:  # noqa: ARG002, FBT001 - the bounded ones ask; called for each delivery
        """Append an event. Never waits: it is streams that wait, before they ask for more."""
        queue = self._queue
        queue.append(entry)
        if len(queue) > CROWDED and self._alarm is not None:
            self._alarm(self)
            self._alarm = None
        if self._arrival is not None:
            self._wake()

    async def arrival(self) -> bool:
        """Wait until there is something to hear; False when the mailbox is closed and all has been heard."""
        while not self._queue:
            if self.until is not None:
                return False
            self._arrival = anyio.Event()
            await self._arrival.wait()
        return True

    def take(self) -> Entry | None:
        """The one before has been handled. The next event, if there is one: it is being handled from now on."""
        if not self._queue:
            self.give_up()
            return None
        self._handling = True
        entry: Entry = self._queue.popleft()
        if self.heard is not None:
            self.heard.append(entry[1])
        return entry

    def give_up(self) -> None:
        """Nothing is being handled any more."""
        self._handling = False
        self.occasion = None

    def close(self, seq: int, *, discard: bool = False) -> None:
        """Take nothing more in; `seq` is the last. What waits is still heard, unless it is discarded."""
        if self.until is None:
            self.until = seq
        if discard and not self.idle:
            self.cut = True
            self._queue.clear()
        self._wake()

    def lend(self) -> None:
        """The owner's handler waits for something in the room: streams need not wait for it meanwhile."""
        self._lent += 1

    def take_back(self) -> None:
        """The owner's handler goes on."""
        self._lent -= 1

    def _wake(self) -> None:
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None


class _Bounded(Mailbox):
    """Counts the deltas in it."""

    def __init__(self, name: str, inbox: Inbox, alarm: Alarm, record: Record, *, keep: bool) -> None:
        super().__init__(name, inbox, alarm, record, keep=keep)
        assert inbox.capacity is not None
        self._capacity = inbox.capacity
        self._deltas = 0
        self._over: dict[
            str | None, int
        ] = {}  # the inferences that have added to it since it was full, and at which seq
        self._alarm = None  # streams wait, or deltas go: it is no surprise

    def lend(self) -> None:
        super().lend()
        self._over.clear()

    def _note_over(self, event: Event) -> None:
        """A delta comes though there is no room. Each stream may have one on its way; a second should have waited.

        One right after the other are one step: a gate may let go of several that it has held.
        """
        last = self._over.get(event.inference)
        if last is not None and event.seq != last + 1 and self.overrun is None:
            self.overrun = event
        self._over[event.inference] = event.seq


class _Blocking(_Bounded):
    """Streams wait while it is full. What is being handled counts."""

    can_fill = True

    def __init__(self, name: str, inbox: Inbox, alarm: Alarm, record: Record, *, keep: bool) -> None:
        super().__init__(name, inbox, alarm, record, keep=keep)
        self._delta_in_hand = False

    @property
    def full(self) -> bool:
        return not self._lent and len(self._queue) + self._handling >= self._capacity

    def put(self, entry: Entry, delta: bool) -> None:  # noqa: FBT001 - as above
        if delta:
            if self._deltas < self._capacity:
                if self._over:
                    self._over.clear()
            elif not self._lent:
                self._note_over(entry[1])
            self._deltas += 1
        self._queue.append(entry)
        if self._arrival is not None:
            self._wake()

    def take(self) -> Entry | None:
        if self._delta_in_hand:
            self._deltas -= 1
        entry = super().take()
        self._delta_in_hand = entry is not None and entry[1].type in DELTAS
        return entry


class _Dropping(_Bounded):
    """The oldest delta that waits gives way to a new one. What is being handled does not count."""

    def __init__(self, name: str, inbox: Inbox, alarm: Alarm, record: Record, *, keep: bool) -> None:
        super().__init__(name, inbox, alarm, record, keep=keep)
        self._last: int | None = None

    def put(self, entry: Entry, delta: bool) -> None:  # noqa: FBT001 - as above
        if delta:
            if self._deltas == self._capacity:
                self._drop()
            self._deltas += 1
            self.most = max(self.most, self._deltas)
        super().put(entry, delta)

    def _drop(self) -> None:
        for i, (_, event) in enumerate(self._queue):
            if event.type in DELTAS:
                del self._queue[i]
                self._deltas -= 1
                return

    def take(self) -> Entry | None:
        entry = super().take()
        if entry is None:
            return None
        event = entry[1]
        if event.type in DELTAS:
            self._deltas -= 1
        # Everything else is heard, and in order: what lies between two events that are heard was all dropped.
        if self._last is not None and event.seq != self._last + 1:
            self._record(self.name, self._last + 1, event.seq - 1)
        self._last = event.seq
        return entry


class _Coalescing(_Bounded):
    """When it is full, a delta goes into the last one that waits, where it goes on with that; else streams wait.

    What is merged is a list in the queue, and joined when it is taken: to join each time would be quadratic.
    """

    can_fill = True

    @property
    def full(self) -> bool:
        # Not when as many wait as may: whether the next can be merged is not known before it comes.
        return not self._lent and self._deltas > self._capacity

    def put(self, entry: Entry, delta: bool) -> None:  # noqa: FBT001 - as above
        if delta:
            if self._deltas >= self._capacity and self._merge(entry):
                return
            if self._deltas <= self._capacity:
                self._over.clear()
            elif not self._lent:
                self._note_over(entry[1])
            self._deltas += 1
        super().put(entry, delta)

    def _merge(self, entry: Entry) -> bool:
        source, event = entry
        last_source, last = self._queue[-1]
        previous = last[-1] if isinstance(last, list) else last
        if last_source is not source or not _goes_on(previous, event):
            return False
        if isinstance(last, list):
            last.append(event)
        else:
            self._queue[-1] = source, [last, event]
        return True

    def take(self) -> Entry | None:
        if self._queue and isinstance(self._queue[0][1], list):
            source, pieces = self._queue[0]
            self._queue[0] = source, _join(pieces)
        entry = super().take()
        if entry is not None and entry[1].type in DELTAS:
            self._deltas -= 1
        return entry


def _goes_on(previous: Event, event: Event) -> bool:
    """Whether a delta is the next piece of the same."""
    return (
        previous.type == event.type
        and previous.type in DELTAS
        and all(getattr(previous, name) == getattr(event, name) for name in _same_of(type(event)))
    )


_SAME: Final[dict[type[Event], tuple[str, ...]]] = {}


def _same_of(kind: type[Event]) -> tuple[str, ...]:
    """What two deltas of that kind must have in common to be pieces of the same: all but their place and their text."""
    if kind not in _SAME:
        own = {"seq", "time", "inference_seq", "cause", "first_seq", _text_of(kind)}
        _SAME[kind] = tuple(each.name for each in fields(kind) if each.name not in own)
    return _SAME[kind]


def _text_of(kind: type[Event]) -> str:
    return "arguments" if kind is ToolCallDelta else "text"


def merged(pieces: list[Event]) -> Event | None:
    """One delta of several: the last one's place, the text of all, and the seq of the first. None if they do not go together."""
    if not pieces or not all(map(_goes_on, pieces, pieces[1:])):
        return None
    return _join(pieces)


def _join(pieces: list[Event]) -> Event:
    last = pieces[-1]
    name = _text_of(type(last))
    values = {**last.__dict__, name: "".join(getattr(piece, name) for piece in pieces), "first_seq": pieces[0].seq}
    copy = object.__new__(type(last))
    copy.__dict__.update(values)
    return copy


_KINDS: Final[dict[str, type[Mailbox]]] = {
    "block": _Blocking,
    "drop_oldest": _Dropping,
    "coalesce": _Coalescing,
    "unbounded": Mailbox,
}


def open_mailbox(name: str, inbox: Inbox, alarm: Alarm, record: Record, *, keep: bool) -> Mailbox:
    """The mailbox for an inbox's policy."""
    return _KINDS[inbox.policy](name, inbox, alarm, record, keep=keep)


def warn_crowded(crowded: list[Mailbox]) -> None:
    """Say for whom too much waits, and forget it."""
    names = ", ".join(repr(mailbox.name) for mailbox in crowded)
    crowded.clear()
    msg = (
        f"more than {CROWDED:,} events wait for {names}, whose inbox has no bound: it does not keep up, or its handler "
        "hangs. Give it Inbox.drop_oldest(n) or Inbox.coalesce(n), or Inbox.block(n) to slow the streams down"
    )
    warnings.warn(msg, StreamrtWarning, stacklevel=4)
