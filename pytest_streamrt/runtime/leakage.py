"""The leakage gate: lets an answer through and keeps thinking, raw tool calls and other hidden sections back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pytest_streamrt.events.items import ModelMessage, Reasoning
from pytest_streamrt.events.types import (
    Citation,
    Event,
    ItemCompleted,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from pytest_streamrt.runtime.gate import Emit, End, Gate, Pass, Verdict
from pytest_streamrt.runtime.gate_chain import Ledger

__all__ = ["THINKING", "TOOL_SYNTAX", "LeakageGate"]

Pair = tuple[str, str | None]
"""What begins a hidden section and what ends it; None where it ends with its message."""

THINKING: Final[tuple[Pair, ...]] = (("<think>", "</think>"),)
"""Around the thinking of DeepSeek, Qwen and others, where their server does not take it out of the text."""

TOOL_SYNTAX: Final[tuple[Pair, ...]] = (
    ("<tool_call>", "</tool_call>"),  # Hermes, Qwen, GLM
    ("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),  # Kimi
    ("<\uff5ctool\u2581calls\u2581begin\uff5c>", "<\uff5ctool\u2581calls\u2581end\uff5c>"),  # DeepSeek
    ("[TOOL_CALLS]", None),  # Mistral
    ("<|python_tag|>", None),  # Llama 3
)
"""Around the tool calls of models whose server does not take them out of the text, as vLLM's parsers know them."""


class LeakageGate(Gate):
    """Keeps hidden sections of a model's text back, however their markers are cut across deltas.

    It holds back no more than it must: only an end of the text that may be the beginning of a marker, and that only
    until the event that decides it. What is still open when the message is finished turned out to be no marker, and is
    let go; when the inference is aborted or fails, it stays back.

    A section that does not end stays hidden to the end of its message. In a section, its own opening marker opens
    another within it. Markers of other pairs are text there, and an end without a beginning is text anywhere. Each
    choice, and each item of an answer, has sections of its own.

    Args:
        hide: pairs of the markers that begin and end a section; the end None is the end of the message.
        show_after: show only what follows the first such marker. It counts within a section only where it is what ends
            it, so "</think>" works with and without its beginning.
        hide_reasoning: keep reasoning back that comes as such, deltas and items.
        hide_tool_syntax: hide the pairs of `TOOL_SYNTAX`, too. Tool calls that come as such go on.
        hide_provider_events: keep back what a dialect could not map, because it may hold any of this.

    Raises:
        TypeError: `hide` is not a list of pairs of strings.
        ValueError: a marker is empty, begins two kinds of section, or both begins a section and shows what follows.
    """

    def __init__(
        self,
        hide: Iterable[Pair] = THINKING,
        *,
        show_after: str | None = None,
        hide_reasoning: bool = True,
        hide_tool_syntax: bool = True,
        hide_provider_events: bool = True,
    ) -> None:
        __tracebackhide__ = True
        own = _pairs(hide)
        self._pairs = {**dict(TOOL_SYNTAX), **own} if hide_tool_syntax else own
        if show_after is not None and (not isinstance(show_after, str) or not show_after or show_after in self._pairs):
            msg = f"LeakageGate(show_after={show_after!r}): it is a marker that does not begin a hidden section"
            raise ValueError(msg)
        self._hide_reasoning = hide_reasoning
        self._hide_provider_events = hide_provider_events
        self._rules = _Rules(self._pairs, show_after)
        self._refusal_rules = _Rules(self._pairs, None)  # a refusal has no final answer to wait for
        self._sieves: dict[tuple[str, int, str | None], tuple[_Sieve, TextDelta | RefusalDelta]] = {}
        self._latest: dict[int, _Sieve] = {}  # by choice: where a citation stands
        self._ledger = Ledger()

    def check(self, event: Event) -> Verdict:
        """See `Gate.check`."""
        match event:
            case TextDelta() | RefusalDelta():
                return self._sift(event)
            case ItemCompleted(item=ModelMessage()):
                return self._finish(event)
            case ReasoningDelta() | ItemCompleted(item=Reasoning()):
                hidden = self._hide_reasoning
            case ProviderEvent():
                hidden = self._hide_provider_events
            case Citation():
                sieve = self._latest.get(event.choice)
                hidden = not (sieve.shows if sieve is not None else self._rules.show_after is None)
            case _:
                hidden = False
        return Emit() if hidden else Pass

    def flush(self, end: End) -> list[Event]:
        """See `Gate.flush`."""
        return self._let_go(list(self._sieves)) if end == "completed" else []

    def _sift(self, event: TextDelta | RefusalDelta) -> Verdict:
        self._ledger.add(event)
        key = event.type, event.choice, event.item
        if key in self._sieves:
            sieve = self._sieves[key][0]
        else:
            sieve = _Sieve(self._rules if isinstance(event, TextDelta) else self._refusal_rules)
        self._sieves[key] = sieve, event
        if isinstance(event, TextDelta):
            self._latest[event.choice] = sieve
        shown = sieve.feed(event.text)
        if not shown:
            return Emit()
        return Pass if shown == event.text else Emit(replace(event, text=shown))

    def _finish(self, event: ItemCompleted) -> Verdict:
        owner = self._ledger.owner(event.item)
        if owner is None:
            return Pass
        self._ledger.close(owner)
        _, choice, id = owner
        return Emit(*self._let_go([(type_, int(choice), id) for type_ in ("text.delta", "refusal.delta")]), event)

    def _let_go(self, keys: Iterable[tuple[str, int, str | None]]) -> list[Event]:
        """The ends of these texts, which turned out to be no markers."""
        events: list[Event] = []
        for key in keys:
            if key in self._sieves:
                sieve, last = self._sieves.pop(key)
                shown = sieve.close()
                if shown:
                    events.append(replace(last, text=shown))
        return events


def _pairs(hide: Iterable[Pair]) -> Mapping[str, str | None]:
    __tracebackhide__ = True
    pairs: dict[str, str | None] = {}
    given = tuple(hide) if isinstance(hide, Iterable) and not isinstance(hide, str) else (hide,)
    for pair in given:
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            msg = f"LeakageGate(hide={hide!r}): it is a list of pairs, such as [('<think>', '</think>')]"
            raise TypeError(msg)
        begin, end = pair
        if not isinstance(begin, str) or not isinstance(end, str | None):
            msg = f"LeakageGate: {pair!r} is no pair of markers; they are strings, and the second may be None"
            raise TypeError(msg)
        if not begin or end == "":
            msg = f"LeakageGate: an empty marker in {pair!r} is everywhere; where a section has no end, write None"
            raise ValueError(msg)
        if pairs.get(begin, end) != end:
            msg = f"LeakageGate: {begin!r} begins two kinds of section, one to {pairs[begin]!r} and one to {end!r}"
            raise ValueError(msg)
        pairs[begin] = end
    return pairs


class _Markers:
    """The markers that count in one state."""

    def __init__(self, markers: Iterable[str]) -> None:
        self._longest_first = sorted(set(markers), key=len, reverse=True)
        firsts = "".join(sorted({re.escape(marker[0]) for marker in self._longest_first}))
        self._first = re.compile(f"[{firsts}]") if firsts else None

    def next_start(self, text: str, at: int) -> int:
        """Where the next marker may begin; the text's length where none does."""
        found = self._first.search(text, at) if self._first is not None else None
        return found.start() if found is not None else len(text)

    def found(self, text: str, at: int) -> str:
        """The longest marker that stands there, or ""."""
        return next((marker for marker in self._longest_first if text.startswith(marker, at)), "")

    def may_grow(self, text: str, at: int) -> bool:
        """Whether the text's end from there on may become a marker, or a longer one, with more text."""
        left = len(text) - at
        return left < len(self._longest_first[0]) and any(
            len(marker) > left and marker.startswith(text[at:]) for marker in self._longest_first
        )


class _Rules:
    """What all texts of a gate have in common."""

    def __init__(self, pairs: Mapping[str, str | None], show_after: str | None) -> None:
        self.pairs = pairs
        self.show_after = show_after
        self.outside = _Markers(pairs)
        self.waiting = _Markers([*pairs, show_after] if show_after is not None else pairs)
        self.inside = {begin: _Markers([] if end is None else [begin, end]) for begin, end in pairs.items()}


class _Sieve:
    """The state of one text: which section it is in, and the end of it that may be the beginning of a marker."""

    def __init__(self, rules: _Rules) -> None:
        self._rules = rules
        self._waiting = rules.show_after is not None
        self._section: str | None = None
        self._depth = 0
        self._open_end = ""

    @property
    def shows(self) -> bool:
        """Whether text that comes now is shown."""
        return self._section is None and not self._waiting

    def feed(self, text: str) -> str:
        """What may be shown now."""
        return self._read(text, last=False)

    def close(self) -> str:
        """What may be shown when nothing more comes."""
        return self._read("", last=True)

    def _read(self, text: str, *, last: bool) -> str:
        text, self._open_end = self._open_end + text, ""
        shown = []
        at = 0
        while at < len(text):
            markers = self._markers()
            start = markers.next_start(text, at)
            if self.shows:
                shown.append(text[at:start])
            if start == len(text):
                break
            if not last and markers.may_grow(text, start):
                self._open_end = text[start:]
                break
            found = markers.found(text, start)
            if found:
                self._cross(found)
            elif self.shows:
                shown.append(text[start])
            at = start + max(len(found), 1)
        return "".join(shown)

    def _markers(self) -> _Markers:
        if self._section is not None:
            return self._rules.inside[self._section]
        return self._rules.waiting if self._waiting else self._rules.outside

    def _cross(self, marker: str) -> None:
        if self._section is None:
            if marker in self._rules.pairs:
                self._section, self._depth = marker, 1
            else:
                self._waiting = False
            return
        if marker == self._rules.pairs[self._section]:
            self._depth -= 1
        else:
            self._depth += 1
        if not self._depth:
            self._section = None
            if marker == self._rules.show_after:
                self._waiting = False
