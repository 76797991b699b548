"""A transcript as text: what a failing test shows, and what a snapshot keeps. No secret is in either."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.clock import NS
from pytest_streamrt.events.types import Event
from pytest_streamrt.report.masking import masked, without_secrets
from pytest_streamrt.transcript.explain import show_event
from pytest_streamrt.transcript.likeness import Likeness, likeness_of
from pytest_streamrt.transcript.log import Transcript
from pytest_streamrt.transcript.marbles import draw_marbles

__all__ = ["EVENTS", "event_lines", "failure_section", "message_cleaner", "snapshot_text"]

EVENTS: Final = "Events:"
"""The line after which a snapshot has an event a line."""

_EVENT: Final = re.compile(r"(?<!\d)(\d+\.\d{9})  ")  # the time of one, as the message of a failed expectation has it
_WINDOWS: Final = re.compile(r"( differs: [\w ]+)[:;] .*")  # what `where_they_differ` shows of two texts
_LAST: Final = 12  # events that a failing test shows beneath its marbles


def failure_section(transcript: Transcript, redactor: Redactor | None = None) -> str:
    """What a failing test shows of its transcript: its marbles and its last events; "" where nothing happened.

    Secrets that `assert_no_leak` was given are taken out as well.

    Args:
        transcript: the test's.
        redactor: what takes secrets out; by default, one that knows those of the environment.
    """
    if not transcript.events:
        return ""
    cleaner = masked(redactor, transcript.secrets)
    events = without_secrets(transcript.events, cleaner)
    last = events[-_LAST:]
    what = "The last events" if len(last) < len(events) else "All events"
    margin = max(len(event.source) for event in last)
    lines = [f"{event.time:>12.9f}  {event.source.ljust(margin)}  {show_event(event)}" for event in last]
    return cleaner.text("\n".join([draw_marbles(events), "", f"{what}:", *lines]))


def message_cleaner(transcript: Transcript, redactor: Redactor | None = None) -> Callable[[Sequence[str]], list[str]]:
    """What takes secrets out of the lines in which a test says how it failed, those that `assert_no_leak` was given included.

    A failed expectation shows events one by one, and pieces of texts about the place where they part: a secret may lie across
    either.

    Args:
        transcript: the test's.
        redactor: what takes secrets out; by default, one that knows those of the environment.
    """
    cleaner = masked(redactor, transcript.secrets)
    events = transcript.events
    across: dict[str, list[tuple[str, str]]] = {}  # by their time, so that few are looked for in a line
    for old, new in zip(events, without_secrets(events, cleaner), strict=True):
        if old is not new:
            across.setdefault(f"{old.time:.9f}", []).append((show_event(old), show_event(new)))

    def clean(lines: Sequence[str]) -> list[str]:
        done = []
        for line in lines:
            event = _EVENT.search(line)
            for old, new in across.get(event[1], ()) if event is not None else ():
                line = line.replace(old, new)  # noqa: PLW2901 - the same line, with less in it
            done.append(cleaner.text(line))
        return done if done == list(lines) else [_WINDOWS.sub(r"\1", line) for line in done]

    return clean


def snapshot_text(transcript: Transcript, redactor: Redactor | None = None) -> str:
    """A transcript as a reviewer reads it in a diff: its marbles, then an event a line.

    Ids and the like are left out; so are times on real time, and with them the marbles, as no two runs agree.

    Args:
        transcript: the test's.
        redactor: what takes secrets out; by default, one that knows those of the environment.
    """
    redactor = redactor or Redactor()
    events = without_secrets(transcript.events, redactor)
    head = [draw_marbles(events), ""] if transcript.virtual else []
    return redactor.text("\n".join([*head, EVENTS, *event_lines(events, timed=transcript.virtual), ""]))


def event_lines(events: Iterable[Event], *, timed: bool) -> list[str]:
    """What of each event is the same on every run, on a line of its own."""
    return [_line(each) for each in likeness_of(events, timed=timed)]


def _line(event: Likeness) -> str:
    when = f"{event.ns / NS:>12.9f}  " if event.ns is not None else ""
    which = f" #{event.inference}" if event.inference > 1 else ""
    fields = "  ".join(f"{name}={_json(value)}" for name, value in event.fields.items())
    return f"{when}{event.source}{which}  {event.type}  {fields}".rstrip()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=lambda other: f"<{type(other).__qualname__}>")
