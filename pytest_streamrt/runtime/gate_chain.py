"""The gates of one inference at work: who is asked about what, what is held back, and what items say afterwards."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.items import FunctionCall, Item, ModelMessage, Reasoning
from pytest_streamrt.events.order import DELTAS, next_state
from pytest_streamrt.events.types import (
    Event,
    ItemCompleted,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from pytest_streamrt.runtime.gate import Emit, End, Gate, GateFailed, PlainVerdict, Stop, name_of_gate

__all__ = ["GateChain", "Ledger"]


class GateChain:
    """The gates of one inference, in order: what the first lets through, the second is asked about."""

    def __init__(self, gates: Iterable[Gate]) -> None:
        self.stopped: tuple[str, str] | None = None
        """The gate that stopped the inference, by name, and its reason."""
        self.errors: list[GateFailed] = []
        """What gates raised when they heard that the inference was aborted, or had failed: for the record."""
        self._stages = [_Stage(gate) for gate in gates]
        self._flushed = 0  # how many of them have heard of the end
        self._broken = False

    def take(self, event: Event) -> list[Event]:
        """What the room hears of an event of the model's. Look at `stopped` afterwards.

        Raises:
            GateFailed: a gate raised, or did what no gate may.
        """
        out: list[Event] = []
        if self._stages and isinstance(event, ItemCompleted) and not self._stages[0].knows(event.item):
            for delta in _deltas(event.item):  # else its text would pass by the gates
                self._push(delta, 0, out)
        self._push(event, 0, out)
        return out

    def flush(self, end: End) -> list[Event]:
        """What the room still hears before the terminal event. Look at `stopped` afterwards, where it completes.

        Raises:
            GateFailed: a gate raised, at the end of an inference that would have completed.
        """
        out: list[Event] = []
        while self._flushed < len(self._stages) and not (self._broken or (self.stopped and end != "aborted")):
            self._flushed += 1
            try:
                for event in self._stages[self._flushed - 1].flush(end):
                    if end != "aborted":
                        self._push(event, self._flushed, out)
            except GateFailed as error:
                if end == "completed":
                    self._broken = True
                    raise
                self.errors.append(error)
        return out

    def _push(self, event: Event, at: int, out: list[Event]) -> None:
        if self.stopped or self._broken:
            return
        if at == len(self._stages) or not _is_said(event):
            out.append(event)
            return
        stage = self._stages[at]
        try:
            verdict = stage.take(event)
        except GateFailed:
            self._broken = True  # it may have been about to hide something: nothing more goes on
            raise
        if isinstance(verdict, Stop):
            self.stopped = stage.name, verdict.reason
            return
        for each in verdict:
            self._push(each, at + 1, out)


Key = tuple[str, int | str, str | None]
"""Which item an event is of: its type, its choice (for a call, its id), and its id."""
Strand = tuple[str, int | str]
"""Which strand: the first two of a key. Items do not say which deltas are theirs, so those of a strand keep their order."""


class Ledger:
    """What has been said of the items that are not finished yet."""

    def __init__(self) -> None:
        self._open: list[tuple[Key, Fold]] = []

    def add(self, event: Event) -> Key:
        """Take a delta, and say which item it is of. Events that are of none have a key by their type."""
        key = _key(event)
        if key[0] not in _ITEMS:
            return key
        fold = next((fold for other, fold in reversed(self._open) if other == key), None)
        if fold is None or isinstance(event, ToolCallStarted):
            fold = Fold()
            self._open.append((key, fold))
        fold.add(event)
        return key

    def owner(self, item: Item) -> Key | None:
        """Which of the items begun this finished one is. It does not say itself: one that says the same is preferred."""
        kind, part, _ = _key(ItemCompleted(item))
        keys = [(key, fold) for key, fold in self._open if key[:2] == (kind, part)]
        for key, fold in keys:
            if _same(fold.open_items[0], item):
                return key
        return keys[0][0] if keys else None

    def close(self, key: Key) -> Item | None:
        """What has been said of that item, and no more is to come of it; None where nothing was said."""
        for i, (other, fold) in enumerate(self._open):
            if other == key:
                del self._open[i]
                return fold.open_items[0]
        return None


class _Stage:
    """One gate at work, with what went in and what came out."""

    def __init__(self, gate: Gate) -> None:
        self.name = name_of_gate(gate)
        self._gate = gate.fresh()
        self._said, self._passed = Ledger(), Ledger()
        self._finished: list[tuple[Item, Key]] = []  # which item each is: it must be known when its deltas are changed
        self._began: set[str] = set()  # tool calls the model has begun,
        self._known: set[str] = set()  # and those of them the next gate knows of
        self._held: dict[Strand, list[Event]] = {}
        self._size = 0

    def knows(self, item: Item) -> bool:
        return self._said.owner(item) is not None

    def take(self, event: Event) -> list[Event] | Stop:
        strand = self._note(event)[:2]
        self._gate.held = self._held.get(strand, ())
        verdict = self._asked(lambda: self._gate.check(event), f"check() of a {event.type}")
        match verdict:
            case PlainVerdict.PASS:
                return self._told([*self._let_go(strand), event])
            case PlainVerdict.HOLD:
                self._held.setdefault(strand, []).append(event)
                self._size += _size(event)
                if self._size > self._gate.max_held:
                    return Stop(f"it held back more characters than max_held={self._gate.max_held}")
                return []
            case Emit(events=events):
                self._let_go(strand)
                return self._told(self._checked(events, "Emit(*events)"))
            case Stop():
                return verdict
        msg = f"check() returned {_kind(verdict)}; it returns Pass, Hold, Emit(*events) or Stop(reason)"
        raise self._failure(msg)

    def flush(self, end: End) -> list[Event]:
        self._gate.held = [event for events in self._held.values() for event in events]
        self._held, self._size = {}, 0
        events = self._asked(lambda: _listed(self._gate.flush(end)), "flush()")
        return self._told(self._checked(events, "flush()"))

    def _note(self, event: Event) -> Key:
        if isinstance(event, ToolCallStarted):
            self._began.add(event.id)
        if not isinstance(event, ItemCompleted):
            return self._said.add(event)
        key = self._said.owner(event.item)
        if key is None:
            return _key(event)
        self._said.close(key)
        self._finished.append((event.item, key))
        return key

    def _let_go(self, strand: Strand) -> list[Event]:
        events = self._held.pop(strand, [])
        self._size -= sum(map(_size, events))
        return events

    def _told(self, events: Iterable[Event]) -> list[Event]:
        """The events as the next gate is to hear them: items that say what their deltas said."""
        out: list[Event] = []
        for event in events:
            if isinstance(event, ItemCompleted) and _is_said(event):
                item = self._as_passed(event.item)
                if item is not None:
                    out.append(event if item is event.item else replace(event, item=item))
                continue
            if isinstance(event, ToolCallStarted):
                self._known.add(event.id)
            elif isinstance(event, ToolCallDelta) and event.id in self._began - self._known:
                continue  # arguments of a call that has never begun, for the next gate
            if _is_said(event):
                self._passed.add(event)
            out.append(event)
        return out

    def _as_passed(self, item: Item) -> Item | None:
        key = next((key for other, key in self._finished if other is item), None) or self._passed.owner(item)
        self._finished = [(other, key) for other, key in self._finished if other is not item]
        passed = self._passed.close(key) if key is not None else None
        if passed is None:
            return item if _is_empty(item) else None
        if _same(passed, item):
            return item  # a reasoning's encrypted form goes with it only here: it holds all there was
        return None if _is_empty(passed) else passed

    def _asked(self, question: Callable[[], Any], what: str) -> Any:
        try:
            answer = question()
        except Exception as error:
            msg = f"{what} raised {type(error).__name__}; what it raised is the cause of this error"
            raise self._failure(msg) from error
        if inspect.iscoroutine(answer):
            answer.close()  # or Python warns that it was never awaited
            raise self._failure(f"{what} is async; a gate decides without waiting: write it as a plain `def`")
        return answer

    def _checked(self, events: Iterable[Any], what: str) -> list[Event]:
        checked = []
        for event in events:
            if not isinstance(event, Event):
                raise self._failure(f"{what} takes events, one by one, and not {_kind(event)}")
            if next_state("running", event.type) != "running":
                raise self._failure(f"{what} cannot emit {event.type}; an inference is ended by Stop(reason)")
            checked.append(event)
        return checked

    def _failure(self, message: str) -> GateFailed:
        return GateFailed(f"the gate {self.name!r}: {message}", gate=self.name)


_ITEMS: Final = frozenset({"model_message", "reasoning", "function_call"})

# What a dialect could not map may hold anything the model said.
_SAID: Final = DELTAS | {"citation", "provider.event", "tool_call.started"}


def _is_said(event: Event) -> bool:
    """Whether it is the model that says it."""
    if isinstance(event, ItemCompleted):
        return event.item.type in _ITEMS
    return event.type in _SAID


def _key(event: Event) -> Key:
    if isinstance(event, ItemCompleted):
        item = event.item
        return item.type, item.id if isinstance(item, FunctionCall) else getattr(item, "choice", 0), None
    if isinstance(event, TextDelta | RefusalDelta):
        return "model_message", event.choice, event.item
    if isinstance(event, ReasoningDelta):
        return "reasoning", event.choice, event.item
    if isinstance(event, ToolCallStarted | ToolCallDelta):
        return "function_call", event.id, None
    return event.type, getattr(event, "choice", 0), None


def _deltas(item: Item) -> list[Event]:
    """What a model would have said to say that item."""
    deltas: list[TextDelta | RefusalDelta | ReasoningDelta] = []
    match item:
        case ModelMessage(text=text, refusal=refusal, choice=choice):
            deltas = [TextDelta(text, choice=choice), RefusalDelta(refusal, choice=choice)]
        case Reasoning(text=text, summary=summary, choice=choice):
            deltas = [ReasoningDelta(text, choice=choice), ReasoningDelta(summary, summary=True, choice=choice)]
        case FunctionCall(id=id, name=name, arguments=arguments, choice=choice):
            return [ToolCallStarted(id, name, choice), ToolCallDelta(id, arguments, choice)][: 2 if arguments else 1]
    return [delta for delta in deltas if delta.text]


def _texts(item: Item) -> list[str]:
    """What an item says, with halves of a character that deltas have parted put together."""
    texts = [getattr(item, field, "") for field in ("name", "arguments", "text", "refusal", "summary")]
    return [text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") for text in texts]


def _same(one: Item, other: Item) -> bool:
    return one.type == other.type and _texts(one) == _texts(other)


def _is_empty(item: Item) -> bool:
    return not isinstance(item, FunctionCall) and not any(_texts(item))


def _size(event: Event) -> int:
    return max(1, len(getattr(event, "text", "")), len(getattr(event, "arguments", "")))


def _listed(events: Any) -> Any:
    return events if inspect.iscoroutine(events) else list(events or ())


def _kind(value: Any) -> str:
    return (
        "None" if value is None else f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    )
