"""What counts as a number where one is asked for: True does not. Imports nothing but the standard library, so every layer may ask."""

from __future__ import annotations

import math
from numbers import Real
from typing import Final, TypeGuard

__all__ = ["is_number", "is_whole", "require_seconds", "require_whole"]

Errors = tuple[type[Exception], type[Exception]]
"""What to raise for what is no number, and for one that is too small or too large."""

_USUAL: Final[Errors] = (TypeError, ValueError)
_FOR_EVER: Final = 1e15  # seconds that nothing takes, and that can still be counted in nanoseconds


def is_whole(value: object, least: int | None = None, most: int | None = None) -> TypeGuard[int]:
    """Whether it is a whole number, between these bounds if there are any."""
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return (least is None or value >= least) and (most is None or value <= most)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number, be it infinite or NaN."""
    return isinstance(value, Real) and not isinstance(value, bool)


def require_whole(what: str, value: object, least: int, errors: Errors = _USUAL) -> int:
    """That value; raises one of the errors unless it is a whole number of at least so much. `what` begins the message."""
    __tracebackhide__ = True
    if is_whole(value, least):
        return value
    raise errors[is_whole(value)](f"{what} is a whole number from {least} on, not {value!r}")


def require_seconds(
    what: str, value: object, errors: Errors = _USUAL, *, zero: bool = True, endless: bool = False
) -> float:
    """That value; raises one of the errors unless it is a time in seconds.

    Args:
        what: whose time it is; begins the message.
        value: the time.
        errors: what to raise.
        zero: whether it may be 0.
        endless: whether it may be infinite.
    """
    __tracebackhide__ = True
    if is_number(value) and (0 < value < _FOR_EVER or (zero and value == 0) or (endless and value == math.inf)):
        return value
    raise errors[is_number(value)](f"{what} is a number of seconds {'from 0 on' if zero else 'above 0'}, not {value!r}")
