"""The canary: what the drivers use of asyncio's and trio's private surface is still there, by name."""

from __future__ import annotations

import asyncio
import selectors

import pytest
import trio
from trio._core import _run


@pytest.fixture
def loop():
    loop = asyncio.SelectorEventLoop()
    yield loop
    loop.close()


@pytest.mark.parametrize("name", ["_selector", "_scheduled", "_clock_resolution", "_check_closed"])
def test_an_asyncio_loop_has(loop, name):
    assert hasattr(loop, name), f"asyncio's loops no longer have {name}; see clock/asyncio_driver.py"


def test_an_asyncio_loop_asks_its_selector_to_wait(loop):
    assert isinstance(loop._selector, selectors.BaseSelector)
    assert isinstance(loop._scheduled, list)


@pytest.mark.parametrize("name", ["_when", "_scheduled"])
def test_an_asyncio_timer_has(loop, name):
    timer = loop.call_later(1, print)

    assert hasattr(timer, name), f"asyncio's timers no longer have {name}; see clock/asyncio_driver.py"
    assert loop._scheduled == [timer]


@pytest.mark.parametrize("name", ["_r", "_ALLOW_DETERMINISTIC_SCHEDULING", "GLOBAL_RUN_CONTEXT", "Deadlines"])
def test_trio_has(name):
    assert hasattr(_run, name), f"trio._core._run no longer has {name}; see clock/trio_driver.py"


def test_a_trio_run_has_what_the_driver_uses():
    async def look() -> None:
        runner = _run.GLOBAL_RUN_CONTEXT.runner
        for name in ("clock", "deadlines", "waiting_for_idle"):
            assert hasattr(runner, name), f"trio's runner no longer has {name}; see clock/trio_driver.py"
        for name in ("_heap", "_active"):
            assert hasattr(runner.deadlines, name), f"trio's deadlines no longer have {name}; see clock/trio_driver.py"
        with trio.CancelScope(deadline=trio.current_time() + 60) as scope:
            assert hasattr(scope, "_registered_deadline")
        assert hasattr(trio.lowlevel.current_task(), "_counter")
        assert hasattr(trio.lowlevel.current_statistics().io_statistics, "tasks_waiting_read")

    trio.run(look)
