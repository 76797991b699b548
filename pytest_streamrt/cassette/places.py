r"""The deltas of each place in the JSON of a stream, joined: of each answer, item, call and token, however they come interleaved.

`views` joins the strings of one name, which is quick, and nearly always enough. Here the JSON is read: strings of one name are told
apart by what they are in, and by the numbers, ids and types that this has.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from pytest_streamrt.cassette.spans import Numbers, Span, numbers_in

__all__ = ["STRING", "Lane", "lanes"]

Step = str | int

STRING: Final = r'[^"\\\n]*+(?:\\.[^"\\\n]*+)*+'
"""A pattern of what is between the quotation marks of a string. None goes over a line's end."""

# As in `json_paths`; and a line that begins with an object begins anew, whatever was not closed before it. Of an object, a name and
# its value, or the beginning of that, are one token, and so is a list of numbers: there are many of them.
_TOKEN: Final = re.compile(
    r"(?P<next>\n(?=\r?\n(?:data|event|id|retry)?:)|^(?=\{))"
    r"|(?P<head>^(?:data:|(?:event|id|retry)?:[^\r\n]*))"
    rf'|(?P<comma>,)?[ \t]*+(?:"(?P<name>{STRING})"[ \t]*+:[ \t]*+)?+'
    rf'(?:"(?P<said>{STRING})(?:"|\\?\Z|(?=\n))|(?P<numbers>\[[\d\s,]*+(?:\]|\Z))|(?P<opens>[{{\[])|(?P<word>[^\s{{}}\[\],:"]++))'
    rf'|"(?P<named>{STRING})"[ \t]*+:'  # with its value in the next line
    r"|(?P<closes>[}\]])"
    r"|(?P<between>,)"
    r"|[ \t]++",  # as one, for there may be very many
    re.MULTILINE,
)
_MARK: Final = re.compile(r"\w*(?:[iI]ndex|[iI]d)|type|kind|role|thought")
_KINDS: Final = frozenset({"type", "kind", "role", "thought"})
_BYTES: Final = "bytes"
_ANY: Final = "*"  # place in an array


class Lane(NamedTuple):
    """The parts of a text that belong together, in order; and whether they are numbers, such as the bytes of tokens."""

    spans: Sequence[Span]
    of_numbers: bool = False

    def said(self, text: str) -> str:
        """The parts, joined."""
        if self.of_numbers:
            return Numbers(text, self.spans).text
        return "".join(text[start:end] for start, end in self.spans)


class _Way(NamedTuple):
    """How to come to an object or an array: numbers that are the same where what they stand for is.

    Attributes:
        by_all: by its place in every array.
        by_one: by its place in the innermost array alone.
        by_none: whatever its place in arrays.
        marks: the numbers and ids that it and what it is in have.
        kinds: their types.
        event: the numbers and ids of the whole event, which may stand beside what they are of.
    """

    by_all: int = 0
    by_one: int = 0
    by_none: int = 0
    marks: int = 0
    kinds: int = 0
    event: int = 0


class _Inside:
    """An object or an array: what it is in, its place there, what it says of itself, and the strings and bytes in it."""

    __slots__ = ("at", "event", "expects_name", "inside", "leaves", "marks", "step", "way")

    def __init__(self, inside: _Inside | None, step: Step, *, is_object: bool) -> None:
        self.inside = inside
        self.step = step
        self.at: Step = "" if is_object else 0
        self.expects_name = is_object
        self.marks: tuple[_Mark, ...] = ()
        self.event: list[_Mark] = [] if inside is None else inside.event  # the marks of all that is in it
        self.leaves: list[tuple[Step, Span, bool]] = []  # its place, its part of the text, whether it is a number
        self.way = _Way()

    def go_on(self, name: str | None, *, after_comma: bool) -> Step:
        """The place of what comes next, which may have a name."""
        if isinstance(self.at, int):
            self.at += after_comma
        elif name is not None:
            self.at, self.expects_name = name, False
        elif after_comma:
            self.expects_name = True
        return self.at

    def note(self, value: str) -> None:
        """What is there is a mark."""
        mark = _plain(self.step), self.at, value
        self.marks += (mark,)
        self.event.append(mark)


_Mark = tuple[Step, Step, str]  # the name of what has it, its own, and its value


def lanes(text: str) -> Iterator[Lane]:
    """Every lane of a text.

    How far places in arrays and types tell deltas apart, nobody can know: a string is in a lane for each way.
    """
    read = _read(text)
    ways = _Ways(_returning(read))
    # What has one place goes together in every lane, and places are few.
    places: dict[tuple[_Way, Step, bool], list[Span]] = {}
    for each in read:
        each.way = ways.to(each)
        names = {name for _, name, _ in each.marks}
        for step, span, is_number in each.leaves:
            way = ways.to(each, but=step) if step in names else each.way
            place = way, step, is_number
            if place in places:
                places[place].append(span)
            else:
                places[place] = [span]
    found: dict[tuple[bool, Hashable], list[int]] = {}
    for number, (way, step, is_number) in enumerate(places):
        for name in set(_names(way, step)):
            found.setdefault((is_number, name), []).append(number)
    # Nearly always, most ways come to the same.
    once = {tuple(numbers): is_number for (is_number, _), numbers in found.items()}
    spans = list(places.values())
    for numbers, is_number in once.items():
        together = sorted(chain.from_iterable(spans[number] for number in numbers))
        if len(together) > 1:
            yield Lane(together, is_number)


def _read(text: str) -> list[_Inside]:
    """Every object and every array, in the order in which they begin."""
    read: list[_Inside] = []
    inside: _Inside | None = None
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "next":
            inside = None
        elif kind == "opens":
            step = inside.go_on(match["name"], after_comma=match["comma"] is not None) if inside else ""
            inside = _Inside(inside, step, is_object=match[kind] == "{")
            read.append(inside)
        elif inside is None or kind is None or kind == "head":
            continue
        elif kind == "closes":
            inside = inside.inside
        elif kind == "between":
            inside.go_on(None, after_comma=True)
        elif kind == "named":
            inside.go_on(match[kind], after_comma=False)
        else:
            step = inside.go_on(match["name"], after_comma=match["comma"] is not None)
            if kind == "numbers":
                if step == _BYTES:
                    inside.leaves += [(step, span, True) for span in numbers_in(text, match.span(kind))]
            elif inside.expects_name:  # which lacks its colon
                inside.go_on(match[kind], after_comma=False)
            else:
                if _is_mark(step):
                    inside.note(match[kind])
                if kind == "said":
                    inside.leaves.append((step, match.span(kind), False))
    return read


@lru_cache(maxsize=1_000)
def _is_mark(name: Step) -> bool:
    return isinstance(name, str) and _MARK.fullmatch(name) is not None


def _returning(read: Iterable[_Inside]) -> set[tuple[Step, Step]]:
    """The marks, each with the name of what has it, of which one value comes again after another."""
    last: dict[tuple[Step, Step], str] = {}
    seen: set[_Mark] = set()
    found: set[tuple[Step, Step]] = set()
    for each in read:
        for mark in each.marks:
            name, value = mark[:2], mark[2]
            if last.get(name) != value:
                if mark in seen:
                    found.add(name)
                seen.add(mark)
                last[name] = value
    return found


def _plain(step: Step) -> Step:
    return step if isinstance(step, str) else _ANY


class _Ways:
    """Every way, once.

    Args:
        returning: the marks that count, but for types: see `_returning`.
    """

    def __init__(self, returning: set[tuple[Step, Step]]) -> None:
        self._returning = returning
        self._numbers: dict[Hashable, int] = {}
        self._ways: dict[Hashable, _Way] = {}

    def to(self, each: _Inside, *, but: Step | None = None) -> _Way:
        """The way to an object or an array. `but`: a mark of its own that does not count, for that is what is looked at."""
        around = each.inside.way if each.inside is not None else _Way()
        marks = each.marks if but is None else tuple(mark for mark in each.marks if mark[1] != but)
        key = around, each.step, marks, tuple(each.event) if each.inside is None else ()
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = self._made(*key)
        return way

    def _made(self, around: _Way, step: Step, marks: tuple[_Mark, ...], event: tuple[_Mark, ...]) -> _Way:
        numbers = [mark for mark in marks if mark[:2] in self._returning and mark[1] not in _KINDS]
        kinds = [mark for mark in marks if mark[1] in _KINDS]
        of_event = [mark for mark in event if mark[:2] in self._returning and mark[1] not in _KINDS]
        return _Way(
            by_all=self._number(around.by_all, step),
            by_one=self._number(around.by_none if isinstance(step, int) else around.by_one, step),
            by_none=self._number(around.by_none, _plain(step)),
            marks=self._number(around.marks, *numbers) if numbers else around.marks,
            kinds=self._number(around.kinds, *kinds) if kinds else around.kinds,
            event=self._number(*of_event) if of_event else around.event,
        )

    def _number(self, *key: Hashable) -> int:
        return self._numbers.setdefault(key, len(self._numbers) + 1)


def _names(way: _Way, step: Step) -> Iterator[Hashable]:
    """The names of the lanes of what is there: by all places in arrays, by the innermost alone, and by none; with and without types."""
    without = (way.by_none, _plain(step))
    for place in (
        (way.by_all, step),
        (way.by_none if isinstance(step, int) else way.by_one, step),
        without,
    ):
        yield place, way.marks
        yield place, way.marks, way.kinds
    yield without
    yield without, way.event, "event"
