"""What a failing test shows of its transcript: on the terminal, from pytest-xdist's workers, in JUnit XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

FAILING = """
    import pytest
    from pytest_streamrt import Agent, FakeModel, script

    @pytest.mark.anyio
    @pytest.mark.virtual_time
    async def test_it(environment, transcript, anyio_backend_name):
        async with environment(agent := Agent("agent", FakeModel(script("Hel", "lo", every=0.5)))):
            await agent.infer("Hi")
        transcript.expect("agent").text("Bye")

    def test_unfinished(transcript):
        list(transcript.record(iter("ab"), source="agent"))
        transcript.expect("agent").text("ab")

    def test_two_differ(transcript):
        from pytest_streamrt import Transcript

        other = Transcript()
        list(transcript.record(iter("ab"), source="agent"))
        list(other.record(iter("ac"), source="agent"))
        assert transcript == other

    def test_nothing_happened(transcript):
        assert False
"""

SECTION = [
    "*- streamrt transcript -*",
    "agent  a   0.500000000  text.delta 'Hel'",
    "All events:",
    " 1.000000000  agent  inference.completed (stop)",
]


@pytest.mark.parametrize(
    "arguments", [["--show-capture=no", "--junit-xml=report.xml"], ["-n2"]], ids=["alone", "xdist"]
)
def test_it_shows_its_marbles_and_its_last_events(project, arguments):
    project.write(FAILING)

    result = project.run("-k", "not trio", "-vv", *arguments)

    assert result.parseoutcomes()["failed"] == 4
    result.stdout.fnmatch_lines(SECTION)
    output = result.stdout.str()
    assert output.count("- streamrt transcript -") == 3  # there is none where nothing happened
    assert "the transcripts differ" in output
    assert '- agent  text.delta  text="c"' in output
    assert '+ agent  text.delta  text="b"' in output
    if "-n2" not in arguments:
        failures = [each.text for each in ET.parse(project.path / "report.xml").iter("failure")]
        assert sum("streamrt transcript" in each for each in failures) == 3
        assert any("agent  a   0.500000000  text.delta 'Hel'" in each for each in failures)


def test_an_async_test_that_nothing_runs_is_told_what_would(project):
    project.write("""
        import pytest

        @pytest.mark.virtual_time
        async def test_without_a_runner():
            pass

        async def test_that_is_none_of_ours():
            pass
    """)

    result = project.run()

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["this test is async, and nothing runs it. Mark it: @pytest.mark.anyio*"])
    assert result.stdout.str().count("You need to install a suitable plugin") == 1  # of the test that is none of ours


def test_a_cassette_of_nothing_but_errors_is_doubted_where_its_test_fails(project):
    project.write("""
        import httpx2
        import pytest

        @pytest.mark.streamrt
        def test_ask():
            httpx2.get("http://127.0.0.1:9/v1/models")
    """)
    recorded = project.record()

    result = project.run()

    recorded.stdout.fnmatch_lines(
        [
            "*= cassettes recorded with nothing but errors =*",
            "cassettes/test_mine/test_ask.jsonl: GET http://127.0.0.1:9/v1/models failed (ConnectError)",
            "*pytest --streamrt-record=rewrite. *--streamrt-record-errors, *",
        ]
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- streamrt cassette -*",
            "*test_ask.jsonl holds nothing but errors: GET http://127.0.0.1:9/v1/models failed (ConnectError). *=rewrite",
        ]
    )


def test_errors_recorded_by_a_passing_test_are_told_once_by_all_workers_and_not_where_they_are_wanted(project):
    project.write("""
        import httpx2
        import pytest

        @pytest.mark.streamrt
        @pytest.mark.parametrize("number", [1, 2])
        def test_that_nobody_answers(number):
            with pytest.raises(httpx2.ConnectError):
                httpx2.get("http://127.0.0.1:9/v1/models")
    """)
    told = "cassettes recorded with nothing but errors"

    recorded = project.record("-n", "2").stdout
    played = project.record().stdout
    wanted = project.record("--streamrt-record-errors", mode="rewrite").stdout

    assert recorded.str().count(told) == 1
    assert recorded.str().count("].jsonl: GET") == 2
    played.no_fnmatch_line(f"*{told}*")
    wanted.no_fnmatch_line(f"*{told}*")


SECRETIVE = """
    import os
    from pytest_streamrt import Transcript

    KEY = "sk-" + "proj-Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z"
    GIVEN = "-".join(["open", "sesame", "now"])

    def said(transcript, *pieces):
        list(transcript.record(iter(pieces), source="agent"))
        list(transcript.record(iter(["nothing"]), source="other"))
        return transcript.expect("agent")

    def test_what_is_hidden(transcript):
        chain = said(transcript, "It is open", "-sesame", "-now.")
        print("printed:", GIVEN)
        transcript.assert_no_leak(hidden=[GIVEN, "said"], visible="other")
        chain.text(f"It is {GIVEN}, or another word").rest()

    def test_what_looks_like_a_key(transcript):
        said(transcript, "It is ", KEY[:9], KEY[9:]).text(f"It is {KEY}!").rest()

    def test_what_the_environment_has(transcript):
        said(transcript, os.environ["MY_TOKEN"]).rest()
        assert os.environ["MY_TOKEN"] == ""
"""


def test_no_secret_is_in_what_a_failed_expectation_says(project, monkeypatch):
    secret = "correct-horse-battery-staple-0815"
    monkeypatch.setenv("MY_TOKEN", secret)
    project.write(SECRETIVE)

    result = project.run("-l", "--junit-xml=report.xml")

    result.assert_outcomes(failed=3)
    for output in (result.stdout.str(), (project.path / "report.xml").read_text()):
        for piece in ("sesame-now", "-sesame'", "Ab3dEf6hIj9k", "Xy4z", secret):
            assert piece not in output
    result.stdout.fnmatch_lines(
        [
            '>       chain.text(f"It is {GIVEN}, or another word").rest()',
            "E         expected: text 'It is [[]redacted[]], or another word'",
            "E              got: text 'It is [[]redacted[]].'",
            "E          differs: from character 22 on",
            "E*  text.delta 'It is [[]red'",
            "printed: [[]redacted[]]",
        ]
    )
    assert "chain = said(transcript," in result.stdout.str()  # what stands in the source stays, also where it is hidden
