"""`streamrt diff`: what changed between two cassettes, two transcripts, or two folders of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.cli.differences import Difference, differences
from pytest_streamrt.cli.exits import explained
from pytest_streamrt.cli.reading import read, visible
from pytest_streamrt.cli.shape import shape_differences
from pytest_streamrt.wording import counted

__all__ = ["command"]

_EXIT_CODES: Final = "Exit codes: 0 nothing differs; 1 something does, or a file cannot be read; 2 wrong use."
_PARTS: Final = ("request", "wire", "events", "timing")


@click.command("diff", epilog=_EXIT_CODES)
@click.argument("old", type=click.Path(exists=True, path_type=Path))
@click.argument("new", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--shape",
    is_flag=True,
    help="Compare types, fields and order, and not text, times or sizes: has the provider drifted?",
)
@click.option("--ignore", type=click.Choice(_PARTS), multiple=True, help="Leave that out; may be given several times.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SHARE",
    help="By which share a time may differ: 0.1 is a tenth.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def command(*, old: Path, new: Path, shape: bool, ignore: tuple[str, ...], tolerance: float, as_json: bool) -> None:
    """Say what changed from OLD to NEW: cassettes, transcripts, or folders of them, compared by name.

    With --shape, two recordings of the same request are the same where the provider sends the same types of events with the
    same fields, whatever the model says: record every night, and see the day on which the wire changes.
    """
    if old.is_dir() != new.is_dir():
        raise click.UsageError(f"{old} is a {_kind(old)}, and {new} is a {_kind(new)}")
    found: dict[str, list[Difference]] = {}
    with explained():
        pairs = _pairs(old, new)
        quiet = not sys.stderr.isatty() or len(pairs) < 2
        with click.progressbar(pairs, label="Comparing", file=sys.stderr, hidden=quiet) as bar:
            for name, before, after in bar:
                found[name] = [
                    d for d in _compared(before, after, shape=shape, tolerance=tolerance) if d.part not in ignore
                ]
    changed = {name: each for name, each in found.items() if each}
    if as_json:
        click.echo(json.dumps(_json(found), ensure_ascii=False, indent=2))
    else:
        for line in _lines(changed, several=old.is_dir()):
            click.echo(line)
        if not changed:
            click.echo(f"nothing differs in {counted(len(found), 'file')}")
    raise click.exceptions.Exit(1 if changed else 0)


def _kind(path: Path) -> str:
    return "folder" if path.is_dir() else "file"


def _pairs(old: Path, new: Path) -> list[tuple[str, Path | None, Path | None]]:
    if not old.is_dir():
        return [(str(new), old, new)]
    names = sorted({str(path.relative_to(root)) for root in (old, new) for path in root.rglob("*.jsonl")})
    if not names:
        raise click.ClickException(f"there is no file *.jsonl in {old}, nor in {new}")
    there = [(name, old / name, new / name) for name in names]
    return [(name, a if a.exists() else None, b if b.exists() else None) for name, a, b in there]


def _compared(old: Path | None, new: Path | None, *, shape: bool, tolerance: float) -> Iterator[Difference]:
    if old is None or new is None:
        yield Difference("file", "the file", "there" if old else None, "there" if new else None)
    elif shape:
        yield from shape_differences(read(old), read(new))
    else:
        yield from differences(read(old), read(new), tolerance=tolerance)


def _lines(changed: dict[str, list[Difference]], *, several: bool) -> Iterator[str]:
    clean = Redactor().text
    for name, each in changed.items():
        if several:
            yield click.style(name, bold=True)
        margin = "  " if several else ""
        for difference in each:
            yield f"{margin}{click.style(difference.part, dim=True)}  {visible(clean(difference.where))}"
            if difference.old is not None:
                yield click.style(f"{margin}  - {visible(clean(difference.old))}", fg="red")
            if difference.new is not None:
                yield click.style(f"{margin}  + {visible(clean(difference.new))}", fg="green")


def _json(found: dict[str, list[Difference]]) -> dict[str, object]:
    clean = Redactor().text
    rows = [
        {
            "file": name,
            "part": each.part,
            "where": clean(each.where),
            "old": each.old and clean(each.old),
            "new": each.new and clean(each.new),
        }
        for name, differing in found.items()
        for each in differing
    ]
    return {"same": not rows, "files": len(found), "differences": rows}
