"""JSON that is still being written, read as it grows: structured output and the arguments of tool calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pytest_streamrt.clock import NS
from pytest_streamrt.errors import StreamError
from pytest_streamrt.events.given import given
from pytest_streamrt.events.types import Event, TextDelta, ToolCallDelta, ToolCallStarted

__all__ = ["growing_json", "read_partial"]


def read_partial(text: str) -> Any:
    """What a piece of JSON says so far: strings as far as they got, and what is not yet known left out.

    ``read_partial('{"city": "Par')`` is ``{"city": "Par"}``. None as long as nothing can be said.

    Raises:
        ValueError: it is not the beginning of any JSON.
    """
    from pydantic_core import from_json

    __tracebackhide__ = True
    if not isinstance(text, str | bytes):
        msg = f"read_partial: JSON is text, not {text!r:.80}"
        raise TypeError(msg)
    if not text.strip():
        return None
    return from_json(text, allow_partial="trailing-strings")


def growing_json(events: Iterable[Event], *, tool: str | None = None) -> list[tuple[float, Any]]:
    """What a JSON answer said, each time that it said more: pairs of a time, in seconds, and what could be read by then.

    Args:
        events: of one answer, such as ``transcript.of("browser")``.
        tool: the name or id of a tool call whose arguments are meant; by default the text of the answer.

    Raises:
        StreamError: a delta makes it something that is no JSON; it says which.
        ValueError: nobody called that tool, or there is no text.
    """
    written = ""
    seen: list[tuple[float, Any]] = []
    ids = {tool}
    deltas = 0
    __tracebackhide__ = True
    for event in given("growing_json", events):
        if tool is not None and isinstance(event, ToolCallStarted) and event.name == tool and len(ids) == 1:
            ids.add(event.id)
        if isinstance(event, TextDelta) and tool is None:
            delta = event.text
        elif isinstance(event, ToolCallDelta) and tool is not None and event.id in ids:
            delta = event.arguments
        else:
            continue
        written += delta
        deltas += 1
        try:
            value = read_partial(written)
        except ValueError as error:
            msg = f"delta {deltas}, {delta!r}, at t={event.time:.9g} s, makes it no JSON: {error}: {written[-60:]!r}"
            raise StreamError(msg, offset=len(written.encode("utf-8", "surrogatepass"))) from None
        if value is not None and (not seen or seen[-1][1] != value):
            seen.append((round(event.time * NS) / NS, value))
    if not deltas:
        msg = "there is no text in these events" if tool is None else f"nobody called {tool!r} in these events"
        raise ValueError(msg)
    return seen
