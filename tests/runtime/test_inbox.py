"""Inboxes: what waits for a slow listener, what gives way, and what is on record of it."""

from __future__ import annotations

import json

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_streamrt import (
    Agent,
    Environment,
    FakeModel,
    Observer,
    Participant,
    Signal,
    Transcript,
    reasoning,
    script,
    tool_call,
    virtual_time,
)
from pytest_streamrt.errors import StreamrtWarning
from pytest_streamrt.events import DELTAS, DeltasDropped, TextDelta
from pytest_streamrt.runtime.inbox import Inbox

pytestmark = pytest.mark.anyio


class Slow(Participant):
    """Takes a second for each delta."""

    def __init__(self, name, inbox=None, seconds=1.0):
        super().__init__(name, inbox)
        self.seconds = seconds
        self.heard = []

    async def on_external_event(self, source, event):
        self.heard.append(event)
        if event.type in DELTAS:
            await anyio.sleep(self.seconds)

    @property
    def texts(self):
        return [getattr(event, "text", None) or event.arguments for event in self.heard if event.type in DELTAS]

    @property
    def others(self):
        return [event for event in self.heard if event.type not in DELTAS]


def dropped(transcript):
    return [event for event in transcript.events if isinstance(event, DeltasDropped)]


def times(transcript):
    return [event.time for event in transcript.events if event.type in DELTAS]


def all_but_deltas(transcript, source):
    return [event for event in transcript.of(source) if event.type not in DELTAS]


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("n", "at"),
    [
        # What is being handled counts: with room for one, each delta waits for the one before it to be handled.
        (1, [0, 1, 2, 3, 4]),
        (2, [0, 0, 1, 2, 3]),
        (3, [0, 0, 0, 1, 2]),
        (64, [0, 0, 0, 0, 0]),
    ],
)
async def test_block_makes_the_stream_wait_and_loses_nothing(n, at, environment, transcript):
    slow = Slow("slow", Inbox.block(n))
    agent = Agent("agent", FakeModel(script(*"abcde")))
    async with environment(slow, agent):
        await agent.infer()

    assert times(transcript) == at
    assert slow.texts == list("abcde")
    assert 3 in transcript.assert_lawful().checked


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("n", "texts", "gap"),
    [(1, "ah", (1, 6)), (2, "agh", (1, 5)), (6, "acdefgh", (1, 1)), (7, "abcdefgh", None)],
)
async def test_drop_oldest_keeps_the_newest_and_holds_nobody_up(n, texts, gap, environment, transcript):
    slow = Slow("slow", Inbox.drop_oldest(n))
    agent = Agent("agent", FakeModel(script(*"abcdefgh")))
    async with environment(slow, agent):
        await agent.infer()

    assert slow.texts == list(texts)
    assert set(times(transcript)) == {0}
    assert slow.others == all_but_deltas(transcript, "agent")
    first = next(event.seq for event in transcript.events if event.type in DELTAS)
    if gap is None:
        assert dropped(transcript) == []
    else:
        skipped, count = gap
        assert dropped(transcript) == [
            DeltasDropped("slow", first + skipped, first + skipped + count - 1, count, source="slow", time=1.0)
        ]
    transcript.expect("agent").deltas(8).completed().nothing_more()


@pytest.mark.virtual_time
async def test_each_gap_is_on_the_record_once_and_never_in_the_room(environment, transcript):
    slow = Slow("slow", Inbox.drop_oldest(1))
    everything = Slow("everything", Inbox.unbounded(), seconds=0)
    agent = Agent("agent", FakeModel(script(*"abcdefgh", every=0.35)))
    async with environment(slow, everything, agent):
        await agent.infer()

    # a is handled from 0.35 to 1.35, when c waits; c to 2.35, when f waits; f to 3.35, when h waits
    assert slow.texts == list("acfh")
    first = next(event.seq for event in transcript.events if event.type in DELTAS)
    found = [
        (event.first_seq - first, event.last_seq - first, event.count, event.time) for event in dropped(transcript)
    ]
    assert found == [(1, 1, 1, 1.35), (3, 4, 2, 2.35), (6, 6, 1, 3.35)]
    assert not any(isinstance(event, DeltasDropped) for event in everything.heard)
    assert everything.texts == list("abcdefgh")


@pytest.mark.virtual_time
async def test_what_is_no_delta_is_never_dropped_however_much_of_it_waits(environment, transcript):
    slow = Slow("slow", Inbox.drop_oldest(1))
    agent = Agent("agent", FakeModel(script(*"abc", every=0.1)))
    async with environment(slow, agent) as room:
        running = agent.infer()
        await anyio.sleep(0.15)
        for i in range(50):
            room.emit(Signal(f"s{i}"))
        await running

    assert slow.texts == ["a", "c"]
    assert [event.name for event in slow.heard if event.type == "signal"] == [f"s{i}" for i in range(50)]


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("n", "texts"), [(1, ["a", "bcdefgh"]), (2, ["a", "b", "cdefgh"]), (7, list("abcdefgh")), (6, [*"abcdef", "gh"])]
)
async def test_coalesce_joins_what_waits_and_loses_no_text(n, texts, environment, transcript):
    slow = Slow("slow", Inbox.coalesce(n))
    agent = Agent("agent", FakeModel(script(*"abcdefgh")))
    async with environment(slow, agent):
        await agent.infer()

    assert slow.texts == texts
    assert set(times(transcript)) == {0}
    assert dropped(transcript) == []
    first = next(event.seq for event in transcript.events if event.type in DELTAS)
    last = next(event for event in reversed(slow.heard) if event.type in DELTAS)
    assert last.seq == first + 7
    assert last.first_seq == (first + 8 - len(texts[-1]) if len(texts[-1]) > 1 else None)
    assert slow.others == all_but_deltas(transcript, "agent")


@pytest.mark.virtual_time
async def test_coalesce_joins_only_pieces_of_the_same(environment, transcript):
    slow = Slow("slow", Inbox.coalesce(1))
    said = script(reasoning("ab", "cd", "ef"), "gh", "ij", tool_call("go", {"x": 1}))
    agent = Agent("agent", FakeModel(said))
    async with environment(slow, agent):
        await agent.infer()

    # Over the text there is one more than may wait, so the stream waits for "ab", and then goes on.
    assert slow.texts[:3] == ["ab", "cdef", "ghij"]
    assert json.loads("".join(slow.texts[3:])) == {"x": 1}
    assert slow.others == all_but_deltas(transcript, "agent")


@pytest.mark.virtual_time
async def test_where_coalesce_cannot_join_streams_wait(environment, transcript):
    slow = Slow("slow", Inbox.coalesce(1))
    first = Agent("first", FakeModel(script(*"abcd", every=0.1)))
    second = Agent("second", FakeModel(script(*"wxyz", every=0.1)))
    async with environment(slow, first, second):
        one, other = first.infer(), second.infer()
        await one
        await other

    # a is handled for a second; w waits, b goes beyond what may wait, and x, on its way by then, after it.
    assert slow.texts[:4] == ["a", "w", "b", "x"]
    assert sorted("".join(slow.texts)) == sorted("abcdwxyz")
    assert max(times(transcript)) > 1


@pytest.mark.virtual_time
async def test_an_observer_that_does_not_keep_up_is_warned_of_once(environment):
    class Stuck(Observer):
        async def on_external_event(self, source, event):
            await anyio.sleep(1)
            Stuck.on_external_event = Observer.on_external_event

    async with environment(Stuck("stuck")) as room:
        room.emit(Signal("first"))
        await anyio.sleep(0.5)
        for _ in range(10_000):
            room.emit(Signal("more"))
        with pytest.warns(StreamrtWarning, match="more than 10,000 events wait for 'stuck'"):
            room.emit(Signal("too much"))
        for _ in range(10):
            room.emit(Signal("more"))


@pytest.mark.virtual_time
async def test_streams_wait_for_an_observer_whose_inbox_says_so(environment, transcript):
    class SlowObserver(Observer):
        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                await anyio.sleep(1)

    agent = Agent("agent", FakeModel(script(*"abc")))
    async with environment(SlowObserver("slow", inbox=Inbox.block(1)), agent):
        await agent.infer()

    assert times(transcript) == [0, 1, 2]


@pytest.mark.parametrize("maker", [Inbox.block, Inbox.drop_oldest, Inbox.coalesce])
def test_a_capacity_is_a_whole_number_from_one_on(maker):
    assert maker(3) == maker(3)
    assert repr(maker(3)) == f"Inbox.{maker.__name__}(3)"
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="a whole number from 1 on"):
            maker(wrong)
    for wrong in (1.0, "1", None, True):
        with pytest.raises(TypeError, match="whole number"):
            maker(wrong)


def test_other_wrong_use_of_inboxes_is_named():
    with pytest.raises(TypeError, match=r"the inbox is an Inbox, not 5. Write Inbox.block\(64\)"):
        Participant("p", 5)
    with pytest.raises(ValueError, match="write one of Inbox.block"):
        Inbox("drop_newest", 3)
    with pytest.raises(ValueError, match="an unbounded inbox has no capacity"):
        Inbox("unbounded", 3)
    with pytest.raises(AttributeError):
        Inbox.block(3).capacity = 4


INBOXES = st.one_of(
    st.builds(Inbox.block, st.integers(1, 4)),
    st.builds(Inbox.drop_oldest, st.integers(1, 4)),
    st.builds(Inbox.coalesce, st.integers(1, 4)),
    st.just(Inbox.unbounded()),
)
DELAYS = st.sampled_from([0, 0, 0.01, 0.1])
SPEECHES = st.lists(
    st.tuples(
        st.integers(0, 6),  # deltas of reasoning
        st.integers(1, 9),  # and of text
        DELAYS,  # before each
        DELAYS,  # before it starts
        st.sampled_from([None, None, 0.15]),  # its deadline
    ),
    min_size=1,
    max_size=4,
)
LISTENERS = st.lists(
    st.tuples(
        INBOXES,
        st.sampled_from([0, 0.01, 0.3]),  # seconds for each delta
        st.sampled_from([None, 0.05, 0.4]),  # when it joins; None for from the start
        st.sampled_from([None, 0.1, 0.5]),  # how long it stays; None for to the end
        st.booleans(),  # whether it fails at its third delta
    ),
    min_size=1,
    max_size=4,
)


class Listener(Slow):
    fails = False

    async def on_external_event(self, source, event):
        await super().on_external_event(source, event)
        if self.fails and len(self.texts) == 3:
            raise ValueError(self.name)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@settings(max_examples=150)
@given(speeches=SPEECHES, listeners=LISTENERS)
async def test_whoever_listens_and_however_slowly_the_laws_hold_and_only_deltas_are_lost(speeches, listeners):
    transcript = Transcript()

    async def speak(room, agent, wait, deadline):
        await anyio.sleep(wait)
        await agent.infer(deadline=deadline).outcome()

    async def attend(room, listener, begin, stay):
        if begin is not None:
            await anyio.sleep(begin)
            await room.join(listener)
        if stay is not None:
            await anyio.sleep(stay)
            await room.leave(listener)

    with virtual_time():
        agents = []
        for i, (thoughts, words, every, _, _) in enumerate(speeches):
            said = [reasoning(*("r" * thoughts))] if thoughts else []
            agents.append(Agent(f"agent {i}", FakeModel(script(*said, *("t" * words), every=every))))
        people = []
        for i, (inbox, seconds, _, _, fails) in enumerate(listeners):
            listener = Listener(f"listener {i}", inbox, seconds)
            listener.fails = fails
            people.append(listener)
        founders = [p for p, (_, _, begin, _, _) in zip(people, listeners, strict=True) if begin is None]
        async with Environment(*agents, *founders, transcript=transcript, failures="isolate") as room:
            async with anyio.create_task_group() as tasks:
                for agent, (_, _, _, wait, deadline) in zip(agents, speeches, strict=True):
                    tasks.start_soon(speak, room, agent, wait, deadline)
                for person, (_, _, begin, stay, _) in zip(people, listeners, strict=True):
                    tasks.start_soon(attend, room, person, begin, stay)

    report = transcript.assert_lawful()
    assert {3, 11} <= set(report.checked)
    order = [event for event in transcript.events if event.seq]
    for person, (inbox, _, _, _, _) in zip(people, listeners, strict=True):
        own = [event.seq for event in order if event.source == person.name]
        failed = any(event.type == "participant.failed" for event in order if event.source == person.name)
        until = max((event.seq for event in person.heard), default=0) if failed else own[-1]
        until = order[-1].seq if not failed and len(own) == 1 else until
        due = [event for event in order[own[0] : until] if event.source != person.name]
        assert person.others == [event for event in due if event.type not in DELTAS]
        if inbox.policy in ("block", "unbounded"):
            assert person.heard == due
        if inbox.policy == "coalesce":
            for agent in agents:
                heard = [event.text for event in person.heard if event.source == agent.name and event.type in DELTAS]
                said = [event.text for event in due if event.source == agent.name and event.type in DELTAS]
                assert "".join(heard) == "".join(said)


def test_joining_many_pieces_takes_no_more_than_joining_them():
    mailbox_texts = []

    class Late(Participant):
        async def on_external_event(self, source, event):
            if event.type == "text.delta":
                mailbox_texts.append(len(event.text))
                await anyio.sleep(0.01)

    class Model:
        async def stream(self, context, tools):
            for _ in range(20_000):
                yield TextDelta("x")

    async def main():
        agent = Agent("agent", Model())
        async with Environment(Late("late", Inbox.coalesce(1)), agent):
            await agent.infer()

    anyio.run(main)
    assert sum(mailbox_texts) == 20_000


@pytest.mark.parametrize("inbox", [Inbox.block(1), Inbox.drop_oldest(1), Inbox.coalesce(1), Inbox.unbounded()])
async def test_on_real_time_too(inbox):
    transcript = Transcript()
    slow = Slow("slow", inbox, seconds=0)
    async with Environment(slow, agent := Agent("agent", FakeModel(script(*"abcdefgh"))), transcript=transcript):
        await agent.infer()

    assert slow.texts[-1][-1] == "h"
    assert slow.others == all_but_deltas(transcript, "agent")
    assert {3, 11} <= set(transcript.assert_lawful().checked)


async def test_an_agent_chooses_its_inbox_too():
    """One that is slow to listen, and may miss words, keeps nobody waiting."""

    class Slow(Agent):
        async def on_external_event(self, source, event):
            await anyio.sleep(10)

    with virtual_time():
        transcript = Transcript()
        speaker = Agent("speaker", FakeModel(script(*"abcdefgh", every=0.1)))
        async with Environment(speaker, Slow("slow", FakeModel(), inbox=Inbox.drop_oldest(2)), transcript=transcript):
            await speaker.infer()
        transcript.expect("speaker").text("abcdefgh", at=0.8).completed().nothing_more()
        transcript.assert_lawful()
    assert any(event.type == "deltas.dropped" for event in transcript.events)
