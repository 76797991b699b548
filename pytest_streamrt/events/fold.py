"""From deltas to items. Whatever adds up the events of one inference to what it said lives here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pytest_streamrt.events.given import given
from pytest_streamrt.events.items import FunctionCall, Item, ModelMessage, Reasoning
from pytest_streamrt.events.types import (
    Event,
    InferenceAborted,
    InferenceCompleted,
    ItemCompleted,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

__all__ = ["Fold", "ToolCall", "fold"]


@dataclass(frozen=True)
class ToolCall:
    """A tool call as far as it was written. `arguments` is JSON text as sent, so a cut one need not parse."""

    id: str
    name: str
    arguments: str
    choice: int = 0


@dataclass
class _Part:
    """One item in the making."""

    choice: int
    item: str | None
    text: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    done: bool = False


@dataclass
class _Message(_Part):
    def finish(self) -> ModelMessage:
        return ModelMessage("".join(self.text), "".join(self.refusal), self.choice)


@dataclass
class _Thought(_Part):
    summary: list[str] = field(default_factory=list)

    def finish(self) -> Reasoning:
        return Reasoning("".join(self.text), "".join(self.summary), choice=self.choice)


@dataclass
class _Call(_Part):
    id: str = ""
    name: str = ""

    def finish(self) -> FunctionCall:
        return FunctionCall(self.id, self.name, "".join(self.text), self.choice)


# What an item's fields are called where its deltas contradict it.
_NAMES: Final = {
    ("model_message", "text"): "text",
    ("model_message", "refusal"): "refusal",
    ("reasoning", "text"): "reasoning",
    ("reasoning", "summary"): "reasoning summary",
    ("function_call", "arguments"): "arguments",
}


class Fold:
    """Adds up events as they come: `add` each, and read what has been said so far at any time.

    Several inferences one after the other add up; several at once want a fold each.
    """

    def __init__(self) -> None:
        self._parts: list[_Message | _Thought | _Call] = []
        self._items: list[Item] = []
        self._usage: dict[tuple[str | None, int], TokenUsage] = {}  # by inference and round
        self.finish_reason: str | None = None
        """The provider's word for why it ended; None as long as it has not, and where it was aborted or failed."""
        self.contradictions: list[str] = []
        """Where a finished item is not what its deltas said: one sentence each."""

    def add(self, event: Event) -> None:
        """Take the next event of the inference. Events that say nothing of the answer change nothing."""
        if isinstance(event, TextDelta):
            self._message(event).text.append(event.text)
        elif isinstance(event, ReasoningDelta):
            thought = self._thought(event)
            (thought.summary if event.summary else thought.text).append(event.text)
        elif isinstance(event, RefusalDelta):
            self._message(event).refusal.append(event.text)
        elif isinstance(event, ToolCallStarted):
            self._parts.append(_Call(event.choice, None, id=event.id, name=event.name))
        elif isinstance(event, ToolCallDelta):
            self._call(event).text.append(event.arguments)
        elif isinstance(event, ItemCompleted):
            self._complete(event.item)
        elif isinstance(event, Usage):
            self._usage[event.inference, event.round] = TokenUsage(event.input_tokens, event.output_tokens)
        elif isinstance(event, InferenceCompleted):
            self.finish_reason = event.finish_reason
        elif isinstance(event, InferenceAborted) and event.usage is not None:
            known = any(inference == event.inference for inference, _ in self._usage)
            if not known:
                self._usage[event.inference, 0] = event.usage

    def text_so_far(self, choice: int, item: str | None) -> list[str] | None:
        """The pieces of a message that is being written, to append to; None where there is none. For who adds many."""
        for part in reversed(self._parts):
            if isinstance(part, _Message) and not part.done and (part.choice, part.item) == (choice, item):
                return part.text
        return None

    @property
    def text(self) -> str:
        """The text of the first choice, as far as it got."""
        return self.text_of(0)

    def text_of(self, choice: int) -> str:
        """The text of that choice, as far as it got."""
        return "".join(
            p for part in self._parts if isinstance(part, _Message) and part.choice == choice for p in part.text
        )

    @property
    def reasoning(self) -> str:
        """The reasoning of the first choice; where the provider gave only a summary of it, the summary."""
        thoughts = [part for part in self._parts if isinstance(part, _Thought) and part.choice == 0]
        full = "".join(piece for part in thoughts for piece in part.text)
        return full or "".join(piece for part in thoughts for piece in part.summary)

    @property
    def refusal(self) -> str:
        """What the model said in refusing, in the first choice."""
        return "".join(
            piece for part in self._parts if isinstance(part, _Message) and part.choice == 0 for piece in part.refusal
        )

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls in the order they began, of every choice."""
        return [
            ToolCall(part.id, part.name, "".join(part.text), part.choice)
            for part in self._parts
            if isinstance(part, _Call)
        ]

    @property
    def usage(self) -> TokenUsage | None:
        """Tokens used over all rounds, or None where nobody said."""
        if not self._usage:
            return None
        rounds = self._usage.values()
        return TokenUsage(sum(u.input_tokens for u in rounds), sum(u.output_tokens for u in rounds))

    @property
    def items(self) -> list[Item]:
        """The finished items, then what is still being written, as far as it got."""
        return [*self._items, *self.open_items]

    @property
    def open_items(self) -> list[Item]:
        """What deltas have begun and no `item.completed` has finished."""
        return [part.finish() for part in self._parts if not part.done]

    def _message(self, event: TextDelta | RefusalDelta) -> _Message:
        for part in reversed(self._parts):
            if isinstance(part, _Message) and not part.done and (part.choice, part.item) == (event.choice, event.item):
                return part
        part = _Message(event.choice, event.item)
        self._parts.append(part)
        return part

    def _thought(self, event: ReasoningDelta) -> _Thought:
        for part in reversed(self._parts):
            if isinstance(part, _Thought) and not part.done and (part.choice, part.item) == (event.choice, event.item):
                return part
        part = _Thought(event.choice, event.item)
        self._parts.append(part)
        return part

    def _call(self, event: ToolCallDelta) -> _Call:
        for part in reversed(self._parts):
            if isinstance(part, _Call) and not part.done and part.id == event.id:
                return part
        self.contradictions.append(f"arguments for the tool call {event.id!r}, which never started")
        part = _Call(event.choice, None, id=event.id)
        self._parts.append(part)
        return part

    def _complete(self, item: Item) -> None:
        self._items.append(item)
        candidates = [part for part in self._parts if not part.done and _may_be(part, item)]
        if not candidates:
            return
        # An item does not say which deltas are its own: of several that are open, those that say the same are meant.
        part = next((part for part in candidates if part.finish() == item), candidates[0])
        part.done = True
        said = part.finish()
        for type_, name in _NAMES:
            if type_ == item.type:
                of = f" of {item.name}" if isinstance(item, FunctionCall) else ""
                self._compare(f"{_NAMES[item.type, name]}{of}", getattr(said, name), getattr(item, name))

    def _compare(self, what: str, deltas: str, item: str) -> None:
        if deltas != item and _joined(deltas) != _joined(item):
            self.contradictions.append(f"the deltas of the {what} say {deltas!r}, the finished item {item!r}")


def _may_be(part: _Message | _Thought | _Call, item: Item) -> bool:
    """Whether an item may be what that part became."""
    if isinstance(item, FunctionCall):
        return isinstance(part, _Call) and part.id == item.id
    kind = {ModelMessage: _Message, Reasoning: _Thought}.get(type(item))
    return kind is not None and isinstance(part, kind) and part.choice == getattr(item, "choice", 0)


def _joined(text: str) -> str:
    """The text with halves of a character that deltas have parted put together, as in the finished item."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def fold(events: Iterable[Event]) -> Fold:
    """Add up the events of one inference: its text, reasoning, refusal, tool calls, usage, finish reason and items.

    Raises:
        TypeError: these are no events.
    """
    __tracebackhide__ = True
    result = Fold()
    for event in given("fold", events):
        result.add(event)
    return result
