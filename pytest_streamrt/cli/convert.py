"""`streamrt convert`: cassettes of vcr become cassettes of ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from pytest_streamrt.cli.exits import EXIT_CODES, explained
from pytest_streamrt.cli.files import Found, find
from pytest_streamrt.cli.redaction import config_of, redaction_options
from pytest_streamrt.errors import CassetteError
from pytest_streamrt.wording import counted

__all__ = ["command"]

_SUFFIXES: Final = (".yaml", ".yml", ".json", ".yaml.gz", ".yml.gz", ".json.gz")
_PARAMETERS: Final = re.compile(r"\[([^\[\]]*)\]$")  # in the name of a test
_BACKENDS: Final = ("asyncio", "trio")

_NOT_IN_THE_SOURCE: Final = (
    "Times and cuts are not in vcr's cassettes: each answer is one chunk, which comes at once, and questions of time are refused. "
    'rechunk="event" cuts it anew; record again to have them: pytest --streamrt-record=rewrite'
)


@click.command("convert", epilog=EXIT_CODES)
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for the new cassettes, in which the folders of the old ones are kept; by default they lie beside these.",
)
@click.option("-f", "--force", is_flag=True, help="Replace cassettes that are there already.")
@redaction_options
def command(paths: tuple[Path, ...], output: Path | None, *, force: bool, **filters: Sequence[str]) -> None:
    """Convert cassettes of vcrpy and pytest-recording.

    PATHS are files, or folders in which every .yaml, .yml and .json file is tried, also under gzip. Secrets are taken out as from a recording.
    The old files stay as they are. What cannot be converted is said, and the rest is converted all the same.
    """
    config = config_of(filters)
    with explained():
        done, failed = 0, 0
        made: dict[Path, Path] = {}
        for found in find(paths, _SUFFIXES):
            try:
                outcome = _convert(found, output, made, config.redactor(), force=force)
            except (CassetteError, OSError) as error:
                failed += 1
                click.echo(f"{found.path}: {error}", err=True)
                continue
            done += outcome is not None
            if outcome:
                click.echo(outcome)
        if done:
            click.echo(_NOT_IN_THE_SOURCE)
        elif not failed:
            raise click.ClickException(f"there is no cassette of vcr in {', '.join(map(str, paths))}")
    if failed:
        raise SystemExit(1)


def _convert(found: Found, output: Path | None, made: dict[Path, Path], redactor: object, *, force: bool) -> str | None:
    """Convert one file, and say what became of it; None where it is none of ours to convert."""
    from pytest_streamrt.cassette.format import check_writable, save_cassette
    from pytest_streamrt.cassette.recording import lines_of
    from pytest_streamrt.cassette.redact import Redactor
    from pytest_streamrt.cassette.vcr import NotVcr, read_vcr

    assert isinstance(redactor, Redactor)
    try:
        interactions = read_vcr(found.path.read_bytes(), is_json=found.path.name.endswith((".json", ".json.gz")))
    except NotVcr:
        if found.given:
            raise
        return None
    target = _target(found, output)
    if target in made:
        return f"{found.path}: left out; {made[target]} is the same test's, and both backends of anyio share a cassette"
    if target.exists() and not force:
        raise CassetteError(f"{target} is there already; --force replaces it")
    check_writable(target)
    clean = [redactor.interaction(each) for each in interactions]
    save_cassette(target, lines_of(clean))
    made[target] = found.path
    count = counted(len(clean), "exchange")
    secrets = (
        f"; taken out: {', '.join(sorted({finding.what for finding in redactor.findings}))}"
        if redactor.findings
        else ""
    )
    return f"{found.path} -> {target}: {count}{secrets}"


def _target(found: Found, output: Path | None) -> Path:
    """Where the new cassette goes. Its name is the test's, without the backend of anyio, as the plugin looks for it."""
    name = found.path.name.removesuffix(".gz").rpartition(".")[0]
    parameters = _PARAMETERS.search(name)
    if parameters is not None:
        ids = parameters[1].split("-")
        kept = "-".join(each for each in ids if each not in _BACKENDS)
        name = name[: parameters.start()] + (f"[{kept}]" if kept else "")
    folder = found.path.parent if output is None else output / found.path.parent.relative_to(found.under)
    return folder / f"{name}.jsonl"
