"""Gates at work in a room: what it hears, what its items and ends say, and what the agent itself keeps."""

from __future__ import annotations

import pytest

from pytest_streamrt import (
    Agent,
    Emit,
    Environment,
    FakeModel,
    Gate,
    InferenceFailed,
    LeakageGate,
    Observer,
    Pass,
    Stop,
    Transcript,
    script,
    stall,
    tool_call,
    virtual_time,
)
from pytest_streamrt.events import ModelMessage, TextDelta

pytestmark = pytest.mark.anyio

THOUGHT = script("<thi", "nk>plan B</th", "ink>Hel", "lo", every=0.01)


class Listener(Observer):
    """Notes the messages that the room hears."""

    def __init__(self):
        super().__init__("listener")
        self.heard = []

    async def on_external_model_message(self, source, item):
        self.heard.append(item)


class Shout(Gate):
    def check(self, event):
        return Emit(TextDelta(event.text.upper())) if event.type == "text.delta" else Pass


class Breaks(Gate):
    def check(self, event):
        raise ValueError("canary-7f3a91bc")


class Ends(Gate):
    name = "ends"

    def check(self, event):
        return Stop("enough") if event.type == "text.delta" and event.text == "lo" else Pass


async def test_the_room_hears_what_is_let_through_and_the_agent_keeps_all():
    with virtual_time():
        transcript, listener = Transcript(), Listener()
        bot = Agent("bot", FakeModel(THOUGHT))
        async with Environment(bot, listener, gates=[LeakageGate()], transcript=transcript):
            inference = bot.infer("hi")
            outcome = await inference

        assert outcome.text == inference.text == "Hello"
        assert listener.heard == [ModelMessage("Hello")]
        assert bot.context.items[-1] == ModelMessage("<think>plan B</think>Hello")
        transcript.expect("bot").text("Hello", at=0.04).completed().nothing_more()
        transcript.assert_lawful()


async def test_gates_are_asked_in_order_and_each_inference_has_its_own():
    with virtual_time():
        transcript = Transcript()
        bot = Agent("bot", FakeModel(THOUGHT, script("<think>never ends"), script("and on")))
        async with Environment(bot, gates=[LeakageGate(), Shout()], transcript=transcript):
            said = [(await bot.infer()).text for _ in range(3)]

        assert said == ["HELLO", "", "AND ON"]
        transcript.assert_lawful()


async def test_the_partial_of_an_abort_is_what_the_room_heard():
    with virtual_time():
        transcript = Transcript()
        bot = Agent(
            "bot", FakeModel(script("<thi", "nk>plan B</th", "ink>Hel", "lo", "<think>secret", stall(), every=0.01))
        )
        async with Environment(bot, gates=[LeakageGate()], transcript=transcript):
            outcome = await bot.infer(deadline=1)

        assert (outcome.text, outcome.items) == ("Hello", (ModelMessage("Hello"),))
        (aborted,) = [event for event in transcript.events if event.type == "inference.aborted"]
        assert aborted.partial == "Hello"
        assert "secret" not in repr(transcript.events)
        transcript.assert_lawful()


async def test_a_gate_may_stop_it():
    with virtual_time():
        transcript = Transcript()
        bot = Agent("bot", FakeModel(script("Hel", "lo", " there", every=0.01)))
        async with Environment(bot, gates=[Ends()], transcript=transcript):
            outcome = await bot.infer()

        assert (outcome.status, outcome.by, outcome.reason) == ("aborted", "ends", "enough")
        transcript.expect("bot").text("Hel").aborted(by="ends", reason="enough", at=0.02).nothing_more()
        transcript.assert_lawful()


async def test_a_gate_that_raises_fails_the_inference_and_gives_nothing_away():
    with virtual_time():
        transcript = Transcript()
        bot = Agent("bot", FakeModel(script("Hello")))
        async with Environment(bot, gates=[Breaks()], transcript=transcript):
            with pytest.raises(InferenceFailed) as caught:
                await bot.infer()

        assert caught.value.kind == "model"
        assert "canary-7f3a91bc" in repr(caught.value.__cause__.__cause__)
        assert "canary-7f3a91bc" not in repr(transcript.events)
        transcript.expect("bot").failed(kind="model").nothing_more()
        transcript.assert_lawful()


async def test_tools_are_called_with_what_the_model_wrote():
    def look_up(word: str) -> str:
        return f"{word} is secret"

    with virtual_time():
        transcript = Transcript()
        model = FakeModel(script("<think>look</think>", tool_call("look_up", {"word": "x"})), script("Done"))
        bot = Agent("bot", model, tools=[look_up])
        async with Environment(bot, gates=[LeakageGate()], transcript=transcript):
            outcome = await bot.infer()

        assert outcome.text == "Done"
        assert [item.type for item in bot.context.items] == [
            "model_message",
            "function_call",
            "function_call_output",
            "model_message",
        ]
        transcript.assert_lawful()


@pytest.mark.parametrize("gates", [[LeakageGate], ["gate"], [None]])
async def test_what_is_no_gate_is_refused(gates):
    with pytest.raises(TypeError, match="is no gate"):
        Environment(gates=gates)
