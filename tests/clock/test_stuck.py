"""Tests that can make no progress fail, at once and with a reason, instead of hanging."""

from __future__ import annotations

import contextlib
import time

import anyio
import anyio.lowlevel
import pytest

from pytest_streamrt import FakeModel, ModelContext, VirtualTimeStuck, script, virtual_time
from pytest_streamrt.clock import ClockOptions, VirtualClock

pytestmark = pytest.mark.anyio


async def lost_wake_up() -> None:
    await anyio.Event().wait()


async def two_that_wait_for_each_other() -> None:
    first, second = anyio.Event(), anyio.Event()

    async def wait_then_set(one: anyio.Event, other: anyio.Event) -> None:
        await one.wait()
        other.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait_then_set, first, second, name="left")
        tasks.start_soon(wait_then_set, second, first, name="right")


async def sleeping_for_ever() -> None:
    await anyio.sleep_forever()


async def spinning() -> None:
    while True:
        await anyio.lowlevel.checkpoint()


async def heartbeat_beside_a_stall() -> None:
    async def beat() -> None:
        while True:
            await anyio.sleep(30)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat, name="heartbeat")
        await anyio.Event().wait()


async def fast_heartbeat_beside_a_stall() -> None:
    async def beat() -> None:
        while True:
            await anyio.sleep(0.001)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat, name="heartbeat")
        await anyio.Event().wait()


@pytest.mark.parametrize(
    ("body", "what", "task"),
    [
        (lost_wake_up, "deadlock", "lost_wake_up"),
        (two_that_wait_for_each_other, "deadlock", "left"),
        (sleeping_for_ever, "deadlock", "sleeping_for_ever"),
        (spinning, "livelock", "spinning"),
        (heartbeat_beside_a_stall, "max_virtual=86400", "heartbeat"),
        (fast_heartbeat_beside_a_stall, "100,000 timers in a row", "heartbeat"),
    ],
)
async def test_it_fails_and_shows_where_each_task_waits(body, what, task):
    began = time.monotonic()
    with pytest.raises(VirtualTimeStuck) as caught, virtual_time():
        await body()

    message = str(caught.value)
    assert what in message
    assert task in message
    assert "test_stuck.py:" in message
    assert "Likely cause:" in message
    assert "Remedy:" in message
    assert time.monotonic() - began < 60


async def test_the_moment_is_in_the_message():
    with pytest.raises(VirtualTimeStuck, match=r"virtual t=2\.5 s"), virtual_time():
        await anyio.sleep(2.5)
        await anyio.Event().wait()


async def test_the_bounds_can_be_set():
    with pytest.raises(VirtualTimeStuck, match="max_virtual=10 s"), virtual_time(max_virtual=10) as clock:
        await anyio.sleep(9)
        await anyio.sleep(2)
    assert clock.now == 9

    with pytest.raises(VirtualTimeStuck, match="5 timers"), virtual_time(max_events=5):
        for _ in range(6):
            await anyio.sleep(1)


async def spin(times: int) -> None:
    for _ in range(times):
        await anyio.lowlevel.checkpoint()


async def test_who_spins_while_somebody_outside_is_at_work_may_be_waiting_for_that():
    with pytest.raises(VirtualTimeStuck, match="livelock: 100 iterations"):
        with virtual_time(clock=VirtualClock(ClockOptions(spin_limit=100))) as clock:
            with clock.hold():
                await spin(1_000)
            held = True
            await spin(1_000)

    assert held


async def test_but_not_for_ever():
    with pytest.raises(VirtualTimeStuck, match="livelock: 100 iterations"):
        with virtual_time(clock=VirtualClock(ClockOptions(spin_limit=100, watchdog=0.05))) as clock, clock.hold():
            while True:
                await anyio.lowlevel.checkpoint()


async def test_progress_of_a_stream_keeps_a_long_test_alive():
    with virtual_time(max_events=5) as clock:
        for _ in range(20):
            await anyio.sleep(1)
            await clock.turn()

        assert clock.now == 20


async def test_cleaning_up_may_still_take_time():
    cleaned = []
    with pytest.raises(VirtualTimeStuck), virtual_time() as clock:
        try:
            await anyio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
                cleaned.append(clock.now)
    assert cleaned == [1]


async def test_what_comes_after_is_not_affected():
    with pytest.raises(VirtualTimeStuck), virtual_time():
        await anyio.Event().wait()

    with virtual_time() as clock:
        await anyio.sleep(1)

        assert clock.now == 1


async def test_swallowing_the_cancellation_does_not_help():
    with (
        pytest.raises(VirtualTimeStuck, match="deadlock"),
        virtual_time(),
        contextlib.suppress(BaseException),  # what careless code does
    ):
        await anyio.Event().wait()


async def test_a_wait_for_more_deltas_than_there_are_says_so():
    model = FakeModel(script("a", "b"))
    with pytest.raises(VirtualTimeStuck, match=r"in emitted\(3\), with 2 deltas out"), virtual_time():
        async for _ in model.stream(ModelContext(), ()):
            pass
        await model.emitted(3)
