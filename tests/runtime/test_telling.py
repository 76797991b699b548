"""What the record says of an error is the same on asyncio and trio, and is about the user's own code."""

from __future__ import annotations

import anyio
import pytest

from pytest_streamrt import Agent, Environment, FakeModel, Observer, Transcript, script, tool_call, virtual_time
from pytest_streamrt.events import to_json


async def times_out():
    with anyio.fail_after(1):
        await anyio.sleep(2)


async def fails(what):
    await anyio.sleep(1)
    raise LookupError(what)


async def one_fails():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fails, "one")
        await anyio.sleep(5)


async def two_fail():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fails, "one")
        tasks.start_soon(fails, "two")


async def fails_of_another():
    try:
        await times_out()
    except TimeoutError as error:
        raise LookupError("late") from error


async def fails_in_a_group_of_its_own():
    raise ExceptionGroup("mine", [LookupError("one")])


class Breaks(Observer):
    def __init__(self, way):
        super().__init__("breaks")
        self.way = way

    async def on_joined(self):
        await self.way()


def told(backend, way):
    """The record of a handler, a tool and a model that break in that way."""
    transcript = Transcript()

    async def it():
        """A tool."""
        await way()

    class BreaksToo:
        async def stream(self, context, tools):
            await way()
            yield

    async def main():
        with virtual_time():
            agent = Agent("agent", FakeModel(script(tool_call("it", {})), script("done")), tools=[it])
            other = Agent("other", BreaksToo())
            async with Environment(Breaks(way), agent, other, transcript=transcript, failures="isolate"):
                await agent.infer().outcome()
                await other.infer().outcome()

    anyio.run(main, backend=backend)
    return transcript.events


@pytest.mark.parametrize(
    ("way", "text"),
    [
        (times_out, "TimeoutError: "),
        (one_fails, "LookupError: one"),
        (two_fail, "LookupError: one; LookupError: two"),
        (fails_of_another, "LookupError: late"),
        (fails_in_a_group_of_its_own, "ExceptionGroup: mine (1 sub-exception)"),
    ],
)
def test_an_error_is_told_alike_on_every_backend(way, text):
    events = told("asyncio", way)

    (failed,) = (event for event in events if event.type == "participant.failed")
    (tool,) = (event.data for event in events if event.type == "status")
    (model,) = (event.message for event in events if event.type == "inference.failed")
    assert (failed.error, tool["error"], model) == (text, text, text)
    for traceback in failed.traceback, tool["traceback"]:
        assert f"in {way.__name__}\n" in traceback or "in fails\n" in traceback
        assert "Cancelled" not in traceback
        assert "pytest_streamrt/" not in traceback
    assert failed.traceback.count("raised by the participant 'breaks' while it handled") == 1
    assert to_json(events) == to_json(told("trio", way))


def test_what_an_error_was_raised_from_is_told_as_well():
    (failed,) = (event for event in told("trio", fails_of_another) if event.type == "participant.failed")

    first, second = failed.traceback.split("The above exception was the direct cause of the following exception:")
    assert "in times_out\n" in first
    assert first.rstrip().endswith("TimeoutError")
    assert "in fails_of_another\n" in second
