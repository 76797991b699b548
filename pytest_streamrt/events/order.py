"""The legal order of an inference's events, as a table. Who checks an order, and who explains one, reads it here."""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["DELTAS", "TERMINALS", "State", "next_state"]

State = Literal["idle", "running", "ended"]

TERMINALS: Final = frozenset({"inference.completed", "inference.aborted", "inference.failed"})
"""The types that end an inference. Exactly one of them ends each."""

DELTAS: Final = frozenset({"text.delta", "reasoning.delta", "refusal.delta", "tool_call.delta"})
"""The types an inbox may drop or merge: pieces of something that will also arrive whole."""

_WITHIN: Final = DELTAS | {
    "citation",
    "item.completed",
    "provider.event",
    "signal",
    "status",
    "tool.progress",
    "tool.result",
    "tool_call.started",
    "usage",
}

_RUNNING: Final[State] = "running"
_ENDED: Final[State] = "ended"

_TABLE: Final[dict[State, dict[str, State]]] = {
    "idle": {"inference.started": "running"},
    "running": {**dict.fromkeys(_WITHIN, _RUNNING), **dict.fromkeys(TERMINALS, _ENDED)},
    "ended": {},
}


def next_state(state: State, event_type: str) -> State | None:
    """The state an inference is in after an event of that type, or None where the event is not legal."""
    return _TABLE[state].get(event_type)
