"""The commands of `streamrt`: which there are, and where. Each is a module of its own, read when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from pytest_streamrt import __version__
from pytest_streamrt.cli.exits import EXIT_CODES
from pytest_streamrt.wording import did_you_mean

__all__ = ["streamrt"]

_COMMANDS: Final = ("demo", "show", "play", "diff", "lint", "scrub", "convert", "schema")
"""In the order in which they are shown. Each is the module of that name beside this one, and in it `command`."""


class _Commands(click.Group):
    """A group that imports a command only when somebody asks for it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx  # the same everywhere
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx  # likewise
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"pytest_streamrt.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is asked for; where there is none of that name, which there are is said."""
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            ctx.fail(f"there is no command {name!r}.{did_you_mean(name, _COMMANDS)} There are: {', '.join(_COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="streamrt")
def streamrt() -> None:
    """Deterministic tests for streaming agents."""
