"""`no_task_leaks`: what a block leaves behind is named, with where it was made, and nothing else is."""

from __future__ import annotations

import asyncio
import gc

import anyio
import anyio.lowlevel
import pytest
import trio

from pytest_streamrt import LeftBehind, Transcript, no_task_leaks, virtual_time

pytestmark = pytest.mark.anyio


async def numbers():
    for n in range(5):
        await anyio.lowlevel.checkpoint()
        yield n


async def test_a_block_that_clears_up_passes():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep_forever)  # began before: not the block's
        with no_task_leaks():
            async with anyio.create_task_group() as own:
                own.start_soon(anyio.sleep, 0)
            assert [n async for n in numbers()] == [0, 1, 2, 3, 4]
        tasks.cancel_scope.cancel()


async def test_a_task_in_somebody_elses_group_is_named():
    async with anyio.create_task_group() as tasks:
        with pytest.raises(LeftBehind) as caught, no_task_leaks():
            tasks.start_soon(anyio.sleep_forever, name="watcher")
        tasks.cancel_scope.cancel()

    message = str(caught.value)
    assert "1 thing left behind" in message
    assert "task watcher" in message
    assert "made at test_leaks.py:" in message
    assert "in test_a_task_in_somebody_elses_group_is_named" in message


async def test_a_generator_left_half_way_is_named():
    kept = numbers()
    with pytest.raises(LeftBehind) as caught, no_task_leaks():
        assert await anext(kept) == 0
    await kept.aclose()

    message = str(caught.value)
    assert "async generator numbers: test_leaks.py:" in message
    assert "in test_a_generator_left_half_way_is_named" in message


class ClosesItself:
    """As OpenAI's async client does, which knows asyncio alone."""

    def __init__(self, tasks):
        self.tasks = tasks

    def __del__(self):
        self.tasks.append(asyncio.get_running_loop().create_task(asyncio.sleep(60)))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_a_finaliser_begins_is_not():
    tasks = []
    with no_task_leaks():
        client = ClosesItself(tasks)
        del client
        gc.collect()

    assert len(tasks) == 1
    tasks[0].cancel()


async def test_a_generator_that_nobody_refers_to_is_not():
    with no_task_leaks():
        generator = numbers()
        assert await anext(generator) == 0
        await generator.aclose()
        circle = [numbers()]
        circle.append(circle)
        assert await anext(circle[0]) == 0
        await circle[0].aclose()
        del circle


async def test_an_open_response_is_named():
    transcript = Transcript()
    with pytest.raises(LeftBehind) as caught, no_task_leaks():
        transcript.begin_exchange("POST", "https://api.example/v1/chat/completions")

    assert "response of POST https://api.example/v1/chat/completions, made at test_leaks.py:" in str(caught.value)


async def test_a_response_that_is_closed_elsewhere_is_not():
    transcript = Transcript()
    close = []

    async def closer() -> None:
        while not close:
            await anyio.lowlevel.checkpoint()
        close.pop().closed("client")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(closer)  # in a context of before the block
        with no_task_leaks():
            close.append(transcript.begin_exchange("POST", "https://api.example/"))
            while close:
                await anyio.lowlevel.checkpoint()


async def test_an_error_in_the_block_is_not_hidden():
    async with anyio.create_task_group() as tasks:
        with pytest.raises(ZeroDivisionError), no_task_leaks():
            tasks.start_soon(anyio.sleep_forever)
            raise ZeroDivisionError
        tasks.cancel_scope.cancel()


async def test_blocks_may_be_nested():
    async with anyio.create_task_group() as tasks:
        with pytest.raises(LeftBehind, match="outer"), no_task_leaks():
            tasks.start_soon(anyio.sleep_forever, name="outer")
            with no_task_leaks():
                pass
            with pytest.raises(LeftBehind, match="inner"), no_task_leaks():
                tasks.start_soon(anyio.sleep_forever, name="inner")
        tasks.cancel_scope.cancel()


async def test_on_virtual_time_too():
    with virtual_time():
        async with anyio.create_task_group() as tasks:
            with pytest.raises(LeftBehind, match="task late: "), no_task_leaks():
                tasks.start_soon(anyio.sleep, 5, name="late")
                await anyio.sleep(1)


class TestAsyncio:
    """What only asyncio has: tasks that belong to nobody."""

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

    async def test_a_task_that_still_runs_is_named_with_where_it_waits(self):
        with pytest.raises(LeftBehind) as caught, no_task_leaks():
            task = asyncio.create_task(wait_for_godot(), name="vladimir")
            await anyio.lowlevel.checkpoint()
        task.cancel()

        message = str(caught.value)
        assert "task vladimir: test_leaks.py:" in message
        assert "in wait_for_godot" in message

    async def test_a_task_that_was_cancelled_and_not_awaited_has_not_ended(self):
        with pytest.raises(LeftBehind), no_task_leaks():
            asyncio.create_task(wait_for_godot()).cancel()

    async def test_a_task_of_a_task_counts(self):
        async def parent() -> None:
            children.append(asyncio.create_task(wait_for_godot(), name="child"))

        children = []
        with pytest.raises(LeftBehind, match="child"), no_task_leaks():
            await asyncio.create_task(parent())
        children[0].cancel()

    async def test_what_a_neighbour_begins_meanwhile_does_not_count(self):
        async def neighbour() -> None:
            await go.wait()
            begun.append(asyncio.create_task(wait_for_godot()))
            asyncio.get_running_loop().call_soon(lambda: begun.append(asyncio.create_task(wait_for_godot())))

        go, begun = asyncio.Event(), []
        task = asyncio.create_task(neighbour())
        with no_task_leaks():
            go.set()
            while len(begun) < 2:
                await anyio.lowlevel.checkpoint()
        await task
        for each in begun:
            each.cancel()

    async def test_a_generator_the_loop_is_closing_does_not_count(self):
        async def begin() -> None:
            await anext(numbers())  # dropped: the loop closes it, in a task of its own

        with no_task_leaks():
            await begin()
            gc.collect()
            await anyio.lowlevel.checkpoint()

    async def test_the_loop_is_as_it_was_afterwards(self):
        loop = asyncio.get_running_loop()
        with no_task_leaks():
            assert "create_task" in vars(loop)
        assert "create_task" not in vars(loop)


class TestUvloop:
    """A loop that virtual time cannot drive."""

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio", {"use_uvloop": True}

    async def test_a_task_that_still_runs_is_named(self):
        with pytest.raises(LeftBehind, match="task vladimir: .*; made at test_leaks.py:"), no_task_leaks():
            task = asyncio.create_task(wait_for_godot(), name="vladimir")
        task.cancel()


class TestTrio:
    """What only trio has."""

    @pytest.fixture
    def anyio_backend(self):
        return "trio"

    async def test_a_system_task_is_named(self):
        with pytest.raises(LeftBehind, match="wait_for_godot"), no_task_leaks():
            trio.lowlevel.spawn_system_task(wait_for_godot)


async def wait_for_godot():
    await anyio.sleep_forever()


def test_in_sync_code_responses_count():
    transcript = Transcript()
    with pytest.raises(LeftBehind, match="response of GET"), no_task_leaks():
        transcript.begin_exchange("GET", "https://api.example/")
