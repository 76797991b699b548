"""A model's stream: how it is opened and closed, and what is said of a model that gives something else."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import anyio

from pytest_streamrt.events.types import Event
from pytest_streamrt.runtime.cancellation import strays_are_errors
from pytest_streamrt.runtime.context import ModelContext

__all__ = ["CLOSE_TIMEOUT", "check_event", "check_model", "close_stream", "open_stream"]

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a model's stream is given to close."""


def check_model(model: Any, whose: str) -> None:
    """Refuse what is no model.

    Raises:
        TypeError: it has no method `stream`.
    """
    __tracebackhide__ = True
    if isinstance(model, type) or not callable(getattr(model, "stream", None)):
        msg = (
            f"{whose}: {model!r:.200} is no model. A model is anything with a method stream(context, tools) that gives events: "
            "FakeModel(script('Hello.')), OpenAIResponsesModel(client, 'gpt-5-mini'), or a class of your own"
        )
        raise TypeError(msg)


def open_stream(model: Any, context: ModelContext, tools: Sequence[Any] = ()) -> AsyncIterator[Event]:
    """Ask the model.

    Raises:
        TypeError: what it gives is no stream.
        Exception: whatever the model raises.
    """
    stream = model.stream(context, tools)
    if not hasattr(stream, "__aiter__"):
        if inspect.iscoroutine(stream):
            stream.close()  # or Python warns that it was never awaited
        msg = (
            f"{type(model).__name__}.stream() gave {_kind(stream)}, not an async iterator of events. "
            "Write it as `async def` with `yield`, or return an async iterator from a plain `def`"
        )
        raise TypeError(msg)
    return stream  # type: ignore[no-any-return]


def check_event(event: Any, model: Any) -> None:
    """Refuse what a model gives and is no event.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(event, Event):
        hint = f". Write TextDelta({event!r})" if isinstance(event, str) else ""
        msg = f"{type(model).__name__}.stream() gave {_kind(event)}, and not an event: {event!r}{hint}"
        raise TypeError(msg)


async def close_stream(stream: AsyncIterator[Event]) -> bool:
    """Close a model's stream, also from inside a cancelled scope. Whether it closed in time.

    Raises:
        Exception: whatever its ``aclose()`` raises.
    """
    aclose = getattr(stream, "aclose", None)
    if aclose is None:
        return True
    with anyio.move_on_after(CLOSE_TIMEOUT, shield=True) as scope, strays_are_errors():
        await aclose()
    return not scope.cancelled_caught


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
