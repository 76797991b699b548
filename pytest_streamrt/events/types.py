"""The passing lane: the semantic events of a run. Each event type is defined here, and nothing else is.

An event is immutable. A dialect or a model makes it unstamped (`seq` 0); whoever emits it calls `stamp`, which gives a
copy its place in the order. Times are seconds as floats of whole nanoseconds, exact up to 2**51 ns (26 days).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, TypeVar

from pytest_streamrt.events.items import Item

__all__ = [
    "AnyEvent",
    "Citation",
    "DeltasDropped",
    "Event",
    "ExchangeClosed",
    "ExchangeOpened",
    "InferenceAborted",
    "InferenceCompleted",
    "InferenceFailure",
    "InferenceStarted",
    "ItemCompleted",
    "Mark",
    "ParticipantFailed",
    "ParticipantJoined",
    "ParticipantLeft",
    "ProviderEvent",
    "ReasoningDelta",
    "RefusalDelta",
    "Signal",
    "Status",
    "TextDelta",
    "TokenUsage",
    "ToolCallDelta",
    "ToolCallStarted",
    "ToolProgress",
    "ToolResult",
    "Usage",
    "stamp",
]


@dataclass(frozen=True, kw_only=True, repr=False)
class Event:
    """What every event carries.

    Attributes:
        type: which event it is, such as "text.delta".
        seq: its place in the order of the environment, exchange or recorded stream it belongs to, from 1; 0 unstamped.
        time: seconds since the transcript began, or since the environment opened where there is no transcript.
        source: who emitted it: a participant's name, or an exchange's, such as "openai.chat".
        inference: the id of the inference it belongs to, if any.
        inference_seq: its place within that inference, from 1; 0 where there is none.
        round: which call of the model within the inference it came from, from 1; 0 where there is none.
        cause: the `seq` of the event whose handling led to this one, if any did.
    """

    type: str
    seq: int = 0
    time: float = 0.0
    source: str = ""
    inference: str | None = None
    inference_seq: int = 0
    round: int = 0
    cause: int | None = None

    def __repr__(self) -> str:
        """Only what differs from the default, the event's own fields first: a failure report is full of these."""
        own = [f for f in fields(self) if f.name not in _HEADER]
        header = [f for f in fields(self) if f.name in _HEADER and f.name != "type"]
        values = [(f, getattr(self, f.name)) for f in (*own, *header)]
        given = (f"{f.name}={value!r}" for f, value in values if value not in (f.default, {}))
        return f"{type(self).__name__}({', '.join(given)})"


_HEADER: Final = frozenset(f.name for f in fields(Event))


@dataclass(frozen=True)
class TokenUsage:
    """Tokens read and written, in the provider's count."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, repr=False)
class InferenceStarted(Event):
    """An inference began. `model` and `response_id` are the provider's, where known."""

    model: str | None = None
    response_id: str | None = None
    type: Literal["inference.started"] = field(default="inference.started", kw_only=True)


@dataclass(frozen=True, repr=False)
class TextDelta(Event):
    """A piece of the answer. `item` tells apart the items of one answer, `choice` its alternatives."""

    text: str
    item: str | None = None
    choice: int = 0
    first_seq: int | None = None
    """Where an inbox merged several deltas into this one: the `seq` of the first of them; `seq` is the last one's."""
    type: Literal["text.delta"] = field(default="text.delta", kw_only=True)


@dataclass(frozen=True, repr=False)
class ReasoningDelta(Event):
    """A piece of the reasoning, or of the provider's summary of it."""

    text: str
    summary: bool = False
    item: str | None = None
    choice: int = 0
    first_seq: int | None = None
    type: Literal["reasoning.delta"] = field(default="reasoning.delta", kw_only=True)


@dataclass(frozen=True, repr=False)
class RefusalDelta(Event):
    """A piece of the model's refusal to answer."""

    text: str
    item: str | None = None
    choice: int = 0
    first_seq: int | None = None
    type: Literal["refusal.delta"] = field(default="refusal.delta", kw_only=True)


@dataclass(frozen=True, repr=False)
class Citation(Event):
    """The answer cites a source. `data` is the provider's own record of it."""

    url: str | None = None
    title: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    choice: int = 0
    type: Literal["citation"] = field(default="citation", kw_only=True)


@dataclass(frozen=True, repr=False)
class ToolCallStarted(Event):
    """The model began to write a tool call."""

    id: str
    name: str
    choice: int = 0
    type: Literal["tool_call.started"] = field(default="tool_call.started", kw_only=True)


@dataclass(frozen=True, repr=False)
class ToolCallDelta(Event):
    """A piece of a tool call's arguments, as JSON text cut anywhere."""

    id: str
    arguments: str
    choice: int = 0
    first_seq: int | None = None
    type: Literal["tool_call.delta"] = field(default="tool_call.delta", kw_only=True)


@dataclass(frozen=True, repr=False)
class ItemCompleted(Event):
    """An item is finished and now part of the durable lane."""

    item: Item
    type: Literal["item.completed"] = field(default="item.completed", kw_only=True)


@dataclass(frozen=True, repr=False)
class ToolProgress(Event):
    """A running tool reports how far it is."""

    id: str
    name: str
    data: Any = None
    type: Literal["tool.progress"] = field(default="tool.progress", kw_only=True)


@dataclass(frozen=True, repr=False)
class ToolResult(Event):
    """A tool call ended, in exactly one way."""

    id: str
    name: str
    output: str
    status: Literal["completed", "failed", "cancelled"] = "completed"
    type: Literal["tool.result"] = field(default="tool.result", kw_only=True)


@dataclass(frozen=True, repr=False)
class Status(Event):
    """A note on how the work goes, such as "in_progress" or "Searching…"."""

    name: str
    data: Any = None
    type: Literal["status"] = field(default="status", kw_only=True)


@dataclass(frozen=True, repr=False)
class Usage(Event):
    """Tokens used so far by this round, in the provider's count; the last of a round holds."""

    input_tokens: int
    output_tokens: int
    details: Mapping[str, Any] = field(default_factory=dict)
    type: Literal["usage"] = field(default="usage", kw_only=True)


@dataclass(frozen=True, repr=False)
class Signal(Event):
    """Anything a participant wants the room to know, such as ``Signal("policy.violation", {"rule": 7})``."""

    name: str
    data: Any = None
    type: Literal["signal"] = field(default="signal", kw_only=True)


@dataclass(frozen=True, repr=False)
class ProviderEvent(Event):
    """What a dialect could not map, kept as the provider sent it."""

    dialect: str
    name: str | None
    data: Any
    type: Literal["provider.event"] = field(default="provider.event", kw_only=True)


@dataclass(frozen=True, repr=False)
class InferenceCompleted(Event):
    """The inference ended by itself. `finish_reason` is the provider's own word for why."""

    finish_reason: str | None = None
    type: Literal["inference.completed"] = field(default="inference.completed", kw_only=True)


@dataclass(frozen=True, repr=False)
class InferenceAborted(Event):
    """Somebody stopped the inference: who, why, and what had been said and used by then."""

    reason: str
    by: str
    partial: str = ""
    items: tuple[Item, ...] = ()
    usage: TokenUsage | None = None
    type: Literal["inference.aborted"] = field(default="inference.aborted", kw_only=True)


@dataclass(frozen=True, repr=False)
class InferenceFailure(Event):
    """The inference failed. The exception raised for it is `InferenceFailed`; hence this name."""

    kind: Literal["transport", "provider", "model", "tool", "limit"]
    message: str
    partial: str = ""
    type: Literal["inference.failed"] = field(default="inference.failed", kw_only=True)


@dataclass(frozen=True, repr=False)
class ParticipantJoined(Event):
    """A participant entered the room."""

    name: str
    type: Literal["participant.joined"] = field(default="participant.joined", kw_only=True)


@dataclass(frozen=True, repr=False)
class ParticipantLeft(Event):
    """A participant left the room."""

    name: str
    type: Literal["participant.left"] = field(default="participant.left", kw_only=True)


@dataclass(frozen=True, repr=False)
class ParticipantFailed(Event):
    """A handler of the participant raised; it leaves and hears nothing more."""

    name: str
    error: str
    traceback: str = ""
    type: Literal["participant.failed"] = field(default="participant.failed", kw_only=True)


@dataclass(frozen=True, repr=False)
class ExchangeOpened(Event):
    """An HTTP request was answered: its response's head has arrived.

    `retry_of` is the source of the exchange before it that asked for the very same and failed.
    """

    method: str
    url: str
    status: int
    retry_of: str | None = None
    type: Literal["exchange.opened"] = field(default="exchange.opened", kw_only=True)


@dataclass(frozen=True, repr=False)
class ExchangeClosed(Event):
    """The response's stream ended, and how. `unread_chunks` were sent, or recorded, but never asked for."""

    how: Literal["complete", "client", "disconnected", "timeout", "failed"]
    unread_chunks: int = 0
    message: str = ""
    type: Literal["exchange.closed"] = field(default="exchange.closed", kw_only=True)


@dataclass(frozen=True, repr=False)
class DeltasDropped(Event):
    """In the transcript only: a lossy inbox of `participant` dropped the deltas `first_seq` to `last_seq`."""

    participant: str
    first_seq: int
    last_seq: int
    count: int
    type: Literal["deltas.dropped"] = field(default="deltas.dropped", kw_only=True)


@dataclass(frozen=True, repr=False)
class Mark(Event):
    """In the transcript only: a point in time the test has named."""

    name: str
    type: Literal["mark"] = field(default="mark", kw_only=True)


AnyEvent = (
    InferenceStarted
    | TextDelta
    | ReasoningDelta
    | RefusalDelta
    | Citation
    | ToolCallStarted
    | ToolCallDelta
    | ItemCompleted
    | ToolProgress
    | ToolResult
    | Status
    | Usage
    | Signal
    | ProviderEvent
    | InferenceCompleted
    | InferenceAborted
    | InferenceFailure
    | ParticipantJoined
    | ParticipantLeft
    | ParticipantFailed
    | ExchangeOpened
    | ExchangeClosed
    | DeltasDropped
    | Mark
)
"""Every event there is: what `match` can be exhaustive over."""

_E = TypeVar("_E", bound=Event)

set_attributes: Final = Event.__dict__["__dict__"].__set__
"""Gives an event all its attributes at once; `object.__setattr__(…, "__dict__", …)` takes twice as long to find it."""

new: Final = object.__new__
"""Makes an event without attributes yet. Found once, it is made in half the time."""


def stamp(
    event: _E,
    seq: int,
    time: float,
    source: str,
    inference: str | None = None,
    inference_seq: int = 0,
    round: int = 0,
    cause: int | None = None,
) -> _E:
    """A copy of the event with its place in the order. `dataclasses.replace` does the same, at five times the cost."""
    values = event.__dict__.copy()
    values["seq"] = seq
    values["time"] = time
    values["source"] = source
    values["inference"] = inference
    values["inference_seq"] = inference_seq
    values["round"] = round
    values["cause"] = cause
    copy = new(type(event))
    set_attributes(copy, values)
    return copy
