"""The marker `streamrt`: what goes wrong with a cassette fails the test, and is said."""

from __future__ import annotations

import pytest

from pytest_streamrt import script
from pytest_streamrt.providers import encode
from tests.loopback import Answer
from tests.plugin.recorded import CASSETTE, FUNCTION, TEST


def test_without_a_cassette_the_test_fails_and_says_how_to_record_it(project, server):
    project.write(FUNCTION.format(url=server.url), "mine")
    project.write(TEST)

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the cassette does not exist. Record it: pytest --streamrt-record=once*"])
    assert server.requests == []


def test_a_miss_that_the_agent_swallows_fails_the_test_all_the_same(recorded):
    recorded.write("""
        import pytest
        from mine import answer

        @pytest.mark.asyncio
        @pytest.mark.streamrt(cassette="test_mine/test_answer")
        async def test_answer():
            await answer("Capital of France?")
            try:
                await answer("Capital of Spain?")
            except BaseException:
                pass
    """)

    result = recorded.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*body.messages*content: recorded 'Capital of France?', now 'Capital of Spain?'*"])


def test_recordings_that_are_never_played_fail_the_test(recorded):
    recorded.write("""
        import pytest
        from mine import answer

        @pytest.mark.asyncio
        @pytest.mark.streamrt(cassette="two")
        async def test_answer():
            await answer("Capital of France?")
    """)
    one = (recorded.path / CASSETTE).read_text().splitlines()
    again = [line.replace('"id": 1', '"id": 2') for line in one[1:]]
    (recorded.path / "cassettes" / "two.jsonl").write_text("\n".join([*one, *again]) + "\n")

    result = recorded.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["1 of 2 recordings in *two.jsonl was never played:", "    POST http*"])


def test_a_marked_test_that_makes_no_request_fails(recorded):
    recorded.write("""
        import pytest

        @pytest.mark.streamrt(cassette="test_mine/test_answer")
        def test_answer():
            pass
    """)

    result = recorded.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*made no HTTP request that it saw*aiohttp*requests*--streamrt-block-network"])


def test_a_damaged_cassette_is_named_with_its_line(recorded):
    path = recorded.path / CASSETTE
    path.write_text(path.read_text()[:-9])

    result = recorded.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*test_answer.jsonl is damaged at line *: the file is cut short inside its last line*"]
    )
    assert "cassette/format.py" not in result.stdout.str()


def test_vcr_and_streamrt_on_one_test_is_an_error(project):
    project.ini("markers =\n    vcr: of another plugin")
    project.write("""
        import pytest

        @pytest.mark.vcr
        @pytest.mark.streamrt
        def test_it():
            pass
    """)

    result = project.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*marked both vcr and streamrt*"])


def test_two_tests_that_record_one_cassette_are_stopped(project, server):
    project.write(FUNCTION.format(url=server.url), "mine")
    project.write("""
        import pytest
        from mine import answer

        pytestmark = [pytest.mark.asyncio, pytest.mark.streamrt(cassette="shared")]

        async def test_one():
            await answer("one")

        async def test_two():
            await answer("two")
    """)
    server.enqueue(*(Answer(encode(script(text), "openai.chat")) for text in "ab"))

    result = project.record(mode="rewrite")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*shared.jsonl is being recorded by test_mine.py::test_one in this run already*"])


def test_an_unknown_mode_is_refused(project):
    project.write("def test_it(): pass")

    result = project.run("--streamrt-record=sometimes")

    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--streamrt-record: invalid choice: 'sometimes'*"])


def test_two_parameters_that_record_one_cassette_are_stopped(project, server):
    project.write(FUNCTION.format(url=server.url), "mine")
    project.write("""
        import pytest
        from mine import answer

        @pytest.mark.asyncio
        @pytest.mark.parametrize("question", ["a", "b"])
        @pytest.mark.streamrt(cassette="shared")
        async def test_answer(question):
            await answer(question)
    """)
    server.enqueue(Answer(encode(script("a"), "openai.chat")), Answer(encode(script("b"), "openai.chat")))

    result = project.record(mode="rewrite")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*is being recorded by *test_answer*a* in this run already*"])


MISSED = """
    import anyio
    import pytest
    from mine import answer

    pytestmark = pytest.mark.anyio

    @pytest.fixture(scope="module")
    def anyio_backend():
        return "asyncio"

    @pytest.fixture(scope="module")
    async def shared():
        yield

    @pytest.mark.streamrt
    async def test_misses(shared):
        await answer("Capital of France?")

    @pytest.mark.streamrt
    async def test_misses_in_a_task(shared):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer, "Capital of France?")

    @pytest.mark.streamrt
    async def test_swallows_it(shared):
        try:
            await answer("Capital of France?")
        except BaseException:
            pass
        assert [] == ["Paris."]

    async def test_the_next(shared):
        pass
"""


def test_a_miss_says_what_it_is_and_where_it_was_made_and_hurts_nobody_else(project, server):
    project.write(FUNCTION.format(url=server.url), "mine")
    project.write(MISSED)

    result = project.run()

    result.assert_outcomes(failed=3, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*_ test_misses _*",
            "there is no recording for POST *: the cassette does not exist. Record it: pytest --streamrt-record=once",
            "The request was made at mine.py:8 in answer",
            "*_ test_misses_in_a_task _*",
            "there is no recording for POST *",
            "*_ test_swallows_it _*",
            "*assert *== *Paris.*",
            "*streamrt requests without a recording*",
            "there is no recording for POST *",
        ]
    )
    for inside in ("pytest_streamrt/", "httpx2/", "never retrieved"):
        assert inside not in result.stdout.str()
    assert len(result.outlines) < 80


@pytest.mark.parametrize(
    ("cassette", "what"),
    [
        ("3", "@pytest.mark.streamrt of *::test_answer: cassette is a name, such as 'capital', not 3"),
        ("''", "@pytest.mark.streamrt of *::test_answer: cassette is a name, such as 'capital', not ''"),
        ("None, timing='fast'", "@pytest.mark.streamrt of *::test_answer: timing is *, not 'fast'"),
        ("None, rechunk='half'", "@pytest.mark.streamrt of *::test_answer: rechunk: cut *, not 'half'"),
        (
            "None, faults=3",
            "@pytest.mark.streamrt of *: faults is a list of faults, such as [[]disconnect(after=5)[]], not 3",
        ),
        ("None, faults='stall'", "@pytest.mark.streamrt of *: faults is a list of faults, such as *, not 'stall'"),
        ("'afile/one'", "*cannot be recorded: *afile is not a folder"),
    ],
)
def test_a_cassette_that_cannot_be_is_refused_before_anything_is_asked(cassette, what, project, server):
    project.write(FUNCTION.format(url=server.url), "mine")
    project.write(f"""
        import pytest
        from mine import answer

        @pytest.mark.asyncio
        @pytest.mark.streamrt(cassette={cassette})
        async def test_answer():
            await answer("Capital of France?")
    """)
    (project.path / "cassettes").mkdir()
    (project.path / "cassettes" / "afile").write_text("")

    result = project.record(mode="rewrite")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([what])
    assert "pytest_streamrt/" not in result.stdout.str()
    assert server.requests == []
