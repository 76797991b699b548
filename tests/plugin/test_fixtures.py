"""The fixtures in a user's tests, the checks at a test's end, and what a failing test shows."""

from __future__ import annotations

import pytest

from tests.userproject import LEFT_OUT

HEAD = """
    import anyio
    import pytest
    from pytest_streamrt import Agent, FakeModel, Observer, script
    from pytest_streamrt.events import InferenceCompleted, TextDelta

    pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time, pytest.mark.parametrize("anyio_backend", ["asyncio"])]
"""


EVERY_OTHER_PLUGIN = LEFT_OUT.replace("no:", "").split()


@pytest.mark.parametrize(
    ("marks", "options", "passed"),
    [
        ("pytest.mark.anyio, ", [], 2),
        ("pytest.mark.asyncio, ", [], 1),
        ("pytest.mark.asyncio(loop_scope='session'), ", [], 1),
        ("", ["--asyncio-mode=auto"], 1),
        ("pytest.mark.anyio, ", ["-n", "2"], 2),
        ("pytest.mark.anyio, ", [*EVERY_OTHER_PLUGIN, "-p", "randomly"], 2),
    ],
    ids=["anyio", "pytest-asyncio", "one loop for all", "auto", "xdist", "beside other plugins"],
)
def test_the_story_of_the_project_runs_as_it_is_written(marks, options, passed, project):
    project.write(
        """
        import pytest
        from pytest_streamrt import Agent, FakeModel, script

        pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

        PLAN = script("Step 1: snapshot. ", "Step 2: ", "drop table users", ". Step 3: done.", every=0.050)
        SAFER = script("Use a staged rollout with rollback points.", every=0.050)


        class SafetyReviewer(Agent):
            heard = ""

            async def on_external_event(self, source, event):
                if event.type == "text.delta":
                    self.heard += event.text
                    if "drop table" in self.heard:
                        self.heard = ""
                        await self.abort(event.inference, reason="risky migration")
                        self.infer("Suggest a safer rollout.")


        async def test_the_reviewer_stops_the_planner(environment, transcript):
            planner = Agent("planner", model=FakeModel(PLAN))
            reviewer = SafetyReviewer("reviewer", model=FakeModel(SAFER))
            async with environment(planner, reviewer):
                outcome = await planner.infer("Migrate the users table.")

            assert outcome.status == "aborted"
            transcript.expect("planner").text("Step 1: snapshot. Step 2: drop table users").aborted(
                by="reviewer", reason="risky migration", at=0.150
            ).nothing_more()
            transcript.expect("reviewer").text(contains="rollback").completed().nothing_more()
            transcript.assert_lawful()
    """.replace("pytest.mark.anyio, ", marks)
    )

    project.run(*options).assert_outcomes(passed=passed)


def test_a_chain_without_an_end_fails_the_test_and_is_named_by_its_line(project):
    project.write(
        HEAD
        + """
    async def test_it(environment, transcript):
        async with environment(agent := Agent("agent", FakeModel(script("a")))):
            await agent.infer()
        transcript.expect("agent").text("a")
    """
    )

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*on 'agent' at test_mine.py:11 is not finished: end it with .nothing_more()*"])


def test_a_broken_law_fails_the_test(project):
    project.write(
        HEAD
        + """
    async def test_it(environment, transcript):
        from pytest_streamrt.events import stamp
        async with environment(agent := Agent("agent", FakeModel(script("a")))):
            await agent.infer()
        transcript.log(stamp(TextDelta("late"), seq=9, time=0, source="agent", inference="agent/1", inference_seq=9), None)
    """
    )

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["law 2 is broken: *", "*text.delta comes while agent/1 is idle*"])


def test_a_failing_test_shows_its_transcript(project):
    project.write(
        HEAD
        + """
    async def test_it(environment, transcript):
        async with environment(agent := Agent("agent", FakeModel(script("Hello", every=0.5)))):
            await agent.infer()
        transcript.expect("agent").text("Goodbye").nothing_more()
    """
    )

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            '>*transcript.expect("agent").text("Goodbye").nothing_more()',
            "E*agent, at t=0.5 s",
            "E*expected: text 'Goodbye'",
            "E*got: text 'Hello'",
            "*streamrt transcript*",
            "agent  ^-*",
            "agent  a   0.500000000  text.delta 'Hello'",
        ]
    )
    assert "transcript/expect.py" not in result.stdout.str()


def test_the_transcript_of_a_failing_test_comes_through_xdist_and_into_junit(project):
    project.write(
        HEAD
        + """
    async def test_it(environment, transcript):
        async with environment(agent := Agent("agent", FakeModel(script("Hello", every=0.5)))):
            await agent.infer()
        assert False
    """
    )

    result = project.run("-n1", "--junit-xml=junit.xml", "-o", "junit_logging=all")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*streamrt transcript*", "agent  a   0.500000000  text.delta 'Hello'"])


def test_a_test_that_fails_for_itself_is_not_blamed_for_what_it_left_undone(project):
    project.write(
        HEAD
        + """
    async def test_it(environment, transcript):
        async with environment(agent := Agent("agent", FakeModel(script("a")))):
            await agent.infer()
        transcript.expect("agent").text("a")
        assert 1 == 2
    """
    )

    result = project.run()

    result.assert_outcomes(failed=1)
    assert "is not finished" not in result.stdout.str()


def test_a_test_that_passes_shows_nothing(project):
    project.write(
        HEAD
        + """
    async def test_it(environment, transcript):
        async with environment(agent := Agent("agent", FakeModel(script("a")))):
            await agent.infer()
        transcript.expect("agent").text("a").completed().nothing_more()
    """
    )

    result = project.run()

    result.assert_outcomes(passed=1)
    assert "streamrt transcript" not in result.stdout.str()


@pytest.mark.parametrize("listing", ["--fixtures", "--markers"])
def test_the_lists_of_pytest_explain_what_there_is(listing, project):
    result = project.run(listing)

    if listing == "--markers":
        result.stdout.fnmatch_lines(["@pytest.mark.virtual_time(*", "@pytest.mark.streamrt(cassette=None*"])
    else:
        for name in ("transcript", "environment", "virtual_clock", "stream_cassette"):
            result.stdout.fnmatch_lines([f"{name}*--*fixtures.py:*", "    ?*"])


def test_the_whole_suite_of_a_user_runs_under_xdist_in_any_order(project):
    project.write(
        HEAD
        + """
    @pytest.mark.parametrize("n", range(20))
    async def test_it(n, environment, transcript):
        async with environment(agent := Agent("agent", FakeModel(script(*"abc", every=n)))):
            await agent.infer()
        transcript.expect("agent").text("abc", at=3 * n).completed().nothing_more()
    """
    )

    project.run("-n2").assert_outcomes(passed=20)
