"""Who acts in this task, and on what occasion. It follows the task into every task that is started from it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_streamrt.runtime.inference import Inference
    from pytest_streamrt.runtime.participant import Participant

__all__ = ["NOBODY", "Acting", "acting"]


@dataclass(frozen=True)
class Acting:
    """The occasion.

    Attributes:
        participant: whose code runs; None in the test itself.
        cause: the `seq` of the event that is being handled, or that led here.
        handling: whether this is a handler, and not an inference that one started.
        inference: the inference this runs for, so that an HTTP exchange made here is known to be part of it.
    """

    participant: Participant | None = None
    cause: int | None = None
    handling: bool = False
    inference: Inference | None = None


NOBODY: Final = Acting()

acting: Final[ContextVar[Acting]] = ContextVar("pytest_streamrt.acting", default=NOBODY)
