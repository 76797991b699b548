"""Whether a method is named nearly as a handler, and so is never called. Participants ask when they are defined."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any, Final

from pytest_streamrt.errors import StreamrtWarning

__all__ = ["warn_of_misspelt"]

# A letter too many or too few in the shortest names that have others like them; on_join is a name of its own.
_LIKE: Final = 0.9


def warn_of_misspelt(participant: type[Any], handlers: Collection[str]) -> None:
    """Warn of each method that the class defines whose name nearly is a handler's, at the line where it is defined."""
    for name, method in vars(participant).items():
        if name.startswith("on_") and name not in handlers and callable(method):
            meant = _meant(name, handlers)
            if meant is not None:
                _warn(participant, name, method, meant)


def _meant(name: str, handlers: Collection[str]) -> str | None:
    own = name.replace("on_internal_", "on_", 1)  # of items, what is not external has no word for it
    if own in handlers:
        return own
    from difflib import get_close_matches

    return next(iter(get_close_matches(name.lower(), handlers, 1, _LIKE)), None)


def _warn(participant: type[Any], name: str, method: Any, meant: str) -> None:
    message = (
        f"{participant.__name__}.{name} is no handler, and nothing calls it: likely {meant} is meant. If it is a method of your "
        f"own, give it a name that is less like {meant}, or have pytest ignore this: "
        f'filterwarnings = ["ignore:{participant.__name__}.{name} is no handler"]'
    )
    code = getattr(getattr(method, "__func__", method), "__code__", None)
    if code is None:
        warnings.warn(message, StreamrtWarning, stacklevel=4)  # the class statement
    else:
        warnings.warn_explicit(
            message, StreamrtWarning, code.co_filename, code.co_firstlineno, module=participant.__module__
        )
