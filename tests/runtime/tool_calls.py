"""What tests of tools' calls share: an inference with calls in it, how they ended, and a model that says what it is told."""

from __future__ import annotations

from pytest_streamrt import (
    Agent,
    FakeModel,
    script,
)
from pytest_streamrt.events import (
    FunctionCallOutput,
)

DONE = script("Done.")


def of_type(transcript, type_):
    return [event for event in transcript.events if event.type == type_]


def ends(transcript):
    """How each call ended, when, and what was said: exactly what the record has."""
    return [(event.id, event.status, event.output, event.time) for event in of_type(transcript, "tool.result")]


async def run(environment, transcript, *calls, tools, **options):
    """An inference whose model makes these calls and then says it is done; the context it leaves."""
    bot = Agent("bot", FakeModel(script(*calls), DONE), tools=tools, **options)
    async with environment(bot):
        assert (await bot.infer()).text == "Done."
    transcript.expect("bot").rest()
    outputs = [item.output for item in bot.context.items if isinstance(item, FunctionCallOutput)]
    assert sorted(outputs) == sorted(output for _, _, output, _ in ends(transcript))
    transcript.assert_lawful()


class Says:
    """A model that says these events, a list for each time it is asked."""

    def __init__(self, *rounds):
        self._rounds = iter(rounds)

    async def stream(self, context, tools):
        for event in next(self._rounds):
            yield event
