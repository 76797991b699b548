"""Models that break, or are none: the inference fails, everything else goes on, and nothing is passed over in silence."""

from __future__ import annotations

import anyio
import pytest

from pytest_streamrt import Agent, FakeModel, InferenceFailed, ModelContext, Observer, script
from pytest_streamrt.events import InferenceCompleted, TextDelta

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


class Stream:
    """A stream made by hand: gives its events, and raises when it is closed."""

    def __init__(self, *events, error=None):
        self._events = iter(events)
        self._error = error

    def __aiter__(self):
        return self

    async def __anext__(self):
        for event in self._events:
            return event
        raise StopAsyncIteration

    async def aclose(self):
        if self._error is not None:
            raise self._error


class Giving:
    """A model that gives what it was made with, whatever that is."""

    def __init__(self, given):
        self.given = given

    def stream(self, context, tools):
        return self.given


def statuses(transcript):
    return [(event.name, event.data) for event in transcript.events if event.type == "status"]


@pytest.mark.parametrize("model", ["gpt-4", None, script("Hello."), object()])
async def test_what_is_no_model_is_refused_when_the_agent_is_made(model):
    with pytest.raises(
        TypeError, match=r"Agent\('a'\): .* is no model\. A model is anything with a method stream\("
    ) as caught:
        Agent("a", model)

    assert "FakeModel(script('Hello.'))" in str(caught.value)


async def test_a_list_is_no_context():
    with pytest.raises(TypeError, match=r"Agent\('a'\): the context is a ModelContext, not \['Hi'\]"):
        Agent("a", FakeModel(), ["Hi"])
    assert Agent("a", FakeModel(), ModelContext()).context.items == ()


async def test_a_model_that_raises_at_once_fails_its_inference_alone(environment, transcript):
    class Broken:
        def stream(self, context, tools):
            raise ValueError("no such model")

    broken, whole = Agent("broken", Broken()), Agent("whole", FakeModel(script("x", every=1)))
    async with environment(broken, whole):
        other = whole.infer()
        with pytest.raises(InferenceFailed, match=r"broken/1 failed \(model\): ValueError: no such model") as caught:
            await broken.infer()
        assert (await other).text == "x"

    assert isinstance(caught.value.__cause__, ValueError)
    transcript.expect("broken").failed(kind="model").nothing_more()
    transcript.expect("whole").text("x").completed().nothing_more()


async def test_a_model_that_is_taken_away_later_fails_its_inference(environment, transcript):
    agent = Agent("agent", FakeModel())
    agent.model = None
    async with environment(agent):
        with pytest.raises(InferenceFailed, match="AttributeError: 'NoneType' object has no attribute 'stream'"):
            await agent.infer()

    transcript.expect("agent").failed(kind="model").nothing_more()


async def test_a_model_that_returns_instead_of_yielding_is_told_so(environment, transcript):
    class Returning:
        async def stream(self, context, tools):
            return [TextDelta("x")]

    agent = Agent("agent", Returning())
    async with environment(agent):
        with pytest.raises(InferenceFailed, match=r"Returning\.stream\(\) gave a coroutine, not an async iterator"):
            await agent.infer()

    transcript.expect("agent").failed(kind="model").nothing_more()


async def test_a_model_that_gives_a_list_is_told_so(environment, transcript):
    agent = Agent("agent", Giving([TextDelta("x")]))
    async with environment(agent):
        with pytest.raises(
            InferenceFailed, match=r"Giving\.stream\(\) gave a list, .* Write it as `async def` with `yield`"
        ):
            await agent.infer()

    transcript.expect("agent").failed(kind="model").nothing_more()


async def test_a_model_that_gives_text_is_told_what_to_write(environment, transcript):
    agent = Agent("agent", Giving(Stream(TextDelta("x"), "y")))
    async with environment(agent):
        with pytest.raises(InferenceFailed, match=r"gave a str, and not an event: 'y'\. Write TextDelta\('y'\)"):
            await agent.infer()

    transcript.expect("agent").text("x").failed(kind="model").nothing_more()


@pytest.mark.parametrize("events", [[TextDelta("x")], [TextDelta("x"), InferenceCompleted()]], ids=["open", "ended"])
async def test_a_stream_that_raises_when_it_is_closed_is_on_the_record(events, environment, transcript):
    agent = Agent("agent", Giving(Stream(*events, error=OSError("the socket is gone"))))
    peer = Agent("peer", FakeModel(script("y", every=1)))
    async with environment(agent, peer):
        other = peer.infer()
        assert (await agent.infer()).text == "x"
        assert (await other).text == "y"

    assert statuses(transcript) == [
        ("upstream.failed", {"inference": "agent/1", "error": "OSError: the socket is gone"})
    ]
    transcript.expect("agent").text("x").completed().nothing_more()
    transcript.expect("peer").text("y").completed().nothing_more()


async def test_a_stream_that_raises_when_it_is_aborted_is_on_the_record(environment, transcript):
    class Touchy:
        async def stream(self, context, tools):
            try:
                yield TextDelta("x")
                await anyio.sleep_forever()
            finally:
                raise OSError("not like that")

    agent = Agent("agent", Touchy())
    async with environment(agent):
        inference = agent.infer()
        await anyio.sleep(1)
        await inference.abort("enough")
        assert (await inference).status == "aborted"

    assert statuses(transcript) == [("upstream.failed", {"inference": "agent/1", "error": "OSError: not like that"})]
    transcript.expect("agent").text("x").aborted(reason="enough", at=1).nothing_more()


async def test_a_stream_that_takes_too_long_to_close_by_itself_is_on_the_record_too(
    environment, transcript, virtual_clock
):
    class Slow(Stream):
        async def aclose(self):
            await anyio.sleep(60)

    agent = Agent("agent", Giving(Slow(TextDelta("x"), InferenceCompleted())))
    async with environment(agent, Observer("observer")):
        await agent.infer()

    assert virtual_clock.now == 5
    assert statuses(transcript) == [("upstream.not_closed", {"inference": "agent/1", "seconds": 5.0})]
    transcript.expect("agent").text("x").completed(at=0).nothing_more()
