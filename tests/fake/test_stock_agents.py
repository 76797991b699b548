"""Stock agents of other frameworks, unchanged, against the fake provider, under pytest-asyncio's auto mode."""

from __future__ import annotations

AGENTS = """
    import pytest
    from agents import Agent, Runner, function_tool
    from pytest_streamrt import disconnect, error, script, tool_call, usage

    pytestmark = pytest.mark.virtual_time

    @function_tool
    def weather(city: str) -> str:
        "The weather in a city."
        return "18"

    agent = Agent("bot", instructions="Be brief.", tools=[weather])

    async def test_streamed(fake_provider, transcript):
        fake_provider.enqueue(
            script(tool_call("weather", {"city": "Paris"}), usage(5, 7)), script("18 ", "degrees", usage(9, 2), every=0.05)
        )

        result = Runner.run_streamed(agent, "weather in Paris?")
        async for _ in transcript.record(result.stream_events(), source="agent"):
            pass

        assert result.final_output == "18 degrees"
        assert fake_provider.calls[1].json["input"][-1]["output"] == "18"
        assert result.context_wrapper.usage.total_tokens == 23
        transcript.expect("openai.responses").tool_call("weather", arguments={"city": "Paris"}).completed().nothing_more()
        transcript.expect("openai.responses#2").text("18 degrees", at=0.1).completed().nothing_more()

    async def test_in_one_piece(fake_provider):
        fake_provider.enqueue(script(tool_call("weather", {"city": "Paris"})), script("18 degrees"))

        result = await Runner.run(agent, "weather in Paris?")

        assert result.final_output == "18 degrees"

    async def test_survives_a_rate_limit(fake_provider):
        fake_provider.enqueue(script(error(429)), script("Hello ", "world"))

        result = Runner.run_streamed(agent, "hi")
        async for _ in result.stream_events():
            pass

        assert result.final_output == "Hello world"

    async def test_calls_of_several_rounds_are_told_apart(fake_provider):
        fake_provider.enqueue(*[script(tool_call("weather", {"city": city})) for city in ("Paris", "Rome")], script("18"))

        result = Runner.run_streamed(agent, "hi")
        async for _ in result.stream_events():
            pass

        told = [item["call_id"] for item in fake_provider.calls[2].json["input"] if item.get("type") == "function_call"]
        assert told == ["call_0", "call_1"]

    def test_nothing_is_left_to_report_to_a_real_server(monkeypatch):
        from agents.tracing import default_exporter, flush_traces

        reported = []
        monkeypatch.setattr(default_exporter(), "export", reported.extend)
        flush_traces()
        assert reported == []
        assert default_exporter().api_key is None
"""

PYDANTIC_AI = """
    import pytest
    from pydantic_ai import Agent
    from pytest_streamrt import reasoning, script, tool_call, usage

    pytestmark = pytest.mark.virtual_time

    @pytest.fixture(params=["openai-chat:gpt-5", "openai-responses:gpt-5", "anthropic:claude-sonnet-5", "google:gemini-3-pro"])
    def agent(request, fake_provider):
        agent = Agent(request.param)

        @agent.tool_plain
        def weather(city: str) -> str:
            "The weather in a city."
            return "18"

        return agent

    async def test_streamed(agent, fake_provider, transcript):
        fake_provider.enqueue(
            script(tool_call("weather", {"city": "Paris"}, pieces=['{"city":', '"Paris"}']), usage(5, 7)),
            script(reasoning("Hm."), "18 ", "degrees", usage(9, 2), every=0.05),
        )

        async with agent.run_stream("weather in Paris?") as result:
            said = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]

        assert "".join(said) == "18 degrees"
        assert (result.usage.input_tokens, result.usage.output_tokens) == (14, 9)
        dialect = fake_provider.calls[0].dialect
        transcript.expect(dialect).tool_call("weather", arguments={"city": "Paris"}).completed().nothing_more()
        transcript.expect(f"{dialect}#2").reasoning("Hm.").text("18 degrees", at=0.15).completed().nothing_more()

    async def test_in_one_piece(agent, fake_provider):
        fake_provider.enqueue(script(tool_call("weather", {"city": "Paris"})), script("18 degrees"))

        assert (await agent.run("weather in Paris?")).output == "18 degrees"
"""


def test_openai_agents_and_pydantic_ai(project):
    project.ini("asyncio_mode = auto")
    project.write(AGENTS, name="test_agents")
    project.write(PYDANTIC_AI, name="test_pydantic_ai")

    project.run().assert_outcomes(passed=13)
