"""A participant's queue of events, one for each stay in a room, under the policy of its inbox."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Final

import anyio

from pytest_streamrt.events.order import DELTAS
from pytest_streamrt.events.types import Event, ToolCallDelta
from pytest_streamrt.runtime.acting import Delivery
from pytest_streamrt.runtime.inbox import Inbox
from pytest_streamrt.runtime.waiting import Party

if TYPE_CHECKING:
    from pytest_streamrt.runtime.order import Order
    from pytest_streamrt.runtime.participant import Participant

__all__ = ["Blocking", "Mailbox", "Queue", "merged", "open_mailbox"]

Record = Callable[[str, int, int], None]


class Mailbox(Party):
    """What a participant has yet to hear, in the room's order. This one is unbounded; the subclasses are not.

    Args:
        owner: the participant.
        inbox: its policy.
        order: the room's.
        place: how many have joined the room before.
        record: called with the name, the first and the last `seq` of what has been dropped before the event that comes next.
        keep: whether to keep a list of what was heard, as evidence.
    """

    can_fill = False
    """Whether streams may have to wait for it."""

    def __init__(
        self, owner: Participant, inbox: Inbox, order: Order, place: int, record: Record, *, keep: bool
    ) -> None:
        super().__init__()
        self.owner = owner
        self.name = owner.name
        self.inbox = inbox
        self.place = place
        self.in_hand: Delivery | None = None  # what is being handled
        self.heard: list[Event] | None = [] if keep else None
        self.called: list[int] = []  # the seqs of what it heard as its own
        self.deaf = False  # whether it had no handler for events, at least for a time
        self.until: int | None = None  # the seq of the last event it was sent, once it is closed
        self.cut = False  # whether it was closed before all was heard
        self.crowded = False  # whether too much has waited in it
        self.most = 0  # deltas that waited at once, where there is a bound
        self.overrun: Event | None = None  # the first delta of a stream that should have waited
        self.order = order
        self.scope = anyio.CancelScope(shield=True)  # of the task in which it is heard: the room ends it
        self._at = order.last  # the last that was taken
        self._lent = 0
        self._arrival: anyio.Event | None = None
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
        return self.in_hand is None and not self._waits

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return self.order.last.event.seq - self._at.event.seq if self._at.next is not None else 0

    @property
    def _waits(self) -> bool:
        return self._at.next is not None

    async def arrival(self) -> bool:
        """Wait until there is something to hear; False when the mailbox is closed and all has been heard."""
        while not self._waits:
            if self.until is not None:
                return False
            self._arrival = anyio.Event()
            self.order.asleep.append(self)
            await self._arrival.wait()
        return True

    def take(self) -> Delivery | None:
        """The one before has been handled. The next event, if there is one: it is being handled from now on."""
        delivery = self._at.next
        self.in_hand = delivery
        if delivery is not None:
            self._at = delivery
            if self.heard is not None:
                self.heard.append(delivery.event)
        return delivery

    def give_up(self) -> None:
        """Nothing is being handled any more."""
        self.in_hand = None

    def close(self, seq: int, *, discard: bool = False) -> None:
        """Take nothing more in; `seq` is the last. What waits is still heard, unless it is discarded."""
        if self.until is None:
            self.until = seq
            self._part()
        if discard and not self.idle:
            self.cut = True
            self._discard()
        self.wake()

    def lend(self) -> None:
        """The owner's handler waits for something in the room: streams need not wait for it meanwhile."""
        self._lent += 1

    def take_back(self) -> None:
        """The owner's handler goes on."""
        self._lent -= 1

    def wake(self) -> None:
        """There is something to hear, or nothing will ever be again."""
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None

    def _part(self) -> None:
        """From here on the room's order is not its own: it has a copy of what it has yet to hear."""
        own = start = _copy(self._at)
        following = self._at.next
        while following is not None:
            own.next = _copy(following)
            own, following = own.next, following.next
        self._at = start

    def _discard(self) -> None:
        self._at.next = None


class _Bounded(Mailbox):
    """Counts the deltas in it."""

    def __init__(
        self, owner: Participant, inbox: Inbox, order: Order, place: int, record: Record, *, keep: bool
    ) -> None:
        super().__init__(owner, inbox, order, place, record, keep=keep)
        assert inbox.capacity is not None
        self._capacity = inbox.capacity
        self._over: dict[
            str | None, int
        ] = {}  # the inferences that have added to it since it was full, and at which seq

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


class Blocking(_Bounded):
    """Streams wait while it is full. What is being handled counts."""

    can_fill = True

    @property
    def full(self) -> bool:
        """As many events as may wait do."""
        return not self._lent and self._load >= self._capacity

    @property
    def _load(self) -> int:
        """How many events wait or are being handled."""
        return self.order.last.event.seq - self._at.event.seq + (self.in_hand is not None)

    def watch(self, event: Event) -> None:
        """A delta has come: was there room for it? Whether streams wait as they should is evidence, for law 11."""
        if self._load <= self._capacity or (not self._lent and self._deltas() <= self._capacity):
            if self._over:
                self._over.clear()
        elif not self._lent:
            self._note_over(event)

    def _deltas(self) -> int:
        deltas = int(self.in_hand is not None and self.in_hand.event.type in DELTAS)
        following = self._at.next
        while following is not None and deltas <= self._capacity:
            deltas += following.event.type in DELTAS
            following = following.next
        return deltas


class Queue(_Bounded):
    """Has a queue of its own, as not everything that the room says stays in it as it is."""

    def __init__(
        self, owner: Participant, inbox: Inbox, order: Order, place: int, record: Record, *, keep: bool
    ) -> None:
        super().__init__(owner, inbox, order, place, record, keep=keep)
        self._at = _copy(order.last)  # the room's own would hold on to all that comes
        self._queue: deque[Delivery] = deque()
        self._deltas = 0

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return len(self._queue)

    @property
    def _waits(self) -> bool:
        return bool(self._queue)

    def put(self, delivery: Delivery, *, delta: bool) -> None:
        """Append an event. Never waits: it is streams that wait, before they ask for more."""
        self._deltas += delta
        self._queue.append(delivery)

    def take(self) -> Delivery | None:
        """The one before has been handled. The next event, if there is one."""
        self.in_hand = delivery = self._queue.popleft() if self._queue else None
        if delivery is not None:
            self._deltas -= delivery.event.type in DELTAS
            if self.heard is not None:
                self.heard.append(delivery.event)
        return delivery

    def _part(self) -> None:
        pass

    def _discard(self) -> None:
        self._queue.clear()


class _Dropping(Queue):
    """The oldest delta that waits gives way to a new one. What is being handled does not count."""

    def __init__(
        self, owner: Participant, inbox: Inbox, order: Order, place: int, record: Record, *, keep: bool
    ) -> None:
        super().__init__(owner, inbox, order, place, record, keep=keep)
        self._last: int | None = None

    def put(self, delivery: Delivery, *, delta: bool) -> None:
        if delta and self._deltas == self._capacity:
            self._drop()
        super().put(delivery, delta=delta)
        self.most = max(self.most, self._deltas)

    def _drop(self) -> None:
        for i, delivery in enumerate(self._queue):
            if delivery.event.type in DELTAS:
                del self._queue[i]
                self._deltas -= 1
                return

    def take(self) -> Delivery | None:
        delivery = super().take()
        if delivery is None:
            return None
        event = delivery.event
        # Everything else is heard, and in order: what lies between two events that are heard was all dropped.
        if self._last is not None and event.seq != self._last + 1:
            self._record(self.name, self._last + 1, event.seq - 1)
        self._last = event.seq
        return delivery


class _Coalescing(Queue):
    """When it is full, a delta goes into the last one that waits, where it goes on with that; else streams wait.

    What is merged is kept in pieces, and joined when it is taken: to join each time would be quadratic.
    """

    can_fill = True

    def __init__(
        self, owner: Participant, inbox: Inbox, order: Order, place: int, record: Record, *, keep: bool
    ) -> None:
        super().__init__(owner, inbox, order, place, record, keep=keep)
        self._pieces: dict[Delivery, list[Event]] = {}  # of those that wait

    @property
    def full(self) -> bool:
        # Not when as many wait as may: whether the next can be merged is not known before it comes.
        return not self._lent and self._deltas > self._capacity

    def put(self, delivery: Delivery, *, delta: bool) -> None:
        if delta:
            if self._deltas >= self._capacity and self._merge(delivery):
                return
            if self._deltas <= self._capacity:
                self._over.clear()
            elif not self._lent:
                self._note_over(delivery.event)
        super().put(delivery, delta=delta)

    def _merge(self, delivery: Delivery) -> bool:
        last = self._queue[-1]
        pieces = self._pieces.get(last, [last.event])
        if last.source is not delivery.source or not _goes_on(pieces[-1], delivery.event):
            return False
        self._pieces[last] = pieces
        pieces.append(delivery.event)
        return True

    def take(self) -> Delivery | None:
        if self._queue and (pieces := self._pieces.pop(self._queue[0], None)) is not None:
            self._queue[0] = Delivery(self._queue[0].source, _join(pieces), False)
        return super().take()

    def _discard(self) -> None:
        super()._discard()
        self._pieces.clear()


def _copy(delivery: Delivery) -> Delivery:
    return Delivery(delivery.source, delivery.event, delivery.twice)


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
    "block": Blocking,
    "drop_oldest": _Dropping,
    "coalesce": _Coalescing,
    "unbounded": Mailbox,
}


def open_mailbox(owner: Participant, inbox: Inbox, order: Order, place: int, record: Record, *, keep: bool) -> Mailbox:
    """The mailbox for an inbox's policy."""
    return _KINDS[inbox.policy](owner, inbox, order, place, record, keep=keep)
