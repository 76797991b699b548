"""The room's one order: nothing is kept that everyone has heard, and nobody is favoured."""

from __future__ import annotations

import gc

import pytest

from pytest_streamrt import Environment, Inbox, Observer, Signal

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


def kept():
    gc.collect()
    return sum(isinstance(each, Signal) for each in gc.get_objects())


class Listener(Observer):
    def __init__(self, name, inbox, told=None):
        super().__init__(name, inbox)
        self.told = told

    async def on_external_event(self, source, event):
        if event.type == "signal" and self.told is not None:
            self.told.append((self.name, event.name))


@pytest.mark.parametrize("inbox", [Inbox.unbounded(), Inbox.block(9), Inbox.drop_oldest(9), Inbox.coalesce(9)], ids=str)
async def test_a_room_without_a_transcript_keeps_nothing_that_all_have_heard(inbox):
    before = kept()
    async with Environment(Listener("listener", inbox)) as room:
        for _ in range(20):
            for n in range(200):
                room.emit(Signal(str(n)))
            await room.settled()

        assert kept() - before < 10


async def test_a_long_queue_that_nobody_hears_is_no_trouble():
    before, listener = kept(), Listener("listener", Inbox.block(9))
    with pytest.raises(ValueError, match="enough"):
        async with Environment(listener) as room:
            for n in range(100_000):
                room.emit(Signal(str(n)))
            raise ValueError("enough")

    assert kept() - before < 10


async def test_who_joined_first_hears_first_however_they_came_to_wait():
    told = []
    listeners = [Listener(str(i), Inbox.unbounded() if i % 2 else Inbox.drop_oldest(1), told) for i in range(4)]
    async with Environment(*listeners) as room:
        await room.settled()
        await room.leave(listeners[0])
        await room.settled()
        await room.join(listeners[0])
        for name in "ab":
            room.emit(Signal(name))
            await room.settled()

    assert told == [(who, name) for name in "ab" for who in "1230"]
