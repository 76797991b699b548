"""Cancellations that nobody asked for: on asyncio, whoever awaits a task that was cancelled is told CancelledError too."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

__all__ = ["strays_are_errors"]


@contextmanager
def strays_are_errors() -> Iterator[None]:
    """Around code of users: a cancellation out of it, though nobody cancels this task or a scope around it, is an error.

    Let through, it would end the room without a word, as if somebody had cancelled that. trio has no such thing.

    Raises:
        RuntimeError: in place of such a cancellation.
    """
    before = _requests()
    try:
        yield
    except asyncio.CancelledError as error:
        if _requests() > before or anyio.current_effective_deadline() == -math.inf:
            raise
        msg = "it raised CancelledError, but nobody has cancelled it: likely it awaits a task or a future that was cancelled"
        raise RuntimeError(msg) from error


def _requests() -> int:
    """How often the task that runs here has been cancelled, and not taken back."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # not on asyncio
        return 0
    return 0 if task is None else task.cancelling()
