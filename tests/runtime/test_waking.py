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
