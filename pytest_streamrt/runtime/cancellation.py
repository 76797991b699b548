"""Cancellations that nobody asked for: on asyncio, whoever awaits a task that was cancelled is told CancelledError too."""

from __future__ import annotations

import asyncio
import math

import anyio

__all__ = ["strays_are_errors"]


class strays_are_errors:  # noqa: N801 - as a generator it would take three times as long, and a room enters it often
    """Around code of users: a cancellation out of it, though nobody cancels this task or a scope around it, is an error.

    Let through, it would end the room without a word, as if somebody had cancelled that. trio has no such thing.

    Raises:
        RuntimeError: in place of such a cancellation.
    """

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = _requests()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if not isinstance(error, asyncio.CancelledError):
            return
        if _requests() > self._before or anyio.current_effective_deadline() == -math.inf:
            return
        msg = "it raised CancelledError, but nobody has cancelled it: likely it awaits a task or a future that was cancelled"
        raise RuntimeError(msg) from error


def _requests() -> int:
    """How often the task that runs here has been cancelled, and not taken back."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # not on asyncio
        return 0
    return 0 if task is None else task.cancelling()
