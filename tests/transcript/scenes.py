"""Small scenes for the tests of the transcript: an agent that says a script in a room of its own, an HTTP exchange."""

from __future__ import annotations

from pytest_streamrt import Agent, Environment, FakeModel, Transcript

CHAT = ("POST", "https://api.example/v1/chat/completions")
RESPONSES = ("POST", "https://api.example/v1/responses")
STREAM = [("content-type", "text/event-stream")]
JSON = [("content-type", "application/json")]


async def say(*scripts, name="bot", transcript=None, **options) -> Transcript:
    """Have an agent say scripts, one inference after the other, and return the transcript of it."""
    transcript = transcript or Transcript()
    agent = Agent(name, FakeModel(*scripts))
    async with Environment(agent, transcript=transcript):
        for _ in scripts:
            await agent.infer(**options).outcome()
    return transcript


def exchange(transcript, request=CHAT, *, chunks, how="complete", status=200, headers=STREAM, unread=(), **options):
    logged = transcript.begin_exchange(*request, b'{"model": "m"}', **options)
    logged.opened(status, headers)
    for chunk in chunks:
        logged.chunk(chunk)
    logged.closed(how, unread=unread)
    return logged
