"""`streamrt play`: what was said, in the terminal, as it came."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.cli.exits import EXIT_CODES, explained
from pytest_streamrt.cli.files import OneFile
from pytest_streamrt.cli.reading import read, visible
from pytest_streamrt.events import Event
from pytest_streamrt.events.order import DELTAS, piece_of
from pytest_streamrt.events.types import InferenceAborted, InferenceCompleted, InferenceFailure, InferenceStarted
from pytest_streamrt.transcript.explain import show_event

__all__ = ["command"]

_COLOURS: Final = ("blue", "yellow", "green", "magenta", "cyan")
_LOUD: Final = frozenset({"signal", "tool.result", "tool_call.started", "status", "participant.failed", "mark"})


@click.command("play", epilog=EXIT_CODES)
@click.argument("path", type=OneFile())
@click.option(
    "--speed", default=1.0, show_default=True, type=click.FloatRange(min=0, min_open=True), help="2 is twice as fast."
)
@click.option("--instant", is_flag=True, help="Without waiting.")
@click.option(
    "--longest-wait", type=click.FloatRange(min=0), metavar="SECONDS", help="Shorten longer silences to that."
)
@click.option(
    "--source", "sources", multiple=True, metavar="NAME", help="Only that source; may be given several times."
)
def command(*, path: Path, speed: float, instant: bool, longest_wait: float | None, sources: tuple[str, ...]) -> None:
    """Play PATH, a cassette or a transcript, as it was heard. Ctrl-C stops it."""
    with explained():
        recorded = read(path)
        events = [event for _, event in recorded.of(sources)]
    factor = 0.0 if instant else 1 / speed
    silent = True
    try:
        for wait, text in _played(events):
            pause = wait * factor
            pause = pause if longest_wait is None else min(pause, longest_wait)
            if pause > 0:
                time.sleep(pause)
            click.echo(text, nl=False)
            silent = False
    except KeyboardInterrupt:
        click.echo(click.style("\n(stopped)", dim=True))
        raise click.exceptions.Exit(1) from None
    if silent:
        click.echo(visible(recorded.why_nothing_is_said))


def _played(events: list[Event]) -> Iterator[tuple[float, str]]:
    """What to print, and how long to wait before it, in seconds. A line is one source's; another's begins a new one."""
    clean = Redactor().text
    names = {name: clean(visible(name)) for name in dict.fromkeys(event.source for event in events)}
    width = max(map(len, names.values()), default=0)
    colours = {name: _COLOURS[n % len(_COLOURS)] for n, name in enumerate(names)}
    at: tuple[str, str] | None = None  # whose line it is, and of what kind
    now = 0.0
    for event in events:
        margin = click.style(f"{names[event.source]:<{width}} │ ", fg=colours[event.source])
        below = click.style(f"{'':<{width}} │ ", fg=colours[event.source])
        if event.type in DELTAS:
            here = (event.source, event.type)
            dim = event.type != "text.delta"
            lines = visible(piece_of(event)).split("\n")
            text = f"\n{below}".join(click.style(line, dim=dim) if dim else line for line in lines)
            if at != here:
                text = f"{'' if at is None else chr(10)}{margin}{text}"
            at = here
        elif isinstance(event, InferenceStarted) or (said := _said(event)) is None:
            continue
        else:
            text = f"{'' if at is None else chr(10)}{margin}{click.style(clean(visible(said)), fg=_colour(event))}\n"
            at = None
        yield max(event.time - now, 0.0), text
        now = max(event.time, now)
    if at is not None:
        yield 0.0, "\n"


def _said(event: Event) -> str | None:
    """What is said about an event that is no delta; None where nothing need be."""
    match event:
        case InferenceAborted():
            return f"! {event.time:.3f} s: stopped by {event.by}: {event.reason}"
        case InferenceFailure():
            return f"# {event.time:.3f} s: failed ({event.kind}): {event.message}"
        case InferenceCompleted():
            return f"| {event.time:.3f} s: complete ({event.finish_reason})"
        case _:
            return show_event(event) if event.type in _LOUD else None


def _colour(event: Event) -> str | None:
    match event:
        case InferenceAborted() | InferenceFailure():
            return "red"
        case InferenceCompleted():
            return "green"
        case _:
            return "bright_black"
