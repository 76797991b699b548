"""`streamrt scrub`: takes out of cassettes and transcripts what `lint` finds in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from pytest_streamrt.cli.exits import EXIT_CODES
from pytest_streamrt.cli.lint import looked_through, search_options

__all__ = ["command"]


@click.command("scrub", epilog=EXIT_CODES)
@search_options
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be taken out, and change nothing.")
def command(paths: tuple[Path, ...], *, personal: bool, dry_run: bool, **filters: Sequence[str]) -> None:
    """Take secrets out of cassettes and transcripts, in place.

    PATHS are as for lint, and so is what counts as a secret. A placeholder takes its place; in a stream it is as long as the secret was,
    so that cuts and times stay, and lines in which nothing was found are not touched. Each file is replaced whole or not at all.
    """
    from pytest_streamrt.cassette.replacing import replace_file
    from pytest_streamrt.cli.reading import visible

    done = failed = 0
    for path, outcome in looked_through(paths, filters, personal=personal):
        if isinstance(outcome, str):
            failed += 1
            click.echo(visible(outcome), err=True)
            continue
        if not outcome.leaks:
            continue
        try:
            if not dry_run:
                there = path.resolve()  # of a link, what it leads to
                replace_file(there, [outcome.data], mode=there.stat().st_mode)
        except OSError as error:
            failed += 1
            click.echo(f"{path} cannot be written: {error.strerror or error}. It is as it was", err=True)
            continue
        done += 1
        whats = ", ".join(dict.fromkeys(leak.what for leak in outcome.leaks))
        verb = "would take out" if dry_run else "took out"
        click.echo(visible(f"{path}: {verb} {len(outcome.leaks)}: {whats}"))
    if not done and not failed:
        click.echo("nothing to take out")
    if failed:
        raise SystemExit(1)
