"""Finding hidden texts in what was shown: secrets as a whole, and quotes from a certain length on. Text only, no events.

Many strings at once are looked for by the library ahocorasick-rs, where it is installed, and one after the other by
``str.find`` where it is not: the same matches, in more time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

from pytest_streamrt.transcript.disguise import Plain

__all__ = ["Match", "Quotes", "Secrets"]

_SURROGATES: Final = {code: code + 0x100000 for code in range(0xD800, 0xE000)}  # to private characters


class Match(NamedTuple):
    """Where something hidden was found.

    Attributes:
        which: the index of the hidden text.
        start: the offset of its first character in the text searched.
        end: the offset behind its last.
    """

    which: int
    start: int
    end: int


class Secrets:
    """Literal secrets, to be found as a whole."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._which = {secret: which for which, secret in reversed(list(enumerate(secrets)))}
        self._strings = list(self._which)
        self._find = _finder(self._strings)

    def find(self, shown: Plain) -> Iterator[Match]:
        """Every place at which one of them stands, by position."""
        found = [
            Match(self._which[self._strings[string]], start, start + len(self._strings[string]))
            for string, start in self._find(shown.text)
        ]
        yield from (match for match in sorted(found, key=_by_position) if shown.whole(match.start, match.end))


class Quotes:
    """Texts of which no part of `shortest` characters or more is to be found.

    Such a part, wherever it begins, holds at least one of the text's blocks of about half that length, cut at their
    multiples: those are looked for, and what stands around each one found is compared.

    A row of hyphens or spaces is no quote: somewhere in it, about half of `shortest` characters in a row must be varied.
    """

    def __init__(self, texts: Sequence[str], shortest: int) -> None:
        self._texts = texts
        self._shortest = shortest
        self._size = (shortest + 1) // 2
        self._variety = 6 if shortest >= 32 else 2 if shortest >= 8 else 1
        places: dict[str, list[tuple[int, int]]] = {}
        for which, text in enumerate(texts):
            for at in self._blocks(text):
                places.setdefault(text[at : at + self._size], []).append((which, at))
        self._blocks_at = list(places.items())
        self._find = _finder(list(places))
        self._around: dict[int, dict[str, tuple[int, int]]] = {}

    def find(self, shown: Plain) -> Iterator[Match]:
        """The longest quotes, by position. One that overlaps with another before it may be left out."""
        done = 0
        for block, start in sorted(self._find(shown.text), key=lambda found: found[1]):
            if start + self._size <= done:
                continue
            match = self._quote(shown, block, start)
            if match is not None:
                done = match.end
                yield match

    def _blocks(self, text: str) -> Iterator[int]:
        """Where the blocks begin. In place of one that is not varied: the next that is, on either side."""
        last = len(text) - self._size
        before, after = -1, -1
        if len(text) < self._shortest:
            return
        for at in range(0, last + 1, self._size):
            if at <= after:
                continue  # no varied one from the block before to there
            if self._varied(text, at):
                before = at
                yield at
                continue
            left = next((p for p in range(at - 1, before, -1) if self._varied(text, p)), None)
            if left is not None:
                yield left
            after = next((p for p in range(at + 1, last + 1) if self._varied(text, p)), last)
            if after <= last and self._varied(text, after):
                before = after
                yield after

    def _varied(self, text: str, at: int) -> bool:
        return len({c for c in text[at : at + self._size] if not c.isspace()}) >= self._variety

    def _quote(self, shown: Plain, block: int, start: int) -> Match | None:
        grams = self._around.get(block)
        if grams is None:
            grams = self._around[block] = self._grams(block)
        for at in range(max(start + self._size - self._shortest, 0), start + 1):
            place = grams.get(shown.text[at : at + self._shortest])
            if place is not None:
                which, begin = place
                match = self._extended(shown, which, at, begin)
                if match is not None:
                    return match
        return None

    def _grams(self, block: int) -> dict[str, tuple[int, int]]:
        """All the shortest quotes around the places of a block, with where each of them is from."""
        grams: dict[str, tuple[int, int]] = {}
        for which, at in self._blocks_at[block][1]:
            text = self._texts[which]
            first = max(at + self._size - self._shortest, 0)
            for begin in range(first, min(at, len(text) - self._shortest) + 1):
                grams.setdefault(text[begin : begin + self._shortest], (which, begin))
        return grams

    def _extended(self, shown: Plain, which: int, at: int, begin: int) -> Match | None:
        text = self._texts[which]
        back = _common(lambda n: shown.text[at - n : at] == text[begin - n : begin], min(at, begin))
        room = min(len(shown.text) - at, len(text) - begin)
        ahead = _common(lambda n: shown.text[at : at + n] == text[begin : begin + n], room)
        start, end = at - back, at + ahead
        while start < end and not shown.whole(start, end):  # at most the few letters of one character, at either side
            if start > 0 and shown.starts[start] == shown.starts[start - 1]:
                start += 1
            else:
                end -= 1
        return Match(which, start, end) if end - start >= self._shortest else None


def _by_position(match: Match) -> tuple[int, int]:
    return match.start, -match.end


def _common(same: Callable[[int], bool], most: int) -> int:
    """The greatest number up to `most` for which `same` holds, where it holds for all below it, and for 0."""
    low, step = 0, 64
    while low + step <= most and same(low + step):
        low, step = low + step, step * 2
    high = min(low + step, most + 1)  # it does not hold here
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if same(middle) else (low, middle)
    return low


def _finder(strings: list[str]) -> Callable[[str], Iterable[tuple[int, int]]]:
    """What finds every place of each string: pairs of the string's index and the offset."""
    if not strings:
        return lambda _text: ()
    if find_spec("ahocorasick_rs") is None:
        return lambda text: _one_by_one(strings, text)
    library: Any = import_module("ahocorasick_rs")
    machine = library.AhoCorasick([_encodable(string) for string in strings])

    def find(text: str) -> Iterable[tuple[int, int]]:
        found = machine.find_matches_as_indexes(_encodable(text), overlapping=True)
        return ((string, start) for string, start, _ in found)

    return find


def _one_by_one(strings: list[str], text: str) -> Iterator[tuple[int, int]]:
    for which, string in enumerate(strings):
        start = text.find(string)
        while start >= 0:
            yield which, start
            start = text.find(string, start + 1)


def _encodable(text: str) -> str:
    """The same length, without halves of surrogate pairs: JSON's escapes may hold some, and the library takes none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.translate(_SURROGATES)
    return text
