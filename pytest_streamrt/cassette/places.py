r"""The deltas of each place in the JSON of a stream, joined: of each answer, item, call and token, however they come interleaved.

`views` joins the strings of one name, which is quick, and nearly always enough. Here the JSON is read: strings of one name are told
apart by what they are in, and by the numbers, ids and types that this has.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

__all__ = ["Lane", "Numbers", "Span", "lanes"]

Span = tuple[int, int]
"""A part of a text: from the first character to before the second, counted from 0."""

Step = str | int

# As in `json_paths`; and a line that begins with an object begins anew, whatever was not closed before it.
_TOKEN: Final = re.compile(
    r"(?P<next>(?:\n|\r(?!\n))(?=(?:\r\n|[\r\n])(?:data|event|id|retry)?:)|^(?=\{))"
    r"|(?P<head>^(?:data:|(?:event|id|retry)?:[^\r\n]*))"
    r'|"(?P<said>[^"\\\n]*+(?:\\.[^"\\\n]*+)*+)(?:"|\\?\Z|(?=\n))|[{}\[\],:]|[^\s{}\[\],:"]++',
    re.MULTILINE,
)
_MARK: Final = re.compile(r"\w*(?:[iI]ndex|[iI]d)|type|kind|role|thought")
_KINDS: Final = frozenset({"type", "kind", "role", "thought"})
_BYTE: Final = re.compile(r"\d{1,3}")
_BYTES: Final = 256


class _Inside:
    """An object or an array: what it is in, its place there, and what it says of itself."""

    __slots__ = ("at", "inside", "is_object", "marks", "step")

    def __init__(self, inside: _Inside | None, step: Step, *, is_object: bool) -> None:
        self.inside = inside
        self.step = step
        self.is_object = is_object
        self.at: Step = "" if is_object else 0
        self.marks: dict[str, str] = {}


_Leaf = tuple[_Inside, Step, Span, bool]  # what it is in, where there, its part of the text, whether it is a number


class Numbers:
    """The text whose bytes these numbers are, as in the ``bytes`` of a token, with the way back."""

    def __init__(self, text: str, spans: Sequence[Span]) -> None:
        numbers = [(int(text[start:end]), (start, end)) for start, end in spans]
        self._spans = [span for number, span in numbers if number < _BYTES]
        self.text = bytes(number for number, _ in numbers if number < _BYTES).decode("utf-8", "surrogateescape")

    def where(self, start: int, end: int) -> list[Span]:
        """The numbers that stand for this part of the view."""
        first, last = (len(self.text[:at].encode("utf-8", "surrogateescape")) for at in (start, end))
        return self._spans[first:last]


class Lane(NamedTuple):
    """The parts of a text that belong together, in order; and whether they are numbers, such as the bytes of tokens."""

    spans: Sequence[Span]
    of_numbers: bool = False

    def said(self, text: str) -> str:
        """The parts, joined."""
        if self.of_numbers:
            return Numbers(text, self.spans).text
        return "".join(text[start:end] for start, end in self.spans)


def lanes(text: str) -> Iterator[Lane]:
    """Every lane of a text.

    How far places in arrays and types tell deltas apart, nobody can know: a string is in a lane for each way.
    """
    leaves = list(_leaves(text))
    returning = _returning(leaves)
    found: dict[tuple[bool, Hashable], list[Span]] = {}
    for inside, step, span, is_number in leaves:
        for name in set(_names(inside, step, returning)):
            found.setdefault((is_number, name), []).append(span)
    # Nearly always, most ways come to the same.
    once = {tuple(spans): is_number for (is_number, _), spans in found.items() if len(spans) > 1}
    return (Lane(spans, is_number) for spans, is_number in once.items())


def _leaves(text: str) -> Iterator[_Leaf]:
    inside: _Inside | None = None
    expects_name = False
    for match in _TOKEN.finditer(text):
        found = match[0]
        said = match["said"]
        if match["next"] is not None:
            inside, expects_name = None, False
        elif match["head"] is not None:
            continue
        elif said is None and found in "{[":
            inside = _Inside(inside, inside.at if inside else "", is_object=found == "{")
            expects_name = found == "{"
        elif inside is None:
            continue
        elif said is None and found in "}]":
            inside, expects_name = inside.inside, False
        elif found == ",":
            if isinstance(inside.at, int):
                inside.at += 1
            expects_name = inside.is_object
        elif found == ":":
            expects_name = False
        elif expects_name:
            inside.at = said if said is not None else found
        else:
            if inside.is_object and _MARK.fullmatch(str(inside.at)):
                inside.marks[str(inside.at)] = found
            if said is not None:
                yield inside, inside.at, match.span("said"), False
            elif inside.step == "bytes" and not inside.is_object and _BYTE.fullmatch(found):
                yield inside, "", match.span(), True


def _returning(leaves: Iterable[_Leaf]) -> set[tuple[Step, str]]:
    """The marks, each with the name of what they are in, of which one value comes again after another."""
    last: dict[tuple[Step, str], str] = {}
    seen: set[tuple[Step, str, str]] = set()
    found: set[tuple[Step, str]] = set()
    for leaf in leaves:
        inside: _Inside | None = leaf[0]
        while inside is not None:
            for mark, value in inside.marks.items():
                name = (_plain(inside.step), mark)
                if last.get(name) != value:
                    if (*name, value) in seen:
                        found.add(name)
                    seen.add((*name, value))
                    last[name] = value
            inside = inside.inside
    return found


def _plain(step: Step) -> Step:
    return step if isinstance(step, str) else 0


def _names(inside: _Inside, step: Step, returning: set[tuple[Step, str]]) -> Iterator[Hashable]:
    """The names of the lanes of what is there: by all places in arrays, by the innermost alone, and by none; with and without types."""
    all_places: list[Hashable] = []
    innermost: list[Hashable] = []
    without: list[Hashable] = []
    marks: list[Hashable] = []
    kinds: list[Hashable] = []
    at: Step = step
    around: _Inside | None = inside
    taken = False
    while around is not None:
        if isinstance(at, int):
            all_places.append(at)
            innermost.append("*" if taken else at)
            without.append("*")
            taken = True
        else:
            for each in (all_places, innermost, without):
                each.append(at)
        for mark, value in around.marks.items():
            if mark == at:
                continue  # it is no mark of itself
            if mark in _KINDS:
                kinds.append((mark, value))
            elif (_plain(around.step), mark) in returning:
                marks.append((mark, value))
        at, around = around.step, around.inside
    for places in (all_places, innermost, without):
        yield tuple(places), tuple(marks)
        yield tuple(places), tuple(marks), tuple(kinds)
    yield tuple(without)
