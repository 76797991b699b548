"""How a participant hears what has come in together: its handlers, those that change meanwhile, and what ends it midway."""

from __future__ import annotations

import pytest

from pytest_streamrt import Environment, Observer, Participant, Signal, Transcript

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


class Listener(Participant):
    """Notes the signals that it hears, and does something on each."""

    def __init__(self, name):
        super().__init__(name)
        self.heard = []

    async def on_external_event(self, source, event):
        if event.type == "signal":
            self.heard.append(event.name)
            await self.do(event.name)

    async def do(self, name):
        pass


def emit(room, names):
    for name in names:
        room.emit(Signal(name))


@pytest.mark.parametrize("where", ["on_joined", "on_participant_joined"])
async def test_a_handler_that_is_given_to_it_is_called_from_the_next_event_on(where, environment):
    heard = []

    async def note(source, event):
        heard.append(event.type if event.type != "signal" else event.name)

    class Late(Participant):
        """Has no handler for all events, until it has joined or another has."""

    async def give(self, *_):
        self.on_external_event = note

    setattr(Late, where, give)
    late = Late("late")
    async with environment(late, Observer("other")) as room:
        emit(room, "ab")
        await room.settled()
        del late.on_external_event
        emit(room, "c")

    assert heard == ["participant.joined", "a", "b"][where == "on_participant_joined" :]


async def test_one_that_raises_midway_hears_no_more_and_the_error_says_of_what(environment, transcript):
    class Raises(Listener):
        async def do(self, name):
            if name == "b":
                raise ValueError("no")

    raises, other = Raises("raises"), Listener("other")
    with pytest.raises(ExceptionGroup) as caught:
        async with environment(raises, other) as room:
            emit(room, "abcd")
            await room.settled()
            emit(room, "e")

    assert (raises.heard, other.heard) == (list("ab"), list("abcde"))
    assert "'raises' while it handled Signal(name='b'" in caught.value.exceptions[0].__notes__[0]
    causes = {event.seq: event for event in transcript.events}
    (failed,) = [event for event in transcript.events if event.type == "participant.failed"]
    assert causes[failed.cause].name == "b"


async def test_one_that_leaves_midway_hears_what_had_come_and_its_leaving_and_may_come_back(environment):
    class Leaves(Listener):
        async def do(self, name):
            if name == "b":
                await self.environment.leave(self)
                with pytest.raises(ValueError, match="already"):  # it has yet to hear the rest
                    await self.environment.join(self)

        async def on_left(self):
            self.heard.append("left")

    leaves = Leaves("leaves")
    async with environment(leaves) as room:
        emit(room, "abc")
        await room.settled()
        emit(room, "d")
        await room.join(leaves)
        emit(room, "e")

    assert leaves.heard == ["a", "b", "c", "left", "e"]


async def test_who_has_gone_on_to_another_room_is_still_there_when_the_first_closes():
    guest = Listener("guest")
    async with Environment() as second:
        async with Environment(guest) as first:
            await first.leave(guest)
            await first.settled()
            await second.join(guest)

        assert guest.environment is second
        emit(second, "a")
        await second.settled()
        with pytest.raises(ValueError, match="already"):
            await second.join(guest)

    assert guest.heard == ["a"]


async def test_what_is_emitted_into_another_room_has_no_cause_there_and_what_that_leads_to_has():
    transcript = Transcript()

    class Answers(Listener):
        async def do(self, name):
            if name == "question":
                self.emit(Signal("answer"))

    class Asks(Listener):
        async def do(self, name):
            if name == "begin":
                async with Environment(Answers("inner"), transcript=transcript) as inner:
                    for room in outer, inner:
                        emit(room, ["question"])
                        await room.settled()
                self.emit(Signal("end"))

    async with Environment(Answers("outer"), transcript=transcript) as outer:
        async with Environment(Asks("asks"), transcript=transcript) as first:
            emit(first, ["wait", "begin"])

    told = {(event.source, event.name): event for event in transcript.events if event.type == "signal"}
    assert told["asks", "end"].cause == told["test", "begin"].seq
    questions = [event for event in transcript.events if event.type == "signal" and event.name == "question"]
    assert [(event.source, event.cause) for event in questions] == [("asks", None)] * 2
    assert [told[who, "answer"].cause for who in ("outer", "inner")] == [event.seq for event in questions]
    transcript.assert_lawful()
