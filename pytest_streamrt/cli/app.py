"""The commands of `streamrt`, their options and their exit codes: 0 done, 1 failed, 2 wrong use."""

from __future__ import annotations

import click

from pytest_streamrt import __version__
from pytest_streamrt.errors import CassetteMiss, StreamrtError

__all__ = ["streamrt"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="streamrt")
def streamrt() -> None:
    """Deterministic tests for streaming agents."""


@streamrt.command()
@click.option(
    "--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", show_default=True, help="Event loop."
)
def demo(backend: str) -> None:
    """Show a reviewer stopping a planner in mid-answer.

    Both answers come from a recording of a real inference server, played through the real OpenAI client at its recorded
    times, on a virtual clock. Needs no network and no key.
    """
    from pytest_streamrt.cli.demo import run_demo

    try:
        click.echo(run_demo(backend))
    except ModuleNotFoundError as error:
        raise click.ClickException(_missing(error)) from None
    except (StreamrtError, CassetteMiss) as error:
        raise click.ClickException(str(error)) from None


def _missing(error: ModuleNotFoundError) -> str:
    if error.name == "openai":
        return "the demo talks through the OpenAI client: pip install 'pytest-streamrt[cli,openai]'"
    return f"the package {error.name} is not installed: pip install {error.name}"
