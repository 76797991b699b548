"""Where a suspended task waits, for error messages. Walks coroutine chains; knows neither asyncio nor trio."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from pathlib import PurePath
from types import FrameType, TracebackType
from typing import Any, Final

__all__ = ["cut_to_own_line", "describe", "in_finaliser", "where_called", "where_raised"]

# Where these wait says nothing: the reader wants the line of their own code that called them.
_LIBRARIES: Final = ("asyncio", "anyio", "trio", "pytest_streamrt", "outcome", "contextlib", "functools")

_INSTALLED: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def describe(name: str, coroutine: Any) -> str:
    """One line: the task's name, the innermost line of the user's own code it stands at, and what that waits in."""
    frames = list(_frames(coroutine))
    if not frames:
        return f"  {name}: (running, or not yet started)"
    own = next((frame for frame in reversed(frames) if not _is_library(frame)), None)
    innermost = frames[-1]
    if own is None or own is innermost:
        return f"  {name}: {_place(innermost)}"
    return f"  {name}: {_place(own)}, in {_awaited(frames) or innermost.f_code.co_qualname}"


def _awaited(frames: list[FrameType]) -> str:
    """What one of our own frames says that it waits for, in a local function of the name `_awaits`; else ""."""
    ours = (frame for frame in frames if str(frame.f_globals.get("__name__", "")).startswith("pytest_streamrt."))
    return next((str(frame.f_locals["_awaits"]()) for frame in ours if "_awaits" in frame.f_locals), "")


def where_called() -> str:
    """The innermost line of the user's own code that led here; else the innermost of any library but the runtimes."""
    fallback = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not _is_library(frame):
            if not frame.f_code.co_filename.startswith(_INSTALLED):
                return _place(frame)
            fallback = fallback or frame
        frame = frame.f_back
    return _place(fallback) if fallback is not None else "an unknown place"


def where_raised(error: BaseException) -> str:
    """The innermost line of the user's own code that an error came through; else "an unknown place"."""
    own = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_own(frame)]
    return _place(*own[-1]) if own else "an unknown place"


def cut_to_own_line(error: BaseException) -> TracebackType | None:
    """Cut the traceback of an error behind the innermost line of the user's own code; of a group, that of its first error."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    last, each = None, error.__traceback__
    while each is not None:
        if _is_own(each.tb_frame):
            last = each
        each = each.tb_next
    if last is None:
        return None
    last.tb_next = None
    return error.__traceback__


def in_finaliser() -> bool:
    """Whether this is called from some object's ``__del__``, at whatever moment its last reference went."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def _frames(awaitable: Any) -> list[FrameType]:
    frames: list[FrameType] = []
    while awaitable is not None:
        for attribute in ("cr_frame", "gi_frame", "ag_frame"):
            frame = getattr(awaitable, attribute, None)
            if frame is not None:
                frames.append(frame)
        awaitable = next(
            (
                inner
                for attribute in ("cr_await", "gi_yieldfrom", "ag_await")
                if (inner := getattr(awaitable, attribute, None)) is not None
            ),
            None,
        )
    return frames


def _place(frame: FrameType, line: int | None = None) -> str:
    path = PurePath(frame.f_code.co_filename)
    return f"{path.name}:{line or frame.f_lineno} in {frame.f_code.co_qualname}"


def _is_own(frame: FrameType) -> bool:
    return not _is_library(frame) and not frame.f_code.co_filename.startswith(_INSTALLED)


def _is_library(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] in _LIBRARIES
