"""Text without its disguises: case, white space, Unicode compatibility forms and characters nobody sees taken away."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ["Plain", "as_it_is", "undisguise"]

# Seen as nothing, though Unicode does not count them as format characters: variation selectors, the grapheme joiner, the
# fillers of Hangul and Mongolian (Unicode's property Default_Ignorable_Code_Point) and the blank pattern of Braille.
_UNSEEN: Final = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
_RUN: Final = re.compile(r"[\x00-\x7f]+|[^\x00-\x7f]+")
_SPACE: Final = re.compile(r"\s+")
_INVISIBLE: Final = re.compile(f"[{_UNSEEN}]+")


class Plain(NamedTuple):
    """A text as it is compared, and where in the original its characters are.

    Attributes:
        text: what is compared.
        starts: of each character in it, the offset in the original at which the character that it came of begins.
        ends: likewise, where it ends.
    """

    text: str
    starts: range | array[int]
    ends: range | array[int]

    def whole(self, start: int, end: int) -> bool:
        """Whether a part begins and ends with characters of the original, and not inside one, as "e" is inside "é"."""
        inside = start > 0 and self.starts[start] == self.starts[start - 1]
        return not inside and (end == len(self.text) or self.starts[end] != self.starts[end - 1])


def as_it_is(text: str) -> Plain:
    """A text to be compared to the letter."""
    return Plain(text, range(len(text)), range(1, len(text) + 1))


def undisguise(text: str) -> Plain:
    """A text to be compared through disguises.

    Both sides are decomposed (NFKD) and case-folded, as Unicode's compatibility caseless match does (section 3.13 of the
    standard, D146), and lose white space and invisible characters.
    """
    plain: list[str] = []
    starts, ends = array("q"), array("q")
    for start, end in _clusters(text):
        cluster = text[start:end]
        if cluster.isascii():
            for word in re.finditer(r"\S+", cluster):
                plain.append(word[0].lower())
                starts.extend(range(start + word.start(), start + word.end()))
                ends.extend(range(start + word.start() + 1, start + word.end() + 1))
            continue
        folded = _fold(cluster)
        plain.append(folded)
        starts.extend([start] * len(folded))
        ends.extend([end] * len(folded))
    return Plain("".join(plain), starts, ends)


@lru_cache(maxsize=65536)
def _fold(cluster: str) -> str:
    seen = "".join(c for c in _INVISIBLE.sub("", cluster) if unicodedata.category(c) != "Cf")
    folded = _decompose(_decompose(_decompose(seen).casefold()).casefold())
    return _SPACE.sub("", folded)


def _decompose(text: str) -> str:
    return unicodedata.normalize("NFKD", text)


@lru_cache(maxsize=65536)
def _attaches(character: str) -> bool:
    """Whether it combines with what stands before it, or is not seen at all."""
    return (
        unicodedata.combining(character) != 0
        or unicodedata.category(character) == "Cf"
        or _INVISIBLE.match(character) is not None
    )


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Where each character begins and ends, with all that attaches to it; ASCII in runs, since nothing there does."""
    start = 0
    for run in _RUN.finditer(text):
        if text[run.start()].isascii():
            start = run.end() - 1  # what follows may attach to the last one
            if start > run.start():
                yield run.start(), start
            continue
        for at in range(run.start(), run.end()):
            if at > start and not _attaches(text[at]):
                yield start, at
                start = at
        yield start, run.end()
        start = run.end()
    if start < len(text):
        yield start, len(text)
