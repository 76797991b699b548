"""`streamrt show`: what is in a cassette or a transcript, as marbles, a table, raw, JSON, or a page."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.cli.exits import EXIT_CODES, explained
from pytest_streamrt.cli.files import OneFile
from pytest_streamrt.cli.reading import Recorded, read, visible
from pytest_streamrt.events import Event, to_json
from pytest_streamrt.events.order import TERMINALS
from pytest_streamrt.transcript.explain import show_event
from pytest_streamrt.transcript.marbles import draw_marbles

__all__ = ["command"]

_NOTHING: Final = "(nothing was said)"
_COLOURS: Final = ("blue", "yellow", "green", "magenta", "cyan", "bright_blue", "bright_yellow", "bright_green")


@click.command("show", epilog=EXIT_CODES)
@click.argument("path", type=OneFile())
@click.option(
    "--as",
    "form",
    type=click.Choice(["marbles", "table", "raw", "json", "html"]),
    default="marbles",
    show_default=True,
    help="A drawing; a line for each event; the bytes as they came; events as JSON Lines; a page with a timeline.",
)
@click.option("--json", "as_json", is_flag=True, help="Short for --as json.")
@click.option(
    "--source", "sources", multiple=True, metavar="NAME", help="Only that source; may be given several times."
)
@click.option(
    "--frame", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Marbles: time of a column."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write it there.")
def command(
    *, path: Path, form: str, as_json: bool, sources: tuple[str, ...], frame: float | None, output: Path | None
) -> None:
    """Show what is in PATH: a cassette, or a transcript (JSON Lines, as pytest_streamrt.events.to_json writes it).

    Times are seconds since it began. Secrets of the environment are taken out.
    """
    with explained():
        recorded = read(path)
        logged = recorded.of(sources)
        events = [event for _, event in logged]
        clean = Redactor().text
        if form == "json" or as_json:
            text = clean(to_json(events).decode())
        elif form == "html":
            text = _page(recorded, logged)
        elif form == "raw":
            text = clean("\n".join(_raw(recorded, sources)))
        elif form == "table":
            text = "\n".join(_table(events, clean))
        else:
            text = clean(visible(draw_marbles(events, frame)))
            text = recorded.why_nothing_is_said if text == _NOTHING else text
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
    else:
        try:
            output.write_text(click.unstyle(text), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{output} cannot be written: {error.strerror or error}") from None


def _table(events: Sequence[Event], clean: Callable[[str], str]) -> Iterator[str]:
    names = {name: clean(visible(name)) for name in dict.fromkeys(event.source for event in events)}
    width = max(map(len, names.values()), default=0)
    colours = {name: _COLOURS[n % len(_COLOURS)] for n, name in enumerate(names)}
    for event in events:
        who = click.style(f"{names[event.source]:<{width}}", fg=colours[event.source])
        what = clean(visible(show_event(event)))
        if event.type in TERMINALS:
            what = click.style(what, fg="green" if event.type == "inference.completed" else "red")
        yield f"{event.time:>13.9f}  {who}  {what}"


def _raw(recorded: Recorded, sources: Sequence[str]) -> Iterator[str]:
    """What came over the wire, a line for each thing; of a transcript, its lines."""
    if recorded.interactions is None or sources:
        for _, event in recorded.of(sources):
            yield to_json([event]).decode().rstrip("\n")
        return
    lines: list[tuple[int, str]] = []
    for each in recorded.interactions:
        lines.append((each.at, f"#{each.id} > {each.method} {each.url} {_bytes(each.body)}"))
        if each.status is not None:
            lines.append((each.response_at, f"#{each.id} < {each.status} {json.dumps(dict(each.response_headers))}"))
        lines.extend((chunk.at, f"#{each.id} < {_bytes(chunk.data)}") for chunk in each.chunks)
        error = f" ({': '.join(each.error)})" if each.error is not None else ""
        lines.append((each.end_at, f"#{each.id} . {each.how}{error}"))
    for at, line in sorted(lines, key=lambda pair: pair[0]):
        yield f"{at / 1e6:>13.6f}  {visible(line)}"


def _bytes(data: bytes) -> str:
    """Text as a JSON string, so that one sees where it ends; other bytes in base64."""
    try:
        return json.dumps(data.decode(), ensure_ascii=False)
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(data).decode()}"


def _page(recorded: Recorded, logged: Sequence[tuple[object, Event]]) -> str:
    from pytest_streamrt.report.html import timeline_page
    from pytest_streamrt.report.html_data import page_data

    return timeline_page(page_data(logged, title=str(recorded.path), virtual=True))
