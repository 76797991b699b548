"""What the record says of an error: what it is, and the way to it through the user's own code.

asyncio and trio lead to the same error on different ways, and wrap it in groups of other names: of neither the record tells.
"""

from __future__ import annotations

import traceback
from types import FrameType
from typing import Final, TypeGuard

import anyio

__all__ = ["text_of", "traceback_of"]

_MACHINERY: Final = frozenset({"anyio", "asyncio", "concurrent", "outcome", "pytest_streamrt", "threading", "trio"})
_OF_TASK_GROUPS: Final = frozenset({"unhandled errors in a TaskGroup", "Exceptions from Trio nursery"})


def text_of(error: BaseException) -> str:
    """Its type and message; where it comes from a task group, those of each that there is in it."""
    if _is_of_a_task_group(error):
        return "; ".join(map(text_of, error.exceptions))
    return f"{type(error).__name__}: {error}"


def traceback_of(error: BaseException) -> str:
    """Its traceback, without the frames that are ours or the backend's, nor the cancellations on the way."""
    if _is_of_a_task_group(error):
        notes = [f"{note}\n" for note in getattr(error, "__notes__", ())]
        return "".join([*map(traceback_of, error.exceptions), *notes])
    told = traceback.TracebackException.from_exception(error)
    _leave_out(told, error)
    return "".join(told.format())


def _is_of_a_task_group(error: BaseException) -> TypeGuard[BaseExceptionGroup[BaseException]]:
    return isinstance(error, BaseExceptionGroup) and error.message in _OF_TASK_GROUPS


def _leave_out(told: traceback.TracebackException, error: BaseException) -> None:
    """From it, and from all that is told before it. A limit of tracebacks (`sys.tracebacklimit`) may have cut it short."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [line for line, frame in zip(told.stack, frames, strict=False) if not _is_machinery(frame)]
    told.stack = traceback.StackSummary.from_list(own)
    if told.__cause__ is not None and error.__cause__ is not None:
        _leave_out(told.__cause__, error.__cause__)
    before, context = told.__context__, error.__context__
    while before is not None and isinstance(context, anyio.get_cancelled_exc_class()):
        before, context = before.__context__, context.__context__
    told.__context__ = before
    if before is not None and context is not None:
        _leave_out(before, context)


def _is_machinery(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _MACHINERY
