"""Objects of the openai and anthropic SDKs, and parsed JSON of those APIs: told by their fields, read by the dialects.

Shapes are those of the APIs themselves, which the SDKs keep. Their ``.stream()`` helpers give the raw events too, and
events of their own beside them, which only repeat what those say; these are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pytest_streamrt.events.types import Event, InferenceCompleted, ProviderEvent, ToolCallStarted
from pytest_streamrt.providers import DIALECTS
from pytest_streamrt.providers.decoder import Mapper
from pytest_streamrt.transcript.adapters.shape import as_object, field, plain, shown

__all__ = ["DialectAdapter", "dialect_of", "is_repetition", "tool_answer"]

_ANTHROPIC: Final = frozenset(
    {
        "content_block_delta",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_start",
        "message_stop",
        "ping",
    }
)
# Of the openai SDK's chat.completions.stream(), beside its "chunk"; of the anthropic SDK's messages.stream().
_REPETITIONS: Final = frozenset(
    {
        "citation",
        "compaction",
        "content.delta",
        "content.done",
        "input_json",
        "logprobs.content.delta",
        "logprobs.content.done",
        "logprobs.refusal.delta",
        "logprobs.refusal.done",
        "refusal.delta",
        "refusal.done",
        "signature",
        "text",
        "thinking",
        "tool_calls.function.arguments.delta",
        "tool_calls.function.arguments.done",
    }
)


def dialect_of(piece: Any) -> str | None:
    """The dialect that a piece is of, by its fields, or None."""
    if field(piece, "object") == "chat.completion.chunk":
        return "openai.chat"
    kind = field(piece, "type")
    if not isinstance(kind, str):
        return None
    if kind == "chunk" and field(piece, "chunk") is not None:
        return "openai.chat"
    if kind.startswith("response.") or (kind == "error" and field(piece, "sequence_number") is not None):
        return "openai.responses"
    if kind in _ANTHROPIC or (kind == "error" and field(piece, "error") is not None):
        return "anthropic.messages"
    return None


def is_repetition(piece: Any) -> bool:
    """Whether it is an event of an SDK's own, which says again what the raw events have said."""
    return field(piece, "type") in _REPETITIONS and not isinstance(piece, dict)


def tool_answer(piece: Any) -> tuple[str, str] | None:
    """The id of the call and the output, where a piece is what an agent gives back to the model for a tool's call."""
    if field(piece, "type") == "function_call_output":  # of the Responses API
        call, output = field(piece, "call_id"), field(piece, "output")
    elif field(piece, "role") == "tool" and field(piece, "tool_call_id"):  # of Chat Completions
        call, output = field(piece, "tool_call_id"), field(piece, "content")
    else:
        return None
    return str(call), shown(output)


class DialectAdapter:
    """Reads parsed events of one dialect.

    Args:
        name: the dialect's.
        rounds: whether one answer may follow another, as in the stream of an agent: then the end of an answer is not that
            of the stream, and is held back until that has come.
    """

    def __init__(self, name: str, *, rounds: bool = False) -> None:
        self.round = 1
        self._held: Event | None = None
        self._called = False  # whether the answer of this round called a tool
        self._name = name
        self._rounds = rounds
        self._mapper = self._new()

    def push(self, piece: Any) -> Iterable[Event]:
        """The events in the next piece.

        Raises:
            Malformed: it is not what the API says it is.
        """
        if self._mapper is None:
            return [ProviderEvent(self._name, field(piece, "type"), plain(piece))]
        if field(piece, "type") == "chunk":
            piece = field(piece, "chunk")
        if self._mapper.ended:
            if not self._rounds:
                return []
            self._mapper = self._new()
            assert self._mapper is not None
            self.round += 1
            self._held, self._called = None, False
        data = as_object(piece)
        return self._passed(self._mapper.push(data, data.get("type")))

    @property
    def complete(self) -> bool:
        """Whether nothing is owed any more: the last answer has ended, and called no tool."""
        return self._held is not None and not self._called

    def end(self) -> Iterable[Event] | None:
        """What the end of the stream adds; None where the answer is cut short."""
        if self._held is not None:
            return [self._held]
        if self._mapper is None or self._mapper.ended:
            return []
        return self._mapper.close()

    def _passed(self, events: list[Event]) -> list[Event]:
        if not self._rounds:
            return events
        self._called |= any(isinstance(event, ToolCallStarted) for event in events)
        self._held = next((event for event in events if isinstance(event, InferenceCompleted)), self._held)
        return [event for event in events if event is not self._held]

    def _new(self) -> Mapper | None:
        known = DIALECTS.get(self._name)
        return known.mapper() if known is not None else None
