"""`streamrt schema`: the JSON Schema of a cassette's lines."""

from __future__ import annotations

import json

import click

from pytest_streamrt.cli.exits import EXIT_CODES

__all__ = ["command"]


@click.command("schema", epilog=EXIT_CODES)
def command() -> None:
    """Print the JSON Schema of a cassette.

    A cassette is JSON Lines: the schema is of one line, whichever it is.
    """
    from pytest_streamrt.cassette.schema import cassette_schema

    click.echo(json.dumps(cassette_schema(), indent=2, ensure_ascii=False))
