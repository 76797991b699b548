"""Reads what the commands are given: a cassette, or a transcript as JSON Lines. What it says is made fit for a terminal.

Secrets are taken out here, of what exchanges say and of what deltas spell out: no command shows more of a file than a recording would
have kept. What other events say, each command takes them out of as it shows it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from pytest_streamrt.cassette.interaction import Interaction
from pytest_streamrt.cassette.loading import load_cassette
from pytest_streamrt.cassette.near import is_vcrs
from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.cassette.retold import retold
from pytest_streamrt.errors import CassetteError, StreamError
from pytest_streamrt.events import Event, from_json
from pytest_streamrt.report.masking import without_secrets

__all__ = ["Recorded", "read", "visible"]

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Recorded:
    """What a file holds.

    Attributes:
        path: the file.
        logged: its events, in order, each with who numbered it.
        interactions: its HTTP exchanges, where it is a cassette; None where it is a transcript.
    """

    path: Path
    logged: Sequence[tuple[object, Event]]
    interactions: Sequence[Interaction] | None

    @property
    def events(self) -> list[Event]:
        """Its events, in order."""
        return [event for _, event in self.logged]

    @property
    def why_nothing_is_said(self) -> str:
        """What to say where there is nothing to draw or to play."""
        if not self.interactions:
            return "(nothing was said)"
        return (
            "(nothing was said: its exchanges speak no dialect that is known. What came is shown by: "
            f"streamrt show --as raw {self.path})"
        )

    def of(self, sources: Sequence[str]) -> list[tuple[object, Event]]:
        """The events of those sources, or all where none is named.

        Raises:
            click.BadParameter: there is no such source.
        """
        there = dict.fromkeys(event.source for event in self.events)
        for name in sources:
            if name not in there:
                raise click.BadParameter(f"{self.path} has no source {name!r}; it has: {', '.join(there) or 'none'}")
        return [(origin, event) for origin, event in self.logged if not sources or event.source in sources]


def read(path: Path) -> Recorded:
    """Read a file, but for the secrets in it.

    Raises:
        CassetteError: it is a damaged cassette.
        click.ClickException: it is neither a cassette nor a transcript, and why.
    """
    try:
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror or error}") from None
    if is_vcrs(path):
        raise click.ClickException(
            f"{path} has the name of a cassette of vcr. Make one of ours of it: streamrt convert {path}"
        )
    first = data.lstrip()[:200].split(b"\n", 1)[0]
    if b'"cassette"' in first or not first:
        interactions = _without_secrets(load_cassette(path))
        return Recorded(path, retold(interactions).logged, interactions)
    try:
        events = from_json(data)
    except StreamError as error:
        raise click.ClickException(f"{path} is no cassette (its first line does not say so), and {error}") from None
    origin = object()
    return Recorded(path, [(origin, event) for event in without_secrets(events, Redactor())], None)


def _without_secrets(interactions: Sequence[Interaction]) -> list[Interaction]:
    redactor = Redactor()
    for each in interactions:
        redactor.learn(each.headers, each.url, each.body)
        redactor.learn(each.response_headers)
    return [_redacted(each, redactor) for each in interactions]


def _redacted(interaction: Interaction, redactor: Redactor) -> Interaction:
    try:
        return redactor.interaction(interaction)
    except CassetteError:  # its body is packed so that nobody here can unpack it, and nobody sees what is in it
        return interaction


def visible(text: str) -> str:
    """A text that cannot steer a terminal: control characters and those that change its direction are written out."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
