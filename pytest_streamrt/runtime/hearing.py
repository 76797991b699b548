"""How a participant hears: one event after the other, each in the handlers that there are for it."""

from __future__ import annotations

import inspect
from typing import Any, Final

from pytest_streamrt.events.types import Event, ItemCompleted, ParticipantFailed, ParticipantJoined, ParticipantLeft
from pytest_streamrt.runtime.acting import hearing
from pytest_streamrt.runtime.cancellation import strays_are_errors
from pytest_streamrt.runtime.mailbox import Mailbox
from pytest_streamrt.runtime.participant import Participant
from pytest_streamrt.runtime.waking import Bell

__all__ = ["HEARD_TWICE", "explain", "hear"]

HEARD_TWICE: Final = frozenset({"item.completed", "participant.joined", "participant.left", "participant.failed"})
"""The types of event that have a handler of their own, beside the one for all."""


async def hear(participant: Participant, mailbox: Mailbox, change: Bell) -> None:
    """Have it handle what comes into its mailbox, until that is closed; `change` is rung where streams may wait for it.

    Raises:
        Exception: whatever a handler raises.
    """
    queue, take, heard = mailbox.queue, mailbox.take, mailbox.heard
    tell, can_fill, strays = hearing.set, mailbox.can_fill, strays_are_errors()
    requests = strays.requests
    while await mailbox.arrival():
        listens = participant._listens
        mailbox.deaf |= not listens
        with strays:  # around all that waits: around each it would cost more than hearing it
            while queue:
                source, event, twice = take()
                mailbox.in_hand = event  # and the one before is handled
                if heard is not None:
                    heard.append(event)
                if can_fill:
                    change.ring()  # a stream may wait for that
                strays.before = requests()  # what the one before has left behind is not this one's
                if listens:
                    tell(event)
                    if source is participant:
                        if heard is not None:
                            mailbox.called.append(event.seq)
                        await participant.on_internal_event(event)
                    else:
                        await participant.on_external_event(source, event)
                if twice:
                    tell(event)
                    await _hear_again(participant, source, event)
                    if not listens:  # the one that has just run may have given it such a handler
                        listens = participant._listens
            mailbox.give_up()
            change.ring()


async def _hear_again(participant: Participant, source: Any, event: Event) -> None:
    """Call the second handler that some events have."""
    own = source is participant
    if isinstance(event, ItemCompleted):
        # item.type is the handler's name: "model_message" -> on_model_message, on_external_model_message
        if own:
            await getattr(participant, f"on_{event.item.type}")(event.item)
        else:
            await getattr(participant, f"on_external_{event.item.type}")(source, event.item)
    elif isinstance(event, ParticipantJoined):
        await (participant.on_joined() if own else participant.on_participant_joined(source))
    elif isinstance(event, ParticipantLeft):
        await (participant.on_left() if own else participant.on_participant_left(source))
    elif isinstance(event, ParticipantFailed) and not own:
        await participant.on_participant_error(source, event.error)


def explain(error: Exception, participant: Participant, handled: Event | None) -> None:
    """Add to an error of a handler's whose it is, what was handled, and what may be behind it."""
    if handled is not None:
        error.add_note(f"raised by the participant {participant.name!r} while it handled {handled!r}")
    if isinstance(error, TypeError) and "await" in str(error) and (sync := _sync_handlers(participant)):
        error.add_note(f"Likely: {', '.join(sync)} of {type(participant).__name__} is not async: write `async def`")


def _sync_handlers(participant: Participant) -> list[str]:
    """The names of its handlers that are plain functions, where ``async def`` was likely forgotten."""
    names = [name for name in vars(Participant) if name.startswith("on_")]
    return [name for name in names if not inspect.iscoroutinefunction(getattr(participant, name))]
