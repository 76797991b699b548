"""The marker `virtual_time` under each runner, and what it says where it cannot work."""

from __future__ import annotations

import pytest

BODY = """
    import asyncio
    import pytest

    pytestmark = [{marks}]

    async def test_an_hour_passes(virtual_clock):
        await asyncio.sleep(3600)
        assert virtual_clock.now == 3600

    async def test_each_test_begins_at_zero(virtual_clock):
        await asyncio.sleep(1)
        assert virtual_clock.now == 1

    async def test_timeouts_are_exact(virtual_clock):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.Event().wait()
        assert virtual_clock.ns == 2_500_000_000
"""


@pytest.mark.parametrize(
    ("marks", "options"),
    [
        ("pytest.mark.asyncio", []),
        ("pytest.mark.asyncio(loop_scope='module')", []),
        ("pytest.mark.asyncio(loop_scope='session')", []),
        ("", ["--asyncio-mode=auto"]),
        ("pytest.mark.anyio, pytest.mark.parametrize('anyio_backend', ['asyncio'])", []),
    ],
    ids=["strict", "module loop", "session loop", "auto", "anyio"],
)
def test_it_runs_under(marks, options, project):
    project.write(BODY.format(marks=marks))

    project.run(*options).assert_outcomes(passed=3)


def test_it_runs_on_trio(project):
    project.write("""
        import pytest
        import trio

        @pytest.mark.anyio
        @pytest.mark.virtual_time
        @pytest.mark.parametrize("anyio_backend", ["trio"])
        async def test_an_hour_passes(virtual_clock):
            await trio.sleep(3600)
            assert virtual_clock.now == 3600
    """)

    project.run().assert_outcomes(passed=1)


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
        ("virtual_time(max_virtuel=5)", "virtual_time does not take max_virtuel; it takes, by keyword: max_virtual, *"),
        ("virtual_time(5)", "*virtual_time does not take 5; it takes, by keyword: *"),
        ("streamrt(casette='x')", "*streamrt does not take casette; it takes, by keyword: cassette, *"),
    ],
)
def test_unknown_options_of_a_marker_are_refused(mark, what, project):
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


def test_a_test_that_is_not_async_says_so(project):
    project.write("""
        import pytest

        @pytest.mark.virtual_time
        def test_it():
            pass
    """)

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_it is not an async function*Make it async, or take the marker off*"])


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
