"""A call that is wrong, and a tool that raises: the model is told, and the record has why."""

from __future__ import annotations

import asyncio
import time

import anyio
import anyio.from_thread
import pytest

from pytest_streamrt import (
    Agent,
    FakeModel,
    script,
    tool_call,
)
from pytest_streamrt.runtime import Tool
from tests.runtime.tool_calls import ends, of_type, run

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


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
    assert "test_tools_errors.py" in lines[1]  # the tool's own code comes first
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
