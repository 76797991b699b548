"""What user code sees of the module `time` while virtual time is on, and who else does."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import VirtualTimeStuck, virtual_time
from pytest_streamrt.clock import ClockOptions, VirtualClock

pytestmark = pytest.mark.anyio

NAMES = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")
REAL = {name: getattr(time, name) for name in NAMES}
A_LONG_TIME = 86_000  # seconds; more than any test takes really


def readings() -> dict[str, float]:
    return {name: getattr(time, name)() for name in NAMES if name != "sleep"}


def elapsed(since: dict[str, float]) -> dict[str, float]:
    """Since those readings, in whole nanoseconds, by each of the clocks."""
    now = readings()
    return {
        name: now[name] - since[name] if name.endswith("_ns") else round((now[name] - since[name]) * 1e9)
        for name in now
    }


@given(delay=st.integers(1, 10**13))
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_every_clock_counts_the_same_nanoseconds(delay):
    with virtual_time():
        began = readings()
        await anyio.sleep(delay / 10**9)
        took = elapsed(began)

    assert {took[name] for name in ("time_ns", "monotonic_ns", "perf_counter_ns", "perf_counter")} == {delay}
    assert abs(took["monotonic"] - delay) <= 1  # a float of some days has this much room
    assert abs(took["time"] - delay) <= 1_000  # and one of fifty years this much


async def test_time_to_first_token_as_users_measure_it():
    with virtual_time():
        began = time.perf_counter()
        await anyio.sleep(0.15)

        assert time.perf_counter() - began == 0.15


async def test_what_was_noted_before_lies_in_the_past():
    before = time.time(), time.monotonic()
    with virtual_time():
        assert time.time() >= before[0]
        assert time.monotonic() >= before[1]


async def test_the_module_is_as_it_was_afterwards():
    with pytest.raises(ZeroDivisionError), virtual_time():
        assert all(getattr(time, name) is not REAL[name] for name in NAMES)
        raise ZeroDivisionError

    assert all(getattr(time, name) is REAL[name] for name in NAMES)


async def test_it_can_be_left_alone():
    with virtual_time(patch_time=False) as clock:
        await anyio.sleep(A_LONG_TIME)

        assert all(getattr(time, name) is REAL[name] for name in NAMES)
        assert clock.now == A_LONG_TIME


async def test_a_blocking_sleep_moves_the_clock():
    woken = []

    async def sleeper() -> None:
        await anyio.sleep(1)
        woken.append(time.perf_counter())

    with virtual_time() as clock:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sleeper)
            await anyio.lowlevel.checkpoint()
            time.sleep(2.5)  # noqa: ASYNC251 - blocking the loop is what is being tested
            assert woken == []

    assert clock.ns == 2_500_000_000
    assert woken == [2.5]


@pytest.mark.parametrize(("seconds", "error"), [(-1, ValueError), ("1", TypeError), (float("nan"), ValueError)])
async def test_a_wrong_sleep_is_refused_as_ever(seconds, error):
    with virtual_time(), pytest.raises(error):
        time.sleep(seconds)  # noqa: ASYNC251


async def test_a_worker_thread_sleeps_on_the_same_clock_while_others_go_on():
    log = []

    def work(name: str, seconds: float) -> float:
        began = time.monotonic_ns()
        time.sleep(seconds)
        log.append((name, time.perf_counter()))
        return time.monotonic_ns() - began

    async def worker(name: str, seconds: float) -> None:
        assert await anyio.to_thread.run_sync(work, name, seconds) == seconds * 10**9

    with virtual_time() as clock:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker, "slow", 3)
            tasks.start_soon(worker, "fast", 1)
            await anyio.sleep(2)
            log.append(("loop", clock.now))

    assert log == [("fast", 1.0), ("loop", 2.0), ("slow", 3.0)]
    assert clock.now == 3


async def test_a_thread_of_ones_own_keeps_real_time():
    seen = []

    def look() -> None:
        seen.append(time.time())

    with virtual_time():
        await anyio.sleep(A_LONG_TIME)
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        ahead = time.time()

    assert seen[0] < ahead - A_LONG_TIME / 2


async def test_a_worker_thread_may_call_into_the_loop():
    def work() -> float:
        anyio.from_thread.run(anyio.sleep, 5)
        return time.perf_counter()

    with virtual_time():
        assert await anyio.to_thread.run_sync(work) == 5.0


async def test_a_loop_of_its_own_in_a_worker_thread_keeps_real_time():
    async def look() -> float:
        await asyncio.sleep(0.000_001)
        return time.time()

    with virtual_time():
        await anyio.sleep(A_LONG_TIME)
        seen = await anyio.to_thread.run_sync(asyncio.run, look())

        assert seen < time.time() - A_LONG_TIME / 2


async def test_waiting_without_sleeping_is_a_livelock():
    with pytest.raises(VirtualTimeStuck, match="the time was read 500,000 times") as caught, virtual_time():
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            pass

    assert "computing takes no virtual time" in str(caught.value)


async def test_so_it_is_in_a_worker_thread():
    def work() -> None:
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            pass

    with pytest.raises(VirtualTimeStuck, match="the time was read 500,000 times"), virtual_time():
        await anyio.to_thread.run_sync(work)


async def test_polling_without_an_end_goes_nowhere():
    with pytest.raises(VirtualTimeStuck, match="went nowhere"), virtual_time(max_events=1_000):
        while True:
            time.sleep(0.001)  # noqa: ASYNC251


class TestAsyncio:
    """What only asyncio has."""

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

    async def test_a_thread_of_an_executor_is_a_worker_thread(self):
        def work() -> float:
            time.sleep(2)
            return time.perf_counter()

        with virtual_time() as clock, ThreadPoolExecutor() as executor:
            assert await asyncio.to_thread(work) == 2.0
            assert await asyncio.get_running_loop().run_in_executor(None, work) == 4.0
            assert await asyncio.get_running_loop().run_in_executor(executor, work) == 6.0
            assert clock.now == 6

    async def test_a_thread_that_nobody_waits_for_does_not_sleep_for_ever(self):
        with ThreadPoolExecutor(1) as executor:
            with virtual_time():
                asyncio.get_running_loop().run_in_executor(executor, time.sleep, 1_000_000)
                await asyncio.get_running_loop().run_in_executor(None, time.sleep, 1)
            behind_it = executor.submit(int)  # in the one thread there is
            assert behind_it.result() == 0

    async def test_a_thread_that_blocks_the_loop_and_waits_for_it_is_a_deadlock(self):
        with pytest.raises(VirtualTimeStuck, match="a worker thread sleeps on virtual time, and the loop's own thread"):
            with virtual_time(clock=VirtualClock(ClockOptions(watchdog=0.05))), ThreadPoolExecutor(1) as executor:
                work = asyncio.get_running_loop().run_in_executor(executor, time.sleep, 1)
        with pytest.raises(VirtualTimeStuck):
            await work

    async def test_another_process_is_left_alone(self):
        with virtual_time() as clock, ProcessPoolExecutor(max_workers=1) as executor:
            assert await asyncio.get_running_loop().run_in_executor(executor, divmod, 7, 2) == (3, 1)
            assert clock.ns == 0
