"""Virtual time on both backends: sleeps, timeouts and threads, exact to the nanosecond."""

from __future__ import annotations

import math
import re
import threading
import time

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio import sleep
from trio import sleep_until as sleep_until_trio

from pytest_streamrt import ClockError, virtual_time
from pytest_streamrt.clock import active_clock, sleep_until

pytestmark = pytest.mark.anyio


async def test_a_sleep_takes_exactly_its_time_and_no_real_time():
    began = time.monotonic()
    with virtual_time() as clock:
        await anyio.sleep(3_600)

        assert clock.ns == 3_600_000_000_000
    assert time.monotonic() - began < 60


async def test_a_hundred_thousand_sleeps_do_not_drift():
    with virtual_time() as clock:
        for _ in range(100_000):
            await anyio.sleep(0.05)

        assert clock.ns == 5_000_000_000_000


async def test_a_timeout_ends_at_its_moment():
    with virtual_time() as clock:
        with anyio.move_on_after(2.5) as scope:
            await anyio.sleep_forever()

        assert scope.cancelled_caught
        assert clock.ns == 2_500_000_000


# 0.1 + 0.2 is a little more than 0.3, and 1 / 10007 no whole number of nanoseconds: anyio compares such floats with the time.
AWKWARD = [(0.1, 0.2, 300_000_000), (0, 1 / 10_007, 99_930), (0.7, 0.0614, 761_400_000), (0.1, 1e-10, 100_000_001)]


@pytest.mark.parametrize(("before", "delay", "ends"), AWKWARD)
async def test_a_delay_of_any_length_ends_at_its_nanosecond(before, delay, ends):
    with virtual_time() as clock:
        await anyio.sleep(before)
        with anyio.move_on_after(delay):
            await anyio.sleep_forever()

        assert clock.ns == ends


@pytest.mark.parametrize(("before", "delay", "ends"), AWKWARD)
async def test_a_timeout_of_any_length_is_one(before, delay, ends):
    """On trio it passed for a cancellation, and the code after it went on: the time it ended at was a little before its end."""
    with virtual_time() as clock:
        await anyio.sleep(before)
        with pytest.raises(TimeoutError), anyio.fail_after(delay):
            await anyio.sleep_forever()

        assert clock.ns == ends


@given(steps=st.lists(st.floats(0, 3, allow_subnormal=False), min_size=1, max_size=6))
async def test_timeouts_one_after_the_other_end_at_their_nanoseconds(steps):
    with virtual_time() as clock:
        for step in steps:
            asked = anyio.current_time() + step
            with anyio.move_on_at(asked):
                await anyio.sleep_forever()

            assert abs(clock.now - asked) < 1.5e-9
            assert anyio.current_time() >= asked


@given(start=st.floats(0, 5), delay=st.floats(0, 5))
async def test_who_sleeps_until_a_moment_wakes_in_it(start, delay):
    with virtual_time(max_events=100) as clock:
        await anyio.sleep(start)
        moment = anyio.current_time() + delay
        while anyio.current_time() < moment:
            await anyio.sleep(moment - anyio.current_time())

        assert abs(clock.now - moment) < 1.5e-9


@pytest.mark.parametrize("moment", [-math.inf, -1, 0])
async def test_a_deadline_in_the_past_is_due_at_once(moment):
    with virtual_time() as clock:
        await anyio.sleep(1)
        with anyio.move_on_at(moment) as scope:
            await anyio.sleep_forever()

        assert scope.cancelled_caught
        assert clock.ns == 1_000_000_000


async def test_what_ends_before_its_timeout_is_not_delayed_by_it():
    with virtual_time() as clock:
        with anyio.fail_after(60):
            await anyio.sleep(1)

        assert clock.ns == 1_000_000_000


async def test_sleepers_wake_in_the_order_of_their_times_and_equal_ones_in_the_order_of_asking():
    woken = []

    async def sleeper(name: int) -> None:
        await anyio.sleep(0.25 * (name % 4))
        await anyio.sleep(1 - 0.25 * (name % 4))
        woken.append(name)

    with virtual_time() as clock:
        async with anyio.create_task_group() as tasks:
            for name in range(12):
                tasks.start_soon(sleeper, name)

        assert clock.ns == 1_000_000_000
    assert woken == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]


@given(delays=st.lists(st.integers(0, 2_000), min_size=1, max_size=12))
async def test_every_sleeper_wakes_at_its_own_nanosecond(delays):
    woken = []

    async def sleeper(name: int, milliseconds: int) -> None:
        await anyio.sleep(milliseconds / 1_000)
        woken.append((active_clock().ns, name))

    with virtual_time():
        async with anyio.create_task_group() as tasks:
            for name, delay in enumerate(delays):
                tasks.start_soon(sleeper, name, delay)

    assert woken == sorted((delay * 1_000_000, name) for name, delay in enumerate(delays))


@given(alarms=st.lists(st.tuples(st.booleans(), st.integers(1, 3)), min_size=2, max_size=8))
async def test_sleeps_and_timeouts_fall_due_in_the_order_in_which_they_were_set(alarms):
    order = []

    async def wait(number, sleeps, steps):
        if sleeps:
            await anyio.sleep(steps * 0.05)
        else:
            with anyio.move_on_after(steps * 0.05):
                await anyio.sleep_forever()
        order.append(number)

    with virtual_time():
        async with anyio.create_task_group() as tasks:
            for number, (sleeps, steps) in enumerate(alarms):
                tasks.start_soon(wait, number, sleeps, steps)

    assert order == sorted(range(len(alarms)), key=lambda number: alarms[number][1])


async def test_a_sleeper_that_is_cancelled_leaves_no_timer():
    with virtual_time() as clock:
        for _ in range(3_000):  # more than are kept when they have gone stale
            with anyio.move_on_after(0.001):
                await anyio.sleep(60)

        assert clock.ns == 3_000_000_000
        assert clock.jumps == 3_000


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.virtual_time
async def test_trios_sleep_is_the_clocks_under_any_name(virtual_clock):
    await sleep(0.1)
    await sleep_until_trio(0.25)

    assert virtual_clock.ns == 250_000_000
    with pytest.raises(ValueError, match="negative"):
        await sleep(-1)
    with pytest.raises(ValueError, match="NaN"):
        await sleep(math.nan)
    with anyio.move_on_after(1):
        await sleep(math.inf)
    assert virtual_clock.ns == 1_250_000_000


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_whoever_sleeps_when_virtual_time_ends_wakes_up():
    async with anyio.create_task_group() as tasks:
        with virtual_time():
            tasks.start_soon(anyio.sleep, 0.001)
            await anyio.lowlevel.checkpoint()


async def test_the_clock_of_the_loop_and_of_anyio_is_the_virtual_one():
    with virtual_time() as clock:
        before = anyio.current_time()
        await anyio.sleep(7)

        assert anyio.current_time() - before == 7
        assert clock.now == 7


async def test_time_is_real_again_afterwards():
    with virtual_time():
        await anyio.sleep(3_600)
    began = anyio.current_time()

    await anyio.sleep(0.001)

    assert 0 < anyio.current_time() - began < 60
    assert active_clock() is None


async def test_time_stands_still_while_a_worker_thread_is_at_work():
    release = threading.Event()

    async def let_it_go() -> None:
        release.set()

    with virtual_time() as clock:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 5)
            tasks.start_soon(let_it_go)
            await anyio.to_thread.run_sync(release.wait)

            assert clock.ns == 0
        assert clock.ns == 5_000_000_000


async def test_time_stands_still_while_it_is_held():
    with virtual_time() as clock:
        done = anyio.Event()
        runner = anyio.lowlevel.current_token()

        def work_outside() -> None:
            anyio.from_thread.run_sync(done.set, token=runner)

        with clock.hold():
            thread = threading.Thread(target=work_outside)
            thread.start()
            await done.wait()
        thread.join()

        assert clock.ns == 0


async def test_advance_moves_the_time_at_once():
    with virtual_time() as clock:
        woken = anyio.Event()

        async def sleeper() -> None:
            await anyio.sleep(10)
            woken.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sleeper)
            await clock.settle()
            clock.advance(10)
            assert clock.now == 10
            assert not woken.is_set()
            await woken.wait()

        assert clock.now == 10


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (-1, ClockError),
        (math.nan, ClockError),
        (math.inf, ClockError),
        (1e300, ClockError),
        ("1", TypeError),
        (None, TypeError),
    ],
)
async def test_time_goes_forward_by_a_number_of_seconds(seconds, error):
    message = f"advance: how far the time moves forward, never back, is a number of seconds from 0 on, not {seconds!r}"
    with virtual_time() as clock:
        with pytest.raises(error, match=re.escape(message)):
            clock.advance(seconds)
        assert clock.now == 0


async def test_sleep_until_a_moment_that_has_passed_does_not_wait():
    with virtual_time() as clock:
        await anyio.sleep(2)
        await sleep_until(1_000_000_000)

        assert clock.now == 2


async def test_virtual_time_cannot_be_switched_on_twice():
    with virtual_time(), pytest.raises(ClockError, match="on already"), virtual_time():
        pass


async def test_each_use_begins_at_zero():
    with virtual_time() as first:
        await anyio.sleep(3)
    with virtual_time() as second:
        await anyio.sleep(1)

        assert (first.now, second.now) == (3, 1)


async def test_a_clock_that_does_not_run_says_so():
    with virtual_time() as clock:
        pass

    with pytest.raises(ClockError, match="not running"):
        await clock.turn()
