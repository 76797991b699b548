"""The demo: a planner's answer, read along and stopped by a reviewer. All of it is public surface, as a user would write it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Final

import anyio
import click

from pytest_streamrt import (
    Agent,
    Environment,
    OpenAIChatModel,
    Outcome,
    Participant,
    Transcript,
    use_cassette,
    virtual_time,
)
from pytest_streamrt.cli.exits import EXIT_CODES, explained
from pytest_streamrt.errors import CassetteError
from pytest_streamrt.events import Event, TextDelta
from pytest_streamrt.wording import counted

__all__ = ["MODEL", "PLAN", "SAFER", "URL", "cassette", "command", "run_demo"]

# What the cassette was recorded with; see "How our cassettes were recorded" in the documentation.
URL: Final = "http://127.0.0.1:4021/v1"
MODEL: Final = "tiny-paced"
PLAN: Final = "Migrate the users table."
SAFER: Final = "Suggest a safer rollout."


@click.command("demo", epilog=EXIT_CODES)
@click.option(
    "--backend",
    type=click.Choice(["asyncio", "trio"]),
    default="asyncio",
    show_default=True,
    help="Event loop; trio has to be installed.",
)
def command(backend: str) -> None:
    """Show a reviewer stopping a planner in mid-answer.

    Both answers come from a recording of a real inference server, played through the real OpenAI client at its recorded
    times, on a virtual clock. Needs no network and no key.
    """
    with explained():
        click.echo(run_demo(backend))


class Reviewer(Agent):
    """Reads the planner's answer while it is being written, and stops it when it gets dangerous."""

    heard = ""

    async def on_external_event(self, source: Participant, event: Event) -> None:
        """Listen for the dangerous step."""
        del source  # there is only the planner to listen to
        if isinstance(event, TextDelta) and event.inference is not None:
            self.heard += event.text
            if "drop table" in self.heard:
                self.heard = ""
                await self.abort(event.inference, reason="it drops the table")
                self.infer(SAFER)


def cassette() -> Path:
    """The demo's recording: inside an installed package, or in a checkout.

    Raises:
        CassetteError: it is in neither place.
    """
    places = (Path(__file__).with_name("demo.jsonl"), Path(__file__).parents[2] / "cassettes" / "demo.jsonl")
    for place in places:
        if place.exists():
            return place
    msg = f"the demo's cassette is missing; looked for {' and '.join(map(str, places))}. Install the package again"
    raise CassetteError(msg)


def run_demo(backend: str = "asyncio") -> str:
    """Run the demo, and describe what happened. The description is the same on every run.

    Args:
        backend: "asyncio" or "trio".

    Raises:
        ModuleNotFoundError: the backend, or the OpenAI client, is not installed.
    """
    importlib.import_module(backend)  # anyio would call it unknown where it is only not installed
    transcript, outcome = anyio.run(_scene, backend=backend)
    planner = transcript.exchanges[0]
    said = sum(event.type == "text.delta" for event in transcript.of("planner"))
    return "\n".join(
        [
            transcript.marbles(),
            "",
            f"The planner was {outcome.status} by {outcome.by}: {outcome.reason}. It had said:",
            "",
            *(f"    {line}" for line in outcome.text.splitlines()),
            "",
            f"{counted(said, 'delta was', 'deltas were')} said; {counted(planner.unread_deltas, 'more was', 'more were')} recorded and never waited for.",
        ]
    )


async def _scene() -> tuple[Transcript, Outcome]:
    from openai import AsyncOpenAI

    with virtual_time():
        transcript = Transcript()
        with use_cassette(cassette(), timing="recorded", transcript=transcript):
            async with AsyncOpenAI(base_url=URL, api_key="none is needed") as client:
                planner = Agent("planner", OpenAIChatModel(client, MODEL))
                reviewer = Reviewer("reviewer", OpenAIChatModel(client, MODEL))
                async with Environment(planner, reviewer, transcript=transcript):
                    outcome = await planner.infer(PLAN)
        return transcript, outcome
