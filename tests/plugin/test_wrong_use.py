"""Markers, fixtures and folders that make no sense, in a run of pytest: what it says, and that it goes on."""

from __future__ import annotations


def test_what_is_wrong_is_said_without_our_insides(project):
    project.write("""
        import unittest

        import httpx2
        import pytest
        from pytest_streamrt import disconnect, fake_provider_context, use_cassette

        def ask():
            httpx2.post("https://api.openai.com/v1/responses", json={"input": "Hi"})

        @pytest.fixture
        async def too_early(virtual_clock):
            await virtual_clock.turn()

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        async def test_the_clock_before_it_runs(anyio_backend, too_early):
            pass

        def test_a_block():
            with use_cassette("a.jsonl", timing="fast"):
                pass

        @pytest.mark.usefixtures("fake_provider")
        class TestWithUnittest(unittest.TestCase):
            def test_nothing_is_enqueued(self):
                ask()

        @pytest.mark.streamrt("capital")
        def test_by_position():
            ask()

        @pytest.mark.streamrt(casette="capital")
        def test_misspelt():
            ask()

        @pytest.mark.streamrt(cassette="a\\0b")
        def test_no_name():
            ask()

        @pytest.mark.streamrt(faults=[disconnect])
        def test_a_function_for_a_fault():
            ask()

        class TestConfig:
            @pytest.fixture
            def streamrt_config(self):
                return {5: ["a"]}

            @pytest.mark.streamrt
            def test_no_key(self):
                ask()
    """)

    result = project.run("--streamrt-unused")

    result.assert_outcomes(failed=2, errors=6)
    result.stdout.fnmatch_lines_random(
        [
            "E *ClockError: this virtual clock is not running: it does so only within the test body, *",
            'E *CassetteError: timing is "auto", "instant", "recorded" or a factor above 0, not \'fast\'',
            "fake_provider has no script for POST https://api.openai.com/v1/responses*",
            "*does not take 'capital'; it takes, by keyword: cassette, *. Write cassette='capital'",
            "*does not take casette; it takes, by keyword: *. Did you mean 'cassette'?",
            "*cassette is a name, such as 'capital', not 'a?x00b'",
            "*is no fault of a recording; *Call it: disconnect(…)*",
            "the fixture streamrt_config does not take 5; it takes filter_headers, *",
        ]
    )
    assert "/pytest_streamrt/" not in result.stdout.str()


def test_modules_of_one_name_do_not_share_cassettes_unasked(project):
    for folder in ("one", "two"):
        (project.path / folder).mkdir()
        (project.path / folder / "test_it.py").write_text(
            "import httpx2, pytest\n\n"
            "@pytest.mark.streamrt\n"
            "def test_it():\n"
            "    with pytest.raises(httpx2.ConnectError):\n"
            "        httpx2.get('http://127.0.0.1:9')\n"
        )

    result = project.record("--import-mode=importlib", "--streamrt-cassette-dir=all")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*test_it.jsonl is the cassette of one/test_it.py::test_it, too: the modules have one name*"]
    )
    project.record("--import-mode=importlib").assert_outcomes(passed=2)


def test_a_page_that_cannot_be_written_is_told_and_the_run_goes_on(project):
    (project.path / "conftest.py").write_text(
        "import resource\n\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))\n"
    )
    project.write("""
        def test_it(transcript):
            list(transcript.record(iter("ab"), source="agent"))
    """)

    result = project.run("--streamrt-report=on")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["pages are missing, for they could not be written, the last *.html: File too large"])
    assert list((project.path / "streamrt-report").iterdir()) == []


def test_a_debugger_begins_where_the_request_was_made(project):
    project.write("""
        import httpx2
        import pytest

        @pytest.mark.streamrt
        def test_it():
            answer = 42
            httpx2.get("http://127.0.0.1:9")
    """)
    (project.path / "conftest.py").write_text(
        "import pdb\n\n"
        "class Debugger(pdb.Pdb):\n"
        "    def cmdloop(self, intro=None):\n"
        "        print('begins in', self.curframe.f_code.co_name, self.curframe.f_locals.get('answer'))\n"
    )

    result = project.run("--pdb", "--pdbcls=conftest:Debugger", "--tb=line")

    result.stdout.fnmatch_lines(["begins in test_it 42"])
    project.run("--tb=line").stdout.fnmatch_lines(["*test_mine.py:7: Failed: there is no recording for GET *"])


def test_marks_in_a_conftest_mark_nothing_and_that_is_told(project):
    (project.path / "conftest.py").write_text(
        "import pytest\n\npytestmark = [pytest.mark.streamrt, pytest.mark.anyio]\n"
    )
    project.write("def test_it(): pass")

    result = project.run("-W", "default::pytest_streamrt.StreamrtWarning")

    result.assert_outcomes(passed=1, warnings=1)
    told = "*conftest.py has pytestmark = pytest.mark.streamrt, and pytest looks for no marks there: no test has it.*"
    result.stdout.fnmatch_lines([told])
    project.run().stderr.fnmatch_lines([f"ERROR: {told}"])


def test_what_a_client_raises_over_a_script_shows_the_client_and_not_us(project):
    project.write("""
        import httpx2
        from pytest_streamrt import disconnect, script

        def ask(fake_provider, answer):
            fake_provider.enqueue(answer)
            httpx2.post("https://api.openai.com/v1/responses", json={"stream": True})

        def test_half_way(fake_provider):
            ask(fake_provider, script("a", disconnect()))

        def test_at_once(fake_provider):
            ask(fake_provider, script(disconnect()))
    """)

    result = project.run()

    result.stdout.fnmatch_lines(
        ["E *RemoteProtocolError: peer closed *", "E *RemoteProtocolError: Server disconnected *"]
    )
    assert "/pytest_streamrt/" not in result.stdout.str()
