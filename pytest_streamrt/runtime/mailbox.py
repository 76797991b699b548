"""A participant's queue of events, one for each stay in a room, under the policy of its inbox."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Final

import anyio

from pytest_streamrt.events.order import DELTAS
from pytest_streamrt.events.types import Event, ToolCallDelta
from pytest_streamrt.runtime.inbox import Inbox
from pytest_streamrt.runtime.waiting import Party
from pytest_streamrt.runtime.waking import Waker, wakers_here

if TYPE_CHECKING:
    from pytest_streamrt.runtime.acting import Delivery
    from pytest_streamrt.runtime.order import Order
    from pytest_streamrt.runtime.participant import Participant

__all__ = ["Blocking", "Mailbox", "Thinning", "merged", "open_mailbox"]


class Mailbox(Party):
    """What a participant has yet to hear, in the room's order. This one is unbounded; the subclasses are not.

    Args:
        owner: the participant.
        inbox: its policy.
        order: the room's.
        place: how many have joined the room before.
    """

    can_fill = False
    """Whether streams may have to wait for it."""

    def __init__(self, owner: Participant, inbox: Inbox, order: Order, place: int) -> None:
        super().__init__()
        self.owner = owner
        self.name = owner.name
        self.inbox = inbox
        self.place = place
        self.queue: deque[Delivery] = deque()
        self.take: Callable[[], Delivery] = self.queue.popleft
        """Take the first that waits."""
        self.in_hand: Event | None = None  # what is being handled
        self.heard: list[Event] | None = [] if order.log is not None else None  # evidence
        self.called: list[int] = []  # the seqs of what it heard as its own
        self.deaf = False  # whether it had no handler for events, at least for a time
        self.until: int | None = None  # the seq of the last event it was sent, once it is closed
        self.cut = False  # whether it was closed before all was heard
        self.crowded = False  # whether too much has waited in it
        self.most = 0  # deltas that waited at once, where there is a bound
        self.overrun: Event | None = None  # the first delta of a stream that should have waited
        self.order = order
        self.scope = anyio.CancelScope(shield=True)  # of the task in which it is heard: the room ends it
        self._lent = 0
        self._waker = wakers_here()
        self._arrival: Waker | None = None

    def __str__(self) -> str:
        return f"the handler of {self.name!r}"

    @property
    def full(self) -> bool:
        """Whether streams must wait for it. Not while its owner waits for something else in the room: it is lent."""
        return False

    @property
    def idle(self) -> bool:
        """Whether everything has been heard, and handled."""
        return self.in_hand is None and not self.queue

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return len(self.queue)

    async def arrival(self) -> bool:
        """Wait until there is something to hear; False when the mailbox is closed and all has been heard."""
        while not self.queue:
            if self.until is not None:
                return False
            self._arrival = self._waker()
            self.order.asleep.append(self)
            await self._arrival.wait()
        return True

    def give_up(self) -> None:
        """Nothing is being handled any more."""
        self.in_hand = None

    def close(self, seq: int, *, discard: bool = False) -> None:
        """Take nothing more in; `seq` is the last. What waits is still heard, unless it is discarded."""
        if self.until is None:
            self.until = seq
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

    def _discard(self) -> None:
        self.queue.clear()


class _Bounded(Mailbox):
    """Counts the deltas in it."""

    def __init__(self, owner: Participant, inbox: Inbox, order: Order, place: int) -> None:
        super().__init__(owner, inbox, order, place)
        assert inbox.capacity is not None
        self._capacity = inbox.capacity
        # The inferences that have added to it since it was full, and at which seq.
        self._over: dict[str | None, int] = {}

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
        return len(self.queue) + (self.in_hand is not None)

    def watch(self, event: Event) -> None:
        """A delta has come: was there room for it? Whether streams wait as they should is evidence, for law 11."""
        if self._load <= self._capacity or (not self._lent and self._deltas() <= self._capacity):
            if self._over:
                self._over.clear()
        elif not self._lent:
            self._note_over(event)

    def _deltas(self) -> int:
        deltas = int(self.in_hand is not None and self.in_hand.type in DELTAS)
        for _, event, _ in self.queue:
            deltas += event.type in DELTAS
            if deltas > self._capacity:
                break
        return deltas


class Thinning(_Bounded):
    """Not everything that the room says stays in it as it is."""

    def __init__(self, owner: Participant, inbox: Inbox, order: Order, place: int) -> None:
        super().__init__(owner, inbox, order, place)
        self.take = self._take
        self._deltas = 0

    def put(self, delivery: Delivery, *, delta: bool) -> None:
        """Append an event. Never waits: it is streams that wait, before they ask for more."""
        self._deltas += delta
        self.queue.append(delivery)

    def _take(self) -> Delivery:
        delivery = self.queue.popleft()
        self._deltas -= delivery[1].type in DELTAS
        return delivery


class _Dropping(Thinning):
    """The oldest delta that waits gives way to a new one. What is being handled does not count."""

    def __init__(self, owner: Participant, inbox: Inbox, order: Order, place: int) -> None:
        super().__init__(owner, inbox, order, place)
        self._last: int | None = None

    def put(self, delivery: Delivery, *, delta: bool) -> None:
        if delta and self._deltas == self._capacity:
            self._drop()
        super().put(delivery, delta=delta)
        self.most = max(self.most, self._deltas)

    def _drop(self) -> None:
        for i, (_, event, _) in enumerate(self.queue):
            if event.type in DELTAS:
                del self.queue[i]
                self._deltas -= 1
                return

    def _take(self) -> Delivery:
        delivery = super()._take()
        event = delivery[1]
        # Everything else is heard, and in order: what lies between two events that are heard was all dropped.
        if self._last is not None and event.seq != self._last + 1:
            self.order.record_gap(self.name, self._last + 1, event.seq - 1)
        self._last = event.seq
        return delivery


class _Coalescing(Thinning):
    """When it is full, a delta goes into the last one that waits, where it goes on with that; else streams wait.

    What is merged is kept in pieces, and joined when it is taken: to join each time would be quadratic.
    """

    can_fill = True

    def __init__(self, owner: Participant, inbox: Inbox, order: Order, place: int) -> None:
        super().__init__(owner, inbox, order, place)
        self._pieces: dict[int, list[Event]] = {}  # of those that wait, by the seq of the first

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
                self._note_over(delivery[1])
        super().put(delivery, delta=delta)

    def _merge(self, delivery: Delivery) -> bool:
        (last_source, last, _), (source, event, _) = self.queue[-1], delivery
        pieces = self._pieces.get(last.seq, [last])
        if last_source is not source or not _goes_on(pieces[-1], event):
            return False
        self._pieces[last.seq] = pieces
        pieces.append(event)
        return True

    def _take(self) -> Delivery:
        source, event, twice = super()._take()
        pieces = self._pieces.pop(event.seq, None)
        return source, event if pieces is None else _join(pieces), twice

    def _discard(self) -> None:
        super()._discard()
        self._pieces.clear()


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


def open_mailbox(owner: Participant, inbox: Inbox, order: Order, *, place: int) -> Mailbox:
    """The mailbox for an inbox's policy."""
    return _KINDS[inbox.policy](owner, inbox, order, place)
