"""Worker threads on virtual time: which of them the clock waits for, and that none waits for it for ever."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from pytest_streamrt import virtual_time
from pytest_streamrt.clock import ClockOptions, VirtualClock

PATIENCE = 10  # real seconds that nothing here takes, unless it hangs


class Asked(VirtualClock):
    """Tells when its loop has nothing left to run, and is about to decide whether it may jump."""

    def __init__(self, **options):
        super().__init__(ClockOptions(**options))
        self.idle = threading.Event()

    @property
    def held(self):
        self.idle.set()
        return super().held


@pytest.mark.anyio
async def test_a_thread_that_sleeps_and_was_abandoned_does_not_stand_for_one_that_works():
    clock = Asked()
    scope = anyio.CancelScope()

    async def abandon():
        with scope:
            await anyio.to_thread.run_sync(time.sleep, 100, abandon_on_cancel=True)

    def work():
        assert clock.idle.wait(PATIENCE)
        return anyio.from_thread.run_sync(lambda: clock.now)  # the loop comes to this after it has decided

    with virtual_time(clock=clock):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(abandon)
            await anyio.sleep(1)  # which passes only while that thread sleeps
            scope.cancel()
            tasks.start_soon(anyio.sleep, 5)
            clock.idle.clear()

            assert await anyio.to_thread.run_sync(work) == 1
        assert clock.now == 6


@pytest.mark.anyio
async def test_who_waits_for_a_place_among_the_worker_threads_is_not_at_work():
    limiter = anyio.CapacityLimiter(1)

    async def sleep():
        await anyio.to_thread.run_sync(time.sleep, 1, limiter=limiter)

    with virtual_time(clock=VirtualClock(ClockOptions(watchdog=2))) as clock:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(sleep)
        assert clock.now == 3


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_nor_is_who_waits_for_a_thread_of_an_executor(anyio_backend):
    loop = asyncio.get_running_loop()

    with virtual_time(clock=VirtualClock(ClockOptions(watchdog=2))) as clock, ThreadPoolExecutor(2) as executor:
        await asyncio.gather(*[loop.run_in_executor(executor, time.sleep, 1) for _ in range(5)])

        assert clock.now == 3


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_but_time_stands_still_while_one_of_them_is_at_work(anyio_backend):
    loop = asyncio.get_running_loop()
    clock = Asked()

    def work():
        assert clock.idle.wait(PATIENCE)
        return asyncio.run_coroutine_threadsafe(look(), loop).result()

    async def look():
        return clock.now

    with virtual_time(clock=clock), ThreadPoolExecutor(2) as executor:
        waiting = [loop.run_in_executor(executor, time.sleep, 1) for _ in range(3)]
        await asyncio.sleep(0.5)
        clock.idle.clear()

        assert await loop.run_in_executor(None, work) == 0.5
        await asyncio.gather(*waiting)
        assert clock.now == 2


def test_a_loop_that_ends_may_wait_for_the_threads_of_its_executor():
    clock = Asked()

    class Slow(ThreadPoolExecutor):
        def shutdown(self, **options):
            assert clock.idle.wait(PATIENCE)  # until the loop has nothing to do but to wait for this
            super().shutdown(**options)

    async def main():
        asyncio.get_running_loop().set_default_executor(Slow(1))
        await asyncio.to_thread(time.sleep, 1)
        clock.idle.clear()

    with virtual_time(clock=clock):
        asyncio.run(main())

        assert clock.now == 1


def test_and_one_of_them_that_was_abandoned_may_sleep_meanwhile():
    slept = []

    def sleep_on():
        for i in range(10):
            time.sleep(1)
            slept.append(i)

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(sleep_on), 2.5)

    with virtual_time():
        asyncio.run(main())

    assert slept == list(range(10))


class Deaf(asyncio.SelectorEventLoop):
    """A loop that comes to nothing any more that threads of that name ask of it, as one that has just stopped."""

    asked = threading.Event()

    def call_soon_threadsafe(self, callback, *args, context=None):
        if threading.current_thread().name == "left alone":
            self.asked.set()
            return asyncio.Handle(callback, args, self, context)
        return super().call_soon_threadsafe(callback, *args, context=context)


def test_a_thread_that_goes_to_sleep_as_its_loop_ends_wakes_up():
    loop = Deaf()
    woken = threading.Event()

    def sleep():
        time.sleep(5)
        woken.set()

    async def main():
        threading.Thread(target=copy_context().run, args=(sleep,), name="left alone", daemon=True).start()
        assert loop.asked.wait(PATIENCE)

    with virtual_time() as clock:
        loop.run_until_complete(main())

        assert woken.wait(PATIENCE)
        assert clock.now == 0
    loop.close()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_thread_that_has_outlived_its_loop_does_not_move_the_clock(backend, monkeypatch):
    slept = []
    monkeypatch.setattr("pytest_streamrt.clock.timeline._real_sleep", slept.append)
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work():
        begun.set()
        go_on.wait(PATIENCE)
        time.sleep(5)
        ended.set()

    async def main():
        async with anyio.create_task_group() as tasks:

            async def abandon():
                await anyio.to_thread.run_sync(work, abandon_on_cancel=True)

            tasks.start_soon(abandon)
            while not begun.is_set():
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    with virtual_time() as clock:
        anyio.run(main, backend=backend)
        go_on.set()

        assert ended.wait(PATIENCE)
        assert clock.now == 0
    assert slept == [5]


@pytest.mark.anyio
async def test_a_thread_that_lets_go_of_the_clock_lets_it_go_on():
    clock = Asked(watchdog=2)
    held = threading.Event()

    def work():
        with clock.hold():
            held.set()
            clock.idle.wait(PATIENCE)

    thread = threading.Thread(target=work)
    with virtual_time(clock=clock):
        thread.start()
        assert held.wait(PATIENCE)
        clock.idle.clear()
        await anyio.sleep(5)

        assert clock.now == 5
    thread.join()
