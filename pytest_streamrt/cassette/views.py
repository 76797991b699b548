r"""What the deltas of a stream say when they are joined; and the way back, from there to where it stands.

A key may stand in a body a few letters in each of several deltas. Each *view* is a text to be searched; `where` says which parts of
the original make up a part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pytest_streamrt.cassette.places import STRING, Lane, lanes
from pytest_streamrt.cassette.spans import Folded, Numbers, Span, numbers_in
from pytest_streamrt.transcript.explain import alike

__all__ = ["as_lines", "folded_texts", "folds"]

# Events of which nothing is a secret that is the same in all: fewer may each say an equal part of one.
_MANY: Final = 64
_TYPES: Final = 16  # values of a name that says of what kind something is
_ALONE: Final = ""  # the name of strings that have none

# A string of a JSON object, with its name; or the name of something else; or a string alone, as in an array. None goes over a
# line's end, so that a quotation mark in other text spoils no more than its own line; but the last may lack its end, as where
# the connection was lost.
_END: Final = r'(?:"|\\?\Z)'
_STRINGS: Final = re.compile(rf'"([^"\\\n]*+)"\s*+:\s*+"({STRING}){_END}|"({STRING})"\s*+:|"({STRING}){_END}')
_GROUPS: Final = _STRINGS.groups + 1  # in what `split` gives: what is before a string, and its groups
# What stands between the strings of events that are JSON. Anything else there is text, whatever it looks like at first.
_BETWEEN: Final = re.compile(
    r"(?:[\s{}\[\]:,]++|-?\d[\d.]*+(?:[eE][+-]?\d++)?+|true|false|null|data:|event: ?+[\w.]++)*+"
)
# Data that is no JSON, though it may begin like some: the delta of a text may be a bracket.
_PLAIN_DATA: Final = re.compile(
    r'^data: ?+(?!\{\s*+["}]|\[\s*+(?:["{\[\]]|DONE\])|"[^\r\n]*"\r?$)([^\r\n]++)', re.MULTILINE
)
_INDEX: Final = re.compile(r'"(\w*[iI]ndex)"\s*+:\s*+(\d{1,9})')
_LONE_CR: Final = re.compile(r"\r(?!\n)")
_NO_JSON: Final = object()  # the name of the lines that hold no JSON
_WHOLE: Final = object()  # the name of the strings that may each be a secret, whatever stands in the one before
_LONG: Final = 8  # characters of those
_REST: Final = object()  # the name of what is in lines of JSON, and in none of their values
_JSON: Final = ("data: {", "data:{", "{")
_ID: Final = re.compile(r'[iI]d"\s*+:\s*+("[^"\n]*")')  # its name is told afterwards: that is quicker
_OF_TOKENS: Final = object()  # the name of the bytes of all tokens
_BYTES: Final = re.compile(r'"bytes"\s*+:\s*+(\[[\d,\s]*+)')
_OTHER_TOKENS: Final = re.compile(r'"top_logprobs"\s*+:\s*+\[\s*+\{')


def as_lines(text: str) -> str:
    """The text, as long as it is, with each line's end where `folded_texts` and `folds` see it: the standard allows a lone CR."""
    return _LONE_CR.sub("\n", text) if "\r" in text else text


def folded_texts(text: str) -> Iterator[tuple[object, str]]:
    """What the deltas of a stream say when they are joined, each text with the name of its fold. See `folds`."""
    said = _SaidOnce(text)
    once = said.text
    by_name: dict[str, list[str]] = {}
    parts = _STRINGS.split(once)
    for name, value, alone in zip(parts[1::_GROUPS], parts[2::_GROUPS], parts[4::_GROUPS], strict=True):
        if value:
            try:
                by_name[name].append(value)
            except KeyError:
                by_name[name] = [value]
        elif alone:
            by_name.setdefault(_ALONE, []).append(alone)
    for name, values in by_name.items():
        # What is the same in each of many events, such as their id, is no delta.
        same = len(values) >= _MANY and all(map(values[0].__eq__, values))
        yield name, values[0] if same else "".join(values)
    if len(said.events) + said.lines.count("") < len(said.lines):
        other = [line for line in said.lines if line and not line.startswith(_JSON)]
        yield _NO_JSON, "\n".join([*other, ""])
        if "data:" in text:
            yield _PLAIN_DATA, "".join(_PLAIN_DATA.findall(text))
    whole = {value for values in by_name.values() for value in values if len(value) >= _LONG}
    if whole:
        yield _WHOLE, "\n".join(whole)
    rest = {part for part in set(parts[::_GROUPS]) if not _BETWEEN.fullmatch(part)}
    rest.update(name for name in {*parts[1::_GROUPS], *parts[3::_GROUPS]} if name)
    if rest:
        yield _REST, "\n".join(rest)
    if '"bytes":' in once:
        yield _OF_TOKENS, Numbers(text, list(_spans_of_bytes(text))).text
    if _are_interleaved(once) or '"thought"' in once or _have_others_beside_them(by_name, len(said.events)):
        for lane in lanes(text):
            yield lane, lane.said(text)


def folds(text: str, name: object) -> Folded | Numbers:
    """The fold of that name, with the way back.

    All strings of one name in the JSON of a stream are one text, whatever dialect it is; so is the data of events that are
    no JSON. Where several answers or items come interleaved, the strings of each are a text as well: see `places`.
    """
    if isinstance(name, str):
        once = _SaidOnce(text).folded()
        strings = (match.span(match.lastindex or 0) for match in _STRINGS.finditer(once.text) if _name(match) == name)
        return Folded(text, [part for span in strings for part in once.where(*span)])
    if name is _WHOLE:
        spans = (match.span(match.lastindex or 0) for match in _STRINGS.finditer(text) if _name(match) is not None)
        return Folded(text, [(start, min(end + 1, len(text))) for start, end in spans if end - start >= _LONG])
    if name is _REST:
        return Folded(text, list(_spans_of_rest(text)))
    if name is _OF_TOKENS:
        return Numbers(text, list(_spans_of_bytes(text)))
    if name is _PLAIN_DATA:
        return Folded(text, [match.span(1) for match in _PLAIN_DATA.finditer(text)])
    if name is _NO_JSON:
        lines = (span for span in _lines(text) if text[slice(*span)].strip("\n"))
        return Folded(text, [span for span in lines if not text.startswith(_JSON, span[0])])
    assert isinstance(name, Lane)
    return Numbers(text, name.spans) if name.of_numbers else Folded(text, name.spans)


def _have_others_beside_them(by_name: Mapping[str, Sequence[str]], events: int) -> bool:
    """Whether strings of one name, that are no mere types, stand in several places of an event: a delta, and all so far."""
    return any(
        len(values) > events > 1 and (events < _MANY or len(set(values)) > _TYPES)
        for name, values in by_name.items()
        if name
    )


class _SaidOnce:
    """A text without what all its lines of JSON begin with, but for the first: what is the same in every event is no delta.

    Attributes:
        lines: the lines of the whole text.
        events: those that are JSON.
        text: what is left.
    """

    def __init__(self, whole: str) -> None:
        self._whole = whole
        self.lines = whole.split("\n")
        self.events = [line for line in self.lines if line and line.startswith(_JSON)]  # every other line is empty
        self._same = _beginning(self.events)
        self.text = self._shortened() if self._same else whole

    def _shortened(self) -> str:
        same, after = self._same, len(self._same)
        lines = [line[after:] if line and line.startswith(same) else line for line in self.lines]
        lines[self._first()] = self.events[0]
        return "\n".join(lines)

    def folded(self) -> Folded:
        """The same, with the way back."""
        if not self._same:
            return Folded(self._whole, [(0, len(self._whole))])
        spans = list(_lines(self._whole))
        first = self._first()
        for n, (start, end) in enumerate(spans):
            if n != first and self._whole.startswith(self._same, start):
                spans[n] = start + len(self._same), end
        return Folded(self._whole, spans)

    def _first(self) -> int:
        return self.lines.index(self.events[0])


def _beginning(events: Sequence[str]) -> str:
    """What all lines of JSON begin with, up to a string; "" where that is nothing, or where they are but a few."""
    if len(events) < _MANY:
        return ""
    first, last = min(events), max(events)  # what these two share, all share
    same = alike(first, last)
    # The string has begun in all of them, so that none takes what is before it for something else. The line's end keeps one that
    # was cut short, which others go on with, from being one.
    starts = (match.start() for match in _STRINGS.finditer(f"{first}\n"))
    return first[: max((start for start in starts if start < same), default=0)]


def _name(match: re.Match[str]) -> str | None:
    """The name that a string has in its object, if this is a string."""
    if match[2]:
        return match[1]
    return _ALONE if match[4] else None


def _spans_of_rest(text: str) -> Iterator[Span]:
    """Names, and what stands between strings and is no JSON, each with a quotation mark that keeps it from the next."""
    end = 0
    for match in _STRINGS.finditer(text):
        if not _BETWEEN.fullmatch(text, end, match.start()):
            yield end, match.start() + 1
        end = match.end()
        number = 1 if match[1] is not None else 3
        if match[number]:
            yield match.start(number), match.end(number) + 1
    if not _BETWEEN.fullmatch(text, end):
        yield end, len(text)


def _spans_of_bytes(text: str) -> Iterator[Span]:
    for match in _BYTES.finditer(text):
        yield from numbers_in(text, match.span(1))


def _lines(text: str) -> Iterator[Span]:
    """The lines, each with its end."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield start, end + 1
        start = end + 1
    yield start, len(text)


def _are_interleaved(text: str) -> bool:
    """Whether answers, items or calls come interleaved, or each token has others beside it."""
    return _OTHER_TOKENS.search(text) is not None or _an_id_returns(text) or _a_number_goes_back(text)


def _an_id_returns(text: str) -> bool:
    """Whether an id comes again after another of its name."""
    if text.count('d":') + text.count('d" :') < 3:  # nearly always
        return False
    last: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for match in _ID.finditer(text):
        end = match.start() + 2
        name, id = each = text[text.rfind('"', 0, end) + 1 : end], match[1]
        if last.get(name) != id:
            if each in seen:
                return True
            seen.add(each)
            last[name] = id
    return False


def _a_number_goes_back(text: str) -> bool:
    """Whether an index comes after a higher one of its name."""
    numbers = text.count('ndex":')
    if numbers < 2 or numbers == text.count('ndex":0') + text.count('ndex": 0'):  # nearly always
        return False
    last: dict[str, int] = {}
    for name, value in _INDEX.findall(text):
        number = int(value)
        if last.get(name, 0) > number:
            return True
        last[name] = number
    return False
