"""A transcript as text: what a failing test shows, and what a snapshot keeps."""

from __future__ import annotations

import json
from typing import Any, Final

from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.events.types import Event
from pytest_streamrt.transcript.log import Transcript

__all__ = ["failure_section", "snapshot_text"]

# What differs from run to run, or from machine to machine, or says only where an event stands.
_VOLATILE: Final = frozenset(
    {"cause", "details", "inference_seq", "response_id", "round", "seq", "source", "time", "traceback", "type", "url"}
)


def failure_section(transcript: Transcript) -> str:
    """What a failing test shows of its transcript, or "" where there is nothing to show. Secrets are taken out."""
    return _clean(transcript.marbles()) if transcript.events else ""


def snapshot_text(transcript: Transcript) -> str:
    """A transcript as a reviewer reads it in a diff: its marbles, then an event a line. Secrets are taken out.

    Ids and the like are left out; so are times on real time, where no two runs agree.
    """
    lines = [_line(event, with_time=transcript.virtual) for event in transcript.events]
    head = [transcript.marbles(), ""] if transcript.virtual else []
    return _clean("\n".join([*head, *lines, ""]))


def _line(event: Event, *, with_time: bool) -> str:
    fields = {
        name: value for name, value in vars(event).items() if name not in _VOLATILE and value not in (None, "", ())
    }
    when = f"{event.time:>12.9f}  " if with_time else ""
    shown = json.dumps(fields, ensure_ascii=False, default=_plain)
    return f"{when}{event.source}  {event.type}  {shown}"


def _plain(value: Any) -> Any:
    """Items and the like as JSON; anything else by its name alone, since its repr may hold an address."""
    return vars(value) if hasattr(value, "__dataclass_fields__") else f"<{type(value).__qualname__}>"


def _clean(text: str) -> str:
    return Redactor().text(text)
