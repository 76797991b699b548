"""The steps for items, tools' results, citations, usage and status; what may stand for a value; how chains begin and end."""

from __future__ import annotations

import functools
import re
from unittest.mock import ANY

import pytest
from dirty_equals import IsInt, IsPartialDict, IsStr

from pytest_streamrt import (
    Agent,
    Environment,
    FakeModel,
    Signal,
    Transcript,
    TranscriptError,
    reasoning,
    report_progress,
    script,
    tool_call,
    usage,
)
from pytest_streamrt.events import Citation, FunctionCall, InferenceAborted, ModelMessage, TextDelta
from tests.transcript.scenes import say

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

ANSWER = script(
    reasoning("Hm."),
    "Hello",
    tool_call("weather", {"city": "Paris", "days": 3}),
    usage(3, 4),
    every=0.1,
)


def weather(city: str, days: int = 1) -> str:
    """The weather there."""
    return f'{{"city": "{city}", "degrees": [18, {days}]}}'


async def answered(*scripts, tools=(weather,)):
    transcript = Transcript()
    agent = Agent("bot", FakeModel(*(scripts or (ANSWER, script("Done.")))), tools=tools)
    async with Environment(agent, transcript=transcript):
        await agent.infer().outcome()
    return transcript


def as_far_as(transcript):
    return transcript.expect("bot").reasoning("Hm.").text("Hello").tool_call("weather")


async def test_every_kind_of_thing_has_its_step():
    transcript = await answered()

    said = transcript.expect("bot").reasoning("Hm.").text("Hello")
    said = said.item("reasoning", text="Hm.").item(ModelMessage("Hello")).tool_call("weather")
    said = said.item("function_call", name="weather", arguments={"city": "Paris", "days": 3})
    said = said.tool_result("weather", output={"city": "Paris", "degrees": [18, 3]}, status="completed")
    said.item("function_call_output", output=IsStr(regex=".*18.*")).text("Done.").completed().nothing_more()
    transcript.expect("bot").skip_until("usage").usage(3, 4).rest()


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (lambda c: c.item("model_message", text="Bye"), "the item 'model_message' with text='Bye'"),
        (lambda c: c.item(FunctionCall("c", "t", "{}")), "the item FunctionCall("),
        (lambda c: c.item(name="weather", arguments={"city": "Rome"}), "an item with name='weather', arguments="),
        (lambda c: c.tool_result("weather", output={"city": "Rome"}), "a tool result with name='weather', output="),
        (lambda c: c.tool_result(status="failed"), "a tool result with status='failed'"),
        (lambda c: c.citation("https://example.org/b"), "a citation with url='https://example.org/b'"),
        (lambda c: c.usage(output_tokens=5), "usage(output_tokens=5)"),
        (lambda c: c.status("handoff"), "the status 'handoff'"),
        (lambda c: c.tool_progress("weather", 5), "tool progress with name='weather', data=5"),
    ],
)
async def test_what_is_otherwise_is_refused(step, expected):
    transcript = await answered()

    with pytest.raises(AssertionError) as caught:
        step(as_far_as(transcript))

    assert f"expected: {expected}" in str(caught.value)


async def test_citations():
    transcript = Transcript()
    list(transcript.record(iter(["See ", Citation("https://example.org/a", "A"), "."]), source="bot"))

    cited = transcript.expect("bot").text("See ").citation("https://example.org/a", title=re.compile("A"), data={})
    cited.text(".").completed().nothing_more()
    with pytest.raises(AssertionError, match="got: citation 'https://example.org/a'"):
        transcript.expect("bot").text("See ").citation(title="B")


async def test_progress_and_a_failed_tool():
    async def slow(n: int) -> str:
        report_progress({"percent": 50})
        msg = "no such city"
        raise ValueError(msg)

    transcript = await answered(script(tool_call("slow", {"n": 1})), script("Sorry."), tools=[slow])

    transcript.expect("bot").tool_call("slow").tool_progress("slow", IsPartialDict(percent=50)).tool_result(
        "slow", status="failed", output=re.compile("no such city")
    ).text("Sorry.").completed().nothing_more()


async def test_an_item_is_found_among_what_does_not_count_and_no_further():
    transcript = await say(script("a", usage(1, 2), "b"))

    chain = transcript.expect("bot").text("ab")
    chain.item("model_message", text="ab").completed().nothing_more()
    with pytest.raises(AssertionError, match="got: text.delta 'a'"):
        transcript.expect("bot").item("model_message")


@pytest.mark.parametrize(
    "value",
    [
        "Paris",
        ANY,
        IsStr(min_length=5),
        re.compile("^Par"),
        lambda city: city.startswith("P"),
        functools.partial(re.match, "P"),
        {"Paris", "Rome"}.__contains__,
    ],
    ids=["itself", "mock.ANY", "dirty-equals", "pattern", "lambda", "partial", "method"],
)
async def test_anything_with_an_opinion_stands_for_a_value_however_deep(value):
    transcript = await answered()

    said = transcript.expect("bot").reasoning(ANY).text(IsStr())
    said.tool_call(re.compile("wea"), arguments={"city": value, "days": IsInt(gt=2)}).rest()


async def test_text_may_be_a_predicate_or_a_pattern():
    transcript = await say(script("Hel", "lo"))

    transcript.expect("bot").text(re.compile("ell")).completed().nothing_more()
    transcript.expect("bot").text(lambda said: len(said) == 5).completed().nothing_more()
    with pytest.raises(AssertionError, match=r"expected: text: what <lambda> in line \d+ holds of"):
        transcript.expect("bot").text(lambda said: len(said) == 6)
    with pytest.raises(AssertionError, match="expected: text: what matches 'xx'"):
        transcript.expect("bot").text(re.compile("xx"))


async def test_an_abort_and_a_failure_take_patterns_too():
    transcript = await say(script("a", script.stall()), deadline=1)
    failed = await say(script("a", script.error("overloaded")))

    transcript.expect("bot").text("a").aborted(by=re.compile("dead"), reason=lambda why: "1 s" in why).nothing_more()
    failed.expect("bot").text("a").failed(kind="provider", message=re.compile("overloaded")).nothing_more()


async def test_an_async_predicate_is_refused_for_it_is_always_true():
    async def holds(value):
        return False

    transcript = await say(script("Hello"))

    for step in (
        lambda chain: chain.text(holds),
        lambda chain: chain.where(holds),
        lambda chain: chain.skip_until(holds),
    ):
        with pytest.raises(TypeError, match="holds is async: what it gives is always true"):
            step(transcript.expect("bot"))


async def test_a_step_that_is_described_says_so_when_it_fails():
    transcript = await say(script("Hello", every=0.5))

    chain = transcript.expect("bot").describe("it greets").text("Hello")
    with pytest.raises(AssertionError, match=r"^bot \(the user hangs up\), at t=0.5 s\n"):
        chain.describe("the user hangs up").aborted()
    with pytest.raises(AssertionError, match=r"^bot, at t=0.5 s\n"):
        transcript.expect("bot").describe("it greets").text("Hello").aborted()


async def test_a_mark_may_be_given_by_its_name():
    transcript = await say(script("a"))
    transcript.mark("half-time")
    await say(script("b"), transcript=transcript)

    transcript.expect("bot", since="half-time").text("b").completed().nothing_more()
    with pytest.raises(TranscriptError, match="there is no mark of that name; there are: 'half-time'"):
        transcript.expect("bot", since="full-time")


@pytest.mark.parametrize("end", ["nothing_more", "rest"])
@pytest.mark.parametrize(
    "step", [lambda c: c.completed(), lambda c: c.rest(), lambda c: c.describe("x"), lambda c: c.silence(1)]
)
async def test_after_its_end_a_chain_takes_no_step(end, step):
    transcript = await say(script("a"))
    chain = getattr(transcript.expect("bot").text("a").completed(), end)()

    with pytest.raises(TranscriptError, match="this chain has ended, or failed"):
        step(chain)


async def test_a_delta_after_an_abort_fails_the_abort():
    transcript = Transcript()
    for seq, event in enumerate((TextDelta("a"), InferenceAborted("enough", "user", "a"), TextDelta("b")), start=1):
        stamped = {**vars(event), "seq": seq, "source": "bot", "inference": "bot/1", "inference_seq": seq}
        transcript.log(type(event)(**{k: v for k, v in stamped.items() if k != "type"}), "me")

    with pytest.raises(AssertionError, match="expected: no delta after the abort\n       got: 1 that came after it"):
        transcript.expect("bot").text("a").aborted()


async def test_order_between_sources():
    transcript = Transcript()
    one, other = Agent("one", FakeModel(script("a", every=1))), Agent("other", FakeModel(script("b", every=2)))
    async with Environment(one, other, transcript=transcript):
        one.infer()
        other.infer()
    mark = transcript.mark("over")
    first = transcript.expect("one").text("a").completed().nothing_more()
    then = transcript.expect("other").text("b").rest()

    transcript.order(first, then, mark)
    transcript.order(lambda e: e.source == "one" and e.type == "text.delta", then, lambda e: e.type == "mark")
    transcript.order(transcript.events[0], transcript.events[1])
    with pytest.raises(AssertionError, match="number 2 came before number 1"):
        transcript.order(then, first)
    with pytest.raises(AssertionError, match="number 2 came before number 1"):
        transcript.order(then, lambda e: e.type == "participant.joined")
    with pytest.raises(AssertionError, match="they are one event"):
        transcript.order(mark, mark)
    with pytest.raises(AssertionError, match="number 2, an event where <lambda> in line .* holds, never came"):
        transcript.order(first, lambda e: e.type == "citation")


@pytest.mark.parametrize(
    ("moments", "error", "message"),
    [
        (lambda t: (), TranscriptError, "0 moments are always in order"),
        (lambda t: (t.events[0],), TranscriptError, "1 moment is always in order"),
        (lambda t: (t.events[0], TextDelta("x")), TranscriptError, "is not an event of this transcript"),
        (lambda t: (t.events[0], "text.delta"), TypeError, "give a chain, an event, a mark or a predicate"),
        (lambda t: (t.expect("bot"), t.events[0]), TranscriptError, "has consumed no event"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(moments, error, message):
    transcript = await say(script("a"))

    with pytest.raises(error, match=message):
        transcript.order(*moments(transcript))


async def test_signals_of_another_source_are_ordered_too(environment, transcript):
    bot = Agent("bot", FakeModel(script("a", every=1)))
    async with environment(bot) as room:
        await bot.infer()
        bot.emit(Signal("done"))
        await room.settled()

    said = transcript.expect("bot").text("a").completed()
    done = said.signal("done").nothing_more()
    transcript.order(lambda e: e.type == "text.delta", done)


async def test_a_step_that_there_is_not_is_told_which_was_meant():
    with pytest.raises(AttributeError, match=r"has no step 'txt'\. Did you mean 'text'\? There are: aborted, "):
        (await answered()).expect("bot").txt("Hello")


async def test_arguments_as_they_are_sent_are_told_what_to_write():
    message = r"compared as parsed JSON: write arguments=\{'city': 'Paris', 'days': 3\}"
    with pytest.raises(AssertionError, match=message):
        (await answered()).expect("bot").reasoning("Hm.").text("Hello").tool_call(
            "weather", arguments='{"city": "Paris", "days": 3}'
        )


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (
            lambda chain: chain.text(matches="("),
            TranscriptError,
            "text(matches='('): this is no regular expression: missing )",
        ),
        (lambda chain: chain.text(matches=5), TranscriptError, "text(matches=5): this is no regular expression"),
        (
            lambda chain: chain.where("status"),
            TypeError,
            "'status' is no predicate: that is a function, such as lambda",
        ),
        (lambda chain: chain.skip_until(5), TypeError, "it takes the type of an event, such as 'text.delta', or a"),
        (
            lambda chain: chain.failed(kind="network"),
            TranscriptError,
            "the kinds are transport, provider, model, tool, limit",
        ),
        (lambda chain: chain.inference("first"), TypeError, "which one is a whole number from 1 on, not 'first'"),
    ],
)
async def test_a_step_that_makes_no_sense_is_refused_and_the_chain_is_done(step, error, message):
    transcript = await say(script("a"))

    with pytest.raises(error, match=re.escape(message)):
        step(transcript.expect("bot"))

    assert transcript.unfinished() == []


async def test_laws_to_be_skipped_are_a_list():
    transcript = await say(script("a"))

    with pytest.raises(TypeError, match=re.escape("it is a list of laws, such as skip=[8]")):
        transcript.assert_lawful(skip=8)
