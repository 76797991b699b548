"""Who acts in this task, and on what occasion. It follows the task into every task that is started from it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pytest_streamrt.events.types import Event
    from pytest_streamrt.runtime.inference import Inference
    from pytest_streamrt.runtime.mailbox import Mailbox
    from pytest_streamrt.runtime.order import Order
    from pytest_streamrt.runtime.participant import Participant

__all__ = ["NOBODY", "Acting", "Delivery", "Handling", "acting", "hearing"]


Delivery = tuple[Any, "Event", bool]
"""One event on its way to everyone: who has emitted it, the event, and whether it has a handler of its own beside the one for all.

All who hear it share it. A tuple, as one is made for each event, and there is nothing that is made sooner.
"""

hearing: Final[ContextVar[Event]] = ContextVar("pytest_streamrt.hearing")
"""What is being handled, where a handler runs; or was, where that has begun something that outlives it."""


class Acting:
    """The occasion.

    Attributes:
        participant: whose code runs; None in the test itself.
        order: the order of the room that the cause is of. Elsewhere its number means nothing.
        inference: the inference this runs for, so that an HTTP exchange made here is known to be part of it.
        mailbox: of the participant, where this is one of its handlers, and not an inference that one started.
    """

    def __init__(
        self,
        participant: Participant | None = None,
        cause: int | None = None,
        order: Order | None = None,
        inference: Inference | None = None,
        mailbox: Mailbox | None = None,
    ) -> None:
        self.participant = participant
        self._cause = cause
        self.order = order
        self.inference = inference
        self.mailbox = mailbox

    @property
    def cause(self) -> int | None:
        """The `seq` of the event that is being handled, or that led here."""
        return self._cause


class Handling(Acting):
    """The occasion of all of a participant's handlers, in one stay in a room. Which of them it is, `hearing` says."""

    def __init__(self, participant: Participant, mailbox: Mailbox) -> None:
        super().__init__(participant, order=mailbox.order, mailbox=mailbox)

    @property
    def cause(self) -> int | None:
        """The `seq` of the event that is being handled."""
        return hearing.get().seq


NOBODY: Final = Acting()

acting: Final[ContextVar[Acting]] = ContextVar("pytest_streamrt.acting", default=NOBODY)
