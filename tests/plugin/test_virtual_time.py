"""The marker `virtual_time` under each runner, and what it says where it cannot work."""

from __future__ import annotations

import pytest

RUNNERS = pytest.mark.parametrize(
    ("marks", "options", "sleep"),
    [
        ("pytest.mark.asyncio", [], "asyncio"),
        ("pytest.mark.asyncio(loop_scope='class')", [], "asyncio"),
        ("pytest.mark.asyncio(loop_scope='module')", [], "asyncio"),
        ("pytest.mark.asyncio(loop_scope='session')", [], "asyncio"),
        ("", ["--asyncio-mode=auto"], "asyncio"),
        ("", ["--asyncio-mode=auto", "-o", "asyncio_default_test_loop_scope=session"], "asyncio"),
        ("pytest.mark.anyio, pytest.mark.parametrize('anyio_backend', ['asyncio'])", [], "asyncio"),
        ("pytest.mark.anyio, pytest.mark.parametrize('anyio_backend', ['trio'])", [], "trio"),
    ],
    ids=["strict", "class loop", "module loop", "session loop", "auto", "auto, session loop", "anyio", "anyio on trio"],
)


@RUNNERS
def test_it_runs_under(marks, options, sleep, project):
    project.write(f"""
        import time
        import {sleep}
        import anyio
        import pytest

        pytestmark = [{marks}]

        class TestIt:
            async def test_an_hour_passes(self, virtual_clock):
                await {sleep}.sleep(3600)
                assert virtual_clock.now == 3600

            async def test_each_test_begins_at_zero(self, virtual_clock):
                assert virtual_clock.ns == 0
                await anyio.sleep(1)
                assert virtual_clock.now == 1

            async def test_timeouts_are_exact(self, virtual_clock):
                with pytest.raises(TimeoutError), anyio.fail_after(2.5):
                    await anyio.Event().wait()
                assert virtual_clock.ns == 2_500_000_000

            @pytest.mark.virtual_time
            async def test_ones_own_measurements_are_exact(self):
                began = time.perf_counter()
                await anyio.sleep(0.15)
                assert time.perf_counter() - began == 0.15
                time.sleep(5)
                assert time.perf_counter() - began == 5.15

        async def test_real_time_is_back(request):
            began = time.perf_counter()
            await anyio.sleep(0.001)
            assert time.perf_counter() - began >= 0.0009
    """)

    project.run(*options).assert_outcomes(passed=5)


@RUNNERS
def test_what_hangs_or_spins_fails_at_once_and_the_next_test_runs(marks, options, sleep, project):
    project.write(f"""
        import time
        import anyio
        import anyio.lowlevel
        import pytest

        pytestmark = [pytest.mark.virtual_time, {marks}]

        async def test_lost_wake_up():
            await anyio.Event().wait()

        async def test_two_that_wait_for_each_other():
            first, second = anyio.Event(), anyio.Event()
            async def wait_then_set(one, other):
                await one.wait()
                other.set()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait_then_set, first, second, name="left")
                tasks.start_soon(wait_then_set, second, first, name="right")

        async def test_a_stall_beside_a_heartbeat():
            async def beat():
                while True:
                    await anyio.sleep(30)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(beat, name="heartbeat")
                await anyio.Event().wait()

        async def test_spins():
            while True:
                await anyio.lowlevel.checkpoint()

        async def test_polls_the_clock():
            while time.monotonic() < time.monotonic() + 1:
                pass

        async def test_polls_asleep():
            while True:
                time.sleep(10)

        async def test_the_next(virtual_clock):
            await anyio.sleep(1)
            assert virtual_clock.now == 1
    """)

    result = project.run(*options)

    result.assert_outcomes(failed=6, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_lost_wake_up*",
            "deadlock: *, at virtual t=0 s",
            "*test_mine.py:9 in test_lost_wake_up*",
            "*test_two_that_wait_for_each_other*",
            "deadlock: *",
            "*left: test_mine.py:14 in *",
            "*test_a_stall_beside_a_heartbeat*",
            "went on past max_virtual=86400 s, at virtual t=86400 s",
            "*heartbeat: test_mine.py:23 in *",
            "*test_spins*",
            "livelock: 100,000 iterations of the loop*",
            "*test_polls_the_clock*",
            "livelock: the time was read 500,000 times*",
            "*test_polls_asleep*",
            "went on past max_virtual=86400 s*",
        ]
    )
    assert "pytest_streamrt/" not in str(result.stdout)  # nobody needs to see our insides


def test_every_example_of_hypothesis_has_a_clock_of_its_own(project):
    project.write("""
        import asyncio
        import pytest
        from hypothesis import given, settings, strategies as st
        from pytest_streamrt.clock import active_clock

        @pytest.mark.virtual_time
        @settings(max_examples=20, deadline=None)
        @given(delay=st.integers(0, 10_000))
        async def test_any_delay(delay):
            assert active_clock().ns == 0
            await asyncio.sleep(delay)
            assert active_clock().now == delay
    """)

    project.run("--asyncio-mode=auto").assert_outcomes(passed=1)


def test_a_deadlock_fails_the_test_and_the_next_one_runs(project):
    project.write("""
        import asyncio
        import pytest

        pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]

        async def test_waits_for_ever():
            await asyncio.Event().wait()

        async def test_the_next():
            await asyncio.sleep(5)
    """)

    result = project.run()

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "deadlock: every task waits, no timer is set*at virtual t=0 s",
            "Tasks, and where they wait:",
            "*test_mine.py:7 in test_waits_for_ever*",
            "Likely cause: *",
            "Remedy: *",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "clock/timeline.py" not in result.stdout.str()


def test_the_options_of_the_marker_count_and_the_closest_wins(project):
    project.write("""
        import asyncio
        import pytest

        pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time(max_virtual=5)]

        async def test_too_long():
            await asyncio.sleep(6)

        @pytest.mark.virtual_time(max_virtual=10)
        async def test_long_enough():
            await asyncio.sleep(6)
    """)

    result = project.run()

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*went on past max_virtual=5 s*"])


@pytest.mark.parametrize(
    ("mark", "what"),
    [
        (
            "virtual_time(max_virtuel=5)",
            "*virtual_time of *::test_it does not take max_virtuel; it takes, by keyword: real_io, *",
        ),
        ("virtual_time(5)", "*virtual_time of *::test_it does not take 5; it takes, by keyword: *"),
        ("streamrt(casette='x')", "*streamrt of *::test_it does not take casette; it takes, by keyword: cassette, *"),
        (
            "streamrt(record='once')",
            "*does not take record; *. What is recorded, the command line says: pytest --streamrt-record=once",
        ),
        ("virtual_time(patch_time='yes')", "*virtual_time of *::test_it: patch_time is True or False, not 'yes'"),
    ],
)
def test_options_of_a_marker_that_make_no_sense_are_refused(mark, what, project):
    project.write(f"""
        import pytest

        @pytest.mark.asyncio
        @pytest.mark.{mark}
        async def test_it():
            pass
    """)

    result = project.run()

    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*{what.lstrip('*')}"])


def test_sync_tests(project):
    project.write("""
        import asyncio
        import time
        import unittest
        import anyio
        import pytest
        from hypothesis import given, settings, strategies as st
        from pytest_streamrt.clock import active_clock

        pytestmark = pytest.mark.virtual_time

        def test_sleeps(virtual_clock):
            time.sleep(3600)
            assert virtual_clock.now == 3600

        def test_runs_a_loop(virtual_clock):
            asyncio.run(asyncio.sleep(60))
            anyio.run(anyio.sleep, 60, backend="trio")
            assert virtual_clock.now == 120

        @settings(max_examples=20, deadline=None)
        @given(delay=st.integers(0, 10_000))
        def test_any_delay(delay):
            assert active_clock().ns == 0
            time.sleep(delay)
            assert active_clock().now == delay

        class TestWithUnittest(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                await asyncio.sleep(5)

            async def test_sleeps(self):
                began = time.monotonic_ns()
                await asyncio.sleep(3600)
                assert time.monotonic_ns() - began == 3600 * 10**9

        class TestHangs(unittest.IsolatedAsyncioTestCase):
            async def test_hangs(self):
                await asyncio.Event().wait()

        def test_hangs():
            asyncio.run(asyncio.Event().wait())

        def test_the_next(virtual_clock):
            assert virtual_clock.ns == 0
    """)

    result = project.run()

    result.assert_outcomes(passed=5, failed=2)
    result.stdout.fnmatch_lines(["*TestHangs*", "*VirtualTimeStuck: deadlock*", "*_ test_hangs _*", "deadlock*"])


def test_a_test_that_runs_on_another_library_than_it_says_fails(project):
    project.write("""
        import pytest

        @pytest.mark.anyio
        @pytest.mark.virtual_time
        async def test_it(anyio_backend):
            pass
    """)

    result = project.run("--asyncio-mode=auto")

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*anyio_backend='trio', and it runs on asyncio*asyncio_mode = \"strict\"*"])


def test_a_loop_that_cannot_be_driven_says_so(project):
    project.write("""
        import pytest

        @pytest.mark.anyio
        @pytest.mark.virtual_time
        @pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})])
        async def test_it():
            pass
    """)

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*virtual time cannot drive a uvloop*"])


def test_without_the_marker_time_is_real(project):
    project.write("""
        import asyncio
        import time
        import pytest
        from pytest_streamrt.clock import active_clock

        @pytest.mark.asyncio
        async def test_it():
            before = time.monotonic()
            await asyncio.sleep(0.001)
            assert time.monotonic() - before >= 0.0009
            assert active_clock() is None
    """)

    project.run().assert_outcomes(passed=1)
