"""`misbehave` in a `FakeModel`: what the source does, and that a room lives with it."""

from __future__ import annotations

import anyio
import pytest

from pytest_streamrt import (
    Agent,
    FakeModel,
    ModelContext,
    ScriptError,
    corrupt,
    disconnect,
    duplicate,
    http,
    misbehave,
    script,
    stall,
    truncate,
)
from pytest_streamrt.script.faults import Law

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

LAWS = Law.__args__


async def play(*parts, **times):
    """What the model gives for that script."""
    return [event async for event in FakeModel(script(*parts, **times)).stream(ModelContext(), ())]


async def kinds(*parts):
    return [event.type for event in await play(*parts)]


async def texts(*parts):
    return [event.text for event in await play(*parts) if event.type == "text.delta"]


async def test_its_last_word_comes_twice():
    assert (await kinds("a", misbehave("two terminals")))[-2:] == ["inference.completed"] * 2
    assert (await kinds("a", misbehave("two terminals"), disconnect()))[-2:] == ["inference.failed"] * 2


async def test_its_last_word_never_comes():
    assert await kinds("a", misbehave("no terminal")) == ["text.delta", "item.completed"]
    assert await kinds("a", truncate()) == ["text.delta"]


async def test_numbers_come_twice_or_never():
    assert [event.seq for event in await play("a", "b", misbehave("duplicate sequence"))] == [1, 2, 2, 3]
    assert [event.seq for event in await play("a", "b", misbehave("missing sequence"))] == [1, 2, 4, 5]


async def test_deltas_change_places():
    assert await texts("a", "b", "c", misbehave("reordered")) == ["a", "c", "b"]
    with pytest.raises(ScriptError, match="no two deltas"):
        await play("a", misbehave("reordered"))


async def test_characters_are_cut_in_half():
    halves = await texts("Hi 🙂!", misbehave("split utf8"))

    assert halves == ["Hi \ud83d", "\ude42!"]
    assert "".join(halves).encode("utf-16", "surrogatepass").decode("utf-16") == "Hi 🙂!"
    with pytest.raises(ScriptError, match=r"beyond U\+FFFF"):
        await play("Hi", misbehave("split utf8"))


async def test_a_delta_comes_twice_and_a_damaged_one_ends_it():
    assert await texts("a", duplicate(), "b") == ["a", "a", "b"]
    assert await kinds("a", corrupt(), "b") == ["text.delta", "inference.failed"]


async def test_told_to_stop_it_says_the_rest_at_once(virtual_clock):
    stream = FakeModel(script("a", "b", "c", misbehave("emits after cancel"), every=1)).stream(ModelContext(), ())
    heard = []
    with anyio.CancelScope() as scope:
        async for event in stream:
            heard.append(event)
            scope.cancel()

    assert [event.text for event in heard if event.type == "text.delta"] == ["a", "b", "c"]
    assert virtual_clock.now == 1


async def test_told_to_stop_it_goes_on_at_its_own_pace(virtual_clock):
    stream = FakeModel(script("a", "b", "c", misbehave("ignores cancel"), every=1)).stream(ModelContext(), ())
    heard = []
    with anyio.CancelScope() as scope:
        async for event in stream:
            heard.append(event)
            scope.cancel()

    assert [event.text for event in heard if event.type == "text.delta"] == ["a", "b", "c"]
    assert virtual_clock.now == 3


@pytest.mark.parametrize("law", LAWS)
async def test_a_room_lives_with_it(law, environment, transcript):
    agent = Agent("agent", FakeModel(script("a", "🙂b", "c", misbehave(law), every=1)))
    async with environment(agent):
        outcome = await agent.infer(deadline=2)

    assert outcome.status == "aborted"
    assert outcome.text in ("a", "a🙂b", "a\ud83d\ude42b", "ac")
    transcript.assert_lawful()


@pytest.mark.parametrize("law", [law for law in LAWS if "cancel" not in law])
async def test_and_when_it_is_heard_out(law, environment, transcript):
    """What is twice, missing or in the wrong order fails the answer, and is not passed on."""
    agent = Agent("agent", FakeModel(script("a", "🙂b", "c", misbehave(law), every=1)))
    async with environment(agent):
        outcome = await agent.infer().outcome()

    noticed = "sequence" in law or law == "reordered"
    assert (outcome.status, outcome.kind) == (("failed", "provider") if noticed else ("completed", ""))
    transcript.assert_lawful()


async def test_what_is_of_the_wire_is_refused():
    for part in (http(gzip=True), disconnect(byte=7), truncate(byte=7), stall(byte=0)):
        with pytest.raises(ScriptError, match="Play it with fake_provider"):
            FakeModel(script(part))


async def test_a_law_that_there_is_not():
    with pytest.raises(ScriptError, match="the law is one of 'emits after cancel'"):
        misbehave("lies")
    with pytest.raises(ScriptError, match="the damage is one of 'json', 'utf8', not 'all'"):
        corrupt("all")
    with pytest.raises(ScriptError, match="no status"):
        http(99)
