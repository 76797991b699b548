"""The canary: what the clock uses of other people's private surface is still there, by name."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import selectors
from asyncio import selector_events

import pytest
import trio
from anyio._backends import _asyncio as anyio_backend
from anyio._backends._asyncio import AsyncIOBackend
from anyio.from_thread import BlockingPortal
from trio import _threads, _timeouts
from trio._core import _run


@pytest.fixture
def loop():
    loop = asyncio.SelectorEventLoop()
    yield loop
    loop.close()


@pytest.mark.parametrize("name", ["_selector", "_scheduled", "_ready", "_clock_resolution", "_check_closed", "_ssock"])
def test_an_asyncio_loop_has(loop, name):
    assert hasattr(loop, name), f"asyncio's loops no longer have {name}; see clock/asyncio_private.py"


def test_an_asyncio_loop_asks_its_selector_to_wait(loop):
    assert isinstance(loop._selector, selectors.BaseSelector)
    assert isinstance(loop._scheduled, list)


@pytest.mark.parametrize(
    "name",
    ["_when", "_scheduled", "_loop", "_cancelled", "_callback", "_args", "_repr", "_source_traceback", "_run"],
)
def test_an_asyncio_timer_has(loop, name):
    timer = loop.call_later(1, print)

    assert hasattr(timer, name), f"asyncio's timers no longer have {name}; see clock/asyncio_private.py"
    assert loop._scheduled == [timer]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (selector_events._SelectorSocketTransport, "write"),
        (selector_events._SelectorSocketTransport, "writelines"),
        (selector_events._SelectorDatagramTransport, "sendto"),
    ],
)
def test_asyncio_transports_have(owner, name):
    assert callable(getattr(owner, name, None)), f"{owner.__name__} no longer has {name}; see clock/asyncio_private.py"


def test_anyio_sleeps_by_way_of_asyncio():
    assert "sleep" in AsyncIOBackend.sleep.__func__.__code__.co_names, (
        "anyio's asyncio backend no longer calls asyncio.sleep; see clock/asyncio_private.py"
    )
    assert anyio_backend.sleep is asyncio.sleep


def test_a_future_of_threads_keeps_those_who_wait_for_it():
    future = concurrent.futures.Future()

    assert future._waiters == [], "concurrent.futures.Future has no list _waiters any more; see clock/portal.py"


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("run_sync_in_worker_thread", ["func", "args", "abandon_on_cancel", "limiter"]),
        ("run_async_from_thread", ["func"]),
    ],
)
def test_the_asyncio_backend_of_anyio_has(name, first):
    method = inspect.getattr_static(AsyncIOBackend, name, None)

    assert isinstance(method, classmethod), f"anyio's asyncio backend no longer has {name}; see clock/threads.py"
    assert list(inspect.signature(getattr(AsyncIOBackend, name)).parameters)[: len(first)] == first


@pytest.mark.parametrize("name", ["__aenter__", "__aexit__", "start_task_soon", "start_task", "stop"])
def test_a_portal_of_anyio_has(name):
    assert callable(getattr(BlockingPortal, name, None)), f"BlockingPortal no longer has {name}; see clock/portal.py"


def test_a_call_from_a_thread_of_trio_has():
    method = getattr(_threads.Run, "unprotected_afn", None)

    assert inspect.iscoroutinefunction(method), (
        "trio._threads.Run no longer has unprotected_afn; see clock/trio_private.py"
    )


@pytest.mark.parametrize("name", ["_track_active_thread", "start_thread_soon"])
def test_trio_begins_a_worker_thread_by_way_of(name):
    assert name in _threads.to_thread_run_sync.__code__.co_names, (
        f"trio.to_thread.run_sync no longer calls {name}; see clock/trio_private.py"
    )
    assert _threads.to_thread_run_sync.__globals__ is vars(_threads)


def test_an_executor_says_how_many_threads_it_may_have(loop):
    future = loop.run_in_executor(None, print)

    assert loop._default_executor._max_workers > 0, (
        "executors no longer have _max_workers; see clock/asyncio_private.py"
    )
    loop.run_until_complete(future)


def test_trios_sleep_is_one_until_a_moment():
    assert "sleep_until" in trio.sleep.__code__.co_names, (
        "trio.sleep no longer calls sleep_until; see clock/trio_private.py"
    )
    assert trio.sleep.__globals__ is vars(_timeouts)


@pytest.mark.parametrize(
    "name", ["_r", "_ALLOW_DETERMINISTIC_SCHEDULING", "GLOBAL_RUN_CONTEXT", "Deadlines", "CancelReason"]
)
def test_trio_has(name):
    assert hasattr(_run, name), f"trio._core._run no longer has {name}; see clock/trio_private.py"


def test_a_trio_run_has_what_the_driver_uses():
    async def look() -> None:
        runner = _run.GLOBAL_RUN_CONTEXT.runner
        for name in ("clock", "deadlines", "waiting_for_idle", "entry_queue", "io_manager"):
            assert hasattr(runner, name), f"trio's runner no longer has {name}; see clock/trio_private.py"
        for name in ("_heap", "_active"):
            assert hasattr(runner.deadlines, name), f"trio's deadlines no longer have {name}; see clock/trio_private.py"
        with trio.CancelScope(deadline=trio.current_time() + 60) as scope:
            assert hasattr(scope, "_registered_deadline")
            assert callable(scope._cancel)
        assert hasattr(trio.lowlevel.current_task(), "_counter")
        assert runner.entry_queue.size() == 0
        assert hasattr(runner.io_manager.statistics(), "tasks_waiting_read")

    trio.run(look)
