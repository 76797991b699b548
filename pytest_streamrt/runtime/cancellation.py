"""Cancellations that nobody asked for: on asyncio, whoever awaits a task that was cancelled is told CancelledError too."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Self

import anyio

__all__ = ["strays_are_errors"]


class strays_are_errors:  # noqa: N801 - as a generator it would take three times as long, and a room enters it often
    """Around code of users: a cancellation out of it, though nobody cancels this task or a scope around it, is an error.

    Let through, it would end the room without a word, as if somebody had cancelled that. trio has no such thing.

    Made in the task that it is entered in, as often as need be.

    Attributes:
        requests: says how often that task has been cancelled, and not taken back.
        before: how often the task had been cancelled when that code began. Around several pieces of it, to be set before
            each: before Python 3.13, an `asyncio.TaskGroup` that fails leaves one that is never taken back.

    Raises:
        RuntimeError: in place of such a cancellation.
    """

    __slots__ = ("before", "requests")

    def __init__(self) -> None:
        self.requests = _requests_here()

    def __enter__(self) -> Self:
        self.before = self.requests()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if not isinstance(error, asyncio.CancelledError):
            return
        if self.requests() > self.before or anyio.current_effective_deadline() == -math.inf:
            return
        msg = "it raised CancelledError, but nobody has cancelled it: likely it awaits a task or a future that was cancelled"
        raise RuntimeError(msg) from error


def _requests_here() -> Callable[[], int]:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # not on asyncio
        return int
    return int if task is None else task.cancelling
