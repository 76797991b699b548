"""However a tool call ends, it ends in exactly one result, and the model hears of it, unless the inference was stopped."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio
import anyio.from_thread
import pytest

from pytest_streamrt import (
    Agent,
    Environment,
    FakeModel,
    InferenceFailed,
    Participant,
    disconnect,
    pause,
    script,
    tool_call,
)
from pytest_streamrt.events import (
    FunctionCall,
    FunctionCallOutput,
    InferenceCompleted,
    ItemCompleted,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from pytest_streamrt.runtime import Tool, report_progress
from pytest_streamrt.runtime.inbox import Inbox

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

DONE = script("Done.")


def of_type(transcript, type_):
    return [event for event in transcript.events if event.type == type_]


def ends(transcript):
    """How each call ended, when, and what was said: exactly what the record has."""
    return [(event.id, event.status, event.output, event.time) for event in of_type(transcript, "tool.result")]


async def run(environment, transcript, *calls, tools, **options):
    """An inference whose model makes these calls and then says it is done; the context it leaves."""
    bot = Agent("bot", FakeModel(script(*calls), DONE), tools=tools, **options)
    async with environment(bot):
        assert (await bot.infer()).text == "Done."
    transcript.expect("bot").rest()
    outputs = [item.output for item in bot.context.items if isinstance(item, FunctionCallOutput)]
    assert sorted(outputs) == sorted(output for _, _, output, _ in ends(transcript))
    transcript.assert_lawful()


async def never(city: str, days: int = 1):
    raise AssertionError("this must not run")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"city":', "the arguments of never are not JSON: EOF while parsing a value at line 1 column 8"),
        ('["Paris"]', "the arguments of never are to be a JSON object, by name"),
        ("null", "the arguments of never are to be a JSON object, by name"),
        ("", "the arguments of never do not fit: city: Missing required argument. It takes: city, days"),
        (
            '{"town": "Paris", "days": "two", "city": "Paris"}',
            (
                "the arguments of never do not fit: "
                "days: Input should be a valid integer, unable to parse string as an integer; "
                "town: Unexpected keyword argument. It takes: city, days"
            ),
        ),
    ],
)
async def test_arguments_that_are_wrong_are_told_and_nothing_runs(arguments, said, environment, transcript):
    await run(environment, transcript, tool_call("never", arguments), tools=[never])

    assert ends(transcript) == [("call_0", "failed", said, 0)]
    assert of_type(transcript, "status") == []


async def test_a_call_of_a_tool_that_there_is_not(environment, transcript):
    await run(environment, transcript, tool_call("wether", {}), tools=[never, Tool(never, name="weather")])

    assert ends(transcript) == [("call_0", "failed", "there is no tool 'wether'; there are: never, weather", 0)]


async def breaks(n: int):
    await anyio.sleep(n)
    raise LookupError(f"no {n}")


def breaks_blocking(n: int):
    time.sleep(n)
    raise LookupError(f"no {n}")


def runs_out(n: int):
    raise StopIteration(f"no {n}")


async def breaks_in_a_group(n: int):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(breaks, n)


@pytest.mark.parametrize(
    ("tool", "error"),
    [
        (breaks, "LookupError: no 0"),
        (breaks_blocking, "LookupError: no 0"),
        (breaks_in_a_group, "LookupError: no 0"),
    ],
)
async def test_an_exception_is_told_and_its_traceback_is_on_the_record(tool, error, environment, transcript):
    await run(environment, transcript, tool_call("it", {"n": 0}), tools=[Tool(tool, name="it")])

    assert ends(transcript) == [("call_0", "failed", f"it failed: {error}", 0)]
    (status,) = of_type(transcript, "status")
    assert (status.name, status.inference, status.data["call"]) == ("tool.failed", "bot/1", "call_0")
    lines = status.data["traceback"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "test_tools_ends.py" in lines[1]  # the tool's own code comes first
    assert lines[-1] == error == status.data["error"]


async def test_one_tool_that_raises_does_not_touch_the_others(environment, transcript):
    async def works(n: int):
        await anyio.sleep(n)
        return n

    await run(
        environment, transcript, tool_call("breaks", {"n": 1}), tool_call("works", {"n": 2}), tools=[breaks, works]
    )

    assert ends(transcript) == [
        ("call_0", "failed", "breaks failed: LookupError: no 1", 1),
        ("call_1", "completed", "2", 2),
    ]


async def test_a_result_that_cannot_be_written_as_json(environment, transcript):
    async def loop():
        result = []
        result.append(result)
        return result

    await run(environment, transcript, tool_call("loop", {}), tools=[loop])

    ((_, status, output, _),) = ends(transcript)
    assert status == "failed"
    assert "Circular reference" in output


async def test_a_stop_iteration_is_an_error_like_any_other(environment, transcript):
    await run(environment, transcript, tool_call("runs_out", {"n": 0}), tools=[runs_out])

    assert ends(transcript) == [
        ("call_0", "failed", "runs_out failed: RuntimeError: coroutine raised StopIteration", 0)
    ]
    assert "no 0" in of_type(transcript, "status")[0].data["traceback"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio has no such thing
async def test_a_stray_cancellation_is_the_tool_s_own_error(environment, transcript):
    async def stray():
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    await run(environment, transcript, tool_call("stray", {}), tools=[stray])

    ((_, status, output, _),) = ends(transcript)
    assert status == "failed"
    assert "it raised CancelledError, but nobody has cancelled it" in output


@pytest.mark.parametrize("tool", [anyio.sleep, time.sleep], ids=["async", "sync"])
async def test_a_tool_that_takes_too_long(tool, environment, transcript, virtual_clock):
    async def nap(seconds: float):
        await anyio.sleep(seconds)

    def nap_blocking(seconds: float):
        time.sleep(seconds)

    nap = Tool(nap if tool is anyio.sleep else nap_blocking, name="nap")
    calls = [tool_call("nap", {"seconds": seconds}) for seconds in (9, 1)]
    await run(environment, transcript, *calls, tools=[nap], tool_timeout=2)

    late = ("call_0", "failed", "nap took longer than 2 s and was stopped", 2)
    assert ends(transcript) == [("call_1", "completed", "null", 1), late]
    assert virtual_clock.now == 2


async def test_the_time_begins_with_the_tool_and_not_while_it_waits_for_its_place(environment, transcript):
    async def nap(seconds: float):
        await anyio.sleep(seconds)

    calls = [tool_call("nap", {"seconds": 2})] * 3
    await run(environment, transcript, *calls, tools=[nap], tool_timeout=3, max_parallel_tools=1)

    assert [(status, at) for _, status, _, at in ends(transcript)] == [
        ("completed", 2),
        ("completed", 4),
        ("completed", 6),
    ]


async def test_a_tool_that_does_not_stop_in_time_holds_nobody_up_and_is_on_the_record(
    environment, transcript, virtual_clock
):
    async def stubborn():
        with anyio.CancelScope(shield=True):
            await anyio.sleep(60)
        report_progress("nobody hears this")
        return "nor this"

    bot = Agent("bot", FakeModel(script(tool_call("stubborn", {}), pause(99), "x")), tools=[stubborn])
    async with environment(bot):
        inference = bot.infer()
        await anyio.sleep(1)
        await inference.abort("enough")
        assert virtual_clock.now == 6

    assert ends(transcript) == [("call_0", "cancelled", "cancelled: enough", 1)]
    (status,) = of_type(transcript, "status")
    assert (status.name, status.time, status.inference) == ("tool.not_stopped", 6, None)
    assert status.data == {"inference": "bot/1", "call": "call_0", "tool": "stubborn", "seconds": 5}
    assert of_type(transcript, "tool.progress") == []
    transcript.expect("bot").tool_call("stubborn").skip_until("inference.aborted").aborted(at=1).nothing_more()


async def test_a_stubborn_tool_of_a_deadline_is_on_the_record_too(environment, transcript, virtual_clock):
    async def stubborn():
        with anyio.CancelScope(shield=True):
            await anyio.sleep(60)

    bot = Agent("bot", FakeModel(script(tool_call("stubborn", {}))), tools=[stubborn])
    async with environment(bot):
        await bot.infer(deadline=1)
        assert virtual_clock.now == 6

    assert [status.name for status in of_type(transcript, "status")] == ["tool.not_stopped"]
    transcript.expect("bot").rest()


async def test_a_tool_stops_its_own_inference(environment, transcript):
    seen = []

    async def enough():
        try:
            await inference.abort("I have seen enough")
            seen.append("went on")
        except anyio.get_cancelled_exc_class():
            seen.append("cancelled")
            raise

    bot = Agent("bot", FakeModel(script(tool_call("enough", {}), pause(9), "x")), tools=[enough])
    async with environment(bot):
        inference = bot.infer()
        outcome = await inference

    assert seen == ["cancelled"]
    assert (outcome.status, outcome.by) == ("aborted", "bot")
    chain = (
        transcript.expect("bot")
        .tool_call("enough")
        .where(lambda e: e.type == "tool.result" and e.status == "cancelled")
    )
    chain.aborted(by="bot", reason="I have seen enough", at=0).nothing_more()


async def test_a_sync_tool_stops_its_own_inference(environment, transcript):
    def enough():
        anyio.from_thread.run(inference.abort, "enough")

    bot = Agent("bot", FakeModel(script(tool_call("enough", {}), pause(9), "x")), tools=[enough])
    async with environment(bot):
        inference = bot.infer()
        outcome = await inference

    assert (outcome.status, outcome.by) == ("aborted", "bot")
    assert ends(transcript) == [("call_0", "cancelled", "cancelled: enough", 0)]
    transcript.expect("bot").rest()


async def test_a_sync_tool_is_abandoned_and_heard_no_more_and_ends_at_its_next_report(
    environment, transcript, virtual_clock
):
    steps, ended = [], threading.Event()

    def blocking():
        try:
            for i in range(10):
                time.sleep(1)
                steps.append(i)
                report_progress(i)
        finally:
            ended.set()

    bot = Agent("bot", FakeModel(script(tool_call("blocking", {}))), tools=[blocking])
    async with environment(bot):
        inference = bot.infer()
        await anyio.sleep(2.5)
        await inference.abort("enough")
        assert virtual_clock.now == 2.5
        await anyio.sleep(20)
        assert ended.wait(10)

    assert steps == [0, 1, 2]
    assert [event.data for event in of_type(transcript, "tool.progress")] == [0, 1]
    assert ends(transcript) == [("call_0", "cancelled", "cancelled: enough", 2.5)]
    transcript.expect("bot").rest()


async def test_a_report_that_cannot_be_taken_down_ends_a_sync_tool():
    class Full:
        def elapsed(self):
            return 0.0

        def log(self, event, origin):
            if event.type == "tool.progress":
                pytest.fail("no more of it")

    def blocking():
        report_progress("half-way")

    bot = Agent("bot", FakeModel(script(tool_call("blocking", {}))), tools=[blocking])
    with pytest.raises(pytest.fail.Exception, match="no more of it"):
        async with Environment(bot, transcript=Full()):
            await bot.infer()


@pytest.mark.real_time
def test_a_sync_tool_that_was_abandoned_does_not_wait_for_a_loop_that_has_ended():
    go_on, gone_on = threading.Event(), threading.Event()
    begun = asyncio.Event()

    def blocking():
        anyio.from_thread.run_sync(begun.set)
        go_on.wait()
        try:
            report_progress("too late")
        finally:
            gone_on.set()

    async def abandon():
        bot = Agent("bot", FakeModel(script(tool_call("blocking", {}))), tools=[blocking])
        async with Environment(bot):
            inference = bot.infer()
            await begun.wait()
            await inference.abort("enough")

    loop = asyncio.new_event_loop()
    loop.run_until_complete(abandon())  # from now on it calls nothing any more, though it is not closed
    go_on.set()
    went_on = gone_on.wait(10)
    loop.close()

    assert went_on


async def test_calls_that_wait_for_their_place_are_cancelled_without_having_run(environment, transcript):
    ran = []

    async def nap(n: int):
        ran.append(n)
        await anyio.sleep(9)

    calls = [tool_call("nap", {"n": n}) for n in range(3)]
    bot = Agent("bot", FakeModel(script(*calls)), tools=[nap], max_parallel_tools=1)
    async with environment(bot):
        inference = bot.infer()
        await anyio.sleep(1)
        await inference.abort()

    assert ran == [0]
    assert ends(transcript) == [(f"call_{n}", "cancelled", "cancelled", 1) for n in range(3)]
    assert of_type(transcript, "inference.aborted")[0].seq > of_type(transcript, "tool.result")[-1].seq
    transcript.expect("bot").rest()


@pytest.mark.parametrize("ending", [(pause(1), disconnect()), (pause(1), script.error("server_error"))])
async def test_a_model_that_fails_takes_its_tools_along(ending, environment, transcript):
    async def nap():
        await anyio.sleep(9)

    bot = Agent("bot", FakeModel(script(tool_call("nap", {}), *ending)), tools=[nap])
    async with environment(bot):
        with pytest.raises(InferenceFailed):
            await bot.infer()

    ((_, status, _, at),) = ends(transcript)
    assert (status, at) == ("cancelled", 1)
    assert len(bot.context) == 0
    transcript.expect("bot").skip_until("inference.failed").failed(at=1).nothing_more()


async def test_an_agent_that_leaves_takes_its_tools_along(environment, transcript):
    async def nap():
        await anyio.sleep(9)

    bot = Agent("bot", FakeModel(script(tool_call("nap", {}))), tools=[nap])
    async with environment(bot) as env:
        bot.infer()
        await anyio.sleep(1)
        await env.leave(bot)

    assert ends(transcript) == [("call_0", "cancelled", "cancelled: its agent left", 1)]
    transcript.expect("bot").rest()


async def test_what_surrounds_the_room_is_cancelled(environment, transcript):
    async def nap():
        await anyio.sleep(9)

    bot = Agent("bot", FakeModel(script(tool_call("nap", {}))), tools=[nap])
    with anyio.move_on_after(1):
        async with environment(bot):
            await bot.infer()

    assert [(status, at) for _, status, _, at in ends(transcript)] == [("cancelled", 1)]
    transcript.expect("bot").rest()


class Fatal(BaseException):
    """As a CassetteMiss is one, or what pytest.fail() raises."""


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_what_no_except_may_swallow_ends_the_room(kind, environment, transcript):
    async def fatal():
        raise Fatal("really")

    def fatal_blocking():
        raise Fatal("really")

    tool = Tool(fatal if kind == "async" else fatal_blocking, name="fatal")
    with pytest.raises(Fatal, match="really"):
        async with environment(bot := Agent("bot", FakeModel(script(tool_call("fatal", {}))), tools=[tool])):
            await bot.infer()

    assert ends(transcript) == [("call_0", "failed", "Fatal: really", 0)]
    transcript.expect("bot").rest()


class Says:
    """A model that says these events, a list for each time it is asked."""

    def __init__(self, *rounds):
        self._rounds = iter(rounds)

    async def stream(self, context, tools):
        for event in next(self._rounds):
            yield event


async def test_a_source_that_stutters_does_not_have_things_done_twice(environment, transcript):
    done = []

    async def pay(amount: int):
        done.append(amount)

    call = ItemCompleted(FunctionCall("c", "pay", '{"amount": 5}'))
    bot = Agent("bot", Says([call, call], [TextDelta("Paid.")]), tools=[pay])
    async with environment(bot):
        await bot.infer()

    assert done == [5]
    assert [(status, output) for _, status, output, _ in ends(transcript)] == [
        ("failed", "not run: there is a call 'c' in this round already"),
        ("completed", "null"),
    ]
    transcript.expect("bot").rest()


async def test_only_the_calls_of_the_first_choice_are_run(environment, transcript):
    done = []

    async def pay(amount: int):
        done.append(amount)

    other = ItemCompleted(FunctionCall("c", "pay", '{"amount": 5}', choice=1))
    bot = Agent("bot", Says([TextDelta("No need."), other]), tools=[pay])
    async with environment(bot):
        assert (await bot.infer()).text == "No need."

    assert done == []
    assert [status for _, status, _, _ in ends(transcript)] == ["cancelled"]
    transcript.expect("bot").rest()


async def test_a_call_that_the_model_leaves_unfinished_is_finished_with_its_stream(environment, transcript):
    async def pay(amount: int):
        return amount

    cut = [ToolCallStarted("c", "pay"), ToolCallDelta("c", '{"amo'), InferenceCompleted("length")]
    bot = Agent("bot", Says(cut, [TextDelta("Sorry.")]), tools=[pay])
    async with environment(bot):
        await bot.infer()

    ((_, status, output, _),) = ends(transcript)
    assert status == "failed"
    assert output.startswith("the arguments of pay are not JSON")
    transcript.expect("bot").rest()


async def test_a_tool_that_breaks_while_it_stops_is_on_the_record_after_the_end(environment, transcript):
    async def untidy():
        try:
            await anyio.sleep(9)
        finally:
            raise LookupError("cannot clean up")

    bot = Agent("bot", FakeModel(script(tool_call("untidy", {}))), tools=[untidy])
    async with environment(bot):
        await bot.infer(deadline=1)

    assert [(status, at) for _, status, _, at in ends(transcript)] == [("cancelled", 1)]
    (status,) = of_type(transcript, "status")
    assert (status.name, status.inference, status.data["inference"]) == ("tool.failed", None, "bot/1")
    assert status.data["error"] == "LookupError: cannot clean up"
    transcript.expect("bot").rest()


async def test_a_tool_that_is_done_in_time_leaves_no_timer(environment, transcript, virtual_clock):
    async def nap():
        await anyio.sleep(1)

    await run(environment, transcript, tool_call("nap", {}), tools=[nap], tool_timeout=60)

    assert virtual_clock.now == 1


async def test_a_call_that_is_stopped_as_it_begins_never_runs(environment, transcript):
    ran = []

    async def pay():
        ran.append("pay")

    call = ItemCompleted(FunctionCall("c", "pay", "{}"))
    bot = Agent("bot", Says([call, TextDelta("a"), TextDelta("b")]), tools=[pay])
    async with environment(bot):
        await bot.infer(max_deltas=1)

    assert ran == []
    assert [status for _, status, _, _ in ends(transcript)] == ["cancelled"]
    transcript.expect("bot").rest()


async def test_stopped_between_two_rounds_the_model_is_not_asked_again(environment, transcript):
    class Slow(Participant):
        async def on_external_function_call_output(self, source, item):
            await anyio.sleep(1)  # the next round waits for this inbox
            await self.abort("bot/1", "that will do")

    async def pay():
        return "paid"

    model = FakeModel(script(tool_call("pay", {})))
    bot = Agent("bot", model, tools=[pay])
    async with environment(bot, Slow("slow", inbox=Inbox.block(1))):
        outcome = await bot.infer()

    assert (outcome.by, len(model.calls)) == ("slow", 1)
    assert ends(transcript) == [("call_0", "completed", "paid", 0)]
    assert len(bot.context) == 2  # the round was over
    transcript.expect("bot").skip_until("inference.aborted").aborted(at=1).nothing_more()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio has no such thing
async def test_a_tool_that_cancels_the_task_it_runs_in_ends_the_room_and_that_is_said(environment, transcript):
    async def foolish():
        asyncio.current_task().cancel()
        await anyio.sleep(1)

    bot = Agent("bot", FakeModel(script(tool_call("foolish", {}))), tools=[foolish])
    with pytest.raises(RuntimeError, match="a task of the environment was cancelled"):
        async with environment(bot):
            await bot.infer()

    assert [status for _, status, _, _ in ends(transcript)] == ["cancelled"]
    transcript.expect("bot").rest()


async def test_stopped_in_the_instant_in_which_the_next_round_could_begin(environment, transcript):
    class Slow(Participant):
        async def on_external_function_call_output(self, source, item):
            await anyio.sleep(1)

    class Stops(Participant):
        async def on_external_function_call_output(self, source, item):
            await anyio.sleep(1)
            await self.abort("bot/1")

    async def pay():
        return "paid"

    model = FakeModel(script(tool_call("pay", {})))
    bot = Agent("bot", model, tools=[pay])
    async with environment(bot, Slow("slow", inbox=Inbox.block(1)), Stops("stops")):
        outcome = await bot.infer()

    assert (outcome.by, len(model.calls)) == ("stops", 1)
    transcript.expect("bot").rest()


async def test_a_stubborn_tool_of_a_room_that_is_cancelled_is_on_the_record(environment, transcript, virtual_clock):
    async def stubborn():
        with anyio.CancelScope(shield=True):
            await anyio.sleep(60)

    bot = Agent("bot", FakeModel(script(tool_call("stubborn", {}))), tools=[stubborn])
    with anyio.move_on_after(1):
        async with environment(bot):
            await bot.infer()

    assert [(status.name, status.time) for status in of_type(transcript, "status")] == [("tool.not_stopped", 6)]
    assert virtual_clock.now == 60  # no room is left before its tasks have ended
    transcript.expect("bot").rest()
