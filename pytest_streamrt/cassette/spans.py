"""Parts of a text: joined, with the way back to where they stand; merged; and as parts of its bytes."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

__all__ = ["Folded", "Numbers", "Span", "in_bytes", "merged", "numbers_in"]

Span = tuple[int, int]
"""A part of a text: from the first character to before the second, counted from 0."""

_BYTE: Final = re.compile(r"\b\d{1,3}\b")
_LARGEST_BYTE: Final = 255


class Folded:
    """Parts of a text, joined, with the way back."""

    def __init__(self, text: str, spans: Sequence[Span]) -> None:
        self._spans = spans
        self._ends = list(accumulate(end - start for start, end in spans))
        self.text = "".join(text[start:end] for start, end in spans)

    def where(self, start: int, end: int) -> list[Span]:
        """The parts of the original that this part of the view stands for, in order."""
        found = []
        number = bisect_right(self._ends, start)
        while start < end:
            first, last = self._spans[number]
            offset = start - (self._ends[number] - (last - first))
            taken = min(end - start, last - first - offset)
            if taken:
                found.append((first + offset, first + offset + taken))
            start += taken
            number += 1
        return found


class Numbers:
    """The text whose bytes these numbers are, as in the ``bytes`` of a token, with the way back."""

    def __init__(self, text: str, spans: Sequence[Span]) -> None:
        numbers = [(int(text[start:end]), (start, end)) for start, end in spans]
        self._spans = [span for number, span in numbers if number <= _LARGEST_BYTE]
        self.text = bytes(number for number, _ in numbers if number <= _LARGEST_BYTE).decode("utf-8", "surrogateescape")

    def where(self, start: int, end: int) -> list[Span]:
        """The numbers that stand for this part of the view."""
        first, last = (len(self.text[:at].encode("utf-8", "surrogateescape")) for at in (start, end))
        return self._spans[first:last]


def numbers_in(text: str, span: Span) -> list[Span]:
    """The numbers in a part of a text that may be bytes."""
    return [match.span() for match in _BYTE.finditer(text, *span)]


def merged(spans: Sequence[Span]) -> list[Span]:
    """The same parts, in order, with those that overlap made one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def in_bytes(text: str, spans: Iterable[Span]) -> list[Span]:
    """Parts of a text as parts of its bytes."""
    if text.isascii():
        return list(spans)
    return [(_bytes_before(text, start), _bytes_before(text, end)) for start, end in spans]


def _bytes_before(text: str, at: int) -> int:
    return len(text[:at].encode("utf-8", "surrogateescape"))
