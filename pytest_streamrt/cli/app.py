"""The commands of `streamrt`, their options and their exit codes: 0 done, 1 failed, 2 wrong use."""

from __future__ import annotations

from typing import Final

import click

from pytest_streamrt import __version__
from pytest_streamrt.errors import CassetteMiss, StreamrtError

__all__ = ["streamrt"]


_EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 failed, as where a package that it needs is not installed (it says which); 2 wrong use."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXIT_CODES)
@click.version_option(__version__, prog_name="streamrt")
def streamrt() -> None:
    """Deterministic tests for streaming agents."""


@streamrt.command(epilog=_EXIT_CODES)
@click.option(
    "--backend",
    type=click.Choice(["asyncio", "trio"]),
    default="asyncio",
    show_default=True,
    help="Event loop; trio has to be installed.",
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
    if error.name == "trio":
        return "--backend trio needs the package trio: pip install trio"
    return f"the package {error.name} is not installed: pip install {error.name}"
