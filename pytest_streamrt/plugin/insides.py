"""Keeps what is inside of this package out of the traceback of an error that it raises on purpose.

What the reader wants is the line of their own that it is about. ``pytest --full-trace`` shows all the rest.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from typing import Any, Final

from pytest_streamrt.errors import StreamrtError, Unanswered

__all__ = ["insides_hidden"]

_HIDE: Final = "__tracebackhide__"  # pytest looks for it among a frame's names, and among those of its module
_OURS: Final = "pytest_streamrt"


@contextlib.contextmanager
def insides_hidden(error: BaseException) -> Iterator[None]:
    """In this block, pytest hides the frames of this package and of its context managers, where the error is one of its own."""
    hidden: list[dict[str, Any]] = []
    if isinstance(error, StreamrtError | Unanswered):
        for frame, _ in traceback.walk_tb(error.__traceback__):
            name = frame.f_globals.get("__name__", "")
            if (name.partition(".")[0] == _OURS or name == contextlib.__name__) and _HIDE not in frame.f_globals:
                hidden.append(frame.f_globals)
                frame.f_globals[_HIDE] = True
    try:
        yield
    finally:
        for names in hidden:
            del names[_HIDE]
