"""Objects of the openai and anthropic SDKs, and parsed JSON of those APIs: told by their fields, read by the dialects.

Shapes are those of the APIs themselves, which the SDKs keep. Their ``.stream()`` helpers give the raw events too, and
events of their own beside them, which only repeat what those say; these are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pytest_streamrt.events.types import Event, ProviderEvent
from pytest_streamrt.providers import DIALECTS
from pytest_streamrt.providers.decoder import Mapper
from pytest_streamrt.transcript.adapters.shape import as_object, field, plain

__all__ = ["DialectAdapter", "dialect_of", "is_repetition"]

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


class DialectAdapter:
    """Reads parsed events of one dialect.

    Args:
        name: the dialect's.
        rounds: whether the stream is that of a framework, in which one answer follows another: then the end of an answer
            is not that of the stream.
    """

    def __init__(self, name: str, *, rounds: bool = False) -> None:
        self.round = 1
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
        data = as_object(piece)
        return self._mapper.push(data, data.get("type"))

    def end(self) -> Iterable[Event] | None:
        """What the end of the stream adds; None where the answer is cut short."""
        if self._rounds or self._mapper is None or self._mapper.ended:
            return []
        return self._mapper.close()

    def _new(self) -> Mapper | None:
        known = DIALECTS.get(self._name)
        return known.mapper() if known is not None else None
