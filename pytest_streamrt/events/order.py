"""The legal order of an inference's events, as a table. Who checks an order, and who explains one, reads it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from pytest_streamrt.events.types import Event

__all__ = ["DELTAS", "PIECES", "TERMINALS", "State", "next_state", "piece_of"]

State = Literal["idle", "running", "ended"]

TERMINALS: Final = frozenset({"inference.completed", "inference.aborted", "inference.failed"})
"""The types that end an inference. Exactly one of them ends each."""

PIECES: Final[Mapping[str, str]] = {
    "text.delta": "text",
    "reasoning.delta": "text",
    "refusal.delta": "text",
    "tool_call.delta": "arguments",
}
"""The fields of deltas that are pieces of a longer text, by type."""

DELTAS: Final = frozenset(PIECES)
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


def piece_of(delta: Event) -> str:
    """The piece of text that a delta is."""
    return str(getattr(delta, PIECES[delta.type], None) or "")


def next_state(state: State, event_type: str) -> State | None:
    """The state an inference is in after an event of that type, or None where the event is not legal."""
    return _TABLE[state].get(event_type)
