"""Chains of expectations: what each step accepts, what it refuses, and that nothing is passed over in silence."""

from __future__ import annotations

import re

import anyio.lowlevel
import pytest

from pytest_streamrt import (
    Agent,
    FakeModel,
    Signal,
    Transcript,
    TranscriptError,
    disconnect,
    error,
    pause,
    reasoning,
    refusal,
    script,
    tool_call,
    usage,
)
from pytest_streamrt.events import TextDelta
from tests.transcript.scenes import say

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def test_text_is_the_whole_run_of_it():
    transcript = await say(script("Hel", "lo ", "world"))

    transcript.expect("bot").text("Hello world").completed().nothing_more()
    transcript.expect("bot").text(contains="lo w").completed().nothing_more()
    transcript.expect("bot").text(matches=r"^Hello \w+$").completed().nothing_more()
    transcript.expect("bot").text().completed().nothing_more()


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (lambda chain: chain.text("Hello"), "expected: text 'Hello'"),
        (lambda chain: chain.text(contains="word"), "expected: text that contains 'word'"),
        (lambda chain: chain.text(matches="^w"), "expected: text that matches '^w'"),
        (lambda chain: chain.text(matches=re.compile("^w")), "expected: text that matches '^w'"),
    ],
)
async def test_other_text_is_refused_and_shown(step, expected):
    transcript = await say(script("Hel", "lo ", "world"))

    with pytest.raises(AssertionError) as caught:
        step(transcript.expect("bot"))

    assert expected in str(caught.value)
    assert "got: text 'Hello world'" in str(caught.value)


async def test_a_value_is_anything_with_an_opinion_on_equality():
    class AnyHello:
        def __eq__(self, other):
            return other.startswith("Hello")

        __hash__ = None

    transcript = await say(script("Hello world"))

    transcript.expect("bot").text(AnyHello()).rest()


async def test_only_one_way_to_compare_text_can_be_given():
    transcript = await say(script("Hello"))

    with pytest.raises(TranscriptError, match="not several of them"):
        transcript.expect("bot").text("Hello", contains="H")


@pytest.mark.parametrize("step", ["text", "reasoning", "refusal"])
@pytest.mark.parametrize(
    ("exact", "options"), [([""], {}), ([], {"contains": ""}), ([], {"matches": ""}), ([], {"matches": re.compile("")})]
)
async def test_empty_speech_is_refused_for_it_would_say_nothing(step, exact, options):
    transcript = await say(script(reasoning("a"), "b", refusal("c")))

    with pytest.raises(TranscriptError, match=rf"empty {step} says nothing"):
        getattr(transcript.expect("bot"), step)(*exact, **options)

    assert transcript.unfinished() == []


async def test_reasoning_text_refusal_and_tools_are_consumed_in_their_order():
    transcript = await say(
        script(
            reasoning("Let me ", "see."),
            "I will ",
            "look.",
            tool_call("weather", {"city": "Paris"}, pieces=['{"city":', '"Paris"}']),
            tool_call("time", {}),
            refusal("No ", "more."),
            usage(3, 4),
        )
    )

    transcript.expect("bot").reasoning("Let me see.").text("I will look.").tool_call(
        "weather", arguments={"city": "Paris"}
    ).tool_call("time", arguments={}).refusal("No more.").completed().nothing_more()


@pytest.mark.parametrize(
    ("step", "got"),
    [
        (lambda chain: chain.reasoning(), "text.delta 'Hello'"),
        (lambda chain: chain.tool_call("weather"), "text.delta 'Hello'"),
        (lambda chain: chain.signal("ping"), "text.delta 'Hello'"),
        (lambda chain: chain.nothing_more(), "text.delta 'Hello'"),
        (lambda chain: chain.where(lambda event: event.type == "citation"), "text.delta 'Hello'"),
        (lambda chain: chain.text().text(), "inference.completed"),
        (lambda chain: chain.text().completed().completed(), "nothing more"),
        (lambda chain: chain.deltas(2), "inference.completed"),
        (lambda chain: chain.skip_until("citation"), "nothing of the kind"),
        (lambda chain: chain.upstream_closed(), "no HTTP exchange"),
        (lambda chain: chain.inference(2), "1 inference of 'bot'"),
    ],
)
async def test_a_step_fails_on_anything_else_that_counts(step, got):
    transcript = await say(script("Hello"))

    with pytest.raises(AssertionError, match=re.escape(f"got: {got}")):
        step(transcript.expect("bot"))


async def test_the_arguments_of_a_tool_call_are_compared_as_json():
    transcript = await say(script(tool_call("weather", '{ "city" : "Paris" }')), script(tool_call("weather", "{oops")))

    transcript.expect("bot").inference(1).tool_call("weather", arguments={"city": "Paris"}).rest()
    with pytest.raises(AssertionError, match=re.escape("the arguments {'city': 'Paris'}")):
        transcript.expect("bot").tool_call("weather", arguments={"city": "Rome"})
    with pytest.raises(AssertionError, match="arguments that are not JSON: '.oops'"):
        transcript.expect("bot").inference(2).tool_call("weather", arguments={})


async def test_signals_are_compared_by_name_and_data(environment, transcript):
    bot = Agent("bot", FakeModel())
    async with environment(bot):
        bot.emit(Signal("ping", {"n": 1}))

    transcript.expect("bot").signal("ping").nothing_more()
    transcript.expect("bot").signal("ping", {"n": 1}).nothing_more()
    with pytest.raises(AssertionError, match=re.escape("expected: the signal 'ping' with data={'n': 2}")):
        transcript.expect("bot").signal("ping", {"n": 2})


@pytest.mark.parametrize(
    ("answer", "kind"), [(script("x", disconnect()), "transport"), (script("x", error("overloaded")), "provider")]
)
async def test_a_failure_is_compared_by_whose_it_is(answer, kind):
    transcript = await say(answer)

    transcript.expect("bot").text("x").failed(kind=kind).nothing_more()
    with pytest.raises(AssertionError, match=re.escape("expected: failed(kind='model')")):
        transcript.expect("bot").text("x").failed(kind="model")


async def test_an_abort_is_compared_by_actor_and_reason():
    transcript = await say(script("a", "b", every=1), deadline=1.5)

    transcript.expect("bot").text("a").aborted(by="deadline", reason="deadline of 1.5 s").nothing_more()
    with pytest.raises(AssertionError, match=re.escape("expected: aborted(by='somebody')")):
        transcript.expect("bot").text("a").aborted(by="somebody")


async def test_times_are_exact_in_nanoseconds():
    transcript = await say(script("a", "b", pause(0.5), tool_call("t", {}), every=0.1))

    chain = transcript.expect("bot").text("ab", at=0.2, after=0.2, within=0.2)
    chain.tool_call("t", at=0.8, after=0.8, within=0.6).completed(within=0).nothing_more()


@pytest.mark.parametrize(
    ("times", "expected", "got"),
    [
        ({"at": 0.1}, "text at t=0.1 s", "it at t=0.2 s"),
        ({"at": 0.200000001}, "text at t=0.200000001 s", "it at t=0.2 s"),
        ({"after": 0.1}, "text 0.1 s after the inference started", "it after 0.2 s"),
        ({"within": 0.199999999}, "text within 0.199999999 s of the start", "it 0.2 s after that"),
    ],
)
async def test_another_time_is_refused_and_shown(times, expected, got):
    transcript = await say(script("a", "b", every=0.1))

    with pytest.raises(AssertionError) as caught:
        transcript.expect("bot").text(**times)

    assert f"expected: {expected}" in str(caught.value)
    assert f"got: {got}" in str(caught.value)


async def test_after_counts_from_the_inference_at_hand():
    transcript = await say(script("a", every=1), script("b", every=3))

    transcript.expect("bot").text("a", after=1).completed().text("b", at=4, after=3).completed().nothing_more()
    transcript.expect("bot").inference(2).text("b", after=3).completed().nothing_more()


async def test_silence_is_the_absence_of_what_counts():
    transcript = await say(script("a", pause(2), "b"))

    transcript.expect("bot").deltas(1).silence(2).deltas(1, within=0).completed().nothing_more()
    with pytest.raises(AssertionError, match=r"expected: silence for 2\.1 s, until t=2\.1 s"):
        transcript.expect("bot").deltas(1).silence(2.1)


async def test_deltas_where_and_skip_until():
    transcript = await say(script("a", "b", "c", "d"))

    chain = transcript.expect("bot").deltas(2).where(lambda event: event.text == "c")
    chain.skip_until("inference.completed").completed().nothing_more()
    transcript.expect("bot").skip_until(lambda event: event.type == "text.delta" and event.text == "d").text("d").rest()


async def test_what_does_not_count_can_be_named():
    transcript = await say(script("a", usage(1, 2)))

    chain = transcript.expect("bot").where(lambda event: event.type == "inference.started").text("a")
    chain.where(lambda event: event.type == "usage" and event.output_tokens == 2).completed().nothing_more()


async def test_since_a_mark_only_what_follows_counts():
    transcript = await say(script("a"))
    mark = transcript.mark("half-time")
    await say(script("b", every=1), transcript=transcript)

    transcript.expect("bot", since=mark).text("b", within=1).completed().nothing_more()
    with pytest.raises(TranscriptError, match="is no mark of this transcript"):
        transcript.expect("bot", since=Transcript().mark("elsewhere"))


async def test_that_nothing_followed_a_mark_can_be_expected():
    transcript = await say(script("a"))
    mark = transcript.mark("over")

    transcript.expect("bot", since=mark).nothing_more()
    with pytest.raises(AssertionError, match="got: nothing more"):
        transcript.expect("bot", since=mark).text("a")
    with pytest.raises(AssertionError, match="nothing came from 'bott'"):
        transcript.expect("bott", since=mark)


async def test_what_does_not_count_is_passed_over_up_to_the_end_of_a_step_and_no_further():
    transcript = await say(script("a", usage(1, 2), "b"))

    with pytest.raises(AssertionError, match="got: inference.completed"):
        transcript.expect("bot").text("ab").where(lambda event: event.type == "usage")
    chain = transcript.expect("bot").deltas(1).where(lambda event: event.type == "usage").text("b")
    chain.where(lambda event: event.type == "item.completed").completed().nothing_more()


async def test_an_unknown_source_is_named_with_those_there_are():
    transcript = await say(script("a"))

    with pytest.raises(
        AssertionError, match=r"nothing came from 'bott'\. Did you mean 'bot'\? Sources in this transcript: bot"
    ):
        transcript.expect("bott")
    with pytest.raises(AssertionError, match="nothing was logged at all"):
        Transcript().expect("bot")


async def test_a_chain_without_an_end_is_unfinished_and_named_by_its_line():
    transcript = await say(script("a"))

    chain = transcript.expect("bot").text("a")

    (complaint,) = transcript.unfinished()
    assert re.search(r"on 'bot' at test_expect\.py:\d+ is not finished", complaint)
    chain.rest()
    assert transcript.unfinished() == []


async def test_a_chain_that_has_failed_is_not_called_unfinished_as_well():
    transcript = await say(script("a"))

    with pytest.raises(AssertionError):
        transcript.expect("bot").text("b")

    assert transcript.unfinished() == []


async def test_the_message_shows_what_surrounds_the_failure():
    transcript = await say(script(*"abcdefghijkl", every=0.01))

    with pytest.raises(AssertionError) as caught:
        transcript.expect("bot").deltas(8).completed()

    assert str(caught.value) == (
        "bot, at t=0.09 s\n"
        "  expected: completed\n"
        "       got: text.delta 'i'\n"
        "\n"
        "What came from bot:\n"
        "    … 4 events before\n"
        "     0.030000000  text.delta 'c'\n"
        "     0.040000000  text.delta 'd'\n"
        "     0.050000000  text.delta 'e'\n"
        "     0.060000000  text.delta 'f'\n"
        "     0.070000000  text.delta 'g'\n"
        "     0.080000000  text.delta 'h'\n"
        "  >  0.090000000  text.delta 'i'\n"
        "     0.100000000  text.delta 'j'\n"
        "     0.110000000  text.delta 'k'\n"
        "    … 3 events after\n"
        "\n"
        "Likely: text.delta is never passed over in silence: expect it first, .text(…), or go on with skip_until(…)"
    )


async def test_a_chain_may_begin_with_the_end_where_the_rest_does_not_matter():
    transcript = await say(script("Hel", "lo"), script("Bye"))

    transcript.expect("bot").completed().rest()
    transcript.expect("bot").completed().text("Bye").completed().rest()
    with pytest.raises(AssertionError, match="got: inference.completed"):
        transcript.expect("bot").aborted()
    with pytest.raises(AssertionError, match="got: text.delta 'Hel', passed over before the end"):
        transcript.expect("bot").completed().text("Bye").completed().nothing_more()
    with pytest.raises(AssertionError, match="got: text.delta 'Bye', passed over before the end"):
        transcript.expect("bot").inference(2).completed().nothing_more()
    with pytest.raises(AssertionError, match="got: text.delta 'Bye'"):
        transcript.expect("bot").completed().completed()


async def test_a_very_long_delta_is_cut_in_the_message():
    transcript = await say(script("x" * 10_000))

    with pytest.raises(AssertionError) as caught:
        transcript.expect("bot").signal("x")

    assert len(str(caught.value)) < 1_000


async def test_events_that_were_not_logged_by_us_are_read_like_any_other():
    transcript = Transcript()
    transcript.log(TextDelta("x", seq=1, source="mine"), "me")

    transcript.expect("mine").text("x").nothing_more()
    await anyio.lowlevel.checkpoint()
