"""Small scenes for the tests of the transcript: an agent that says a script, in a room of its own."""

from __future__ import annotations

from pytest_streamrt import Agent, Environment, FakeModel, Transcript


async def say(*scripts, name="bot", transcript=None, **options) -> Transcript:
    """Have an agent say scripts, one inference after the other, and return the transcript of it."""
    transcript = transcript or Transcript()
    agent = Agent(name, FakeModel(*scripts))
    async with Environment(agent, transcript=transcript):
        for _ in scripts:
            await agent.infer(**options).outcome()
    return transcript
