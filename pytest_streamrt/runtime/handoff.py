"""Handing an answer over in the middle: one agent stops, another goes on from what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_streamrt.events.items import Item, Message, ModelMessage, Reasoning
from pytest_streamrt.events.types import Status
from pytest_streamrt.runtime.acting import acting

if TYPE_CHECKING:
    from pytest_streamrt.runtime.agent import Agent
    from pytest_streamrt.runtime.inference import Inference

__all__ = ["hand_over"]


async def hand_over(inference: Inference, to: Agent, reason: str) -> Inference:
    """Stop that inference, and have another agent go on. See `Inference.handoff`."""
    __tracebackhide__ = True
    _check(inference, to)
    actor = acting.get().participant
    by = actor.name if actor is not None else "caller"
    await inference.abort(reason or f"handed over to {to.name}", by=by)
    to.context.add(*_what_to_go_on_from(inference, to))
    follow_up = to.infer()
    link = {"from": inference.id, "to": follow_up.id, "reason": reason}
    follow_up._emit(Status("handoff", link))
    return follow_up


def _check(inference: Inference, to: Agent) -> None:
    __tracebackhide__ = True
    if not callable(getattr(to, "infer", None)):
        msg = f"{inference.id}.handoff: it takes the agent that goes on, not {to!r}"
        raise TypeError(msg)
    if to is inference.agent:
        msg = f"{inference.id}.handoff: {to.name} has the answer already; abort it and infer again, instead"
        raise ValueError(msg)
    if to._environment is not inference._environment:
        msg = f"{inference.id}.handoff: {to.name} is not in the same room; let it join first"
        raise ValueError(msg)


def _what_to_go_on_from(inference: Inference, to: Agent) -> list[Item]:
    """What the first agent was given and has said, but for its own instructions, and what the other knows already.

    A tool call that was still being written, and reasoning that only its own model can read, stay behind.
    """
    known = {id(item) for item in to.context.items}
    given = [item for item in inference.agent.context.items if id(item) not in known and _is_for_others(item)]
    said = [item for item in inference._unfinished if isinstance(item, ModelMessage) and item.text]
    return [*given, *said]


def _is_for_others(item: Item) -> bool:
    if isinstance(item, Message):
        return item.role == "user"
    return not isinstance(item, Reasoning)
