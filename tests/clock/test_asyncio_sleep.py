"""`asyncio.sleep` on virtual time: quicker than the stock one, and not to be told from it."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import weakref
from asyncio import sleep as stock_sleep

import anyio
import anyio._backends._asyncio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import VirtualTimeStuck, virtual_time
from tests.strategies import examples

pytestmark = pytest.mark.anyio

moments = st.integers(1, 3)
steps = st.one_of(
    st.tuples(st.just("sleep"), moments),
    st.tuples(st.just("timeout"), moments, moments),
    st.tuples(st.just("scope"), moments, moments),
    st.tuples(st.just("cancel"), st.integers(0, 4)),
    st.tuples(st.just("set"), st.integers(0, 1)),
    st.tuples(st.just("set later"), st.integers(0, 1), moments),
    st.tuples(st.just("wait"), st.integers(0, 1), moments),
    st.tuples(st.just("yield")),
)
programs = st.lists(st.lists(steps, min_size=1, max_size=4), min_size=1, max_size=5)


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def trace(program, *, stock):
    """What each task of a program did, in order, with the times. All of it happens at a few instants, so ties abound."""
    lines = []
    events = [asyncio.Event(), asyncio.Event()]
    tasks = []

    async def sleep(seconds):
        await (stock_sleep if stock else asyncio.sleep)(seconds)

    async def step(name, verb, *args):
        if verb == "sleep":
            await sleep(args[0])
        elif verb == "timeout":
            async with asyncio.timeout(args[0]):
                await sleep(args[1])
        elif verb == "scope":
            with anyio.move_on_after(args[0]) as scope:
                await sleep(args[1])
            lines.append((name, "left its scope", scope.cancelled_caught))
        elif verb == "cancel" and args[0] < len(tasks):
            lines.append((name, "cancels", args[0], tasks[args[0]].cancel(f"by {name}")))
        elif verb == "set":
            events[args[0]].set()
        elif verb == "set later":
            asyncio.get_running_loop().call_later(args[1], events[args[0]].set)
        elif verb == "wait":
            async with asyncio.timeout(args[1]):
                await events[args[0]].wait()
        elif verb == "yield":
            await asyncio.sleep(0)

    async def run(name, todo):
        for number, (verb, *args) in enumerate(todo):
            try:
                await step(name, verb, *args)
            except (TimeoutError, asyncio.CancelledError) as error:
                said = re.sub(r"scope \w+", "scope", str(error))  # anyio's name an address
                lines.append((name, number, verb, type(error).__name__, said, clock.ns))
            else:
                lines.append((name, number, verb, clock.ns))

    with virtual_time() as clock:
        tasks += [asyncio.create_task(run(name, todo)) for name, todo in enumerate(program)]
        await asyncio.wait(tasks)
    return lines


@given(program=programs)
@examples(200)
async def test_what_happens_and_in_which_order_is_what_the_stock_one_does(program):
    assert await trace(program, stock=False) == await trace(program, stock=True)


async def test_a_tie_goes_by_the_order_of_asking_whichever_sleep_was_called():
    order = []

    async def sleeper(name, sleep):
        await sleep(1)
        order.append(name)

    with virtual_time():
        sleeps = [stock_sleep, asyncio.sleep, anyio.sleep, stock_sleep, asyncio.sleep]
        await asyncio.gather(*(sleeper(name, sleep) for name, sleep in enumerate(sleeps)))

    assert order == [0, 1, 2, 3, 4]


async def test_it_gives_what_it_was_asked_to_give():
    with virtual_time() as clock:
        assert await asyncio.sleep(2, "rested") == "rested"
        assert clock.ns == 2_000_000_000
        assert await asyncio.sleep(0, "at once") == "at once"
        assert await asyncio.sleep(-1, "long ago") == "long ago"
        assert clock.ns == 2_000_000_000


async def test_a_task_that_is_cancelled_says_why_and_may_sleep_on():
    async def stubborn():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            heard.append(str(error))
            asyncio.current_task().uncancel()
        await asyncio.sleep(1)
        return clock.ns

    heard = []
    with virtual_time() as clock:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(1)
        assert task.cancel("enough")

        assert await task == 2_000_000_000
    assert heard == ["enough"]


async def test_a_sleep_that_was_cancelled_is_waited_for_by_nobody():
    with pytest.raises(VirtualTimeStuck, match=r"deadlock: .* at virtual t=1\b"), virtual_time():
        task = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.Event().wait()


async def test_a_cancelled_sleeper_is_not_kept_alive():
    async def sleeper():
        await asyncio.sleep(60)

    with virtual_time():
        task = asyncio.create_task(sleeper())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        gone = weakref.ref(task)
        gc.disable()
        try:
            del task
            await asyncio.sleep(0)
            assert gone() is None
        finally:
            gc.enable()


async def test_a_stand_in_of_the_tests_own_is_left_alone(monkeypatch):
    asked = []

    async def at_once(delay, result=None):
        asked.append(delay)
        return result

    monkeypatch.setattr(asyncio, "sleep", at_once)
    monkeypatch.setattr(anyio._backends._asyncio, "sleep", at_once)
    with virtual_time() as clock:
        await asyncio.sleep(5)
        await anyio.sleep(6)

        assert clock.ns == 0
    assert asked == [5, 6]


async def test_what_a_test_replaces_while_the_clock_is_on_it_may_put_back_later():
    async def at_once(delay, result=None):
        return result

    patch = pytest.MonkeyPatch()
    with virtual_time():
        patch.setattr(asyncio, "sleep", at_once)
    patch.undo()
    try:
        with virtual_time() as clock:
            await asyncio.sleep(5)

            assert clock.ns == 5_000_000_000
        await asyncio.sleep(0)
    finally:
        asyncio.sleep = stock_sleep


async def test_it_is_the_stock_one_again_when_the_clock_is_off():
    with virtual_time():
        assert asyncio.sleep is not stock_sleep
    assert asyncio.sleep is stock_sleep
    assert anyio._backends._asyncio.sleep is stock_sleep


def test_a_loop_in_debug_mode_sleeps_as_well():
    async def main():
        with virtual_time() as clock:
            await asyncio.gather(*(asyncio.sleep(seconds) for seconds in (1, 2, 2)))
            return clock.ns

    assert asyncio.run(main(), debug=True) == 2_000_000_000


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with CPython 3.12")
def test_an_eager_task_sleeps_as_well():
    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        with virtual_time() as clock:
            await asyncio.gather(*(asyncio.sleep(seconds) for seconds in (1, 2, 2)))
            return clock.ns

    assert asyncio.run(main()) == 2_000_000_000
