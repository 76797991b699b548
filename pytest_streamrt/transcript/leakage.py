"""Checking that nothing hidden was shown: what is looked for, where, and how a leak is reported. The search is in `search`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pytest_streamrt.events.types import Event
from pytest_streamrt.numbers import require_whole
from pytest_streamrt.transcript.disguise import Plain, as_it_is, undisguise
from pytest_streamrt.transcript.exchange import Exchange
from pytest_streamrt.transcript.hidden import Selection, Text
from pytest_streamrt.transcript.search import Quotes, Secrets
from pytest_streamrt.transcript.shown import Shown, shown_by
from pytest_streamrt.wording import counted

__all__ = ["Leak", "check_leaks", "tell"]

_CONTEXT: Final = 40  # characters shown on either side of a leak
_QUOTE: Final = 60  # characters shown of a quote
_REPORTED: Final = 10  # leaks told one by one


@dataclass(frozen=True)
class Leak:
    """Something hidden that was shown.

    Attributes:
        hidden: what it is, in words; a secret is masked.
        source: who showed it, or None where it is in a text that the test gave.
        lane: in what kind of text it is, such as "text" or "tool call".
        start: the offset of its first character in that text, in characters.
        end: the offset behind its last.
        delta: the number of the piece it begins in, from 1; 0 in a text that the test gave.
        events: the events it came in.
        context: what stands around it, with secrets masked.
    """

    hidden: str
    source: str | None
    lane: str
    start: int
    end: int
    delta: int = 0
    events: tuple[Event, ...] = ()
    context: str = ""

    @property
    def time(self) -> float | None:
        """When the last of it was shown, in seconds since the transcript began."""
        return self.events[-1].time if self.events else None

    def __str__(self) -> str:
        at = f", at t={self.time:.9g} s" if self.time is not None else ""
        where = f"{self.lane} of {self.source!r}" if self.source is not None else "the text given as visible"
        pieces = ""
        if self.events:
            last = self.delta + len(self.events) - 1
            pieces = f", in piece {self.delta}" + (f" to {last}" if last > self.delta else "")
            pieces += f" (seq {self.events[0].seq}" + (f" to {self.events[-1].seq})" if last > self.delta else ")")
        by = repr(self.source) if self.source is not None else "the text"
        return (
            f"{self.hidden} was shown by {by}{at}\n"
            f"  where: {where}, characters {self.start} to {self.end}{pieces}\n"
            f"  there: {self.context}"
        )


@dataclass
class _Wanted:
    """What is not to be shown: secrets, and selected texts, each once, with which of them each selection selects."""

    secrets: list[str] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    selections: list[tuple[Selection, list[Text]]] = field(default_factory=list)


def check_leaks(
    logged: Sequence[tuple[object, Event]],
    exchanges: Sequence[Exchange],
    sources: Sequence[str],
    *,
    hidden: Iterable[str | Selection],
    visible: str | Iterable[str],
    min_quote: int,
    normalise: bool,
    allow_empty: bool,
) -> list[Leak]:
    """Look for hidden texts in visible ones; see `Transcript.assert_no_leak`."""
    __tracebackhide__ = True
    require_whole("min_quote", min_quote, 1)
    plain = undisguise if normalise else as_it_is
    shown = _visible(logged, sources, visible)
    wanted = _wanted(logged, exchanges, sources, hidden, plain)
    search = _Search(wanted, plain, min_quote)
    if not allow_empty:
        _refuse_emptiness(wanted, shown, search)
    return [leak for each in shown for leak in search.leaks(each)]


def tell(leaks: Sequence[Leak]) -> str:
    """The message of a failed check."""
    head = "something hidden was shown" if len(leaks) == 1 else f"something hidden was shown, {len(leaks)} times"
    lines = [head, *(f"\n{leak}" for leak in leaks[:_REPORTED])]
    if len(leaks) > _REPORTED:
        lines.append(f"\n… and {len(leaks) - _REPORTED} more")
    if any(leak.lane in ("reasoning", "tool call", "tool result") for leak in leaks):
        lines.append(
            "\nLikely cause: events of that kind are passed on as they come. Pass on text alone, or have a gate keep them "
            "back: LeakageGate(hide_reasoning=True)."
        )
    else:
        lines.append(
            "\nLikely cause: the model repeated what it was given or what it thought, or the app sends other deltas as if they "
            "were the answer's. Of a provider's events pass on those of its text alone; keep marked sections back with "
            'LeakageGate(hide=[("<think>", "</think>")]); keep out of the context what must not be said.'
        )
    return "\n".join(lines)


class _Search:
    """All that is hidden, to be looked for in one running text after the other."""

    def __init__(self, wanted: _Wanted, plain: Callable[[str], Plain], min_quote: int) -> None:
        self._wanted = wanted
        self._plain = plain
        self.min_quote = min_quote
        self._secrets = Secrets([plain(secret).text for secret in wanted.secrets])
        self._plain_texts = [plain(text.text).text for text in wanted.texts]
        self._length = dict(zip(wanted.texts, map(len, self._plain_texts), strict=True))
        self._quotes: dict[tuple[str, str | None], tuple[list[int], Quotes]] = {}

    def longest(self, texts: Sequence[Text]) -> int:
        """Characters, as they are compared, of the longest of these texts."""
        return max(self._length[text] for text in texts)

    def leaks(self, shown: Shown) -> Iterator[Leak]:
        plain = self._plain(shown.text)
        secrets = list(self._secrets.find(plain))
        masks = [(plain.starts[m.start], plain.ends[m.end - 1], self._masked(m.which)) for m in secrets]
        for start, end, name in masks:
            yield _leak(f"the secret {name}", shown, start, end, masks)
        which, quotes = self._quotes_for(shown)
        for match in quotes.find(plain):
            text = self._wanted.texts[which[match.which]]
            start, end = plain.starts[match.start], plain.ends[match.end - 1]
            what = f"a quote of {counted(match.end - match.start, 'character')} from {text.lane} of {text.source!r}"
            yield _leak(what, shown, start, end, masks)

    def _quotes_for(self, shown: Shown) -> tuple[list[int], Quotes]:
        which = [i for i, text in enumerate(self._wanted.texts) if not _is_itself(text, shown)]
        own = len(which) < len(self._wanted.texts)
        key = (shown.lane, shown.source) if own else ("", None)
        if key not in self._quotes:
            self._quotes[key] = which, Quotes([self._plain_texts[i] for i in which], self.min_quote)
        return self._quotes[key]

    def _masked(self, which: int) -> str:
        secret = self._wanted.secrets[which]
        return f"[{secret[: min(4, len(secret) // 4)]}…, {counted(len(secret), 'character')}]"


def _leak(what: str, shown: Shown, start: int, end: int, masks: Sequence[tuple[int, int, str]]) -> Leak:
    delta, events = shown.events_of(start, end) if shown.events else (0, [])
    return Leak(
        what, shown.source, shown.lane, start, end, delta, tuple(events), _around(shown.text, start, end, masks)
    )


def _around(text: str, start: int, end: int, masks: Sequence[tuple[int, int, str]]) -> str:
    """The leak between » and «, what stands around it, and no secret."""
    before = _clean(text, max(start - _CONTEXT, 0), start, masks)
    leak = _clean(text, start, end, masks)
    if len(leak) > _QUOTE and (start, end) not in [mask[:2] for mask in masks]:
        leak = f"{leak[:_QUOTE]}…"
    after = _clean(text, end, min(end + _CONTEXT, len(text)), masks)
    shown = f"{before}»{leak}«{after}".translate({ord("\n"): "\\n", ord("\r"): "\\r"})
    return f"{'…' if start > _CONTEXT else ''}{shown}{'…' if end + _CONTEXT < len(text) else ''}"


def _clean(text: str, start: int, end: int, masks: Sequence[tuple[int, int, str]]) -> str:
    """That part of the text, with what of it belongs to a secret masked."""
    pieces, at = [], start
    for first, last, name in masks:
        if last <= at or first >= end:
            continue
        pieces += [text[at : max(first, at)], name]
        at = last
    return "".join([*pieces, text[at:end]])


def _visible(
    logged: Sequence[tuple[object, Event]], sources: Sequence[str], visible: str | Iterable[str]
) -> list[Shown]:
    __tracebackhide__ = True
    if isinstance(visible, str):
        if visible not in sources and (any(map(str.isspace, visible)) or not sources):
            return [Shown(None, "text", visible)]
        visible = [visible]
    if not isinstance(visible, Iterable):
        msg = f"visible is the name of a source, or several, or a text, not {visible!r}"
        raise TypeError(msg)
    names = list(visible)
    for name in names:
        if name not in sources:
            msg = (
                f"visible={name!r} is no source of the transcript, which has: {', '.join(sources) or 'none'}. If it is a "
                "text and not a name: a text is told by the white space in it, so end it with a line break"
            )
            raise AssertionError(msg)
    return [shown for name in dict.fromkeys(names) for shown in shown_by(name, logged)]


def _wanted(
    logged: Sequence[tuple[object, Event]],
    exchanges: Sequence[Exchange],
    sources: Sequence[str],
    hidden: Iterable[str | Selection],
    plain: Callable[[str], Plain],
) -> _Wanted:
    __tracebackhide__ = True
    if isinstance(hidden, str | Selection):
        msg = f"hidden is a list of secrets and selections, such as [{hidden!s}], not one alone"
        raise TypeError(msg)
    if not isinstance(hidden, Iterable):
        msg = f"hidden is a list of secrets and selections, such as [hidden.reasoning()], not {hidden!r}"
        raise TypeError(msg)
    wanted = _Wanted()
    for each in hidden:
        if isinstance(each, Selection):
            if each.source is not None and each.source not in sources:
                msg = f"{each} is of no source of the transcript, which has: {', '.join(sources) or 'none'}"
                raise AssertionError(msg)
            wanted.selections.append((each, each.of(logged, exchanges)))
        elif not isinstance(each, str):
            msg = f"hidden holds strings, and selections such as hidden.reasoning(), not {each!r}"
            raise TypeError(msg)
        elif not plain(each).text:
            msg = "hidden holds a string of nothing that is seen, which is everywhere"
            raise ValueError(msg)
        else:
            wanted.secrets.append(each)
    wanted.texts = list(dict.fromkeys(text for _, texts in wanted.selections for text in texts))
    return wanted


def _refuse_emptiness(wanted: _Wanted, shown: Sequence[Shown], search: _Search) -> None:
    """Fail a check that could find nothing, whatever happened."""
    __tracebackhide__ = True
    why = _emptiness(wanted, shown, search)
    if why:
        msg = f"this check could not fail: {why}. If that is as it should be: allow_empty=True"
        raise AssertionError(msg)


def _emptiness(wanted: _Wanted, shown: Sequence[Shown], search: _Search) -> str:
    if not wanted.secrets and not wanted.selections:
        return "hidden is empty"
    if not any(each.text for each in shown):
        return "nothing is visible"
    for selection, texts in wanted.selections:
        if not texts:
            return f"{selection} selects nothing, for the transcript has none"
        longest = search.longest(texts)
        if longest < search.min_quote:
            return (
                f"the longest text of {selection} has {counted(longest, 'character')}, and quotes count from "
                f"min_quote={search.min_quote} on; min_quote={longest} would find all of it"
            )
        if all(_is_itself(text, each) for text in texts for each in shown):
            return f"{selection} and visible are the same text"
    return ""


def _is_itself(text: Text, shown: Shown) -> bool:
    """Whether this running text is where the hidden text was taken from: there it is no leak."""
    return (text.lane, text.source) == (shown.lane, shown.source)
