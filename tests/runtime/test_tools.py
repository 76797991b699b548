"""Tools: what a model is told of them, when they run, and what it is told they said. Seen from the room."""

from __future__ import annotations

import time
from contextvars import ContextVar

import anyio
import anyio.from_thread
import pytest

from pytest_streamrt import (
    Agent,
    FakeModel,
    InferenceFailed,
    Observer,
    Participant,
    Signal,
    pause,
    script,
    tool_call,
    usage,
)
from pytest_streamrt.events import FunctionCall, FunctionCallOutput, Message, ModelMessage
from pytest_streamrt.runtime import report_progress

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

DONE = script("Done.")


user = ContextVar("user")


async def weather(city: str, days: int = 1) -> str:
    """What the weather will be."""
    await anyio.sleep(0.5)
    return f"{city}: sun for {days} days"


def results(transcript, type_="tool.result"):
    return [event for event in transcript.events if event.type == type_]


def agent_with(*tools, says=(), **options):
    return Agent("bot", FakeModel(script(*says), DONE), tools=tools, **options)


async def test_a_tool_answers_and_the_model_goes_on(environment, transcript):
    model = FakeModel(
        script("Let me see. ", tool_call("weather", {"city": "Paris", "days": 2}), usage(10, 5), every=0.1),
        script("Sun.", usage(20, 1), every=0.1),
    )
    bot = Agent("bot", model, tools=[weather])
    async with environment(bot):
        outcome = await bot.infer("Weather in Paris?")

    call = FunctionCall("call_0", "weather", '{"city":"Paris","days":2}')
    answer = FunctionCallOutput("call_0", "Paris: sun for 2 days")
    items = (ModelMessage("Let me see. "), call, answer, ModelMessage("Sun."))
    assert (outcome.status, outcome.text, outcome.items) == ("completed", "Let me see. Sun.", items)
    assert (outcome.usage.input_tokens, outcome.usage.output_tokens) == (30, 6)
    assert bot.context.items == (Message("Weather in Paris?"), *items)
    assert model.calls[1].items == bot.context.items[:-1]
    chain = (
        transcript.expect("bot")
        .text("Let me see. ")
        .tool_call("weather", arguments={"city": "Paris", "days": 2}, at=0.2)
    )
    chain.where(lambda event: event.type == "tool.result", at=0.7).text("Sun.", at=0.8).completed()
    chain.nothing_more()
    assert [(e.id, e.name, e.status, e.output) for e in results(transcript)] == [
        ("call_0", "weather", "completed", "Paris: sun for 2 days")
    ]


async def test_rounds_are_counted_on_every_event(environment, transcript):
    bot = agent_with(weather, says=["a", tool_call("weather", {"city": "Rome"})])
    async with environment(bot):
        await bot.infer()

    rounds = [(event.type, event.round) for event in transcript.events if event.inference]
    assert rounds == [
        ("inference.started", 1),
        ("text.delta", 1),
        ("item.completed", 1),
        ("tool_call.started", 1),
        ("tool_call.delta", 1),
        ("item.completed", 1),
        ("tool.result", 1),
        ("item.completed", 1),  # the output
        ("text.delta", 2),
        ("item.completed", 2),
        ("inference.completed", 2),
    ]
    transcript.expect("bot").rest()


async def test_calls_begin_while_the_model_is_still_writing_and_run_at_once(environment, transcript):
    began = {}

    async def look(city: str):
        began[city] = anyio.current_time() - start
        await anyio.sleep({"Paris": 3, "Rome": 1}[city])

    calls = [tool_call("look", {"city": "Paris"}), tool_call("look", {"city": "Rome"})]
    bot = Agent("bot", FakeModel(script(*calls, "so ", "far", every=0.5), DONE), tools=[look])
    async with environment(bot):
        start = anyio.current_time()
        await bot.infer()

    assert began == {"Paris": 0.5, "Rome": 1}
    assert [(e.id, e.time) for e in results(transcript)] == [("call_1", 2), ("call_0", 3.5)]
    outputs = [item.id for item in bot.context.items if isinstance(item, FunctionCallOutput)]
    assert outputs == ["call_0", "call_1"]  # in the order of the calls
    chain = transcript.expect("bot").tool_call("look", at=0.5).tool_call("look", at=1).text("so ", at=1.5)
    chain.where(lambda event: event.type == "tool.result", at=2).text("far", at=2).rest()


async def test_the_model_is_told_what_there_is(environment):
    model = FakeModel(script("x"))
    bot = Agent("bot", model, tools=[weather])
    async with environment(bot):
        await bot.infer()

    (tool,) = model.calls[0].tools
    assert (tool.name, tool.description) == ("weather", "What the weather will be.")
    assert tool.parameters["required"] == ["city"]
    assert tool.parameters["properties"]["days"]["type"] == "integer"
    assert tool.parameters["additionalProperties"] is False


async def test_a_sync_tool_runs_in_a_thread_on_the_same_clock(environment, transcript):
    def slow(n: int):
        time.sleep(n)
        return {"slept": n}

    bot = agent_with(slow, says=[tool_call("slow", {"n": 3}), tool_call("slow", {"n": 2})])
    async with environment(bot):
        await bot.infer()

    assert [(e.output, e.time) for e in results(transcript)] == [('{"slept":2}', 2), ('{"slept":3}', 3)]
    transcript.expect("bot").rest()


async def test_without_tools_a_call_is_an_item_and_nothing_runs(environment, transcript):
    model = FakeModel(script(tool_call("weather", {"city": "Rome"})))
    bot = Agent("bot", model)
    async with environment(bot):
        outcome = await bot.infer()

    assert outcome.items == (FunctionCall("call_0", "weather", '{"city":"Rome"}'),)
    assert model.calls[0].tools == ()
    transcript.expect("bot").tool_call("weather").completed().nothing_more()


async def test_everyone_hears_the_answer_of_a_tool(environment, transcript):
    heard = []

    class Ear(Observer):
        async def on_external_function_call_output(self, source, item):
            heard.append((source.name, item.output))

    class Bot(Agent):
        async def on_function_call_output(self, item):
            heard.append(("own", item.output))

    bot = Bot("bot", FakeModel(script(tool_call("weather", {"city": "Rome"})), DONE), tools=[weather])
    async with environment(bot, Ear("ear")):
        await bot.infer()

    assert sorted(heard) == [("bot", "Rome: sun for 1 days"), ("own", "Rome: sun for 1 days")]
    transcript.expect("bot").rest()


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_progress(kind, environment, transcript):
    async def fetch(pages: int):
        for page in range(pages):
            await anyio.sleep(1)
            report_progress({"page": page})

    def fetch_blocking(pages: int):
        for page in range(pages):
            time.sleep(1)
            report_progress({"page": page})

    tool = fetch if kind == "async" else fetch_blocking
    bot = agent_with(tool, says=[tool_call(tool.__name__, {"pages": 2})])
    async with environment(bot):
        await bot.infer()

    progress = [(e.id, e.name, e.data, e.time) for e in results(transcript, "tool.progress")]
    assert progress == [("call_0", tool.__name__, {"page": 0}, 1), ("call_0", tool.__name__, {"page": 1}, 2)]
    transcript.expect("bot").rest()


async def test_outside_of_a_call_progress_goes_nowhere():
    report_progress("testing the function alone")


async def test_a_tool_acts_on_behalf_of_its_agent(environment, transcript):
    writer = Agent("writer", FakeModel(script("A poem.")))

    async def ask(topic: str):
        env.emit(Signal("asked", topic))
        return (await writer.infer(topic)).text

    bot = agent_with(ask, says=[tool_call("ask", {"topic": "rain"})])
    async with environment(bot, writer) as env:
        await bot.infer()

    written = next(e for e in transcript.events if e.type == "item.completed" and isinstance(e.item, FunctionCall))
    (signal,) = results(transcript, "signal")
    assert (signal.source, signal.cause) == ("bot", written.seq)
    started = next(e for e in transcript.events if e.type == "inference.started" and e.source == "writer")
    assert started.cause == written.seq
    (result,) = results(transcript)
    assert (result.output, result.cause) == ("A poem.", written.seq)
    transcript.expect("bot").rest()
    transcript.expect("writer").text("A poem.").completed().nothing_more()


async def test_the_parallel_calls_are_bounded_and_wait_in_order(environment, transcript):
    async def nap(n: int):
        report_progress(n)
        await anyio.sleep(1)

    calls = [tool_call("nap", {"n": n}) for n in range(5)]
    bot = agent_with(nap, says=calls, max_parallel_tools=2)
    async with environment(bot):
        await bot.infer()

    assert [(e.data, e.time) for e in results(transcript, "tool.progress")] == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)]
    transcript.expect("bot").rest()


async def test_a_model_that_never_stops_calling_is_stopped(environment, transcript):
    model = FakeModel(*[script(tool_call("weather", {"city": "Rome"}))] * 3)
    bot = Agent("bot", model, tools=[weather], max_rounds=3)
    async with environment(bot):
        with pytest.raises(InferenceFailed, match="called tools in every round up to max_rounds=3") as error:
            await bot.infer()

    assert error.value.kind == "limit"
    assert len(results(transcript)) == 3
    assert len(bot.context) == 6  # what was done is known to the next inference
    transcript.expect("bot").skip_until("inference.failed").failed(kind="limit", at=1.5).nothing_more()


async def test_a_deadline_counts_the_tools_too(environment, transcript):
    bot = Agent("bot", FakeModel(script(tool_call("weather", {"city": "Rome"}))), tools=[weather])
    async with environment(bot):
        outcome = await bot.infer(deadline=0.25)

    assert outcome.by == "deadline"
    assert [(e.status, e.output, e.time) for e in results(transcript)] == [
        ("cancelled", "cancelled: deadline of 0.25 s", 0.25)
    ]
    transcript.expect("bot").rest()


async def test_a_peer_hears_progress_and_stops_the_tool(environment, transcript):
    class Impatient(Participant):
        async def on_external_event(self, source, event):
            if event.type == "tool.progress" and event.data == 2:
                await self.abort(event.inference, "that will do")

    async def count():
        for n in range(10):
            report_progress(n)
            await anyio.sleep(1)

    bot = Agent("bot", FakeModel(script("Counting. ", tool_call("count", {}), pause(60), "never")), tools=[count])
    async with environment(bot, Impatient("peer")):
        outcome = await bot.infer()

    assert (outcome.status, outcome.by, outcome.text) == ("aborted", "peer", "Counting. ")
    chain = transcript.expect("bot").text("Counting. ").tool_call("count").skip_until("tool.result")
    chain.where(lambda e: e.status == "cancelled", at=2).aborted(by="peer", at=2).nothing_more()


async def test_a_tool_that_waits_for_its_own_inference_is_told_that_it_cannot_end(environment, transcript):
    async def wait():
        await inference

    bot = agent_with(wait, says=[tool_call("wait", {})])
    async with environment(bot):
        inference = bot.infer()
        assert (await inference).text == "Done."

    (result,) = results(transcript)
    assert result.status == "failed"
    assert result.output.startswith("wait failed: WouldDeadlock: the inference 'bot/1' waits for the inference 'bot/1'")
    transcript.expect("bot").rest()


async def test_what_one_tool_sets_in_its_context_no_other_sees(environment, transcript):
    async def mark(n: int):
        before = user.get()
        user.set(n)
        await anyio.sleep(1)
        return before

    bot = agent_with(mark, says=[tool_call("mark", {"n": n}) for n in range(3)], max_parallel_tools=1)
    user.set("test")
    async with environment(bot):
        await bot.infer()

    assert [event.output for event in results(transcript)] == ["test"] * 3
    transcript.expect("bot").rest()
