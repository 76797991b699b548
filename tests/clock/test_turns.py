"""Turns: who waits for one goes on when nothing else can run, one at a time, and the time does not move; and `settle`."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from pytest_streamrt import virtual_time
from pytest_streamrt.clock import turn

pytestmark = pytest.mark.anyio


async def test_a_turn_comes_when_nothing_else_can_run_and_takes_no_time():
    order = []

    async def source() -> None:
        for i in range(3):
            await turn()
            order.append(f"delta {i}")

    async def reader() -> None:
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        order.append("reader done")

    with virtual_time() as clock:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(source)
            tasks.start_soon(reader)

        assert clock.ns == 0
    assert order == ["reader done", "delta 0", "delta 1", "delta 2"]


async def test_turns_are_granted_one_at_a_time_in_the_order_of_asking():
    order = []

    async def source(name: str) -> None:
        for i in range(3):
            await turn()
            order.append(f"{name}{i}")
            await anyio.lowlevel.checkpoint()
            order.append(f"after {name}{i}")

    with virtual_time():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(source, "a")
            tasks.start_soon(source, "b")

    expected = [f"{prefix}{name}{i}" for i in range(3) for name in "ab" for prefix in ("", "after ")]
    assert order == expected


async def test_a_cancelled_waiter_does_not_use_up_a_turn():
    order = []

    async def source(name: str) -> None:
        await turn()
        order.append(name)

    with virtual_time():
        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope:
                tasks.start_soon(source, "second")
                scope.cancel()
                await turn()
    assert order == ["second"]


async def test_settle_waits_for_every_turn_at_this_instant():
    order = []

    async def source() -> None:
        for i in range(3):
            await turn()
            order.append(i)
        await anyio.sleep(1)
        order.append("later")

    with virtual_time() as clock:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(source)
            await clock.settle()
            order.append("settled")

    assert order == [0, 1, 2, "settled", "later"]


async def test_on_real_time_a_turn_lets_others_run():
    others = []

    async def other() -> None:
        others.append("ran")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await turn()
        await turn()  # trio may let this task go first once, not twice

        assert others == ["ran"]


async def test_who_waits_for_a_turn_when_virtual_time_ends_goes_on():
    turns = []

    async def take_turns() -> None:
        for i in range(5):
            await turn()
            turns.append(i)

    async with anyio.create_task_group() as tasks:
        with virtual_time() as clock:
            tasks.start_soon(take_turns)
            await clock.turn()
            await clock.turn()
            tasks.start_soon(clock.settle)
            await clock.turn()
        with anyio.fail_after(10):
            while len(turns) < 5:
                await anyio.lowlevel.checkpoint()
