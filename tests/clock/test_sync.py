"""Virtual time in code that is not async: it moves when somebody sleeps, and the loops that are run there follow it."""

from __future__ import annotations

import asyncio
import random
import time

import anyio
import pytest
import trio

from pytest_streamrt import ClockError, VirtualTimeStuck, virtual_time


def test_a_sleep_moves_the_clock():
    with virtual_time() as clock:
        began = time.monotonic_ns()
        time.sleep(3_600)

        assert time.monotonic_ns() - began == 3_600 * 10**9
        assert clock.now == 3_600


def run_asyncio(function):
    return asyncio.run(function())


def run_trio(function):
    return trio.run(function)


def run_anyio(function):
    return anyio.run(function)


def run_anyio_on_trio(function):
    return anyio.run(function, backend="trio")


def run_step_by_step(function):
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(function())
    finally:
        loop.close()


RUNNERS = [run_asyncio, run_trio, run_anyio, run_anyio_on_trio, run_step_by_step]


@pytest.mark.parametrize("run", RUNNERS)
def test_a_loop_that_is_run_follows_it(run):
    async def main() -> float:
        await anyio.sleep(0.5)
        time.sleep(0.25)  # noqa: ASYNC251
        with anyio.move_on_after(1):
            await anyio.sleep_forever()
        return time.perf_counter()

    with virtual_time() as clock:
        time.sleep(10)
        assert run(main) == 11.75
        time.sleep(0.25)
        assert run(main) == 13.75
        assert clock.now == 13.75


@pytest.mark.parametrize("run", RUNNERS)
def test_a_deadlock_in_it_fails(run):
    async def main() -> None:
        await anyio.Event().wait()

    with pytest.raises(VirtualTimeStuck, match="deadlock") as caught, virtual_time():
        time.sleep(2)
        run(main)

    assert "virtual t=2 s" in str(caught.value)
    assert "test_sync.py" in str(caught.value)


@pytest.mark.parametrize("run", RUNNERS)
def test_the_next_loop_runs_on_real_time(run):
    with virtual_time():
        pass
    with pytest.raises(ClockError, match="not running"):
        run(clock_that_has_stopped)


async def clock_that_has_stopped():
    with virtual_time() as clock:
        pass
    await clock.turn()


def test_polling_without_an_end_goes_nowhere():
    with pytest.raises(VirtualTimeStuck, match="max_virtual=60 s"), virtual_time(max_virtual=60):
        while True:
            time.sleep(1)


def test_waiting_without_sleeping_is_a_livelock():
    with pytest.raises(VirtualTimeStuck, match="livelock"), virtual_time():
        while time.perf_counter() < 1:
            pass


def test_random_numbers_begin_anew_and_go_on_afterwards():
    state = random.getstate()
    with virtual_time():
        first = random.random()
    with virtual_time():
        second = random.random()

    assert first == second
    assert random.getstate() == state
