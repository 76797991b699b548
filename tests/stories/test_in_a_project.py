"""What three kinds of users write in their first week, in a project of their own under pytest-asyncio's auto mode.

Their code is beside this file: `myapp`, an agent with an endpoint, and `my_graph`, a framework.
"""

from __future__ import annotations

from pathlib import Path

from pytest_streamrt import reasoning, script, tool_call
from pytest_streamrt.providers import encode
from tests.loopback import Answer

HERE = Path(__file__).parent

APPLICATION = '''
    """The application's own developer."""
    import pytest
    from agents import Runner
    from myapp import agent, app, chat_events
    from pytest_streamrt import disconnect, error, script, stall, tool_call

    pytestmark = pytest.mark.virtual_time

    async def read_all(stream):
        async for _ in stream:
            pass

    async def test_the_weather(fake_provider, transcript):
        fake_provider.enqueue(script(tool_call("weather", {"city": "Paris"})), script("It is ", "18.", every=0.05))

        run = Runner.run_streamed(agent, "How warm is Paris?")
        await read_all(transcript.record(run.stream_events(), source="agent"))

        transcript.expect("agent").tool_call("weather").tool_result("weather", output="18").text("It is 18.").completed().rest()
        transcript.expect("openai.responses#2").text("It is 18.", at=0.1).completed().nothing_more()

    async def test_a_bad_day_at_the_provider(fake_provider):
        fake_provider.enqueue(script(error(503)), script("Half an ans", disconnect()), script("A whole answer."))

        run = Runner.run_streamed(agent, "Are you there?")
        await read_all(run.stream_events())

        assert run.final_output == "A whole answer."

    async def test_what_the_browser_sees(fake_provider, transcript, asgi_client):
        fake_provider.enqueue(script("One, ", "two.", every=0.2))

        async with asgi_client(app) as client, client.stream("GET", "/chat") as response:
            await read_all(transcript.record(response.aiter_lines(), source="browser", decode=chat_events))

        transcript.expect("browser").text("One, two.", at=0.4).completed().nothing_more()
        assert transcript.metrics("browser").max_gap == 0.2

    async def test_the_browser_is_closed(fake_provider, transcript, asgi_client):
        fake_provider.enqueue(script("One, ", stall(), every=0.2))

        async with asgi_client(app) as client, client.stream("GET", "/chat"):
            await fake_provider.emitted(1)

        transcript.expect("openai.responses").text("One, ").aborted(by="client").upstream_closed(within=0).nothing_more()
'''

FRAMEWORK = '''
    """The maintainer of a framework."""
    import asyncio

    import pytest
    from hypothesis import given, settings, strategies as st
    from my_graph import my_state, run_my_graph
    from pytest_streamrt import Transcript, fake_provider_context, no_task_leaks, script, virtual_time

    PLAN = script("Snapshot, ", "migrate, ", "check.", every=0.05)

    @pytest.mark.virtual_time(leaked_tasks="fail")
    @pytest.mark.parametrize("n", range(len(PLAN) + 1))
    async def test_it_can_be_cancelled_anywhere(n, fake_provider, transcript):
        fake_provider.enqueue(PLAN)
        with no_task_leaks():
            task = asyncio.create_task(run_my_graph())
            await fake_provider.emitted(n)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        transcript.expect("openai.chat").aborted(by="client").upstream_closed(within=0).rest()
        assert transcript.abort_timing("openai.chat").deltas_after == 0
        assert my_state().partial == PLAN.prefix(n).text

    @settings(max_examples=5, deadline=None)
    @given(size=st.integers(1, 40))
    async def test_however_the_network_cuts_it(size):
        with virtual_time():
            transcript = Transcript()
            with fake_provider_context(PLAN, rechunk=size, transcript=transcript):
                await run_my_graph()
            assert transcript.text("openai.chat") == my_state().partial == PLAN.text
'''

PLATFORM = '''
    """The engineer who answers for safety, on a recording."""
    import pytest
    from myapp import answer
    from pytest_streamrt import hidden

    pytestmark = [pytest.mark.virtual_time, pytest.mark.streamrt(cassette="plan")]

    @pytest.fixture
    async def asked(transcript):
        async def ask():
            async for _ in transcript.record(answer("Plan the migration."), source="browser"):
                pass
        return ask

    async def test_it_is_quick(asked, transcript):
        await asked()

        assert transcript.metrics("browser").stalls(over=30) == []
        transcript.order(lambda e: e.type == "reasoning.delta", lambda e: e.source == "browser" and e.type == "text.delta")

    async def test_it_keeps_its_counsel(asked, transcript):
        await asked()

        inner = [hidden.reasoning(), hidden.system_prompt(), hidden.tool_results()]
        transcript.assert_no_leak(hidden=inner, visible="browser")

    async def test_it_stays_as_it_is(asked, transcript, transcript_snapshot):
        await asked()

        assert transcript == transcript_snapshot
'''

CONFTEST = """
    import pytest

    @pytest.fixture
    def anyio_backend():
        return "asyncio"
"""


def test_their_tests_run(project, server, monkeypatch):
    for name in ("myapp", "my_graph"):
        (project.path / f"{name}.py").write_text((HERE / f"{name}.py").read_text(encoding="utf-8"), encoding="utf-8")
    project.write(APPLICATION, "test_application")
    project.write(FRAMEWORK, "test_framework")
    project.write(PLATFORM, "test_platform")
    project.write(CONFTEST, "conftest")
    project.ini("asyncio_mode = auto")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    thought = reasoning("Before I plan anything, I should find out how large the table of users is. ")
    server.enqueue(Answer(encode(script(thought, tool_call("look_up", {"table": "users"})), "openai.responses")))
    server.enqueue(Answer(encode(script("Take a snapshot, ", "then migrate."), "openai.responses")))

    project.record("test_platform.py", "-k", "quick").assert_outcomes(passed=1, deselected=2)
    played = project.run("--snapshot-update")

    played.assert_outcomes(passed=4 + 5 + 3)
    assert server.answers == []
