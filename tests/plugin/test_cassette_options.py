"""Cassettes as a project has them: its fixture `streamrt_config`, its secrets, and a network that is blocked."""

from __future__ import annotations

import pytest

from pytest_streamrt import script
from pytest_streamrt.providers import encode
from tests.loopback import Answer
from tests.plugin.recorded import FUNCTION

CANARY = "sk-real-0123456789abcdef"  # the key of `project.record`
CHUNKS = encode(script("Par", "is."), "openai.chat")

CONFTEST = """
    import pytest

    @pytest.fixture(scope="session")
    def streamrt_config():
        return {config}
"""

TEST = """
    import pytest
    from mine import answer

    @pytest.mark.asyncio
    @pytest.mark.streamrt
    async def test_answer():
        assert await answer("Capital of France?") == "Paris."
"""


def written(project, server, config, *answers):
    project.write(FUNCTION.format(url=server.url), "mine")
    project.write(CONFTEST.format(config=config), "conftest")
    project.write(TEST)
    server.enqueue(*(answers or (Answer(CHUNKS),)))


def files(project):
    return b"".join(each.read_bytes() for each in project.path.rglob("*") if each.is_file())


def test_the_fixture_says_what_is_kept_out_and_what_matches(project, server):
    written(project, server, {"filter_patterns": ["Capital of \\w+"], "filter_headers": ["user-agent"]})

    project.record().assert_outcomes(passed=1)

    recorded = (project.path / "cassettes/test_mine/test_answer.jsonl").read_text()
    assert "Capital" not in recorded
    assert "AsyncOpenAI" not in recorded
    project.run().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("config", "what"),
    [
        (
            {"filter_header": []},
            "the fixture streamrt_config does not take 'filter_header'; it takes filter_headers, *",
        ),
        ([], "the fixture streamrt_config gives a dictionary, not *"),
    ],
)
def test_nonsense_in_it_is_refused(config, what, project, server):
    written(project, server, config)

    result = project.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([what])
    assert "pytest_streamrt/" not in result.stdout.str()


LEAKING = """
    import logging
    import pytest
    from mine import answer

    @pytest.mark.asyncio
    @pytest.mark.virtual_time
    @pytest.mark.streamrt
    async def test_answer(transcript):
        said = await answer("Capital of France?")
        print("the answer was", said)
        logging.getLogger("mine").warning("it is %s", said)
        transcript.expect("openai.chat").text("Paris.")
        assert said == "Paris."
"""


def test_no_secret_is_in_a_report(project, server):
    spelled = [CANARY[:9], CANARY[9:15], CANARY[15:]]
    written(project, server, {}, Answer(encode(script("It is ", *spelled, "."), "openai.chat")))
    project.write(LEAKING)

    result = project.record("--junitxml=junit.xml", "-rA")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the answer was It is [[]redacted*"])
    assert CANARY not in result.stdout.str() + result.stderr.str()
    assert CANARY.encode() not in files(project)


def test_an_error_does_not_replace_a_cassette_unless_that_is_asked_for(project, server):
    written(project, server, {})
    project.record().assert_outcomes(passed=1)
    cassette = project.path / "cassettes/test_mine/test_answer.jsonl"
    before = cassette.read_bytes()
    project.write("""
        import openai
        import pytest
        from mine import answer

        @pytest.mark.asyncio
        @pytest.mark.streamrt
        async def test_answer():
            with pytest.raises(openai.AuthenticationError):
                await answer("Capital of France?")
    """)
    refusal = Answer([b'{"error": {"message": "no"}}'], 401, {"content-type": "application/json"})
    server.enqueue(refusal, refusal)

    result = project.record(mode="rewrite")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*test_answer.jsonl was not recorded anew, and is as it was: POST *HTTP 401*errors"])
    assert cassette.read_bytes() == before

    project.record("--streamrt-record-errors", mode="rewrite").assert_outcomes(passed=1)
    project.run().assert_outcomes(passed=1)


def test_a_client_that_goes_round_is_named_and_fails_the_test(project):
    project.ini("streamrt_block_network = true")
    project.write("""
        import asyncio
        import urllib.request
        import pytest

        def test_swallows_it():
            try:
                urllib.request.urlopen("http://api.example/v1")
            except BaseException:
                pass

        @pytest.mark.streamrt
        def test_goes_round():
            urllib.request.urlopen("http://api.example/v1")

        def test_next():
            pass
    """)

    result = project.run()

    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(
        [
            "a connection to api.example:80 was blocked: --streamrt-block-network lets none leave this machine.",
            "It was made by urllib, which goes round the cassette: *",
            "The connection was made at test_mine.py:7 in test_swallows_it",
        ]
    )
