"""The option --streamrt-report in a user's project: which tests get a page, where it is, and the index of them."""

from __future__ import annotations

import json
import re

TESTS = """
    import pytest
    from pytest_streamrt import Agent, FakeModel, script

    pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

    async def talk(environment):
        bot = Agent("bot", model=FakeModel(script("Hello ", "there", every=0.1)))
        async with environment(bot):
            await bot.infer("Hi")

    @pytest.fixture(scope="session")
    def streamrt_config():
        return {"filter_patterns": ["th.re"]}

    async def test_good(environment, streamrt_config):
        await talk(environment)

    @pytest.mark.parametrize("what", ["a/b <i>", "c"])
    async def test_bad(environment, transcript, what):
        await talk(environment)
        transcript.expect("bot").text("Goodbye")

    def test_without_a_transcript(anyio_backend):
        pass
"""


def data_of(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1])


def index(project, folder="streamrt-report"):
    return {test["name"].partition("::")[2]: test for test in data_of(project.path / folder / "index.html")["tests"]}


def test_each_test_with_a_transcript_gets_a_page_also_under_xdist(project):
    project.write(TESTS)
    result = project.run("--streamrt-report=on", "-n", "1")
    result.assert_outcomes(passed=2, failed=2)
    tests = index(project)

    assert set(tests) == {"test_good[asyncio]", "test_bad[a/b <i>-asyncio]", "test_bad[c-asyncio]"}
    assert {name: test["outcome"] for name, test in tests.items()}["test_good[asyncio]"] == "passed"
    for test in tests.values():
        page = data_of(project.path / "streamrt-report" / test["href"])
        assert page["sources"] == ["bot"]
        assert page["outcome"] == test["outcome"]
    good = (project.path / "streamrt-report" / tests["test_good[asyncio]"]["href"]).read_text(encoding="utf-8")
    assert "Hello" in good
    assert '"there"' not in good
    bad = tests["test_bad[c-asyncio]"]
    assert bad["problems"] == ["The test failed in its call"]
    assert "Goodbye" in data_of(project.path / "streamrt-report" / bad["href"])["problems"][0]["text"]
    result.stdout.fnmatch_lines(["3 pages: *streamrt-report?index.html"])


def test_pages_of_failing_tests_alone_can_be_kept(project):
    project.write(TESTS)
    project.run("--streamrt-report=on")
    project.ini("streamrt_report = retain-on-failure")
    project.run()
    pages = {path.name for path in (project.path / "streamrt-report").iterdir()}

    assert set(index(project)) == {"test_bad[a/b <i>-asyncio]", "test_bad[c-asyncio]"}
    assert pages == {"index.html", *(test["href"] for test in index(project).values())}


def test_the_folder_can_be_chosen_and_nothing_is_written_unasked(project):
    project.write(TESTS)
    project.run()
    assert not (project.path / "streamrt-report").exists()
    project.run("--streamrt-report=on", "--streamrt-output=out/pages", "-k", "good")
    assert set(index(project, "out/pages")) == {"test_good[asyncio]"}


def test_a_folder_that_cannot_be_written_is_said_without_a_traceback(project):
    project.write(TESTS)
    (project.path / "taken").write_text("")
    result = project.run("--streamrt-report=on", "--streamrt-output=taken", "-k", "good")

    assert result.ret != 0
    output = result.stderr.str()
    assert "nothing can be written in" in output or "is not a folder" in output
    assert "Choose another --streamrt-output" in output
    assert "Traceback" not in output
