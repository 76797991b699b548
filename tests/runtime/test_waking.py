"""A wait that was given up leaves nothing behind."""

from __future__ import annotations

import anyio
import pytest

from pytest_streamrt.runtime.waking import Bell

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("first", ["rung", "cancelled"])
async def test_a_wait_that_is_cancelled_as_the_bell_rings_is_just_cancelled(first):
    bell, scope = Bell(), anyio.CancelScope()

    async def wait():
        with scope:
            await bell.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        steps = [bell.ring, scope.cancel]
        for step in steps if first == "rung" else reversed(steps):
            step()

    bell.ring()  # nobody is left to be woken


async def test_who_is_cancelled_as_it_is_woken_does_not_wait_again():
    """On asyncio, a task that is to run already is told of its cancellation a round later; the bell may ring before that."""
    bell, other, scope, rung = Bell(), Bell(), anyio.CancelScope(), []

    async def wait():
        with scope:
            for number in range(3):
                await bell.wait()
                rung.append(number)

    async def pass_on():
        await other.wait()
        bell.ring()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        tasks.start_soon(pass_on)
        await anyio.wait_all_tasks_blocked()
        bell.ring()
        other.ring()
        scope.cancel()

    assert rung == [0]
