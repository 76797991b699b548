"""The options of virtual time: which tests run on it, how far it waits, what it warns of, and how it gets on with others."""

from __future__ import annotations

import re

import pytest

SUITE = """
    import asyncio
    import time

    async def test_async():
        began = time.monotonic_ns()
        await asyncio.sleep(3600)
        assert time.monotonic_ns() - began == 3600 * 10**9

    def test_sync():
        began = time.monotonic_ns()
        time.sleep(0.000001)
        assert time.monotonic_ns() - began >= 1000
"""


@pytest.mark.parametrize("how", ["configuration", "command line"])
def test_one_line_puts_an_async_suite_on_virtual_time(how, project):
    project.write(SUITE)
    project.ini("asyncio_mode = auto")
    if how == "configuration":
        project.ini("streamrt_clock = virtual")
        result = project.run()
    else:
        result = project.run("--streamrt-clock=virtual")

    result.assert_outcomes(passed=2)


def test_single_tests_may_stay_on_real_time(project):
    project.write("""
        import asyncio
        import pytest
        from pytest_streamrt.clock import active_clock

        @pytest.mark.real_time
        class TestReal:
            async def test_real(self):
                assert active_clock() is None

            @pytest.mark.virtual_time
            async def test_back(self):
                assert active_clock() is not None

        async def test_virtual():
            assert active_clock() is not None

        @pytest.mark.virtual_time
        @pytest.mark.real_time
        async def test_both():
            pass
    """)

    result = project.run("--asyncio-mode=auto", "--streamrt-clock=virtual")

    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["this test is marked both virtual_time and real_time: choose one"])


@pytest.mark.parametrize("option", ["--streamrt-real-time", "--streamrt-clock=real"])
def test_it_can_be_switched_off_for_a_run(option, project):
    project.write("""
        import asyncio
        import pytest
        from pytest_streamrt.clock import active_clock

        @pytest.mark.virtual_time
        async def test_marked():
            assert active_clock() is None

        async def test_about_the_clock(virtual_clock):
            raise AssertionError
    """)

    result = project.run("--asyncio-mode=auto", "-rs", option)

    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*needs virtual time, and this run is on real time*"])


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("streamrt_clock = vritual", "streamrt_clock = 'vritual': choose from marked, virtual, real"),
        ("streamrt_watchdog = soon", "streamrt_watchdog = 'soon': it is a number above 0"),
        ("--streamrt-watchdog=inf", "--streamrt-watchdog='inf': it is a number above 0, and 1,000,000 at most"),
        ("streamrt_block_network = maybe", "streamrt_block_network: it is true or false (invalid truth value 'maybe')"),
        ("--streamrt-settle-time=0", "--streamrt-settle-time='0': it is a number above 0"),
        ("--streamrt-spin-limit=-5", "--streamrt-spin-limit='-5': it is a number above 0"),
    ],
)
def test_values_that_make_no_sense_are_refused_before_anything_runs(given, what, project):
    project.write(SUITE)
    if given.startswith("--"):
        result = project.run(given)
    else:
        project.ini(given)
        result = project.run()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert what in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


@pytest.mark.parametrize("flag", [True, False])
def test_the_limits_have_flags_and_twins_in_the_configuration(flag, project):
    project.write("""
        import asyncio
        import threading
        import pytest

        pytestmark = pytest.mark.virtual_time

        async def test_watchdog():
            event = threading.Event()
            asyncio.get_running_loop().call_later(1, event.set)
            try:
                await asyncio.get_running_loop().run_in_executor(None, event.wait)
            finally:
                event.set()

        async def test_spin_limit():
            while True:
                await asyncio.sleep(0)
    """)
    limits = {"watchdog": "0.1", "settle_time": "0.001", "spin_limit": "1000"}
    if not flag:
        for name, value in limits.items():
            project.ini(f"streamrt_{name} = {value}")
    flags = [f"--streamrt-{name.replace('_', '-')}={value}" for name, value in limits.items()]

    result = project.run("--asyncio-mode=auto", *(flags if flag else []))

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*a worker thread*did not report back within 0.1 s*", "livelock: 1,000 iterations of the loop*"]
    )


@pytest.mark.parametrize(
    ("policy", "outcomes"), [("warn", {"passed": 1, "warnings": 1}), ("fail", {"failed": 1}), ("ignore", {"passed": 1})]
)
def test_what_a_test_leaves_behind(policy, outcomes, project):
    project.write(f"""
        import asyncio
        import pytest

        @pytest.mark.virtual_time(leaked_tasks="{policy}")
        async def test_it():
            global task
            task = asyncio.create_task(asyncio.sleep(60), name="forgotten")
            cancelled = asyncio.create_task(asyncio.sleep(60), name="cancelled")
            await asyncio.sleep(0)
            cancelled.cancel()
    """)

    result = project.run("--asyncio-mode=auto", "-W", "default")

    result.assert_outcomes(**outcomes)
    if policy != "ignore":
        result.stdout.fnmatch_lines(
            ["*1 thing left behind:*", "*task forgotten: *; made at test_mine.py:7 in test_it*"]
        )
    assert "cancelled" not in result.stdout.str()


def test_a_race_with_a_socket_is_warned_of(project):
    project.write("""
        import asyncio
        import socket
        import pytest

        @pytest.mark.virtual_time
        async def test_it():
            with socket.create_server(("127.0.0.1", 0)) as nobody_at_home:
                reader, writer = await asyncio.open_connection(*nobody_at_home.getsockname())
                writer.write(b"hello")
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1):
                        await reader.read()
                writer.close()
                await writer.wait_closed()
    """)

    result = project.run("--asyncio-mode=auto", "-W", "default")

    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(
        ["*virtual time jumped * time* while a socket was open that might have had more to say*"]
    )


def test_a_policy_that_is_none_is_refused(project):
    project.write("""
        import pytest

        @pytest.mark.virtual_time(real_io="ignore")
        async def test_it():
            pass
    """)

    result = project.run("--asyncio-mode=auto")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["@pytest.mark.virtual_time of *::test_it: real_io is one of settle, hold, error, not 'ignore'"]
    )
    assert "pytest_streamrt/" not in result.stdout.str()


def test_on_real_time_too_a_test_runs_on_the_library_that_it_says(project):
    project.write("""
        import pytest

        @pytest.mark.anyio
        async def test_it(anyio_backend, transcript):
            pass
    """)

    result = project.run("--asyncio-mode=auto")

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*anyio_backend='trio', and it runs on asyncio*asyncio_mode = \"strict\"*"])


def test_durations_and_time_outs_are_those_of_real_time(project):
    project.write("""
        import asyncio
        import pytest

        @pytest.mark.timeout(300)
        @pytest.mark.virtual_time
        async def test_a_day():
            await asyncio.sleep(80_000)

        @pytest.mark.timeout(0.2)
        @pytest.mark.virtual_time
        def test_hangs():
            while True:
                pass
    """)

    result = project.run("--asyncio-mode=auto", "--durations=0", "-vv")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*Timeout*"])
    durations = [float(found) for found in re.findall(r"^([\d.]+)s call", result.stdout.str(), re.MULTILINE)]
    assert durations
    assert max(durations) < 300


def test_random_numbers_are_the_same_in_each_run_also_beside_pytest_randomly(project):
    project.write("""
        import random
        import pytest

        @pytest.mark.virtual_time
        async def test_it():
            print("drawn:", random.random())
    """)

    drawn = set()
    for seed in ("1", "2"):
        result = project.run("--asyncio-mode=auto", "-s", "-p", "pytest_randomly", f"--randomly-seed={seed}")
        result.assert_outcomes(passed=1)
        drawn |= set(re.findall(r"drawn: [\d.]+", result.stdout.str()))

    assert len(drawn) == 1


def test_time_machine_takes_care_of_the_date(project):
    project.write("""
        import asyncio
        import datetime
        import time
        import pytest
        import time_machine

        NEW_YEAR = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)

        @pytest.fixture
        def traveller():
            with time_machine.travel(NEW_YEAR, tick=False) as traveller:
                yield traveller

        @pytest.mark.virtual_time
        async def test_it(traveller):
            assert time.time() == NEW_YEAR.timestamp()
            await asyncio.sleep(60)
            assert time.time() == NEW_YEAR.timestamp() + 60
            assert datetime.datetime.now(datetime.UTC) == NEW_YEAR
            traveller.shift(60)
            assert datetime.datetime.now(datetime.UTC) == NEW_YEAR + datetime.timedelta(seconds=60)
    """)

    project.run("--asyncio-mode=auto").assert_outcomes(passed=1)


def test_a_list_where_one_value_belongs_is_refused_before_anything_runs(project):
    (project.path / "pytest.ini").unlink()
    (project.path / "pyproject.toml").write_text('[tool.pytest.ini_options]\nstreamrt_cassette_dir = ["here"]\n')

    result = project.run()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "streamrt_cassette_dir = ['here']: it is one value, in quotation marks" in result.stderr.str()
