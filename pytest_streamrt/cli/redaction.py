"""The options by which a command is told what else is secret, as `streamrt_config` tells it to the plugin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from pytest_streamrt.cassette.config import CassetteConfig

__all__ = ["config_of", "redaction_options"]

_OPTIONS: Final = {
    "filter_headers": ("--filter-header", "NAME", "A header that is secret, beside those that always are."),
    "filter_query_parameters": ("--filter-query-parameter", "NAME", "A query parameter that is secret."),
    "filter_json_paths": (
        "--filter-json-path",
        "PATH",
        "A place in JSON bodies, such as user.email or messages[*].content.",
    ),
    "filter_patterns": ("--filter-pattern", "REGEX", "What is secret wherever it stands."),
}

_F = TypeVar("_F", bound=Callable[..., Any])


def redaction_options(command: _F) -> _F:
    """Give a command these options; it gets them as keyword arguments for `config_of`."""
    for name, (flag, metavar, help) in reversed(_OPTIONS.items()):
        command = click.option(flag, name, metavar=metavar, multiple=True, help=f"{help} May be given several times.")(
            command
        )
    return command


def config_of(given: dict[str, Sequence[str]]) -> CassetteConfig:
    """What the options say.

    Raises:
        click.UsageError: it makes no sense.
    """
    from pytest_streamrt.cassette.config import config_from
    from pytest_streamrt.errors import CassetteError

    try:
        return config_from(given, "the command")
    except CassetteError as error:
        raise click.UsageError(str(error)) from None
