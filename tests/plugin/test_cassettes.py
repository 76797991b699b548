"""The marker `streamrt`: the marker alone is enough to record and to play, wherever the cassette lies."""

from __future__ import annotations

import json

import pytest

from pytest_streamrt import script
from pytest_streamrt.providers import encode
from tests.loopback import Answer
from tests.plugin.recorded import CASSETTE, FUNCTION, TEST


def test_it_records_beside_the_test_and_plays_without_a_network_or_a_key(recorded, server):
    assert (recorded.path / CASSETTE).exists()

    recorded.run().assert_outcomes(passed=1)

    assert len(server.requests) == 1


def test_a_failing_assertion_does_not_discard_a_recording(project, server):
    project.write(FUNCTION.format(url=server.url), "mine")
    project.write(TEST.replace('"Paris."', '"Rome."'))
    server.enqueue(Answer(encode(script("Paris."), "openai.chat")))

    project.record().assert_outcomes(failed=1)

    assert (project.path / CASSETTE).exists()


def test_cassettes_can_lie_elsewhere(recorded):
    (recorded.path / "cassettes").rename(recorded.path / "nightly")

    recorded.run("--streamrt-cassette-dir=nightly").assert_outcomes(passed=1)
    recorded.ini("streamrt_cassette_dir = nightly")
    recorded.run().assert_outcomes(passed=1)


def test_the_mode_can_stand_in_the_configuration_and_the_command_line_wins(recorded, server):
    recorded.ini("streamrt_record = rewrite")
    recorded.run("--streamrt-record=none").assert_outcomes(passed=1)
    assert len(server.requests) == 1
    server.enqueue(Answer(encode(script("Paris."), "openai.chat")))

    recorded.record(mode=None).assert_outcomes(passed=1)

    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("test", "path"),
    [
        ("test_it[a/b c]", "test_it[a%2Fb%20c].jsonl"),
        ("TestIt.test_it", "TestIt.test_it.jsonl"),
    ],
)
def test_the_name_of_the_file_tells_tests_apart(test, path, project, server):
    project.write(FUNCTION.format(url=server.url), "mine")
    in_class = test.startswith("TestIt")
    project.write(
        """
        import pytest
        from mine import answer

        class TestIt:
            pytestmark = [pytest.mark.asyncio, pytest.mark.streamrt]

            async def test_it(self):
                await answer("x")
        """
        if in_class
        else """
        import pytest
        from mine import answer

        @pytest.mark.asyncio
        @pytest.mark.streamrt
        @pytest.mark.parametrize("name", ["a/b c"])
        async def test_it(name):
            await answer("x")
        """
    )
    server.enqueue(Answer(encode(script("a"), "openai.chat")))

    project.record().assert_outcomes(passed=1)

    assert [each.name for each in (project.path / "cassettes" / "test_mine").iterdir()] == [path]


def test_both_backends_of_anyio_share_a_cassette(project, server):
    project.write(FUNCTION.format(url=server.url), "mine")
    project.write(TEST.replace("pytest.mark.asyncio", "pytest.mark.anyio"))
    server.enqueue(Answer(encode(script("Paris."), "openai.chat")))

    # The OpenAI client leaves generators of its own behind at [DONE], and trio warns of them.
    project.record("-W", "ignore::pytest.PytestUnraisableExceptionWarning").assert_outcomes(passed=2)

    assert (project.path / CASSETTE).exists()
    assert len(server.requests) == 1


def test_the_fixture_opens_the_cassette_too(recorded):
    recorded.write("""
        import pytest
        from mine import answer

        @pytest.mark.asyncio
        @pytest.mark.virtual_time
        @pytest.mark.streamrt(cassette="test_mine/test_answer", timing=10, rechunk="byte")
        async def test_answer(stream_cassette, virtual_clock):
            await answer("Capital of France?")
            (recorded,) = stream_cassette.interactions
            assert virtual_clock.ns <= (recorded.end_at - recorded.at) * 100
    """)

    recorded.run().assert_outcomes(passed=1)


def test_no_secret_is_in_the_file(recorded):
    lines = [json.loads(line) for line in (recorded.path / CASSETTE).read_text().splitlines()]

    headers = {name.lower(): value for name, value in lines[1]["request"]["headers"]}
    assert headers["authorization"] == "[redacted]"


def test_under_xdist_the_same(recorded):
    recorded.run("-n2").assert_outcomes(passed=1)


def test_the_fixture_alone_records_plays_and_lets_go(project, server):
    project.write(FUNCTION.format(url=server.url), "mine")
    project.write("""
        import pytest
        from mine import answer

        @pytest.mark.asyncio
        async def test_answer(stream_cassette):
            assert await answer("Capital of France?") == "Paris."

        @pytest.mark.asyncio
        async def test_the_next_is_on_its_own():
            import httpx2
            async with httpx2.AsyncClient() as client:
                with pytest.raises(httpx2.ConnectError):
                    await client.get("http://127.0.0.1:1/")
    """)
    server.enqueue(Answer(encode(script("Par", "is."), "openai.chat")))

    project.record().assert_outcomes(passed=2)
    assert (project.path / CASSETTE).exists()
    project.run().assert_outcomes(passed=2)
    assert len(server.requests) == 1


def test_a_test_that_is_run_again_has_its_cassette_again(recorded, server):
    recorded.write("""
        import pytest
        from mine import answer

        runs = []

        @pytest.mark.flaky(reruns=2)
        @pytest.mark.asyncio
        @pytest.mark.streamrt(cassette="test_mine/test_answer")
        async def test_answer(transcript):
            runs.append(1)
            assert await answer("Capital of France?") == "Paris."
            transcript.expect("openai.chat").text("Paris.").completed().nothing_more()
            assert len(runs) == 3
    """)

    assert recorded.run("-p", "rerunfailures").parseoutcomes() == {"passed": 1, "rerun": 2}

    assert len(server.requests) == 1


def test_a_very_long_name_is_cut_and_still_tells_tests_apart(project, server):
    project.write(FUNCTION.format(url=server.url), "mine")
    project.write("""
        import pytest
        from mine import answer

        @pytest.mark.asyncio
        @pytest.mark.parametrize("question", ["/" * 200 + "a", "/" * 200 + "b"], ids=lambda question: question)
        @pytest.mark.streamrt
        async def test_answer(question):
            await answer(question)
    """)
    server.enqueue(Answer(encode(script("a"), "openai.chat")), Answer(encode(script("b"), "openai.chat")))

    project.record().assert_outcomes(passed=2)

    assert len(list((project.path / "cassettes").rglob("*.jsonl"))) == 2
    project.run().assert_outcomes(passed=2)


def test_a_test_that_is_skipped_needs_no_cassette(recorded):
    (recorded.path / CASSETTE).write_text("nonsense")
    recorded.write("""
        import pytest

        @pytest.mark.skip
        @pytest.mark.streamrt
        async def test_answer():
            pass
    """)

    recorded.run().assert_outcomes(skipped=1)
