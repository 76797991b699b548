"""`streamrt lint` and what it has in common with `scrub`: files looked through for secrets and personal data."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from pytest_streamrt.cli.exits import EXIT_CODES
from pytest_streamrt.cli.files import find
from pytest_streamrt.cli.redaction import config_of, redaction_options
from pytest_streamrt.errors import CassetteError
from pytest_streamrt.wording import counted

if TYPE_CHECKING:
    from pytest_streamrt.cassette.lint import Cleaned
    from pytest_streamrt.cassette.redact import Redactor

__all__ = ["command", "looked_through", "search_options"]

_SUFFIXES: Final = (".jsonl", ".transcript", ".ambr")

_F = TypeVar("_F", bound=Callable[..., Any])


def search_options(command: _F) -> _F:
    """The files, and what counts as a secret in them: the same for both commands."""
    command = redaction_options(command)
    command = click.option(
        "--personal/--no-personal", default=True, show_default=True, help="Whether e-mail addresses count too."
    )(command)
    paths = click.Path(exists=True, path_type=Path)
    return click.argument("paths", nargs=-1, required=True, type=paths)(command)


def looked_through(
    paths: Sequence[Path], filters: dict[str, Sequence[str]], *, personal: bool
) -> Iterator[tuple[Path, Cleaned | str]]:
    """Each file with what was found in it, or with why it could not be looked through."""
    from pytest_streamrt.cassette.lint import PERSONAL, lint

    config = config_of(filters)
    if personal:
        config = replace(config, filter_patterns=(*config.filter_patterns, PERSONAL))
    there = list(find(paths, _SUFFIXES))
    if not there:
        raise click.ClickException(f"there is no {', '.join(_SUFFIXES)} file in {', '.join(map(str, paths))}")
    for found in there:
        redactor: Redactor = config.redactor()
        try:
            yield found.path, lint(found.path, redactor)
        except CassetteError as error:
            yield found.path, str(error)
        except OSError as error:
            yield found.path, f"{found.path} cannot be read: {error.strerror or error}"


@click.command("lint", epilog=EXIT_CODES)
@search_options
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def command(paths: tuple[Path, ...], *, personal: bool, as_json: bool, **filters: Sequence[str]) -> None:
    """Look for secrets in cassettes and transcripts.

    PATHS are files, or folders in which every .jsonl, .transcript and .ambr file is looked through. Found are headers, parameters and
    keys that a recording never has, values of this environment's secret variables, and e-mail addresses; in bodies also across the
    cuts of chunks and deltas, and in packed ones, in transcripts across the lines of deltas. Exits with 1 where there is anything.
    """
    from pytest_streamrt.cli.reading import visible

    leaks: list[dict[str, object]] = []
    files = failed = 0
    for path, outcome in looked_through(paths, filters, personal=personal):
        files += 1
        if isinstance(outcome, str):
            failed += 1
            click.echo(visible(outcome), err=True)
            continue
        leaks += [{"file": str(path), **asdict(leak)} for leak in outcome.leaks]
    if as_json:
        click.echo(json.dumps(leaks, indent=2, ensure_ascii=False))
    else:
        for leak in leaks:
            click.echo(visible("{file}:{line}: {what} in {where}: {shown}".format(**leak)))
        click.echo(_summary(leaks, files - failed), err=bool(leaks))
    if leaks or failed:
        raise SystemExit(1)


def _summary(leaks: Sequence[dict[str, object]], files: int) -> str:
    if not leaks:
        return f"nothing found in {counted(files, 'file')}"
    touched = list(dict.fromkeys(str(leak["file"]) for leak in leaks))
    context = click.get_current_context()
    options = [*_given(context)]
    return (
        f"{len(leaks)} found in {len(touched)} of {counted(files, 'file')}. Take them out: streamrt scrub "
        f"{shlex.join([*options, *touched])}\nA key that was committed, or sent to anybody, is known: revoke it as well."
    )


def _given(context: click.Context) -> Iterator[str]:
    """The options of the search, as they were given."""
    for option in context.command.params:
        if isinstance(option, click.Option) and option.name in context.params and option.name != "as_json":
            value = context.params[option.name]
            if option.multiple:
                yield from (part for each in value for part in (option.opts[0], each))
            elif option.name == "personal" and not value:
                yield "--no-personal"
