"""The times of an expectation: what a test may say of when, checked and turned into whole nanoseconds."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

from pytest_streamrt.clock import NS
from pytest_streamrt.errors import TranscriptError
from pytest_streamrt.numbers import require_seconds

__all__ = ["Times", "When", "duration", "when"]


class Times(TypedDict, total=False):
    """When a step is to happen, in seconds."""

    at: float
    """Since the transcript began."""
    after: float
    """Since the inference started."""
    within: float
    """At most so long after the step before."""


class When(NamedTuple):
    """The same in nanoseconds; None is what was not asked."""

    at: int | None
    after: int | None
    within: int | None

    @property
    def asked(self) -> bool:
        """Whether anything was asked of the time at all."""
        return self != _NEVER_MIND


_NEVER_MIND = When(None, None, None)


def when(step: Callable[..., Any], times: Times) -> When:
    """The times given to a step.

    Raises:
        TypeError: there is a keyword that the step does not take, or a time is no number.
        TranscriptError: a time is none that can be.
    """
    __tracebackhide__ = True
    if not times:
        return _NEVER_MIND
    name = step.__name__
    known = Times.__annotations__
    unknown = [key for key in times if key not in known]
    if unknown:
        own = [key for key, parameter in inspect.signature(step).parameters.items() if parameter.kind != _VARIOUS]
        msg = f"{name}() takes no {unknown[0]!r}. It takes {', '.join(own + list(known))}"
        raise TypeError(msg)
    given = {key: duration(f"{name}({key}=…)", value) for key, value in times.items()}
    return When(given.get("at"), given.get("after"), given.get("within"))


_VARIOUS = inspect.Parameter.VAR_KEYWORD


def duration(what: str, seconds: object) -> int:
    """Seconds as whole nanoseconds.

    Raises:
        TypeError: they are no number.
        TranscriptError: they are negative, infinite or not a number.
    """
    __tracebackhide__ = True
    return round(require_seconds(f"{what}: a time", seconds, (TypeError, TranscriptError)) * NS)
